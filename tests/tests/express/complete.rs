//! Packets whose sum the card has told the kernel (`CHECKSUM_COMPLETE`), as no veth does: the kernel's own test run makes
//! them, and says whether its sum is still that of the packet when the program is done. A copy whose sum were wrong
//! would arrive all the same: its receiver's kernel counts again itself.
#![allow(unsafe_code, reason = "the library's test run takes no flags")]

use crate::frame::{frame, frame_v6};
use crate::rig::{Rig, heard, rtp};
use mmr::express::{Destination, Outcome};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use tests::is_root;

/// `BPF_PROG_TEST_RUN`.
const TEST_RUN: libc::c_int = 10;
/// `BPF_F_TEST_SKB_CHECKSUM_COMPLETE`, of Linux 6.11.
const CHECKSUM_COMPLETE: u32 = 1 << 2;

/// What `bpf(2)` takes for a test run (linux/bpf.h, `bpf_attr.test`).
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    answer: u32,
    frame_len: u32,
    frame_out_len: u32,
    frame: u64,
    frame_out: u64,
    repeat: u32,
    duration_ns: u32,
    context_len: u32,
    context_out_len: u32,
    context: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    padding: u32,
}

/// Lets the program see a frame, as if it had come to this network's loopback. Fails with `EBADMSG` where the kernel's sum
/// is not that of the frame afterwards.
fn run(program: BorrowedFd<'_>, frame: &[u8], flags: u32) -> io::Result<()> {
    let mut run = TestRun {
        program: u32::try_from(program.as_raw_fd()).unwrap(),
        frame_len: u32::try_from(frame.len()).unwrap(),
        frame: frame.as_ptr().addr() as u64,
        repeat: 1,
        flags,
        ..TestRun::default()
    };
    // SAFETY: the structure is as long as is said, and the frame outlives the call.
    let done = unsafe {
        libc::syscall(libc::SYS_bpf, TEST_RUN, &raw mut run, std::mem::size_of::<TestRun>())
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn keeps_the_sum(v6: bool) {
    if !is_root() {
        return;
    }
    let mut rig = Rig::new(v6, 3);
    rig.serve_all();
    // The last copy goes to nobody, whose address changes the packet's sum: the others' is the router's and theirs, as
    // the publisher's is.
    let nobody: IpAddr = if v6 { "2001:db8::77".parse() } else { "192.0.2.77".parse() }.unwrap();
    let last = rig.destination(2);
    let remote = SocketAddr::new(nobody, last.remote.port());
    rig.program.place(1_002, &Destination { remote, ..last }).unwrap();
    let packet = rtp(7, 333);
    let mut frame = if v6 { frame_v6(&rig, &packet) } else { frame(&rig, &packet) };
    // Loopback's own address.
    frame[..6].fill(0);
    let see = |flags| rig.wire.left.run(|| run(rig.program.fd().unwrap(), &frame, flags));
    // An older kernel knows no such flag; it takes the same run without.
    match see(CHECKSUM_COMPLETE) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && see(0).is_ok() => {
            eprintln!("left out: this kernel's test runs have no complete checksums");
            return;
        }
        done => done.unwrap(),
    }
    assert_eq!(rig.program.outcomes()[Outcome::Served as usize], 1);
    for subscriber in &rig.subscribers[..2] {
        let heard: Vec<Vec<u8>> = heard(subscriber, 1).into_iter().map(|(_, it)| it).collect();
        assert_eq!(heard, std::slice::from_ref(&packet));
    }
}

#[test]
fn a_complete_checksum_stays_true_over_ipv4() {
    keeps_the_sum(false);
}

#[test]
fn a_complete_checksum_stays_true_over_ipv6() {
    keeps_the_sum(true);
}
