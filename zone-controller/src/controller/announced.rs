//! Meetings that MMRs say they have and that the store may know nothing of: because it was lost, or
//! is a copy that is old. Who joins such a meeting is sent to where it is, not to another MMR.
//!
//! Each MMR is asked once, when it is first heard of and when the store comes back. Pure.

use crate::limits::MEETINGS_ANNOUNCED_MAX;
use std::collections::{BTreeSet, HashMap};
use wire::MmrId;
use wire::load::{MeetingList, Report};

/// Which meetings are where, as MMRs say.
#[derive(Default)]
pub(super) struct Announced {
    places: HashMap<String, MmrId>,
    /// MMRs that have nothing more to say, with their daemon's start.
    told: HashMap<MmrId, u64>,
}

impl Announced {
    /// Takes a report in; whether its MMR is to be asked for its meetings.
    pub(super) fn handle_report(&mut self, report: &Report) -> bool {
        let Some(router) = &report.router else { return false };
        let told = self.told.get(&report.mmr).copied();
        if let (None, Some(list)) = (told, &report.meeting_list) {
            self.take_list(&report.mmr, list);
        }
        if told.is_some_and(|epoch_ms| epoch_ms != router.epoch_ms) {
            // What it had ended with its daemon; what came to the new one the store knows.
            self.places.retain(|_, mmr| *mmr != report.mmr);
        }
        let has_told = told.is_some() || report.meeting_list.is_some() || router.meetings == 0;
        if has_told {
            self.told.insert(report.mmr.clone(), router.epoch_ms);
        }
        !has_told
    }

    /// The store was away: it may not be the one that it was.
    pub(super) fn ask_again(&mut self) {
        self.told.clear();
    }

    /// The store knows this meeting now.
    pub(super) fn forget(&mut self, meeting: &str) {
        self.places.remove(meeting);
    }

    /// Forgets MMRs that are not among these.
    pub(super) fn keep(&mut self, mmrs: &BTreeSet<MmrId>) {
        self.told.retain(|mmr, _| mmrs.contains(mmr));
        self.places.retain(|_, mmr| mmrs.contains(mmr));
    }

    /// Where a meeting is that the store knows nothing of.
    pub(super) fn place_of(&self, meeting: &str) -> Option<&MmrId> {
        self.places.get(meeting)
    }

    fn take_list(&mut self, mmr: &MmrId, list: &MeetingList) {
        self.places.retain(|_, at| at != mmr);
        let room = MEETINGS_ANNOUNCED_MAX.saturating_sub(self.places.len());
        for meeting in list.meetings.iter().take(room) {
            // Of two that say so, the first: neither is better.
            self.places.entry(meeting.meeting.clone()).or_insert_with(|| mmr.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::load::{Meeting, RouterLoad};

    fn report(mmr: &str, epoch_ms: u64, meetings: &[&str]) -> Report {
        let text = include_str!("../../../docs/load-report.md");
        let example = text.split("```json report\n").nth(1).and_then(|it| it.split("```").next());
        let example = Report::parse(example.expect("the document has one").as_bytes());
        let example = example.expect("wire's tests read it, too");
        let router = example.router.clone().expect("the example has one");
        let named = |name: &&str| Meeting { meeting: (*name).to_owned(), participants: 2 };
        let list = MeetingList { complete: true, meetings: meetings.iter().map(named).collect() };
        Report {
            mmr: MmrId::try_from(mmr.to_owned()).expect("a name of the right form"),
            router: Some(RouterLoad { epoch_ms, meetings: 2, ..router }),
            meeting_list: (!meetings.is_empty()).then_some(list),
            ..example
        }
    }

    fn at<'a>(announced: &'a Announced, meeting: &str) -> Option<&'a str> {
        announced.place_of(meeting).map(MmrId::as_str)
    }

    #[test]
    fn asks_until_it_is_told_and_again_when_the_store_was_away() {
        let mut announced = Announced::default();
        assert!(announced.handle_report(&report("a", 1, &[])));
        assert!(announced.handle_report(&report("a", 1, &[])));
        assert!(!announced.handle_report(&report("a", 1, &["m", "n"])));
        assert!(!announced.handle_report(&report("a", 1, &[])));
        assert_eq!(at(&announced, "m"), Some("a"));
        announced.ask_again();
        assert!(announced.handle_report(&report("a", 1, &[])));
        assert!(!announced.handle_report(&report("a", 1, &["n"])));
        assert_eq!((at(&announced, "m"), at(&announced, "n")), (None, Some("a")));
    }

    #[test]
    fn takes_nothing_it_has_not_asked_for() {
        let mut announced = Announced::default();
        announced.handle_report(&report("a", 1, &["m"]));
        announced.handle_report(&report("a", 1, &["somebody-else's"]));
        assert_eq!(at(&announced, "somebody-else's"), None);
        announced.handle_report(&report("b", 1, &["m"]));
        assert_eq!(at(&announced, "m"), Some("a"), "the first that said so");
    }

    #[test]
    fn meetings_end_with_their_daemon_and_with_the_stores_knowing_them() {
        let mut announced = Announced::default();
        announced.handle_report(&report("a", 1, &["m", "n"]));
        announced.forget("m");
        assert_eq!((at(&announced, "m"), at(&announced, "n")), (None, Some("a")));
        assert!(!announced.handle_report(&report("a", 2, &[])), "a new daemon: nothing is unknown");
        assert_eq!(at(&announced, "n"), None);
    }
}
