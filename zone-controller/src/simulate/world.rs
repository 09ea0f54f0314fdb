//! The world a placement is played in: MMRs that report, people who come, hosts that die.

use super::{Outcome, Sample, Scenario, mean, quantile};
use crate::placement::{Load, Placement, Rules};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use wire::MmrId;
use wire::load::State;

/// How often an agent reports, and over how long it smooths stress.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
const SMOOTHING: Duration = Duration::from_secs(2);
/// From the answer of the controller to a participant whose load shows.
const JOIN_DELAY: Duration = Duration::from_millis(300);
/// How long it takes a client to find out that its MMR is gone.
const NOTICE: Duration = Duration::from_secs(2);
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// A host half as large is full with half as many.
const SMALL_COST: f64 = 2.0;
/// Reports are heard before anybody comes.
const WARM_UP: Duration = Duration::from_secs(5);

pub(super) struct World<'a> {
    scenario: &'a Scenario,
    rules: Rules,
    placement: Placement,
    rng: StdRng,
    hosts: Vec<Host>,
    meetings: Vec<Meeting>,
    people: Vec<Person>,
    /// Earliest first; the number keeps the order of events of the same moment.
    events: BinaryHeap<Reverse<(Duration, usize, Event)>>,
    scheduled: usize,
    course: Vec<Sample>,
    refusals: usize,
    replaced: Vec<Duration>,
}

struct Host {
    id: MmrId,
    cost: f64,
    people: u32,
    smoothed: f64,
    sequence: u64,
    alive: bool,
}

struct Meeting {
    name: String,
    at: Option<usize>,
}

struct Person {
    meeting: usize,
    at: Option<usize>,
    /// Whether it has come to its MMR.
    arrived: bool,
    displaced: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Report(usize),
    Ask(usize),
    /// A person, on the host it was sent to.
    Arrive(usize, usize),
    Die(usize),
    Sample,
}

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, rules: Rules) -> Self {
        let mut world = Self {
            scenario,
            rules,
            placement: Placement::new(rules, scenario.seed, Duration::ZERO),
            rng: StdRng::seed_from_u64(scenario.seed),
            hosts: Vec::new(),
            meetings: Vec::new(),
            people: Vec::new(),
            events: BinaryHeap::new(),
            scheduled: 0,
            course: Vec::new(),
            refusals: 0,
            replaced: Vec::new(),
        };
        world.build_hosts();
        world.invite_people();
        world.schedule(WARM_UP, Event::Sample);
        world
    }

    pub(super) fn play(mut self) -> Outcome {
        while let Some(Reverse((now, _, event))) = self.events.pop() {
            if now > WARM_UP + self.scenario.length {
                break;
            }
            match event {
                Event::Report(host) => self.report(host, now),
                Event::Ask(person) => self.ask(person, now),
                Event::Arrive(person, host) => self.arrive(person, host, now),
                Event::Die(host) => self.die(host, now),
                Event::Sample => self.sample(now),
            }
        }
        self.outcome()
    }

    #[allow(clippy::cast_precision_loss, reason = "counts here are small")]
    fn build_hosts(&mut self) {
        let Scenario { mmrs, joins, fill, .. } = *self.scenario;
        // A large host counts as two small ones.
        let small_hosts = (mmrs / 2) as f64 + (mmrs - mmrs / 2) as f64 * SMALL_COST;
        let small_cost = fill * small_hosts / joins as f64;
        for at in 0..mmrs {
            let cost = if at % 2 == 1 { small_cost } else { small_cost / SMALL_COST };
            let id = MmrId::try_from(format!("mmr-{at}")).expect("a name of the right form");
            self.hosts.push(Host { id, cost, people: 0, smoothed: 0.0, sequence: 0, alive: true });
            let phase = self.rng.random_range(Duration::ZERO..REPORT_INTERVAL);
            self.schedule(phase, Event::Report(at));
        }
        for _ in 0..self.scenario.deaths {
            let host = self.rng.random_range(0..mmrs);
            let when = WARM_UP + self.rng.random_range(Duration::ZERO..self.scenario.burst);
            self.schedule(when, Event::Die(host));
        }
    }

    /// People of a meeting come within a second of each other.
    fn invite_people(&mut self) {
        let last = self.scenario.burst.saturating_sub(Duration::from_secs(1));
        while self.people.len() < self.scenario.joins {
            let meeting = self.meetings.len();
            self.meetings.push(Meeting { name: format!("meeting-{meeting}"), at: None });
            let start = WARM_UP + self.rng.random_range(Duration::ZERO..=last);
            loop {
                let person = self.people.len();
                self.people.push(Person { meeting, at: None, arrived: false, displaced: None });
                let late = self.rng.random_range(Duration::ZERO..Duration::from_secs(1));
                self.schedule(start + late, Event::Ask(person));
                let goes_on = self.rng.random::<f64>() > 1.0 / self.scenario.meeting.max(1.0);
                if !goes_on || self.people.len() >= self.scenario.joins {
                    break;
                }
            }
        }
    }

    fn report(&mut self, at: usize, now: Duration) {
        let host = &mut self.hosts[at];
        if !host.alive {
            return;
        }
        let load = f64::from(host.people) * host.cost;
        let share = 1.0 - (-REPORT_INTERVAL.as_secs_f64() / SMOOTHING.as_secs_f64()).exp();
        host.smoothed += (load - host.smoothed) * share;
        host.sequence += 1;
        let report = Load {
            order: (1, host.sequence),
            state: State::Serving,
            stress: host.smoothed,
            stress_per_participant: host.cost,
            has_address: true,
            links: [0, 0],
            participants: u64::from(host.people),
        };
        self.placement.report(&host.id, report, now);
        self.schedule(now + REPORT_INTERVAL, Event::Report(at));
    }

    fn ask(&mut self, person: usize, now: Duration) {
        let meeting = &mut self.meetings[self.people[person].meeting];
        let at = meeting.at.map(|at| &self.hosts[at].id);
        match self.placement.place(&meeting.name, at, now) {
            Ok(choice) => {
                let host = number(&choice.mmr);
                meeting.at = Some(host);
                self.people[person].at = Some(host);
                if let Some(died) = self.people[person].displaced.take() {
                    self.replaced.push(now - died);
                }
                self.schedule(now + JOIN_DELAY, Event::Arrive(person, host));
            }
            Err(refused) => {
                self.refusals += 1;
                self.schedule(now + refused.retry_after, Event::Ask(person));
            }
        }
    }

    fn arrive(&mut self, person: usize, host: usize, now: Duration) {
        if self.people[person].at != Some(host) {
            return;
        }
        if !self.hosts[host].alive {
            // Nobody answers there: it finds out as those do who were there.
            self.people[person].displaced.get_or_insert(now);
            return self.schedule(now + NOTICE, Event::Ask(person));
        }
        self.people[person].arrived = true;
        self.hosts[host].people += 1;
    }

    fn die(&mut self, host: usize, now: Duration) {
        if !std::mem::replace(&mut self.hosts[host].alive, false) {
            return;
        }
        for person in 0..self.people.len() {
            let it = &mut self.people[person];
            if it.at == Some(host) && it.arrived {
                it.at = None;
                it.arrived = false;
                it.displaced = Some(now);
                let late = self.rng.random_range(Duration::ZERO..Duration::from_secs(1));
                self.schedule(now + NOTICE + late, Event::Ask(person));
            }
        }
        self.hosts[host].people = 0;
    }

    fn sample(&mut self, now: Duration) {
        let loads = self.loads();
        self.course.push(Sample {
            at: now - WARM_UP,
            mean: mean(&loads),
            p99: quantile(&loads, 0.99),
            most: loads.last().copied().unwrap_or(0.0),
            overloaded: loads.iter().filter(|load| **load > self.rules.full).count(),
        });
        self.schedule(now + SAMPLE_INTERVAL, Event::Sample);
    }

    fn schedule(&mut self, when: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((when, self.scheduled, event)));
    }

    /// Of hosts that live, ascending.
    fn loads(&self) -> Vec<f64> {
        let alive = self.hosts.iter().filter(|host| host.alive);
        let mut loads: Vec<_> = alive.map(|host| f64::from(host.people) * host.cost).collect();
        loads.sort_by(f64::total_cmp);
        loads
    }

    fn outcome(mut self) -> Outcome {
        self.replaced.sort();
        let middle = self.replaced.get(self.replaced.len() / 2).copied().unwrap_or_default();
        let longest = self.replaced.last().copied().unwrap_or_default();
        let waiting = self.people.iter().filter(|person| person.displaced.is_some()).count();
        Outcome {
            strategy: self.rules.strategy,
            loads: self.loads(),
            placed: self.people.iter().filter(|person| person.arrived).count(),
            refusals: self.refusals,
            displaced: self.replaced.len() + waiting,
            replaced_after: [middle, longest],
            course: self.course,
        }
    }
}

/// A host's number is in its name.
fn number(mmr: &MmrId) -> usize {
    let number = mmr.as_str().strip_prefix("mmr-").and_then(|number| number.parse().ok());
    number.expect("the world named it so")
}
