//! Who comes, goes, drops and comes back.

use super::pace::Pace;
use super::subscriptions::Subscription;
use super::{ChannelId, Meeting, Meetings, Output, ParticipantId, Refusal, secrets};
use crate::{LinkId, MeetingId, limits};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;
use wire::control::{ErrorCode, Limits, Secret, ServerMessage, VERSION};
use wire::token::{Claims, Role};
use wire::{Bitrate, Kind, StreamId};

/// A member of one meeting.
pub(super) struct Participant {
    /// Unique in the meeting.
    pub(super) name: String,
    pub(super) meeting: MeetingId,
    pub(super) role: Role,
    /// By `Kind::index`: what its token allows.
    pub(super) kinds: [bool; Kind::ALL.len()],
    pub(super) channel: Option<ChannelId>,
    /// By `Kind::index`.
    pub(super) links: [Option<LinkId>; Kind::ALL.len()],
    /// By `Kind::index`.
    pub(super) streams: [Option<StreamId>; Kind::ALL.len()],
    pub(super) subscriptions: BTreeMap<StreamId, Subscription>,
    pub(super) publishes: Pace,
    messages: Pace,
    session: String,
    /// The session before, valid until the client says something and so shows that it knows the new one: `joined`
    /// may be lost with its channel.
    session_before: Option<String>,
    resume_by: Option<Instant>,
}

impl Meetings {
    pub(super) fn join(
        &mut self,
        now: Instant,
        channel: ChannelId,
        claims: Claims,
    ) -> Result<(), Refusal> {
        self.make_way(&claims)?;
        let meeting = self.enter(&claims.meeting);
        let who = self.add_participant(now, channel, meeting, claims);
        self.greet(now, who);
        let joined =
            ServerMessage::ParticipantJoined { participant: self.participant(who).name.clone() };
        self.tell_others(meeting, who, &joined);
        Ok(())
    }

    /// Takes over from the channel before, also when that has not been noticed to be dead.
    pub(super) fn resume(
        &mut self,
        now: Instant,
        channel: ChannelId,
        version: u32,
        session: &str,
    ) -> Result<(), Refusal> {
        if version != VERSION {
            return Err(Refusal::new(ErrorCode::BadVersion, "this MMR speaks version 1"));
        }
        let Some(&who) = self.sessions.get(session) else {
            let message = "the session is unknown or over: join again with a new token";
            return Err(Refusal::new(ErrorCode::UnknownSession, message));
        };
        self.attach(who, channel);
        self.renew_session(who, session);
        self.greet(now, who);
        self.retell_subscriptions(who);
        Ok(())
    }

    pub(super) fn wait_for_resume(&mut self, now: Instant, who: ParticipantId) {
        let resume_by = now + limits::RESUME_TIMEOUT;
        let participant = self.participant_mut(who);
        participant.channel = None;
        participant.resume_by = Some(resume_by);
        self.absent.insert((resume_by, who));
    }

    /// Notes that a participant said something: it knows its session, and may not say too much.
    pub(super) fn note_message(&mut self, now: Instant, who: ParticipantId) -> Result<(), Refusal> {
        let participant = self.participant_mut(who);
        let before = participant.session_before.take();
        let allowed = participant.messages.allow(now);
        if let Some(before) = before {
            self.sessions.remove(&before);
        }
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::LimitReached, "too many messages: slow down"))
        }
    }

    /// Removes a participant with everything it has, routes before layers before links.
    pub(super) fn remove_participant(&mut self, who: ParticipantId) {
        let subscriptions: Vec<StreamId> =
            self.participant(who).subscriptions.keys().copied().collect();
        for stream in subscriptions {
            self.end_subscription(who, stream);
        }
        for stream in self.participant(who).streams.into_iter().flatten() {
            self.end_stream(stream);
        }
        for link in self.participant(who).links.into_iter().flatten() {
            self.remove_link(link);
        }
        self.forget_participant(who);
    }

    fn forget_participant(&mut self, who: ParticipantId) {
        let participant = self.participants.remove(&who).expect("its caller looked it up");
        for session in [Some(participant.session), participant.session_before].into_iter().flatten()
        {
            self.sessions.remove(&session);
        }
        if let Some(resume_by) = participant.resume_by {
            self.absent.remove(&(resume_by, who));
        }
        let meeting = self.meeting_mut(participant.meeting);
        meeting.participants.remove(&participant.name);
        meeting.speaker.forget(who);
        if meeting.participants.is_empty() {
            self.end_meeting(participant.meeting);
        }
        let left = ServerMessage::ParticipantLeft { participant: participant.name };
        self.tell_others(participant.meeting, who, &left);
        if let Some(channel) = participant.channel {
            self.channels.remove(&channel);
            self.output(Output::CloseChannel(channel));
        }
    }

    fn end_meeting(&mut self, meeting: MeetingId) {
        let meeting = self.meetings.remove(&meeting).expect("its caller looked it up");
        assert!(meeting.streams.is_empty() && meeting.ssrcs.is_empty(), "a stream nobody has");
        self.names.remove(&meeting.name);
    }

    /// Whether there is room for a newcomer. One of the same name whose channel is gone makes way: its client came
    /// back with a new token instead of its session.
    fn make_way(&mut self, claims: &Claims) -> Result<(), Refusal> {
        if self.draining.is_some() {
            let message = "this MMR is draining: ask the zone for another";
            return Err(Refusal::new(ErrorCode::Draining, message));
        }
        let meeting = self.names.get(&claims.meeting).and_then(|id| self.meetings.get(id));
        let present = meeting.map_or(0, |meeting| meeting.participants.len());
        if let Some(&namesake) = meeting.and_then(|it| it.participants.get(&claims.sub)) {
            if self.participant(namesake).channel.is_some() {
                let message = "this participant is in the meeting already";
                return Err(Refusal::new(ErrorCode::AlreadyJoined, message));
            }
            self.remove_participant(namesake);
            return Ok(());
        }
        if present >= self.config.participants_per_meeting as usize {
            return Err(Refusal::new(ErrorCode::LimitReached, "the meeting is full: participants"));
        }
        if self.participants.len() >= limits::PARTICIPANTS_MAX as usize {
            return Err(Refusal::new(ErrorCode::LimitReached, "this MMR is full: participants"));
        }
        Ok(())
    }

    fn enter(&mut self, name: &str) -> MeetingId {
        if let Some(&meeting) = self.names.get(name) {
            return meeting;
        }
        let id = MeetingId(self.meetings_made);
        self.meetings_made += 1;
        self.names.insert(name.to_owned(), id);
        self.meetings.insert(id, Meeting::new(name));
        id
    }

    fn add_participant(
        &mut self,
        now: Instant,
        channel: ChannelId,
        meeting: MeetingId,
        claims: Claims,
    ) -> ParticipantId {
        let who = ParticipantId(self.participants_made);
        self.participants_made += 1;
        let session = secrets::session(&mut self.random);
        self.channels.insert(channel, who);
        self.sessions.insert(session.clone(), who);
        self.meeting_mut(meeting).participants.insert(claims.sub.clone(), who);
        let participant = Participant {
            name: claims.sub,
            meeting,
            role: claims.role,
            kinds: Kind::ALL.map(|kind| claims.kinds.contains(&kind)),
            channel: Some(channel),
            links: [None; 3],
            streams: [None; 3],
            subscriptions: BTreeMap::new(),
            publishes: Pace::new(now, limits::PUBLISH_INTERVAL, limits::PUBLISHES_BURST),
            messages: Pace::new(now, limits::MESSAGE_INTERVAL, limits::MESSAGES_BURST),
            session,
            session_before: None,
            resume_by: None,
        };
        self.participants.insert(who, participant);
        who
    }

    fn attach(&mut self, who: ParticipantId, channel: ChannelId) {
        let participant = self.participant_mut(who);
        let before = participant.channel.replace(channel);
        let resume_by = participant.resume_by.take();
        self.channels.insert(channel, who);
        if let Some(resume_by) = resume_by {
            self.absent.remove(&(resume_by, who));
        }
        if let Some(before) = before {
            self.channels.remove(&before);
            self.output(Output::CloseChannel(before));
        }
    }

    /// Of the sessions the client may know, `used` stays, until it shows that it knows the new one.
    fn renew_session(&mut self, who: ParticipantId, used: &str) {
        let session = secrets::session(&mut self.random);
        self.sessions.insert(session.clone(), who);
        let participant = self.participant_mut(who);
        let current = std::mem::replace(&mut participant.session, session);
        let before = participant.session_before.replace(used.to_owned());
        for known in [Some(current), before].into_iter().flatten() {
            if known != used {
                self.sessions.remove(&known);
            }
        }
    }

    /// All a channel must know of the meeting.
    fn greet(&mut self, now: Instant, who: ParticipantId) {
        let participant = self.participant(who);
        let (name, session) = (participant.name.clone(), participant.session.clone());
        let meeting = &self.meetings[&participant.meeting];
        let speaker =
            meeting.speaker.current().map(|speaker| self.participant(speaker).name.clone());
        let streams: Vec<StreamId> = meeting.streams.iter().copied().collect();
        let mut others: Vec<String> = meeting.participants.keys().cloned().collect();
        others.retain(|other| *other != name);
        let rest = others.split_off(others.len().min(limits::ROSTER_MAX));
        self.tell(
            who,
            ServerMessage::Joined {
                v: VERSION,
                participant: name,
                session: Secret(session),
                roster: others,
                limits: allowed(),
            },
        );
        for participant in rest {
            self.tell(who, ServerMessage::ParticipantJoined { participant });
        }
        self.tell_streams(who, &streams);
        if let Some(participant) = speaker {
            self.tell(who, ServerMessage::ActiveSpeaker { participant });
        }
        if let Some(deadline) = self.draining {
            let deadline_s = deadline.saturating_duration_since(now).as_secs();
            self.tell(who, ServerMessage::Draining { deadline_s });
        }
    }
}

impl Meeting {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            participants: BTreeMap::new(),
            streams: BTreeSet::new(),
            ssrcs: BTreeSet::new(),
            speaker: super::Speaker::default(),
        }
    }
}

fn allowed() -> Limits {
    let seconds = |duration: std::time::Duration| u32::try_from(duration.as_secs()).unwrap_or(0);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Limits {
        layers: count(wire::limits::LAYERS_MAX),
        subscriptions: limits::SUBSCRIPTIONS_MAX,
        max_bitrate: Bitrate(limits::BITRATE_MAX),
        packet_len: count(wire::limits::PACKET_LEN_MAX),
        message_len: count(wire::limits::CONTROL_MESSAGE_LEN_MAX),
        consent_interval_s: seconds(limits::CONSENT_INTERVAL),
        consent_timeout_s: seconds(limits::CONSENT_TIMEOUT),
        resume_s: seconds(limits::RESUME_TIMEOUT),
    }
}
