//! Asks a zone's controllers which MMR to join.

use crate::dial::Dialer;
use crate::https::Https;
use crate::options::ControllerUrl;
use crate::way::Way;
use crate::{ClientError, limits};
use rand::Rng;
use rand::seq::SliceRandom;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wire::zone::{ASSIGN_PATH, Assign, Assignment, Refusal};

/// The controllers of one zone, and how they are reached.
#[derive(Clone)]
pub(crate) struct Controllers {
    urls: Vec<ControllerUrl>,
    dialer: Dialer,
}

/// Why no controller named an MMR this time.
pub(crate) struct NotNow {
    pub(crate) error: ClientError,
    /// After how long asking again may help; `None`: never.
    pub(crate) retry_after: Option<Duration>,
}

impl Controllers {
    pub(crate) fn new(urls: Vec<ControllerUrl>, dialer: Dialer) -> Self {
        Self { urls, dialer }
    }

    /// What they are reached through.
    pub(crate) fn way(&self) -> Way {
        let first = self.urls.first().map(|url| url.origin().target().host.as_str());
        self.dialer.way_to(first.unwrap_or_default())
    }

    /// All of them, for people.
    pub(crate) fn names(&self) -> String {
        self.urls.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
                answers.spawn(ask_one(self.dialer.clone(), url, assign.clone()));
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
    dialer: Dialer,
    controller: ControllerUrl,
    assign: Assign,
) -> Result<Assignment, NotNow> {
    let unusable = |cause: String| NotNow {
        error: ClientError::Controller { controller: controller.clone(), cause },
        retry_after: Some(wait(limits::ASK_INTERVAL)),
    };
    let json = serde_json::to_vec(&assign).expect("assigns are plain data");
    let asked = async {
        let mut https = Https::open(&dialer, controller.origin()).await?;
        https.post(ASSIGN_PATH, json, None, limits::ANSWER_LEN_MAX).await
    };
    let answer = timeout(limits::ASK_DEADLINE, asked).await;
    let answer = answer.map_err(|_| unusable("no answer in time".into()))?;
    let answer = answer.map_err(|cause| unusable(cause.to_string()))?;
    if answer.is_success() {
        return serde_json::from_slice(&answer.body).map_err(|cause| unusable(cause.to_string()));
    }
    let refusal: Refusal = serde_json::from_slice(&answer.body)
        .map_err(|_| unusable(format!("it answers {}; is it a zone controller?", answer.status)))?;
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
