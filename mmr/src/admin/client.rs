//! Asks a running daemon over its admin socket.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// A daemon that has not answered by then will not.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// Why a daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody listens.
    #[error("no daemon answers at {}: {}. {}", .0.display(), .1, remedy(.1))]
    Connect(PathBuf, io::Error),
    /// It said no.
    #[error("the daemon refused: {0}")]
    Refused(String),
    /// It said nothing, or no HTTP.
    #[error("the daemon at {} did not answer: {}. Its log says more.", .0.display(), .1)]
    NoAnswer(PathBuf, String),
}

/// Sends one request and gives the answer's text.
pub(crate) async fn ask(socket: &Path, method: Method, path: &str) -> Result<String, AskError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|cause| AskError::Connect(socket.to_owned(), cause))?;
    let no_answer = |why: String| AskError::NoAnswer(socket.to_owned(), why);
    match timeout(ANSWER_DEADLINE, exchange(stream, method, path)).await {
        Ok(Ok((true, text))) => Ok(text),
        Ok(Ok((false, text))) => Err(AskError::Refused(text.trim().to_owned())),
        Ok(Err(error)) => Err(no_answer(error.to_string())),
        Err(_) => Err(no_answer(format!("nothing came for {} s", ANSWER_DEADLINE.as_secs()))),
    }
}

async fn exchange(
    stream: UnixStream,
    method: Method,
    path: &str,
) -> Result<(bool, String), hyper::Error> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(hyper::header::HOST, "mmr")
        .body(Empty::<Bytes>::new())
        .expect("method and path are our own");
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let ok = response.status().is_success();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((ok, String::from_utf8_lossy(&body).into_owned()))
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => "Run this as the daemon's user, or as root.",
        _ => {
            "Is it running? Give its socket with --socket (mmr.toml: admin.socket; mmr dev prints it)."
        }
    }
}
