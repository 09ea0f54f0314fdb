//! The task behind a link: moves packets between its path and its layers, keeps consent, reports.

use super::check::{Answer, Checks};
use super::establish::{self, Attempt, Bound};
use super::rtcp::Crypto;
use super::udp::UdpPath;
use super::{Command, DscpSet, LinkInfo, LinkReport, Path, Rebinding};
use crate::ClientError;
use crate::clock::ntp_now;
use crate::dial::MmrDialer;
use crate::limits;
use crate::media::Frame;
use crate::options::TransportChoice;
use crate::receive::{Arrival, Delivery, Feedback, LayerReceiver};
use crate::send::LayerSender;
use crate::way::Way;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use wire::demux::{Class, classify};
use wire::rtcp::{self, Report};
use wire::rtp::Packet;
use wire::{Ssrc, Transport};

pub(super) struct Driver {
    info: Arc<LinkInfo>,
    dialer: MmrDialer,
    choice: TransportChoice,
    attempts: Vec<Attempt>,
    path: Path,
    transport: Transport,
    answer: Answer,
    checks: Checks,
    crypto: Crypto,
    senders: HashMap<Ssrc, LayerSender>,
    receivers: HashMap<Ssrc, Receiver>,
    /// When the last check was answered, when the last packet came, when the next check goes out.
    consented_at: Instant,
    heard_at: Instant,
    check_at: Instant,
    /// When this end moved to another port by itself, until the MMR knows.
    moved_at: Option<Instant>,
    report_at: Instant,
    report_interval: Duration,
    /// Whether nothing was heard for too long, for the link's handles.
    silent: Arc<AtomicBool>,
    dscp: DscpSet,
    rebound: u32,
    strangers: u64,
    unsent: u64,
}

/// A layer that arrives, and who reads it.
struct Receiver {
    layer: LayerReceiver,
    reader: mpsc::Sender<Delivery>,
}

/// The link is over.
struct Over;

impl Driver {
    pub(super) fn new(
        info: Arc<LinkInfo>,
        dialer: MmrDialer,
        choice: TransportChoice,
        bound: Bound,
        attempts: Vec<Attempt>,
    ) -> Self {
        let now = Instant::now();
        let crypto = Crypto::new(&info.srtcp_keys);
        let Bound { path, transport, answer, checks } = bound;
        let mut driver = Self {
            info,
            dialer,
            choice,
            attempts,
            path,
            transport,
            answer,
            checks,
            crypto,
            senders: HashMap::new(),
            receivers: HashMap::new(),
            consented_at: now,
            heard_at: now,
            check_at: now,
            moved_at: None,
            report_at: now + limits::REPORT_INTERVAL,
            report_interval: limits::REPORT_INTERVAL,
            silent: Arc::default(),
            dscp: DscpSet::default(),
            rebound: 0,
            strangers: 0,
            unsent: 0,
        };
        driver.settle(now);
        driver
    }

    pub(super) fn silent(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.silent)
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let due = self.due();
            let outcome = tokio::select! {
                // Commands first: a flood of packets must not keep a link from being told to stop.
                biased;
                command = commands.recv() => match command {
                    Some(command) => { self.handle_command(command); Ok(()) }
                    None => return,
                },
                received = self.path.receive() => match received {
                    Ok((packet, dscp)) => { self.handle_packet(packet, dscp); Ok(()) }
                    Err(error) => self.handle_broken(&error).await,
                },
                () = sleep_until(due.into()) => self.handle_timeout().await,
            };
            if outcome.is_err() {
                return;
            }
        }
    }

    fn due(&self) -> Instant {
        let layers = self.receivers.values().filter_map(|receiver| receiver.layer.poll_timeout());
        layers.chain([self.check_at, self.report_at]).min().unwrap_or(self.check_at)
    }

    /// A path was just bound. The MMR may hear a check from another address later that was given up for this one: a
    /// further check over this one settles it.
    fn settle(&mut self, now: Instant) {
        (self.check_at, self.consented_at, self.heard_at) = (now, now, now);
        // Behind a proxy or in a tunnel it would see the marks of somebody else's packets.
        let direct = self.way() == Way::Direct;
        if let Path::Stream(stream) = &mut self.path
            && direct
        {
            stream.sniff();
        }
    }

    fn handle_command(&mut self, command: Command) {
        // Answers nobody waits for any more are dropped.
        match command {
            Command::AddSender(sender) => {
                self.senders.insert(sender.ssrc(), *sender);
            }
            Command::RemoveSender(ssrc, answer) => {
                if let Some(sender) = self.senders.remove(&ssrc) {
                    let _ = answer.send(sender.statistics());
                }
            }
            Command::Send(ssrc, frame, sent) => {
                let outcome = self.send_frame(ssrc, &frame);
                let _ = sent.send(outcome);
            }
            Command::Linger => {
                self.report_interval = limits::LINGER_REPORT_INTERVAL;
                self.report_at = Instant::now();
            }
            Command::AddReceiver(layer, reader) => {
                self.receivers.insert(layer.ssrc(), Receiver { layer: *layer, reader });
            }
            Command::RemoveReceiver(ssrc, answer) => {
                if let Some(receiver) = self.receivers.remove(&ssrc) {
                    let _ = answer.send(receiver.layer.finish());
                }
            }
            Command::Report(answer) => {
                let _ = answer.send(self.report());
            }
            Command::Rebind(rebinding, answer) => {
                let _ = answer.send(self.rebind(rebinding));
            }
        }
    }

    fn send_frame(&mut self, ssrc: Ssrc, frame: &Frame) -> Result<(), ClientError> {
        let closed = ClientError::LinkClosed(self.info.kind);
        let sender = self.senders.get_mut(&ssrc).ok_or(closed)?;
        let train = sender.send(Instant::now(), ntp_now(), frame)?;
        self.transmit(&train.bytes, train.segment);
        Ok(())
    }

    fn transmit(&mut self, bytes: &[u8], segment: usize) {
        if !self.path.send(bytes, segment) {
            self.unsent += 1;
        }
    }

    fn transmit_rtcp(&mut self, write: impl FnOnce(Ssrc, &mut [u8]) -> Option<usize>) {
        if let Some(packet) = self.crypto.protect(write) {
            self.transmit(&packet, packet.len());
        }
    }

    fn handle_packet(&mut self, packet: Vec<u8>, dscp: Option<u8>) {
        let now = Instant::now();
        match classify(&packet) {
            Some(Class::Stun) => {
                let Some(answer) = self.checks.receive(now, &packet) else { return };
                let before = std::mem::replace(&mut self.answer, answer);
                self.consented_at = now;
                self.check_at = now + limits::CONSENT_INTERVAL;
                if before.mapped != answer.mapped {
                    self.catch_up();
                }
            }
            Some(Class::Rtcp) => self.handle_rtcp(now, packet),
            Some(Class::Rtp) => self.handle_rtp(now, &packet, dscp),
            _ => self.strangers += 1,
        }
        if let Some(dscp) = dscp {
            self.dscp.insert(dscp);
        }
        self.heard_at = now;
    }

    fn handle_rtp(&mut self, now: Instant, packet: &[u8], dscp: Option<u8>) {
        let ssrc = Packet::parse(packet).map(|packet| packet.ssrc());
        let Some(receiver) = ssrc.ok().and_then(|ssrc| self.receivers.get_mut(&ssrc)) else {
            self.strangers += 1;
            return;
        };
        let arrival = Arrival { now, ntp: ntp_now(), dscp };
        if !receiver.layer.receive(&arrival, packet) {
            self.strangers += 1;
        }
        receiver.deliver();
    }

    fn handle_rtcp(&mut self, now: Instant, mut packet: Vec<u8>) {
        let Some(compound) = self.crypto.unprotect(&mut packet) else {
            self.strangers += 1;
            return;
        };
        let mut asked = Vec::new();
        let (senders, receivers) = (&mut self.senders, &mut self.receivers);
        let parsed = rtcp::parse(compound, |report| match report {
            Report::Nack { media, pid, blp } => {
                asked.extend(senders.get_mut(&media).map(|sender| sender.resend(pid, blp)));
            }
            Report::Pli { media } => {
                if let Some(sender) = senders.get_mut(&media) {
                    sender.request_keyframe();
                }
            }
            Report::Sender(info) => {
                if let Some(receiver) = receivers.get_mut(&info.ssrc) {
                    receiver.layer.handle_sender_info(now, &info);
                    // A reader that does not keep up misses a clock report, not media.
                    let _ = receiver.reader.try_send(Delivery::SenderReport(info));
                }
            }
            Report::Block(block) => {
                if let Some(sender) = senders.get_mut(&block.ssrc) {
                    sender.acknowledge(block.extended_seq);
                }
            }
            Report::Bye { .. } => {}
        });
        self.strangers += u64::from(parsed.is_err());
        for packet in asked.into_iter().flatten() {
            self.transmit(&packet, packet.len());
        }
    }

    /// The MMR knows this link by another address than before. What was sent meanwhile it took for a stranger's, and
    /// the worker that hears the new address may not know that anything is missing: send it again.
    fn catch_up(&mut self) {
        let since = self.moved_at.unwrap_or(self.heard_at);
        let margin = limits::NACK_INTERVAL + self.answer.round_trip;
        let since = since.checked_sub(margin).unwrap_or(since);
        self.moved_at = None;
        let missed: Vec<_> =
            self.senders.values_mut().flat_map(|sender| sender.resend_since(since)).collect();
        for packet in missed {
            self.transmit(&packet, packet.len());
        }
    }

    async fn handle_timeout(&mut self) -> Result<(), Over> {
        let now = Instant::now();
        self.feed_back(now);
        if now >= self.report_at {
            self.report_at = now + self.report_interval;
            self.send_reports(now);
        }
        // RFC 7675 §5.1, and sooner when a link that is in use has gone quiet.
        let in_use = !(self.senders.is_empty() && self.receivers.is_empty());
        let unheard = now.saturating_duration_since(self.heard_at);
        self.silent.store(in_use && unheard > limits::SILENT_AFTER, Ordering::Relaxed);
        let quiet = in_use && unheard > limits::QUIET_CHECK;
        if quiet && self.check_at > now + limits::CHECK_RETRANSMIT {
            self.check_at = now;
        }
        if now >= self.check_at {
            self.send_check(now);
        }
        if now.saturating_duration_since(self.consented_at) > limits::CONSENT_TIMEOUT {
            return self.bind_anew().await;
        }
        Ok(())
    }

    fn send_check(&mut self, now: Instant) {
        self.check_at = now + limits::CHECK_RETRANSMIT;
        let request = self.checks.write(now);
        self.transmit(&request, request.len());
    }

    /// NACKs and PLIs of all layers.
    fn feed_back(&mut self, now: Instant) {
        let mut feedback = Vec::new();
        for (ssrc, receiver) in &mut self.receivers {
            receiver.layer.handle_timeout(now);
            receiver.deliver();
            while let Some(one) = receiver.layer.poll_feedback(now, self.answer.round_trip) {
                feedback.push((*ssrc, one));
            }
        }
        for (media, one) in feedback {
            self.transmit_rtcp(|own, out| match &one {
                Feedback::Nack(lost) => rtcp::write_nack(own, media, lost, out),
                Feedback::Pli => rtcp::write_pli(own, media, out),
            });
        }
    }

    fn send_reports(&mut self, now: Instant) {
        let ntp = ntp_now();
        let infos: Vec<_> =
            self.senders.values().filter_map(|sender| sender.sender_info(now, ntp)).collect();
        for info in infos {
            self.transmit_rtcp(|own, out| rtcp::write_sender_report(Some(own), &info, out));
        }
        if self.report_interval == limits::LINGER_REPORT_INTERVAL {
            let last: Vec<_> =
                self.senders.values_mut().filter_map(|sender| sender.resend_last(now)).collect();
            last.iter().for_each(|packet| self.transmit(packet, packet.len()));
        }
        let receivers = self.receivers.values_mut();
        let blocks: Vec<_> =
            receivers.filter_map(|receiver| receiver.layer.report_block(now)).collect();
        // RFC 3550 §6.4.2: 31 blocks at most.
        for blocks in blocks.chunks(31) {
            self.transmit_rtcp(|own, out| rtcp::write_receiver_report(own, blocks, out));
        }
    }

    /// The path broke. A UDP path only tells of ICMP errors; it may heal. A connection is opened anew.
    async fn handle_broken(&mut self, error: &io::Error) -> Result<(), Over> {
        tracing::debug!(kind = %self.info.kind, transport = %self.transport, %error, "path broke");
        if self.transport == Transport::Udp {
            return Ok(());
        }
        self.bind_anew().await
    }

    /// Binds the same link again, over whatever transport works now.
    async fn bind_anew(&mut self) -> Result<(), Over> {
        let attempts = &mut self.attempts;
        let bound = establish::bind(&self.info, &self.dialer, self.choice, attempts).await;
        let Bound { path, transport, answer, checks } = bound.ok_or(Over)?;
        (self.path, self.transport, self.answer, self.checks) = (path, transport, answer, checks);
        self.rebound += 1;
        self.catch_up();
        self.settle(Instant::now());
        Ok(())
    }

    fn rebind(&mut self, rebinding: Rebinding) -> io::Result<SocketAddr> {
        let Path::Udp(old) = &self.path else {
            return Err(io::Error::other("only a UDP link has a port of its own to change"));
        };
        let path = UdpPath::open(old.remote())?;
        let local = path.local()?;
        self.path = Path::Udp(path);
        self.rebound += 1;
        if rebinding == Rebinding::Noticed {
            // Ahead of any media: packets from an unknown address are dropped.
            let now = Instant::now();
            self.moved_at = Some(now);
            self.send_check(now);
        }
        Ok(local)
    }

    fn way(&self) -> Way {
        self.dialer.dialer.way_to(&self.path.remote().ip().to_string())
    }

    fn report(&self) -> LinkReport {
        let remote = self.path.remote();
        let dscp = match &self.path {
            Path::Udp(_) => Some(self.dscp),
            Path::Stream(stream) => stream.sniffer().map(|sniffer| sniffer.seen()),
        };
        LinkReport {
            kind: self.info.kind,
            transport: self.transport,
            way: self.way(),
            local: self.path.local().unwrap_or(remote),
            remote,
            mapped: self.answer.mapped,
            round_trip_us: u64::try_from(self.answer.round_trip.as_micros()).unwrap_or(u64::MAX),
            dscp,
            attempts: self.attempts.clone(),
            rebound: self.rebound,
            strangers: self.strangers,
            unsent: self.unsent,
        }
    }
}

impl Receiver {
    /// Hands out what is in order. A reader that does not keep up loses packets, as from a full buffer.
    fn deliver(&mut self) {
        while let Some(packet) = self.layer.poll_packet() {
            if self.reader.try_send(Delivery::Packet(packet)).is_err() {
                self.layer.count_overrun();
            }
        }
    }
}
