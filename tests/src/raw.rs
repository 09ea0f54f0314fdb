//! A participant made by hand: a control channel and links on which a test can say anything, right or wrong.

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};
use wire::control::{ClientMessage, Codec, Key, LayerOffer, ServerMessage, SrtcpKeys};
use wire::srtp::{MasterKey, SessionKeys};
use wire::stun::{self, TransactionId};
use wire::{Bitrate, Kind, Ssrc, StreamId, control, rtcp, rtp};

/// How long a test waits for what must come. Generous: only a failing test ever waits that long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A TLS connection to the MMR with one ALPN protocol.
///
/// # Panics
/// When the handshake fails.
pub async fn tls(address: SocketAddr, ca_pem: &str, alpn: &[u8]) -> TlsStream<TcpStream> {
    try_tls(address, ca_pem, alpn).await.unwrap()
}

/// The same, where the handshake may fail.
///
/// # Errors
/// It failed.
pub async fn try_tls(
    address: SocketAddr,
    ca_pem: &str,
    alpn: &[u8],
) -> io::Result<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(tls_config(ca_pem, alpn))).connect(name, socket).await
}

/// What a client that trusts this certificate authority speaks.
///
/// # Panics
/// When it is no certificate.
pub fn tls_config(ca_pem: &str, alpn: &[u8]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// A control channel.
pub struct RawChannel {
    socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl RawChannel {
    /// Opens the WebSocket; says nothing yet.
    pub async fn open(address: SocketAddr, ca_pem: &str) -> Self {
        let stream = tls(address, ca_pem, control::ALPN_CONTROL).await;
        let url = format!("wss://localhost{}", control::PATH);
        let (socket, _) = client_async(url, stream).await.unwrap();
        Self { socket }
    }

    /// Opens and joins.
    pub async fn join(address: SocketAddr, ca_pem: &str, token: String) -> Self {
        let mut channel = Self::open(address, ca_pem).await;
        channel.say_join(token).await;
        channel
            .expect("joined", |message| {
                matches!(message, ServerMessage::Joined { .. }).then_some(())
            })
            .await;
        channel
    }

    /// Asks to join.
    pub async fn say_join(&mut self, token: String) {
        self.send(&ClientMessage::Join { v: control::VERSION, token: token.into() }).await;
    }

    /// Says something well formed.
    pub async fn send(&mut self, message: &ClientMessage) {
        self.send_text(serde_json::to_string(message).unwrap()).await;
    }

    /// Says anything.
    pub async fn send_text(&mut self, text: String) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message; `None` when the MMR closed the channel.
    pub async fn next(&mut self) -> Option<ServerMessage> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next.expect("the MMR neither speaks nor closes") {
                Some(Ok(Message::Text(text))) => return Some(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(_)) => {}
            }
        }
    }

    /// Hears and forgets everything until the MMR closes the channel.
    pub async fn drain(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Waits for the message that `pick` takes; passes over others.
    pub async fn expect<T>(
        &mut self,
        what: &str,
        mut pick: impl FnMut(ServerMessage) -> Option<T>,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let message = self.next().await;
            let Some(message) = message else { panic!("channel closed while waiting for {what}") };
            if let Some(picked) = pick(message) {
                return picked;
            }
        }
        panic!("no {what} in {PATIENCE:?}")
    }

    /// The code of the next error, by its name on the wire.
    pub async fn refusal(&mut self) -> String {
        let code = self
            .expect("error", |message| match message {
                ServerMessage::Error { code, .. } => Some(code),
                _ => None,
            })
            .await;
        serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
    }

    /// Asks for a link.
    pub async fn connect(&mut self, kind: Kind) -> RawLink {
        self.send(&ClientMessage::Connect { kind }).await;
        self.expect("link", |message| match message {
            ServerMessage::Link { ufrag, password, srtcp_keys, addresses, .. } => {
                Some(RawLink::new(ufrag, password.0, &srtcp_keys, addresses))
            }
            _ => None,
        })
        .await
    }

    /// Publishes one layer; its label.
    pub async fn publish(&mut self, kind: Kind, max_bitrate: u32) -> (StreamId, Ssrc) {
        let codec = if kind == Kind::Audio { Codec::Opus } else { Codec::Vp8 };
        let key = Key(MasterKey { key: [7; 16], salt: [9; 12] });
        let layers =
            vec![LayerOffer { codec, payload_type: 100, max_bitrate: Bitrate(max_bitrate), key }];
        self.send(&ClientMessage::Publish { kind, layers }).await;
        self.expect("published", |message| match message {
            ServerMessage::Published { stream, ssrcs, .. } => Some((stream, ssrcs[0])),
            _ => None,
        })
        .await
    }

    /// Subscribes to the next stream that is added.
    pub async fn subscribe_next(&mut self) -> StreamId {
        let stream = self
            .expect("stream_added", |message| match message {
                ServerMessage::StreamAdded { stream, .. } => Some(stream),
                _ => None,
            })
            .await;
        self.send(&ClientMessage::Subscribe { stream, max_layer: 0 }).await;
        self.expect("subscribed", |message| {
            matches!(message, ServerMessage::Subscribed { .. }).then_some(())
        })
        .await;
        stream
    }
}

/// What a link is bound with, and a UDP socket to do it from.
pub struct RawLink {
    /// The MMR's user fragment.
    pub ufrag: String,
    /// The password.
    pub password: String,
    /// Where to bind.
    pub addresses: control::Addresses,
    /// Where it is bound from; replace it to move.
    pub socket: UdpSocket,
    rtcp_in: SessionKeys,
    rtcp_out: SessionKeys,
    rtcp_index: u32,
    checks: u32,
}

impl RawLink {
    fn new(
        ufrag: String,
        password: String,
        keys: &SrtcpKeys,
        addresses: control::Addresses,
    ) -> Self {
        let rtcp_in = SessionKeys::derive(&keys.mmr.0);
        let rtcp_out = SessionKeys::derive(&keys.client.0);
        let socket = Self::socket(addresses.udp[0]);
        Self { ufrag, password, addresses, socket, rtcp_in, rtcp_out, rtcp_index: 0, checks: 0 }
    }

    /// A fresh socket towards the MMR.
    pub fn socket(mmr: SocketAddr) -> UdpSocket {
        let any = if mmr.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).unwrap();
        socket.connect(mmr).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        socket
    }

    /// A binding request that is right.
    pub fn check(&mut self) -> Vec<u8> {
        self.checks += 1;
        let mut request = Vec::new();
        let mut transaction = TransactionId([0; 12]);
        transaction.0[..4].copy_from_slice(&self.checks.to_be_bytes());
        stun::write_request(transaction, &self.ufrag, "rawpeer", &self.password, &mut request);
        request
    }

    /// Binds the link to the socket's address.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn bind(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let request = self.check();
            self.socket.send(&request).unwrap();
            while let Some(answer) = self.receive() {
                if stun::parse_success(&answer, &self.password).is_ok() {
                    return;
                }
            }
        }
        panic!("no answer to STUN checks in {PATIENCE:?}")
    }

    /// The next datagram, if one comes within 200 ms.
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        self.socket.recv(&mut buffer).ok().map(|len| buffer[..len].to_vec())
    }

    /// The next RTP packet, if one comes; STUN and RTCP are passed over.
    pub fn receive_rtp(&self) -> Option<Vec<u8>> {
        while let Some(packet) = self.receive() {
            if wire::demux::classify(&packet) == Some(wire::demux::Class::Rtp) {
                return Some(packet);
            }
        }
        None
    }

    /// The next RTCP compound of the MMR, decrypted.
    ///
    /// # Panics
    /// When none comes, or one that is not authentic.
    pub fn receive_rtcp(&self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(mut packet) = self.receive() else { continue };
            if wire::demux::classify(&packet) == Some(wire::demux::Class::Rtcp) {
                let (len, _) = self.rtcp_in.unprotect_rtcp(&mut packet).unwrap();
                packet.truncate(len);
                return packet;
            }
        }
        panic!("no RTCP in {PATIENCE:?}")
    }

    /// A NACK for one packet of a layer, protected as the link's RTCP is.
    pub fn nack(&mut self, media: Ssrc, seq: u16) -> Vec<u8> {
        let mut packet = vec![0; 256];
        let len =
            rtcp::write_nack(Ssrc(0x1000), media, &[(wire::Seq(seq), 0)], &mut packet).unwrap();
        self.rtcp_index += 1;
        let len = self.rtcp_out.protect_rtcp(self.rtcp_index, &mut packet, len).unwrap();
        packet.truncate(len);
        packet
    }
}

/// An RTP packet with a payload of `len` bytes that says its number. The MMR never looks inside a payload.
pub fn rtp(ssrc: Ssrc, seq: u16, len: usize) -> Vec<u8> {
    let header = rtp::Header { payload_type: 100, seq, ssrc: ssrc.0, ..rtp::Header::default() };
    let mut packet = Vec::new();
    header.write(&mut packet);
    packet.extend(std::iter::repeat_n(seq.to_be_bytes(), len.div_ceil(2)).flatten());
    packet
}
