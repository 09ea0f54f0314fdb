//! Asks the daemon: HTTP over its admin socket, on one connection for as long as it stays.

use crate::limits::{ANSWER_DEADLINE, ANSWER_LEN_MAX};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use wire::load::Meeting;
use wire::stats::Stats;

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody is there.
    #[error("no daemon answers at {}: {}{}", .0.display(), .1, remedy(.1))]
    Gone(PathBuf, io::Error),
    /// It took the request and said nothing.
    #[error("nothing came for {} ms", ANSWER_DEADLINE.as_millis())]
    Silent,
    /// It hung up. It may be gone, and the next question tells.
    #[error("it hung up: {0}")]
    HungUp(hyper::Error),
    /// It said no.
    #[error("it refused: {0}")]
    Refused(String),
    /// It said what can't be read.
    #[error("its answer can't be read: {0}. Is it of the same version as this agent?")]
    Unreadable(String),
}

/// One connection to the daemon, made when it is needed.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    path: PathBuf,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    requests: SendRequest<Empty<Bytes>>,
    /// Ends with the connection.
    task: JoinHandle<()>,
}

impl AdminSocket {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), connection: None }
    }

    /// Another connection to the same daemon.
    pub(crate) fn again(&self) -> Self {
        Self::new(&self.path)
    }

    pub(crate) async fn stats(&mut self) -> Result<Stats, AskError> {
        self.json("/stats").await
    }

    pub(crate) async fn meetings(&mut self) -> Result<Vec<Meeting>, AskError> {
        self.json("/meetings").await
    }

    /// The answer's body; `AskError::Refused` with it when the status says no.
    pub(crate) async fn ask(&mut self, method: Method, path: &str) -> Result<Bytes, AskError> {
        let asked = timeout(ANSWER_DEADLINE, self.exchange(method, path)).await;
        let answer = asked.unwrap_or(Err(AskError::Silent));
        if !matches!(answer, Ok(_) | Err(AskError::Refused(_))) {
            self.connection = None;
        }
        answer
    }

    /// Returns when the daemon hangs up; never when there is no connection.
    pub(crate) async fn hung_up(&mut self) {
        let Some(connection) = &mut self.connection else { return std::future::pending().await };
        // How it ended does not matter.
        let _ = (&mut connection.task).await;
        self.connection = None;
    }

    async fn json<T: serde::de::DeserializeOwned>(&mut self, path: &str) -> Result<T, AskError> {
        let body = self.ask(Method::GET, path).await?;
        serde_json::from_slice(&body).map_err(|error| AskError::Unreadable(error.to_string()))
    }

    async fn exchange(&mut self, method: Method, path: &str) -> Result<Bytes, AskError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(hyper::header::HOST, "mmr")
            .body(Empty::new())
            .expect("method and path are our own");
        let requests = &mut self.connected().await?.requests;
        let response = requests.send_request(request).await.map_err(AskError::HungUp)?;
        let ok = response.status().is_success();
        let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await;
        let body = body.map_err(|cause| AskError::Unreadable(cause.to_string()))?.to_bytes();
        if ok {
            Ok(body)
        } else {
            Err(AskError::Refused(String::from_utf8_lossy(&body).trim().to_owned()))
        }
    }

    async fn connected(&mut self) -> Result<&mut Connection, AskError> {
        let kept = self.connection.take().filter(|it| !it.requests.is_closed());
        let connection = match kept {
            Some(connection) => connection,
            None => connect(&self.path).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

async fn connect(path: &Path) -> Result<Connection, AskError> {
    let gone = |cause| AskError::Gone(path.to_owned(), cause);
    let stream = UnixStream::connect(path).await.map_err(gone)?;
    let (requests, connection) = handshake(TokioIo::new(stream)).await.map_err(AskError::HungUp)?;
    // What went wrong whoever asks is told.
    let task = tokio::spawn(async { drop(connection.await) });
    Ok(Connection { requests, task })
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => ". Run the agent as the daemon's user",
        ErrorKind::NotFound => ". Is mmr.socket the daemon's admin.socket?",
        _ => "",
    }
}
