//! The host: counts of two samples become a load.

use super::rates::{losses_per_s, per_s, share};
use crate::proc::{CoreTimes, InterfaceCounts, Softnet, UdpErrors};
use std::collections::BTreeMap;
use std::time::Duration;
use wire::load::{HostDrops, HostLoad, InterfaceLoad, Memory, Pressure};

/// What the host counted up to one moment. What it does not tell stays at its default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostSample {
    /// Each core's time.
    pub cores: BTreeMap<u32, CoreTimes>,
    /// Packets on their way from the card.
    pub softnet: Softnet,
    /// UDP, IPv4 and IPv6 together.
    pub udp: UdpErrors,
    /// What the media port's sockets dropped.
    pub media_port_drops: u64,
    /// Each interface that is up.
    pub interfaces: Vec<InterfaceSample>,
    /// Memory.
    pub memory: Memory,
    /// Pressure.
    pub pressure: Option<Pressure>,
}

/// One interface's counts, and what it can carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterfaceSample {
    /// What went through.
    pub counts: InterfaceCounts,
    /// Bits a second, each way; `None` when nobody knows.
    pub speed_bits_per_s: Option<u64>,
}

/// What one core did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CoreLoad {
    /// Share of its time that was not idle.
    pub(super) busy: f64,
    /// Share in softirqs.
    pub(super) softirq: f64,
}

/// The newest sample, and what it says against the one before.
#[derive(Debug, Default)]
pub(super) struct HostView {
    newest: Option<(Duration, HostSample)>,
    load: Option<(HostLoad, Duration)>,
    cores: BTreeMap<u32, CoreLoad>,
}

impl HostView {
    pub(super) fn handle(&mut self, at: Duration, sample: HostSample) {
        if let Some((before_at, before)) = self.newest.take() {
            let interval = at.saturating_sub(before_at);
            self.cores = core_loads(&before.cores, &sample.cores);
            self.load = Some((load(&before, &sample, interval.as_secs_f64()), interval));
        }
        self.newest = Some((at, sample));
    }

    /// With the time it is over; `None` before the second sample.
    pub(super) fn load(&self) -> Option<(&HostLoad, Duration)> {
        self.load.as_ref().map(|(load, interval)| (load, *interval))
    }

    pub(super) fn cores(&self) -> &BTreeMap<u32, CoreLoad> {
        &self.cores
    }
}

fn core_loads(
    before: &BTreeMap<u32, CoreTimes>,
    now: &BTreeMap<u32, CoreTimes>,
) -> BTreeMap<u32, CoreLoad> {
    let both = now.iter().filter_map(|(core, now)| Some((core, before.get(core)?, now)));
    both.map(|(core, before, now)| {
        let spent = spent(before, now);
        let busy = share(spent.total.saturating_sub(spent.idle), spent.total);
        (*core, CoreLoad { busy, softirq: share(spent.softirq, spent.total) })
    })
    .collect()
}

fn spent(before: &CoreTimes, now: &CoreTimes) -> CoreTimes {
    CoreTimes {
        total: now.total.saturating_sub(before.total),
        // The kernel's idle and iowait may run backwards by a tick.
        idle: now.idle.saturating_sub(before.idle),
        softirq: now.softirq.saturating_sub(before.softirq),
        steal: now.steal.saturating_sub(before.steal),
    }
}

fn load(before: &HostSample, now: &HostSample, seconds: f64) -> HostLoad {
    let mut all = CoreTimes::default();
    for (core, now) in &now.cores {
        let Some(before) = before.cores.get(core) else { continue };
        let spent = spent(before, now);
        all.total = all.total.saturating_add(spent.total);
        all.idle = all.idle.saturating_add(spent.idle);
        all.softirq = all.softirq.saturating_add(spent.softirq);
        all.steal = all.steal.saturating_add(spent.steal);
    }
    HostLoad {
        cores: u32::try_from(now.cores.len()).unwrap_or(u32::MAX),
        busy: share(all.total.saturating_sub(all.idle), all.total),
        softirq: share(all.softirq, all.total),
        steal: share(all.steal, all.total),
        memory: now.memory,
        pressure: now.pressure,
        interfaces: interfaces(&before.interfaces, &now.interfaces, seconds),
        drops: drops(before, now, seconds),
    }
}

fn drops(before: &HostSample, now: &HostSample, seconds: f64) -> HostDrops {
    let losses = |count: fn(&HostSample) -> u64| losses_per_s(count(before), count(now), seconds);
    HostDrops {
        udp_receive_buffer: losses(|it| it.udp.receive_buffer),
        udp_send_buffer: losses(|it| it.udp.send_buffer),
        // Sockets that were closed took their counts with them.
        media_port: losses_per_s(
            before.media_port_drops.min(now.media_port_drops),
            now.media_port_drops,
            seconds,
        ),
        softnet: losses(|it| it.softnet.dropped),
        softnet_squeezed: losses(|it| it.softnet.squeezed),
    }
}

/// Those that were there before.
fn interfaces(
    before: &[InterfaceSample],
    now: &[InterfaceSample],
    seconds: f64,
) -> Vec<InterfaceLoad> {
    let pairs = now.iter().filter_map(|now| {
        let before = before.iter().find(|it| it.counts.name == now.counts.name)?;
        Some((&before.counts, now))
    });
    pairs.map(|(before, now)| interface(before, now, seconds)).collect()
}

fn interface(before: &InterfaceCounts, now: &InterfaceSample, seconds: f64) -> InterfaceLoad {
    let counts = &now.counts;
    let bits_in_per_s = per_s(before.bytes_in, counts.bytes_in, seconds).saturating_mul(8);
    let bits_out_per_s = per_s(before.bytes_out, counts.bytes_out, seconds).saturating_mul(8);
    InterfaceLoad {
        name: counts.name.clone(),
        packets_in_per_s: per_s(before.packets_in, counts.packets_in, seconds),
        packets_out_per_s: per_s(before.packets_out, counts.packets_out, seconds),
        bits_in_per_s,
        bits_out_per_s,
        drops_per_s: losses_per_s(before.drops, counts.drops, seconds),
        speed_bits_per_s: now.speed_bits_per_s,
        used: now.speed_bits_per_s.map(|speed| share(bits_in_per_s.max(bits_out_per_s), speed)),
    }
}
