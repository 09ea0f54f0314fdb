//! From bytes to packets: deciphers, splits into RFC 4571 frames, and lets through what may pass.
//!
//! The first frame must be a STUN check; until the router answered one, only STUN passes, and not
//! much of it.

use super::connection::Connection;
use super::hall::Hall;
use super::limits::{CHECKS_MAX, PACKET_LEN_MIN};
use super::reader::End;
use super::socket::Socket;
use router::DropReason;
use std::rc::Rc;
use std::time::Instant;
use wire::demux::{Class, classify};
use wire::framing::Deframer;
use wire::stun::BindingRequest;

/// One connection's way in.
pub(super) struct Frames<S> {
    deframer: Deframer,
    gate: Gate<S>,
}

/// Decides on single frames.
struct Gate<S> {
    hall: Rc<Hall<S>>,
    connection: Rc<Connection<S>>,
    /// Frames delivered before the connection was confirmed.
    checks: usize,
    delivered: bool,
    broken: bool,
}

impl<S: Socket> Frames<S> {
    pub(super) fn new(hall: Rc<Hall<S>>, connection: Rc<Connection<S>>) -> Self {
        let gate = Gate { hall, connection, checks: 0, delivered: false, broken: false };
        Self { deframer: Deframer::default(), gate }
    }

    /// Takes bytes as they came from the socket.
    pub(super) fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<(), End> {
        let connection = Rc::clone(&self.gate.connection);
        let mut outcome = Ok(());
        let deciphered = connection.decipher(bytes, |plain| {
            if outcome.is_ok() {
                outcome = self.split(plain, now);
            }
        });
        self.gate.rest();
        outcome?;
        match deciphered {
            Ok(true) => Ok(()),
            Ok(false) => Err(End::Closed),
            Err(_) => Err(End::Refused),
        }
    }

    /// Takes bytes deciphered before.
    pub(super) fn receive_plain(&mut self, plain: &[u8], now: Instant) -> Result<(), End> {
        let outcome = self.split(plain, now);
        self.gate.rest();
        outcome
    }

    /// Whether a worker knows of this connection.
    pub(super) fn delivered(&self) -> bool {
        self.gate.delivered
    }

    fn split(&mut self, plain: &[u8], now: Instant) -> Result<(), End> {
        let gate = &mut self.gate;
        if self.deframer.receive(plain, |packet| gate.take(packet, now)).is_err() {
            gate.hall.count_drop(DropReason::Oversized);
            gate.broken = true;
        }
        if gate.broken { Err(End::Refused) } else { Ok(()) }
    }
}

impl<S: Socket> Gate<S> {
    fn take(&mut self, packet: &[u8], now: Instant) {
        if self.broken || self.connection.is_closing() {
            return;
        }
        if !self.connection.is_confirmed() && !self.is_check(packet) {
            return;
        }
        if packet.len() < PACKET_LEN_MIN {
            return self.hall.count_drop(DropReason::Malformed);
        }
        self.hall.deliver(self.connection.path(), packet, now);
        self.delivered = true;
    }

    /// Before the router answered: whether this may pass.
    fn is_check(&mut self, packet: &[u8]) -> bool {
        if self.checks == 0 && BindingRequest::parse(packet).is_err() {
            self.hall.count_drop(DropReason::Malformed);
            self.broken = true;
            return false;
        }
        if classify(packet) != Some(Class::Stun) {
            // Media sent right behind the check, before it was answered.
            self.hall.count_drop(DropReason::Stranger);
            return false;
        }
        self.checks += 1;
        self.broken = self.checks > CHECKS_MAX;
        !self.broken
    }

    /// After all packets of a read: their worker may sleep.
    fn rest(&self) {
        if self.delivered {
            self.hall.wake_worker(self.connection.path());
        }
    }
}
