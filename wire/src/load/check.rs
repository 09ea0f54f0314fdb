//! Reads reports and replies from bytes nobody vouches for.

use super::{Reply, Report, VERSION, WantedState};
use crate::limits::{
    DRAIN_DEADLINE_S_MAX, NAME_LEN_MAX, REPLY_LEN_MAX, REPORT_INTERFACES_MAX, REPORT_LEN_MAX,
    REPORT_MEETINGS_MAX, REPORT_TEXT_LEN_MAX, REPORT_WORKERS_MAX,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Why a report or a reply was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// Over the limit; nothing else was looked at.
    #[error("it is larger than {0} bytes")]
    TooLong(usize),
    /// Another version.
    #[error("it is of version {0}, and only version {VERSION} is known here")]
    Version(u32),
    /// No JSON, or a field is missing or of another type.
    #[error("it can't be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field holds what it can't.
    #[error("{0} is out of its range")]
    OutOfRange(&'static str),
}

/// Most addresses of one transport.
const ADDRESSES_MAX: usize = 16;

/// What every version has.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl Report {
    /// Reads a report and checks that every text, list and share is within its limits.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let report: Self = parse_version(bytes, REPORT_LEN_MAX, |report: &Self| report.v)?;
        report.check().map_or(Ok(report), |field| Err(ReportError::OutOfRange(field)))
    }

    /// The first field that holds what it can't.
    fn check(&self) -> Option<&'static str> {
        let in_range = [
            ("zone", (1..=NAME_LEN_MAX).contains(&self.zone.len())),
            ("reason", self.reason.as_deref().is_none_or(fits)),
            ("control", self.control_is_fit()),
            ("agent", fits(&self.agent)),
            ("stress", self.stress_is_fit()),
            ("headroom", is_sane(self.headroom.stress_per_participant)),
            ("host", self.host_is_fit()),
            ("router", self.router_is_fit()),
            ("meeting_list", self.meeting_list_is_fit()),
        ];
        in_range.into_iter().find(|(_, fits)| !fits).map(|(field, _)| field)
    }

    fn control_is_fit(&self) -> bool {
        let Some(control) = &self.control else { return true };
        fits(&control.name) && (1..=ADDRESSES_MAX).contains(&control.addresses.len())
    }

    fn stress_is_fit(&self) -> bool {
        let stress = &self.stress;
        is_sane(stress.value)
            && fits(&stress.resource)
            && stress.resources.len() <= REPORT_INTERFACES_MAX
            && stress.resources.iter().all(|it| {
                fits(&it.resource) && [it.used, it.threshold, it.stress].into_iter().all(is_sane)
            })
    }

    fn host_is_fit(&self) -> bool {
        let host = &self.host;
        let interfaces = &host.interfaces;
        [host.busy, host.softirq, host.steal].into_iter().all(is_sane)
            && host.pressure.is_none_or(|it| {
                [it.cpu_some, it.memory_some, it.memory_full, it.io_some].into_iter().all(is_sane)
            })
            && interfaces.len() <= REPORT_INTERFACES_MAX
            && interfaces.iter().all(|it| fits(&it.name) && it.used.is_none_or(is_sane))
    }

    fn router_is_fit(&self) -> bool {
        let Some(router) = &self.router else { return true };
        let addresses = [&router.addresses.udp, &router.addresses.tcp, &router.addresses.tls];
        [&router.version, &router.backend, &router.door_backend].into_iter().all(|text| fits(text))
            && addresses.iter().all(|list| list.len() <= ADDRESSES_MAX)
            && router.workers.len() <= REPORT_WORKERS_MAX
            && router.workers.iter().all(|it| is_sane(it.busy) && it.softirq.is_none_or(is_sane))
            && router.capacity.len() <= REPORT_INTERFACES_MAX
            && router.capacity.iter().all(|it| fits(&it.table))
    }

    fn meeting_list_is_fit(&self) -> bool {
        let Some(list) = &self.meeting_list else { return true };
        list.meetings.len() <= REPORT_MEETINGS_MAX
            && list.meetings.iter().all(|it| (1..=NAME_LEN_MAX).contains(&it.meeting.len()))
    }
}

impl Reply {
    /// Reads a controller's answer.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReportError> {
        let reply: Self = parse_version(bytes, REPLY_LEN_MAX, |reply: &Self| reply.v)?;
        match reply.wanted.map(|wanted| wanted.state) {
            Some(WantedState::Drain { deadline_s }) if deadline_s > DRAIN_DEADLINE_S_MAX => {
                Err(ReportError::OutOfRange("deadline_s"))
            }
            _ => Ok(reply),
        }
    }
}

/// Reads what is of this version. Another version may look quite different: that it is one is told
/// rather than what is different.
fn parse_version<T: DeserializeOwned>(
    bytes: &[u8],
    len_max: usize,
    version: impl Fn(&T) -> u32,
) -> Result<T, ReportError> {
    if bytes.len() > len_max {
        return Err(ReportError::TooLong(len_max));
    }
    let parsed = serde_json::from_slice::<T>(bytes);
    let found = match &parsed {
        Ok(parsed) => version(parsed),
        Err(_) => serde_json::from_slice(bytes).map_or(VERSION, |Versioned { v }| v),
    };
    if found == VERSION { Ok(parsed?) } else { Err(ReportError::Version(found)) }
}

fn fits(text: &str) -> bool {
    text.len() <= REPORT_TEXT_LEN_MAX
}

/// A share, or a stress: what is added to others and compared must be a number of sane size.
fn is_sane(share: f64) -> bool {
    (0.0..=1e6).contains(&share)
}
