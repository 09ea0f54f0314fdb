//! Sends reports to one controller: the newest, never one that is old.

use super::Client;
use super::backoff::Backoff;
use crate::limits::REPLY_DEADLINE;
use crate::mmr::AdminSocket;
use bytes::Bytes;
use rand::rngs::StdRng;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{StatusCode, Url};
use std::error::Error;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use wire::limits::{REPLY_LEN_MAX, REPORT_MEETINGS_MAX};
use wire::load::{MeetingList, Reply, Report, ReportError};

/// A report on its way to every controller.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) report: Report,
    /// The same as JSON.
    pub(crate) body: Bytes,
    /// Whether it tells what a controller acts on at once.
    pub(crate) urgent: bool,
}

/// One controller's task.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) controller: Url,
    pub(crate) clients: watch::Receiver<Client>,
    pub(crate) reports: watch::Receiver<Option<Arc<Outgoing>>>,
    pub(crate) replies: mpsc::Sender<Reply>,
    /// For meetings, when the controller asks for them.
    pub(crate) socket: AdminSocket,
    pub(crate) random: StdRng,
}

/// Why a report was not answered.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("{}", chain(.0))]
    Http(#[from] reqwest::Error),
    #[error("no reply for {} s", REPLY_DEADLINE.as_secs())]
    Late,
    #[error("it answered {0}{hint}", hint = hint(*.0))]
    Status(StatusCode),
    #[error("its reply is refused: {0}")]
    Reply(#[from] ReportError),
}

impl Sender {
    /// Sends each report there is, until there are none any more.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new();
        let mut reached = None;
        let mut list_meetings = false;
        while let Some(outgoing) = self.newest().await {
            let sent = tokio::select! {
                sent = self.send(&outgoing, list_meetings) => sent,
                // What is on its way is no longer true.
                () = urgent(self.reports.clone()) => continue,
            };
            self.log(&mut reached, &sent);
            match sent {
                Ok(reply) => {
                    backoff.reset();
                    list_meetings = reply.list_meetings;
                    if self.replies.send(reply).await.is_err() {
                        return;
                    }
                }
                Err(_) => {
                    let wait = backoff.wait(&mut self.random);
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = urgent(self.reports.clone()) => {}
                    }
                    // The newest again, also when it is the one that was not sent.
                    self.reports.mark_changed();
                }
            }
        }
    }

    /// The newest report, as soon as there is a new one.
    async fn newest(&mut self) -> Option<Arc<Outgoing>> {
        loop {
            self.reports.changed().await.ok()?;
            let newest = self.reports.borrow_and_update().clone();
            if newest.is_some() {
                return newest;
            }
        }
    }

    async fn send(&self, outgoing: &Outgoing, list: bool) -> Result<Reply, SendError> {
        let body = if list { self.with_meetings(outgoing).await } else { outgoing.body.clone() };
        timeout(REPLY_DEADLINE, self.exchange(body)).await.unwrap_or(Err(SendError::Late))
    }

    async fn exchange(&self, body: Bytes) -> Result<Reply, SendError> {
        let client = self.clients.borrow().clone();
        let mut request = client
            .http
            .post(self.controller.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = client.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut response = request.send().await?;
        if response.status() != StatusCode::OK {
            return Err(SendError::Status(response.status()));
        }
        let mut reply = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            reply.extend_from_slice(&chunk);
            if reply.len() > REPLY_LEN_MAX {
                break;
            }
        }
        Ok(Reply::parse(&reply)?)
    }

    /// The report with the meetings; without them when the daemon does not tell.
    async fn with_meetings(&self, outgoing: &Outgoing) -> Bytes {
        let asked = self.socket.again().meetings().await;
        let Ok(mut meetings) = asked else { return outgoing.body.clone() };
        let complete = meetings.len() <= REPORT_MEETINGS_MAX;
        meetings.truncate(REPORT_MEETINGS_MAX);
        let meeting_list = Some(MeetingList { complete, meetings });
        json(&Report { meeting_list, ..outgoing.report.clone() })
    }

    /// Only changes: an unreachable controller is no news once a second.
    fn log(&self, reached: &mut Option<bool>, sent: &Result<Reply, SendError>) {
        let controller = self.controller.as_str();
        if reached.replace(sent.is_ok()) == Some(sent.is_ok()) {
            return;
        }
        match sent {
            Ok(_) => tracing::info!(controller, "the controller takes our reports"),
            Err(why) => tracing::warn!(controller, %why, "the controller is not reached"),
        }
    }
}

impl Outgoing {
    pub(crate) fn new(report: Report, urgent: bool) -> Self {
        Self { body: json(&report), report, urgent }
    }
}

fn json(report: &Report) -> Bytes {
    serde_json::to_vec(report).expect("a report is JSON: names, numbers and lists").into()
}

/// Returns when there is a newer report that is urgent.
async fn urgent(mut reports: watch::Receiver<Option<Arc<Outgoing>>>) {
    loop {
        if reports.changed().await.is_err() {
            return std::future::pending().await;
        }
        if reports.borrow_and_update().as_ref().is_some_and(|newest| newest.urgent) {
            return;
        }
    }
}

/// The whole story: reqwest keeps the cause to itself.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ". Does it know controllers.certificate or controllers.token, for this zone?"
        }
        StatusCode::NOT_FOUND => ". Is that a zone controller?",
        _ => "",
    }
}
