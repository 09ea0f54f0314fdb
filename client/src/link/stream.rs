//! A TCP or TLS path: packets framed as RFC 4571 says, written by a task of its own.

use super::sniff::Sniffer;
use crate::dial::ByteStream;
use crate::limits::WRITES_MAX;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use wire::framing::{Deframer, frame};

pub(super) struct StreamPath {
    reader: ReadHalf<Box<dyn ByteStream>>,
    deframer: Deframer,
    arrived: VecDeque<Vec<u8>>,
    writes: mpsc::Sender<Vec<u8>>,
    local: SocketAddr,
    remote: SocketAddr,
    sniffer: Option<Sniffer>,
}

impl StreamPath {
    pub(super) fn new(stream: Box<dyn ByteStream>, local: SocketAddr, remote: SocketAddr) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let (writes, queue) = mpsc::channel(WRITES_MAX);
        tokio::spawn(write_all(writer, queue));
        let (deframer, arrived) = (Deframer::default(), VecDeque::new());
        Self { reader, deframer, arrived, writes, local, remote, sniffer: None }
    }

    /// From now on the marks of arriving packets are read, if the system allows it.
    pub(super) fn sniff(&mut self) {
        self.sniffer = Sniffer::start(self.remote, self.local).ok();
    }

    pub(super) fn sniffer(&self) -> Option<&Sniffer> {
        self.sniffer.as_ref()
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The next packet. May be dropped while it waits.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = [0; 16 * 1024];
        loop {
            if let Some(packet) = self.arrived.pop_front() {
                return Ok(packet);
            }
            let len = self.reader.read(&mut bytes).await?;
            if len == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let arrived = &mut self.arrived;
            self.deframer
                .receive(&bytes[..len], |packet| arrived.push_back(packet.to_vec()))
                .map_err(io::Error::other)?;
        }
    }

    /// As [`super::udp::UdpPath::send`]; what the connection has no room for is dropped.
    pub(super) fn send(&self, bytes: &[u8], segment: usize) -> bool {
        let mut framed = Vec::with_capacity(bytes.len() + 2 * bytes.len().div_ceil(segment.max(1)));
        for packet in bytes.chunks(segment) {
            frame(packet, &mut framed);
        }
        self.writes.try_send(framed).is_ok()
    }
}

async fn write_all(mut writer: WriteHalf<Box<dyn ByteStream>>, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        // The reader hears of a broken connection as well and acts on it.
        if writer.write_all(&bytes).await.is_err() || writer.flush().await.is_err() {
            return;
        }
    }
    // TLS says goodbye; a connection that is gone does not mind.
    let _ = writer.shutdown().await;
}
