//! A control channel on a blocking socket: fast to open, said anything to, and reset in the end.

use crate::siege::reset_in_the_end;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::{Message, WebSocket, client};

/// A control channel's client.
pub(crate) struct Channel {
    pub(crate) socket: WebSocket<StreamOwned<ClientConnection, TcpStream>>,
}

impl Channel {
    pub(crate) fn open(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.set_nodelay(true).unwrap();
        reset_in_the_end(&socket);
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        let url = format!("wss://localhost{}", wire::control::PATH);
        let (socket, _) = client(url, StreamOwned::new(tls, socket)).unwrap();
        Self { socket }
    }

    pub(crate) fn join(&mut self, token: &str) {
        let join = serde_json::json!({"type": "join", "v": 1, "token": token});
        self.socket.send(Message::text(join.to_string())).unwrap();
    }

    /// Reads until the daemon says so.
    pub(crate) fn wait_for(&mut self, word: &str) {
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) if text.contains(word) => return,
                Ok(Message::Text(_) | Message::Ping(_)) => {}
                other => panic!("{other:?} instead of {word}"),
            }
        }
    }

    /// Reads until the daemon closes.
    pub(crate) fn wait_for_end(&mut self) {
        while !matches!(self.socket.read(), Ok(Message::Close(_)) | Err(_)) {}
    }
}
