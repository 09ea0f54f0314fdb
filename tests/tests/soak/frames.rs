//! Garbage frames (RFC 4571) on a proved link: counted one by one, and the link goes on.

use crate::siege::Siege;
use rustls::{ClientConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tests::process::Process;
use tests::raw::{RawChannel, RawLink, rtp, tls_config};
use wire::control::{ALPN_MEDIA, ClientMessage};
use wire::framing::frame;
use wire::stun::parse_success;
use wire::token::Role;
use wire::{Kind, Ssrc};

/// Several a TLS record.
const FRAMES_PER_WRITE: usize = 60;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

pub(crate) fn over_tcp(count: u64) {
    bear("garbage frames over TCP", count, |process| {
        let socket = connect(process.tcp());
        Box::new(socket)
    });
}

pub(crate) fn over_tls(count: u64) {
    bear("garbage frames over TLS", count, |process| {
        let config = tls_config(process.venue.dev.ca_pem(), ALPN_MEDIA);
        let tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        Box::new(StreamOwned::new(tls, connect(process.tls())))
    });
}

fn connect(address: std::net::SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

fn bear(name: &str, count: u64, open: impl Fn(&Process) -> Box<dyn Stream>) {
    let siege = Siege::lay();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let strike = |process: &Process, count| {
        let (mallory, mut link) = runtime.block_on(member(process, "mallory"));
        let neighbours = ["carol", "dave"].map(|who| runtime.block_on(member(process, who)));
        let mut stream = open(process);
        prove(&mut link, &mut *stream);
        let volley = volley(&mut link);
        let over = AtomicBool::new(false);
        let channels = std::thread::scope(|scope| {
            let neighbours = neighbours.map(|(channel, link)| {
                // Opened one after the other: each worker has one.
                let stream = connect(process.tcp());
                let over = &over;
                let proving = scope.spawn(move || keep_proving(link, stream, over));
                (channel, proving)
            });
            let end = End(&over);
            storm(&mut *stream, &volley, count);
            // The link has borne it all.
            prove(&mut link, &mut *stream);
            drop(end);
            neighbours.map(|(channel, proving)| {
                proving.join().unwrap();
                channel
            })
        });
        drop(stream);
        channels.into_iter().chain([mallory]).for_each(|channel| runtime.block_on(leave(channel)));
    };
    siege.bear(name, count, strike, |stats| {
        let workers = stats.workers.iter().flat_map(|worker| worker.drops.values());
        workers.chain(stats.door.drops.values()).sum()
    });
}

/// Says that the storm is over, also when it ends in a panic.
struct End<'s>(&'s AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn member(process: &Process, who: &str) -> (RawChannel, RawLink) {
    let dev = &process.venue.dev;
    let token = dev.token("elsewhere", who, Role::Attendee);
    let mut channel = RawChannel::join(process.tls(), dev.ca_pem(), token).await;
    let link = channel.connect(Kind::Video).await;
    (channel, link)
}

async fn leave(mut channel: RawChannel) {
    channel.send(&ClientMessage::Leave).await;
    while channel.next().await.is_some() {}
}

/// Says the volley's packets in turn, as fast as they are taken.
fn storm(stream: &mut dyn Stream, volley: &[Vec<u8>], count: u64) {
    let mut turn = volley.iter().cycle().take(usize::try_from(count).unwrap());
    loop {
        let mut bytes = Vec::new();
        turn.by_ref().take(FRAMES_PER_WRITE).for_each(|packet| frame(packet, &mut bytes));
        if bytes.is_empty() {
            return;
        }
        stream.write_all(&bytes).unwrap();
    }
}

/// Each check is answered at once: nothing a neighbour over TCP says is lost.
fn keep_proving(mut link: RawLink, mut stream: TcpStream, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        prove(&mut link, &mut stream);
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A check that is answered, and not said twice.
fn prove(link: &mut RawLink, stream: &mut dyn Stream) {
    let mut bytes = Vec::new();
    frame(&link.check(), &mut bytes);
    stream.write_all(&bytes).unwrap();
    loop {
        let mut len = [0; 2];
        stream.read_exact(&mut len).unwrap();
        let mut packet = vec![0; usize::from(u16::from_be_bytes(len))];
        stream.read_exact(&mut packet).unwrap();
        if parse_success(&packet, &link.password).is_ok() {
            return;
        }
    }
}

/// One of each: what is no packet, what is one but nobody's, what is forged.
fn volley(link: &mut RawLink) -> Vec<Vec<u8>> {
    let mut forged_check = link.check();
    let integrity = forged_check.len() - 12;
    forged_check[integrity] ^= 1;
    let mut forged_nack = link.nack(Ssrc(1), 1);
    *forged_nack.last_mut().unwrap() ^= 1;
    let mut lying_extension = rtp(Ssrc(1), 1, 80);
    lying_extension[0] |= 0x10;
    lying_extension[14..16].copy_from_slice(&[0xff, 0xff]);
    vec![
        vec![0xff; 300],
        vec![0, 1, 0, 8],
        forged_check,
        rtp(Ssrc(0x0bad_0bad), 7, 600),
        rtp(Ssrc(1), 1, 80)[..11].to_vec(),
        lying_extension,
        forged_nack,
        vec![0x80, 201, 0, 1],
    ]
}
