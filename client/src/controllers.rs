//! Asks a zone's controllers which MMR to join.

use crate::options::{ControllerUrl, IpChoice, Trust};
use crate::{ClientError, limits};
use rand::Rng;
use rand::seq::SliceRandom;
use reqwest::redirect::Policy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wire::zone::{ASSIGN_PATH, Assign, Assignment, Refusal};

/// The controllers of one zone; clones share their connections.
#[derive(Clone)]
pub(crate) struct Controllers {
    urls: Vec<ControllerUrl>,
    http: reqwest::Client,
}

/// Why no controller named an MMR this time.
pub(crate) struct NotNow {
    pub(crate) error: ClientError,
    /// After how long asking again may help; `None`: never.
    pub(crate) retry_after: Option<Duration>,
}

impl Controllers {
    pub(crate) fn new(
        urls: Vec<ControllerUrl>,
        ip: IpChoice,
        trust: &Trust,
    ) -> Result<Self, ClientError> {
        let local = match ip {
            IpChoice::Any => None,
            IpChoice::V4 => Some(IpAddr::from(Ipv4Addr::UNSPECIFIED)),
            IpChoice::V6 => Some(IpAddr::from(Ipv6Addr::UNSPECIFIED)),
        };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(trust))
            .https_only(true)
            .no_proxy()
            .redirect(Policy::none())
            .local_address(local)
            .timeout(limits::ASK_DEADLINE)
            .build()
            .map_err(|cause| ClientError::Trust(cause.to_string()))?;
        Ok(Self { urls, http })
    }

    /// Asks all of them, each a little after the one before, in any order; the first MMR named
    /// counts. The same question may be asked of several: they answer as one.
    pub(crate) async fn ask(&self, assign: &Assign) -> Result<Assignment, NotNow> {
        let mut urls = self.urls.clone();
        urls.shuffle(&mut rand::rng());
        let mut answers = JoinSet::new();
        let mut left = urls.into_iter();
        let mut last = NotNow { error: ClientError::Timeout("the zone"), retry_after: None };
        loop {
            if let Some(url) = left.next() {
                answers.spawn(ask_one(self.http.clone(), url, assign.clone()));
            }
            let answer = tokio::select! {
                answer = answers.join_next() => answer,
                () = sleep(limits::ASK_STAGGER), if left.len() > 0 => continue,
            };
            match answer {
                Some(Ok(Ok(assignment))) => return Ok(assignment),
                // No controller will take what one of them refuses for good.
                Some(Ok(Err(not_now))) if not_now.retry_after.is_none() => return Err(not_now),
                Some(Ok(Err(not_now))) => last = not_now,
                Some(Err(_panicked)) => {}
                None => return Err(last),
            }
        }
    }
}

async fn ask_one(
    http: reqwest::Client,
    controller: ControllerUrl,
    assign: Assign,
) -> Result<Assignment, NotNow> {
    let unusable = |cause: String| NotNow {
        error: ClientError::Controller { controller: controller.clone(), cause },
        retry_after: Some(wait(limits::ASK_INTERVAL)),
    };
    let request = http.post(controller.join(ASSIGN_PATH)).json(&assign);
    let mut answer = request.send().await.map_err(|cause| unusable(cause_of(&cause)))?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|cause| unusable(cause_of(&cause)))? {
        body.extend_from_slice(&chunk);
        if body.len() > limits::ANSWER_LEN_MAX {
            return Err(unusable("the answer is too large".into()));
        }
    }
    if answer.status().is_success() {
        return serde_json::from_slice(&body).map_err(|cause| unusable(cause.to_string()));
    }
    let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| {
        unusable(format!("it answers {}; is it a zone controller?", answer.status()))
    })?;
    let Refusal { code, message, retry_after_ms } = refusal;
    let retry_after = retry_after_ms.map(|ms| {
        let told = Duration::from_millis(ms.min(wire::zone::RETRY_AFTER_MS_MAX));
        wait(told.max(limits::ASK_INTERVAL))
    });
    Err(NotNow { error: ClientError::NotAssigned { code, message }, retry_after })
}

/// At least so long, and up to half as much again: who was refused together does not come back
/// together.
pub(crate) fn wait(least: Duration) -> Duration {
    least.mul_f64(rand::rng().random_range(1.0..1.5))
}

/// The innermost cause: reqwest's own words name the URL alone.
fn cause_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn tls(trust: &Trust) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("aws-lc-rs has the suites of TLS 1.3")
        .with_root_certificates(trust.roots())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config
}
