//! The first words on port 443: reads the ClientHello, tells media from control by ALPN, and for
//! media finishes the handshake. All before one deadline.

use super::connection::Connection;
use super::limits::{HELLO_LEN_MAX, READ_LEN};
use super::reader::{End, read, send};
use super::sealed;
use super::socket::Socket;
use rustls::server::{Accepted, Acceptor};
use rustls::{ServerConfig, ServerConnection};
use std::sync::Arc;
use wire::control::ALPN_MEDIA;

/// What a client on 443 turned out to want.
pub(super) enum Greeted {
    /// Media: the handshake is complete, and these bytes came behind it.
    Media { tls: Box<ServerConnection>, early: Vec<u8> },
    /// The control channel: everything read so far.
    Control { hello: Vec<u8> },
}

/// Reads the hello; finishes the handshake if it is for media.
pub(super) async fn greet<S: Socket>(
    connection: &Connection<S>,
    config: Arc<ServerConfig>,
) -> Result<Greeted, End> {
    let mut heard = Vec::new();
    let (accepted, used) = read_hello(connection, &mut heard).await?;
    if !wants_media(&accepted) {
        return Ok(Greeted::Control { hello: heard });
    }
    match accepted.into_connection(config) {
        Ok(tls) => shake_hands(connection, tls, &heard[used..]).await,
        Err((_, mut alert)) => {
            let mut out = Vec::new();
            // Writing to memory.
            let _ = alert.write_all(&mut out);
            send(connection, out).await?;
            Err(End::Refused)
        }
    }
}

/// Media is asked for by name alone: a browser, or a client without ALPN, gets control, and is told
/// there what it did wrong.
fn wants_media(accepted: &Accepted) -> bool {
    accepted.client_hello().alpn().is_some_and(|mut names| names.any(|name| name == ALPN_MEDIA))
}

/// Reads until the ClientHello is complete. Everything read is in `heard`; answers how much of it
/// rustls has taken.
async fn read_hello<S: Socket>(
    connection: &Connection<S>,
    heard: &mut Vec<u8>,
) -> Result<(Accepted, usize), End> {
    let mut acceptor = Acceptor::default();
    let mut buffer = vec![0; READ_LEN];
    let mut used = 0;
    loop {
        let (len, back) = read(connection, buffer).await?;
        buffer = back;
        heard.extend_from_slice(&buffer[..len]);
        while used < heard.len() {
            used += acceptor.read_tls(&mut &heard[used..]).map_err(|_| End::Refused)?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok((accepted, used)),
                Ok(None) => {}
                Err((_, mut alert)) => {
                    let mut out = Vec::new();
                    // Writing to memory.
                    let _ = alert.write_all(&mut out);
                    send(connection, out).await?;
                    return Err(End::Refused);
                }
            }
        }
        if heard.len() > HELLO_LEN_MAX {
            return Err(End::Refused);
        }
    }
}

async fn shake_hands<S: Socket>(
    connection: &Connection<S>,
    mut tls: ServerConnection,
    rest: &[u8],
) -> Result<Greeted, End> {
    let mut early = Vec::new();
    let mut buffer = vec![0; READ_LEN];
    let mut outcome = sealed::receive(&mut tls, rest, |plain| early.extend_from_slice(plain));
    loop {
        let mut out = Vec::new();
        sealed::drain(&mut tls, &mut out);
        send(connection, out).await?;
        match outcome {
            Ok(true) if tls.is_handshaking() => {}
            Ok(true) => return Ok(Greeted::Media { tls: Box::new(tls), early }),
            Ok(false) => return Err(End::Closed),
            Err(_) => return Err(End::Refused),
        }
        let (len, back) = read(connection, buffer).await?;
        buffer = back;
        outcome = sealed::receive(&mut tls, &buffer[..len], |plain| early.extend_from_slice(plain));
    }
}
