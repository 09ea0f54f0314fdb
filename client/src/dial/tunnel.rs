//! HTTP tunnels: `CONNECT` inside TLS 443, shown a join token or a ticket.

use super::connect::{Refused, connect};
use super::stream::Stream;
use super::{Dialer, Target};
use crate::https::Origin;
use crate::limits::TUNNEL_PATIENCE;
use hyper::header::HeaderValue;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::time::timeout;
use wire::control::Secret;
use wire::tunnel::{Refusal, RefusalCode};

/// The tunnels that lead to one zone, the best first, and what is shown to them.
pub(crate) struct Tunnels {
    /// At least one.
    tunnels: Vec<Origin>,
    /// The one used last.
    at: AtomicUsize,
    pass: Mutex<Secret>,
}

/// Why there is no way through a tunnel.
struct Failed {
    error: io::Error,
    /// Whether another one may be of help.
    another: bool,
}

impl Tunnels {
    /// `first`, then the others when that drains, is full or is gone.
    pub(crate) fn new(first: Origin, others: Vec<Origin>, pass: Secret) -> Self {
        let tunnels = std::iter::once(first).chain(others).collect();
        Self { tunnels, at: AtomicUsize::new(0), pass: Mutex::new(pass) }
    }

    pub(super) fn show(&self, pass: &Secret) {
        *self.pass.lock().unwrap_or_else(PoisonError::into_inner) = pass.clone();
    }

    /// The host of the one used last.
    pub(super) fn host(&self) -> String {
        self.current().target().host.clone()
    }

    pub(super) fn name(&self) -> String {
        self.current().to_string()
    }

    fn current(&self) -> &Origin {
        &self.tunnels[self.at.load(Ordering::Relaxed) % self.tunnels.len()]
    }

    /// Through the one used last, or through the next that will have it.
    pub(super) async fn connect(&self, dialer: &Dialer, to: &Target) -> io::Result<Stream> {
        let before = self.at.load(Ordering::Relaxed);
        let mut last = io::Error::other("there is no tunnel");
        for step in 0..self.tunnels.len() {
            let at = (before + step) % self.tunnels.len();
            match self.connect_through(&self.tunnels[at], dialer, to).await {
                Ok(stream) => {
                    self.at.store(at, Ordering::Relaxed);
                    return Ok(stream);
                }
                Err(Failed { error, another: false }) => return Err(error),
                Err(Failed { error, another: true }) => {
                    // Who asks next begins behind it: it may be silent, and patience is short.
                    let next = (at + 1) % self.tunnels.len();
                    let same = Ordering::Relaxed;
                    let _ = self.at.compare_exchange(at, next, same, same);
                    last = error;
                }
            }
        }
        Err(last)
    }

    async fn connect_through(
        &self,
        tunnel: &Origin,
        dialer: &Dialer,
        to: &Target,
    ) -> Result<Stream, Failed> {
        let failed = |cause: io::Error| Failed {
            error: io::Error::other(format!("the tunnel {tunnel} can't be used: {cause}")),
            another: true,
        };
        let credentials = self.credentials().map_err(failed)?;
        let asked = async {
            let stream = dialer.connect_outside(tunnel.target()).await?;
            let local = stream.local();
            let inside = dialer.https(tunnel.target(), stream).await?;
            connect(Stream::inside(local, inside), to, Some(&credentials)).await
        };
        let answered = timeout(TUNNEL_PATIENCE, asked).await;
        let silent = || io::Error::new(io::ErrorKind::TimedOut, "no answer");
        let answered = answered.unwrap_or_else(|_| Err(silent())).map_err(failed)?;
        answered.map_err(|refused| explain(tunnel, to, &refused))
    }

    fn credentials(&self) -> io::Result<HeaderValue> {
        let pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", pass.0)).map_err(io::Error::other)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

fn explain(tunnel: &Origin, to: &Target, refused: &Refused) -> Failed {
    let status = refused.status;
    let Ok(Refusal { code, message, .. }) = serde_json::from_slice(&refused.body) else {
        let words = format!("{tunnel} answers {status} to CONNECT; is it an HTTP tunnel?");
        return Failed { error: io::Error::other(words), another: true };
    };
    let another = matches!(
        code,
        RefusalCode::NotAllowed
            | RefusalCode::Spent
            | RefusalCode::Overloaded
            | RefusalCode::Draining
    );
    let words = format!("the tunnel {tunnel} does not lead to {to}: {message} ({code:?})");
    Failed { error: io::Error::other(words), another }
}
