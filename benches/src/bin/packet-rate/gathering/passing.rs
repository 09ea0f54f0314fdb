//! Sockets from one thread's table of descriptors to another's (unix(7), SCM_RIGHTS).

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

/// Of one message: the kernel takes 253.
const BATCH: usize = 250;

/// Two ends; what one passes the other receives.
///
/// # Errors
/// No descriptor is left.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?)
}

/// Passes sockets on. Blocks until the other end has taken most of them.
///
/// # Errors
/// The other end is gone.
pub(super) fn pass(end: &OwnedFd, sockets: &[Arc<UdpSocket>]) -> io::Result<()> {
    for batch in sockets.chunks(BATCH) {
        let batch: Vec<_> = batch.iter().map(|socket| socket.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&batch)];
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(end.as_raw_fd(), &[IoSlice::new(b"s")], &rights, flags, None)?;
    }
    Ok(())
}

/// Receives so many sockets.
///
/// # Errors
/// The other end is gone, or no descriptor is left.
pub(super) fn receive(end: &OwnedFd, count: usize) -> io::Result<Vec<UdpSocket>> {
    let mut sockets = Vec::with_capacity(count);
    let mut room = nix::cmsg_space!([i32; BATCH]);
    while sockets.len() < count {
        let mut byte = [0];
        let mut parts = [IoSliceMut::new(&mut byte)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(end.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for told in message.cmsgs()? {
            let ControlMessageOwned::ScmRights(descriptors) = told else { continue };
            // SAFETY: the kernel has just made these descriptors for us; nobody else knows them.
            let own = |fd| UdpSocket::from(unsafe { OwnedFd::from_raw_fd(fd) });
            sockets.extend(descriptors.into_iter().map(own));
        }
    }
    Ok(sockets)
}
