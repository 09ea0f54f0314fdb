//! A running agent: its tasks put together, and taken apart.

use crate::config::Config;
use crate::controllers::{Client, Outgoing, Sender};
use crate::core::{Core, Settings};
use crate::host::Host;
use crate::limits::SAMPLE_INTERVAL;
use crate::mmr::{AdminSocket, Sight, watch as watch_daemon};
use crate::orders::{Action, Orders};
use daemon::credential::CredentialError;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use wire::load::{PATH, Reply, Report};
use wire::stats::Stats;

/// Sights, replies and orders that may wait. Whoever brings more waits; none of them is media.
const QUEUE_MAX: usize = 64;
/// How long [`Agent::once`] looks before it speaks: two of the daemon's own intervals.
const LOOK_FOR: Duration = Duration::from_millis(2_500);

/// A running agent. Dropped, it ends.
#[derive(Debug)]
pub struct Agent {
    clients: watch::Sender<Client>,
    reports: watch::Receiver<Option<Arc<Outgoing>>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Agent {
    /// Starts watching and reporting; neither the daemon nor a controller need be there. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// A file that the configuration names can't be used; nothing runs then.
    pub fn start(config: &Config) -> Result<Self, CredentialError> {
        let clients = watch::Sender::new(Client::load(&config.controllers)?);
        let (publish, reports) = watch::channel(None);
        let (replies, heard) = mpsc::channel(QUEUE_MAX);
        let (mut work, probe) = Work::new(config, heard);
        let mut tasks = vec![probe];
        for url in &config.controllers.urls {
            let sender = Sender {
                controller: url.join(PATH).expect("an origin and an absolute path"),
                clients: clients.subscribe(),
                reports: reports.clone(),
                replies: replies.clone(),
                socket: AdminSocket::new(&config.mmr.socket),
                random: StdRng::seed_from_u64(RandomState::new().hash_one(url.as_str())),
            };
            tasks.push(tokio::spawn(sender.run()));
        }
        tasks.push(tokio::spawn(async move {
            while let Some(outgoing) = work.next().await {
                publish.send_replace(Some(Arc::new(outgoing)));
            }
        }));
        Ok(Self { clients, reports, tasks })
    }

    /// One report, after some seconds, told to nobody.
    pub async fn once(config: &Config) -> Option<Report> {
        // Nobody replies.
        let (_replies, heard) = mpsc::channel(1);
        let (mut work, _probe) = Work::new(config, heard);
        loop {
            let report = work.next().await?.report;
            if work.started.elapsed() >= LOOK_FOR {
                return Some(report);
            }
        }
    }

    /// Takes what the files of this configuration say about how to speak to controllers; all else
    /// stays as it was at start.
    ///
    /// # Errors
    /// A file can't be used: nothing has changed then.
    pub fn reload(&self, config: &Config) -> Result<(), CredentialError> {
        self.clients.send_replace(Client::load(&config.controllers)?);
        Ok(())
    }

    /// Whether a task has ended although nobody asked it to.
    pub fn has_failed(&self) -> bool {
        self.tasks.iter().any(JoinHandle::is_finished)
    }

    /// The number of the newest report, for a watchdog.
    pub fn sequence(&self) -> u64 {
        self.reports.borrow().as_ref().map_or(0, |outgoing| outgoing.report.sequence)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What makes reports, and follows orders.
struct Work {
    started: Instant,
    core: Core,
    host: Host,
    orders: Orders,
    sights: mpsc::Receiver<Sight>,
    replies: mpsc::Receiver<Reply>,
    actions: mpsc::Sender<Action>,
    samples: tokio::time::Interval,
}

impl Work {
    /// With the task that watches the daemon.
    fn new(config: &Config, replies: mpsc::Receiver<Reply>) -> (Self, JoinHandle<()>) {
        let (tell, sights) = mpsc::channel(QUEUE_MAX);
        let (actions, orders) = mpsc::channel(1);
        let socket = AdminSocket::new(&config.mmr.socket);
        let mut samples = interval(SAMPLE_INTERVAL);
        samples.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let network = &config.network;
        let work = Self {
            started: Instant::now(),
            core: Core::new(Settings {
                mmr: config.mmr.id.clone(),
                zone: config.zone.clone(),
                name: config.mmr.name.clone(),
                epoch_ms: unix_now_ms(),
                thresholds: config.thresholds,
                participants: config.participants,
            }),
            host: Host::new(network.interfaces.clone(), network.speed_bits_per_s),
            orders: Orders::default(),
            sights,
            replies,
            actions,
            samples,
        };
        (work, tokio::spawn(watch_daemon(socket, tell, orders)))
    }

    /// The next report that is due; `None` when the daemon is no longer watched.
    async fn next(&mut self) -> Option<Outgoing> {
        loop {
            let urgent = tokio::select! {
                sight = self.sights.recv() => {
                    self.handle_sight(sight?);
                    self.core.is_urgent()
                }
                Some(reply) = self.replies.recv() => {
                    reply.wanted.into_iter().for_each(|wanted| self.orders.handle_wanted(wanted));
                    continue;
                }
                _ = self.samples.tick() => {
                    let sample = self.host.sample(&self.core.media_ports());
                    self.core.handle_host(self.started.elapsed(), sample);
                    let urgent = self.core.is_urgent();
                    match self.core.poll_report() {
                        Some(report) => return Some(outgoing(report, urgent)),
                        None => continue,
                    }
                }
            };
            if urgent && let Some(report) = self.core.poll_report() {
                return Some(outgoing(report, true));
            }
        }
    }

    fn handle_sight(&mut self, sight: Sight) {
        match sight {
            Sight::Stats(stats) => {
                self.core.handle_stats(&stats);
                self.follow_orders(&stats);
            }
            Sight::Health(health) => self.core.handle_health(self.started.elapsed(), health),
            Sight::Done(action, done) => {
                let wanted = action.wanted;
                match &done {
                    Ok(()) => tracing::info!(?wanted, "the zone's order was carried out"),
                    Err(why) => tracing::warn!(?wanted, %why, "the zone's order failed"),
                }
                self.orders.handle_done(action, done.is_ok());
            }
        }
    }

    fn follow_orders(&mut self, stats: &Stats) {
        if let Some(action) = self.orders.poll_action(stats)
            && self.actions.try_send(action).is_err()
        {
            // The daemon does not answer: again when it does.
            self.orders.handle_done(action, false);
        }
    }
}

/// What controllers act on at once, operators want to know, too.
fn outgoing(report: Report, urgent: bool) -> Outgoing {
    if urgent || report.sequence == 1 {
        let (state, reason) = (report.state.name(), report.reason.as_deref());
        let (stress, resource) = (report.stress.value, &report.stress.resource);
        tracing::info!(state, reason, stress, resource, "the router's state or stress changed");
    }
    Outgoing::new(report, urgent)
}

fn unix_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
