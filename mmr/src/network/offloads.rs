//! What a network device does for the kernel.

use socket2::{Domain, Socket, Type};
use std::io;
use std::os::fd::AsRawFd;

/// Of linux/ethtool.h: asks whether the device's packets are joined into trains as they come (GRO).
const ETHTOOL_GGRO: u32 = 0x2b;

/// `struct ethtool_value` of linux/ethtool.h.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// Whether what comes over an interface of the calling thread's network is joined into trains (GRO).
///
/// # Errors
/// There is no such interface, or its driver does not tell.
pub fn has_gro(interface: &str) -> io::Result<bool> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None)?;
    let mut value = EthtoolValue { command: ETHTOOL_GGRO, data: 0 };
    // SAFETY: ifreq is a C struct of integers, byte arrays and pointers, for all of which zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let (name, end) = (interface.as_bytes(), request.ifr_name.len() - 1);
    if name.len() > end {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name) {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    request.ifr_ifru.ifru_data = (&raw mut value).cast();
    // SAFETY: the kernel reads and writes `request` and the `EthtoolValue` it points to, both of which live until it
    // returns; the command that value holds has this struct's layout.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(value.data != 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_has_no_say_or_one_and_nobody_else_is_found() {
        // Loopback has the offload in all kernels; whether it is on is the host's affair.
        assert!(has_gro("lo").is_ok());
        assert!(has_gro("no-such-device0").is_err());
        assert_eq!(
            has_gro(&"x".repeat(16)).map_err(|it| it.kind()),
            Err(io::ErrorKind::InvalidInput)
        );
    }
}
