//! What a turn decided to send: references into received slots, and a little written here.

use crate::{SlotId, limits};
use wire::Kind;

/// Where a payload's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a slot the network received.
    Slot(SlotId),
    /// In the outbox's own arena: replies, RTCP, retransmissions.
    Arena,
}

/// One packet, or a train of packets of one layer: `len` bytes at `offset`, cut every `segment` bytes
/// (the last may be shorter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Where.
    pub source: Source,
    /// From there on.
    pub offset: u32,
    /// In all.
    pub len: u32,
    /// Size of each packet but the last; equals `len` for a single packet.
    pub segment: u16,
}

impl Payload {
    /// Whether it is more than one packet.
    pub const fn is_train(&self) -> bool {
        self.len > self.segment as u32
    }

    /// How many packets.
    pub const fn packets(&self) -> u32 {
        self.len.div_ceil(self.segment as u32)
    }
}

/// One payload to one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Index of the destination link.
    pub link: u32,
    /// Its kind: decides mark and order.
    pub kind: Kind,
    /// What.
    pub payload: Payload,
}

/// A turn's transmits, by lane: feedback and replies first, then audio, content, video; TCP and TLS links apart.
/// All memory is taken at start.
pub struct Outbox {
    control: Vec<Transmit>,
    audio: Vec<Transmit>,
    content: Vec<Transmit>,
    video: Vec<Transmit>,
    stream: Vec<Transmit>,
    arena: Box<[u8]>,
    arena_used: usize,
}

/// No room: transmit first, or drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Outbox {
    /// Takes its memory: `OUTBOX_MAX` transmits per lane, `arena` bytes of own packets.
    pub fn new(arena: usize) -> Self {
        let lane = || Vec::with_capacity(limits::OUTBOX_MAX);
        Self {
            control: lane(),
            audio: lane(),
            content: lane(),
            video: lane(),
            stream: lane(),
            arena: vec![0; arena].into_boxed_slice(),
            arena_used: 0,
        }
    }

    /// Queues media for a UDP link.
    pub fn forward(&mut self, transmit: Transmit) -> Result<(), Full> {
        let lane = match transmit.kind {
            Kind::Audio => &mut self.audio,
            Kind::Content => &mut self.content,
            Kind::Video => &mut self.video,
        };
        push(lane, transmit)
    }

    /// Queues anything for a TCP or TLS link.
    pub fn forward_stream(&mut self, transmit: Transmit) -> Result<(), Full> {
        push(&mut self.stream, transmit)
    }

    /// Writes a packet of our own, at most `PACKET_LEN_MAX` long; `write` answers its length, `None` for "nothing
    /// after all". Queue the payload with [`Outbox::reply`] or one of the others.
    pub fn compose(
        &mut self,
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Result<Option<Payload>, Full> {
        let start = self.arena_used;
        let free = self.arena.get_mut(start..start + wire::limits::PACKET_LEN_MAX).ok_or(Full)?;
        let Some(len) = write(free).filter(|len| *len > 0) else { return Ok(None) };
        assert!(len <= free.len(), "more was written than there was room for");
        self.arena_used += len;
        let short = "an arena is below 4 GiB and a packet below 64 KiB";
        Ok(Some(Payload {
            source: Source::Arena,
            offset: u32::try_from(start).expect(short),
            len: u32::try_from(len).expect(short),
            segment: u16::try_from(len).expect(short),
        }))
    }

    /// Queues a reply, RTCP or a retransmission for a UDP link: goes before all media.
    pub fn reply(&mut self, transmit: Transmit) -> Result<(), Full> {
        push(&mut self.control, transmit)
    }

    /// UDP transmits in the order they should leave: replies and feedback, audio, content, video.
    pub fn lanes(&self) -> [&[Transmit]; 4] {
        [&self.control, &self.audio, &self.content, &self.video]
    }

    /// UDP transmits in the order they should leave.
    pub fn datagrams(&self) -> impl Iterator<Item = &Transmit> {
        self.lanes().into_iter().flatten()
    }

    /// Transmits for TCP and TLS links.
    pub fn streams(&self) -> &[Transmit] {
        &self.stream
    }

    /// Bytes of [`Source::Arena`].
    pub fn arena(&self) -> &[u8] {
        &self.arena[..self.arena_used]
    }

    /// Nothing queued.
    pub fn is_empty(&self) -> bool {
        self.datagrams().next().is_none() && self.stream.is_empty()
    }

    /// How many more transmits fit in every lane.
    pub fn room(&self) -> usize {
        let longest = [&self.control, &self.audio, &self.content, &self.video, &self.stream]
            .map(Vec::len)
            .into_iter()
            .max()
            .unwrap_or(0);
        limits::OUTBOX_MAX - longest
    }

    /// Forgets everything; keeps the memory.
    pub fn clear(&mut self) {
        for lane in [
            &mut self.control,
            &mut self.audio,
            &mut self.content,
            &mut self.video,
            &mut self.stream,
        ] {
            lane.clear();
        }
        self.arena_used = 0;
    }
}

fn push(lane: &mut Vec<Transmit>, transmit: Transmit) -> Result<(), Full> {
    if lane.len() == limits::OUTBOX_MAX {
        return Err(Full);
    }
    lane.push(transmit);
    Ok(())
}
