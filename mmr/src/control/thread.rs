//! The task that decides: owns the meetings, hears everybody, never waits for anybody.

use super::Handle;
use super::admission::{Admission, Refusal};
use super::dispatch::Dispatch;
use super::limits::{
    GOODBYE_MAX, ORDER_BACKLOG_MAX, REPORT_INTERVAL, REQUESTS_MAX, RETRY_INTERVAL,
};
use super::newcomer::Newcomer;
use super::reports::Reports;
use super::request::{Asker, Command, Drain, Outgoing, Reload, Request};
use super::snapshot::{ControlCounts, DoorCounts, Draining, Snapshot, Table, heartbeat_ages};
use super::tokens::Tokens;
use crate::admin::Admin;
use crate::dev::unix_now_s;
use crate::exchange::{ControlEvent, ControlStream, DoorOrder, Exchange};
use crate::express::Express;
use crate::network::borrow::readable;
use crate::tls::TlsConfigs;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use router::{ChannelId, Meetings, MeetingsConfig, Order, Output, Path};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use wire::control::{ClientMessage, ErrorCode, ServerMessage, VERSION};
use wire::load::Meeting;
use wire::mark::{Dscp, Marks};
use wire::token::Verifier;

/// Events taken before anything else is looked at again.
const EVENTS_AT_ONCE: usize = 1_024;

/// What the control thread is started with.
pub(crate) struct ControlConfig {
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) meetings: MeetingsConfig,
    pub(crate) tls: TlsConfigs,
    pub(crate) verifier: Verifier,
    pub(crate) marks: Marks,
    pub(crate) channels: u32,
    pub(crate) channels_per_address: u32,
    /// When it is on.
    pub(crate) express: Option<Express>,
    /// The admin socket, listening already.
    pub(crate) admin: Option<Admin>,
}

/// Starts the thread.
///
/// # Errors
/// No thread, or no epoll for it.
pub(crate) fn start(config: ControlConfig) -> io::Result<(Handle, JoinHandle<()>)> {
    let (commands, orders) = mpsc::channel(64);
    let handle = Handle::new(commands, Arc::clone(&config.exchange));
    let ours = handle.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("mmr-control".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let mut config = config;
            if let Some(admin) = config.admin.take() {
                tokio::spawn(admin.serve(ours));
            }
            Control::new(config).run(orders).await;
        });
    })?;
    Ok((handle, thread))
}

struct Control {
    exchange: Arc<Exchange>,
    meetings: Meetings,
    /// Links, layers, routes there is room for.
    sizes: [u32; 3],
    dispatch: Dispatch,
    reports: Reports,
    express: Option<Express>,
    tokens: Tokens,
    admission: Admission,
    acceptor: TlsAcceptor,
    mark: watch::Sender<Dscp>,
    counts: ControlCounts,
    channels: HashMap<ChannelId, Open>,
    tasks: JoinSet<()>,
    requests: mpsc::Sender<Request>,
    heard: Option<mpsc::Receiver<Request>>,
    next_channel: u64,
    /// The deadline, and who asked.
    draining: Option<(Instant, Asker)>,
}

/// An open channel.
struct Open {
    outgoing: Outgoing,
    /// Its first message came.
    spoke: bool,
}

impl Control {
    fn new(config: ControlConfig) -> Self {
        let mut seed = [0; 32];
        aws_lc_rs::rand::fill(&mut seed).expect("the system has randomness once it has booted");
        let (requests, heard) = mpsc::channel(REQUESTS_MAX);
        Self {
            dispatch: Dispatch::new(Arc::clone(&config.exchange)),
            reports: Reports::new(config.exchange.workers.len(), Instant::now()),
            exchange: config.exchange,
            express: config.express,
            sizes: [config.meetings.links, config.meetings.layers, config.meetings.routes],
            meetings: Meetings::new(config.meetings, ChaCha20Rng::from_seed(seed)),
            tokens: Tokens::new(config.verifier),
            admission: Admission::new(config.channels, config.channels_per_address),
            acceptor: TlsAcceptor::from(config.tls.control),
            mark: watch::Sender::new(config.marks.control),
            counts: ControlCounts::new(),
            channels: HashMap::new(),
            tasks: JoinSet::new(),
            requests,
            heard: Some(heard),
            next_channel: 0,
            draining: None,
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let exchange = Arc::clone(&self.exchange);
        let bell = readable(exchange.control.fd()).expect("an eventfd can be polled");
        let mut heard = self.heard.take().expect("taken once, here");
        let mut reports = interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.take_events();
            self.settle();
            // What is pushed from here on rings the bell; what was pushed before is seen here.
            self.exchange.control.fall_asleep();
            let busy = !self.exchange.events.is_empty();
            let backlog = self.dispatch.waiting();
            let versions_at = self.next_versions(Instant::now());
            tokio::select! {
                () = std::future::ready(()), if busy => {}
                Ok(mut rung) = bell.readable(), if !busy => rung.clear_ready(),
                command = commands.recv() => match command {
                    Some(Command::Stop) | None => break,
                    Some(command) => self.handle_command(command),
                },
                Some(request) = heard.recv(), if backlog < ORDER_BACKLOG_MAX => {
                    self.handle_request(request);
                }
                () = until(self.meetings.poll_timeout()) => {
                    self.meetings.handle_timeout(Instant::now());
                }
                () = news(&mut self.express) => {}
                () = until(versions_at) => {}
                _ = reports.tick() => self.count(),
                () = sleep(RETRY_INTERVAL), if backlog > 0 => {}
                Some(_) = self.tasks.join_next(), if !self.tasks.is_empty() => {}
            }
            self.exchange.control.awake();
        }
        drop(heard);
        self.stop().await;
    }

    /// Hears workers and the door.
    fn take_events(&mut self) {
        let now = Instant::now();
        for _ in 0..EVENTS_AT_ONCE {
            match self.exchange.events.pop() {
                Some(ControlEvent::Router(_, event)) => {
                    if let Some(express) = &mut self.express {
                        express.hear_event(&event);
                    }
                    self.meetings.handle_event(now, event);
                }
                Some(ControlEvent::Report(report)) => self.reports.take(report, now),
                Some(ControlEvent::Accepted(stream)) => self.accept(stream),
                None => break,
            }
        }
    }

    /// Asks the workers for their counts, and reads the kernel's.
    fn count(&mut self) {
        self.reports.ask(&mut self.dispatch);
        if let Some(express) = &mut self.express {
            express.count();
        }
    }

    fn accept(&mut self, stream: ControlStream) {
        self.counts.accepted += 1;
        let admitted = match self.admission.admit(stream.remote) {
            Ok(admitted) => admitted,
            Err(Refusal::Total) => return self.count_refused("total"),
            Err(Refusal::Address) => return self.count_refused("address"),
        };
        self.next_channel += 1;
        let newcomer = Newcomer {
            id: ChannelId(self.next_channel),
            stream,
            admitted,
            acceptor: self.acceptor.clone(),
            requests: self.requests.clone(),
            mark: self.mark.subscribe(),
        };
        self.tasks.spawn(newcomer.serve());
    }

    fn handle_request(&mut self, request: Request) {
        match request {
            Request::Opened(channel, outgoing) => {
                self.channels.insert(channel, Open { outgoing, spoke: false });
            }
            Request::Message(channel, message) => self.handle_message(channel, message),
            Request::Unreadable(channel, reason) => self.handle_unreadable(channel, reason),
            Request::Refused(reason) => self.count_refused(reason),
            Request::Closed(channel, reason) => {
                *self.counts.closed.entry(reason.name()).or_default() += 1;
                if self.channels.remove(&channel).is_some() {
                    self.meetings.handle_disconnect(Instant::now(), channel);
                }
            }
        }
    }

    fn handle_message(&mut self, channel: ChannelId, message: ClientMessage) {
        self.counts.requests += 1;
        // Closed by us a moment ago: what its client still says is heard no more.
        let Some(open) = self.channels.get_mut(&channel) else { return };
        let first = !std::mem::replace(&mut open.spoke, true);
        match message {
            ClientMessage::Join { v, .. } | ClientMessage::Resume { v, .. } if v != VERSION => {
                let message = format!("This MMR speaks version {VERSION} of the protocol.");
                self.meetings.refuse(channel, ErrorCode::BadVersion, message);
            }
            ClientMessage::Join { token, .. } if first => self.join(channel, &token),
            message => self.meetings.handle_message(Instant::now(), channel, message),
        }
    }

    fn join(&mut self, channel: ChannelId, token: &str) {
        match self.tokens.take(token, unix_now_s()) {
            Ok(claims) => self.meetings.handle_join(Instant::now(), channel, claims),
            Err((code, message)) => self.meetings.refuse(channel, code, message.to_owned()),
        }
    }

    fn handle_unreadable(&mut self, channel: ChannelId, reason: String) {
        self.counts.requests += 1;
        let Some(open) = self.channels.get_mut(&channel) else { return };
        let first = !std::mem::replace(&mut open.spoke, true);
        let message = format!("Not a message of this protocol: {reason}.");
        if first {
            self.meetings.refuse(channel, ErrorCode::BadMessage, message);
        } else {
            self.send(channel, ServerMessage::Error { code: ErrorCode::BadMessage, message });
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = Instant::now();
        // Who asked may have gone; there is nobody to tell then.
        match command {
            Command::Snapshot(reply) => drop(reply.send(Box::new(self.snapshot(now)))),
            Command::Express(reply) => {
                let each = self.express.as_ref().map(Express::each);
                drop(reply.send(each.unwrap_or_default()));
            }
            Command::Meetings(reply) => drop(reply.send(self.list_meetings())),
            Command::Drain(drain, reply) => {
                self.drain(now, drain);
                let _ = reply.send(());
            }
            Command::Undrain(asker, reply) => {
                self.undrain(asker);
                let _ = reply.send(());
            }
            Command::Reload(reload, reply) => {
                self.reload(*reload);
                let _ = reply.send(());
            }
            Command::Keys(verifier) => self.tokens.replace_keys(*verifier),
            Command::Stop => {}
        }
    }

    fn drain(&mut self, now: Instant, Drain { deadline, asker }: Drain) {
        if self.is_overruled(asker) {
            return;
        }
        self.draining = Some((now + deadline, asker));
        self.meetings.drain(now, deadline);
        tracing::info!(
            deadline_s = deadline.as_secs(),
            ?asker,
            "draining: newcomers are turned away"
        );
    }

    fn undrain(&mut self, asker: Asker) {
        if self.is_overruled(asker) {
            return;
        }
        self.draining = None;
        self.meetings.undrain();
        tracing::info!("no longer draining: newcomers are welcome");
    }

    /// A drain asked for on this host is not changed from afar, and one that ends the daemon by
    /// nobody.
    fn is_overruled(&self, asker: Asker) -> bool {
        self.draining.is_some_and(|(_, before)| before.rank() > asker.rank())
    }

    fn list_meetings(&self) -> Vec<Meeting> {
        let meetings = self.meetings.list();
        meetings
            .map(|(name, participants)| Meeting { meeting: name.to_owned(), participants })
            .collect()
    }

    fn reload(&mut self, reload: Reload) {
        self.tokens.replace_keys(reload.verifier);
        self.acceptor = TlsAcceptor::from(reload.tls.control);
        self.mark.send_replace(reload.marks.control);
        self.order(&Order::Mark(reload.marks));
        self.dispatch.order_door(DoorOrder::Mark(reload.marks));
        self.dispatch.order_door(DoorOrder::Certificates(reload.tls.media));
    }

    /// Does what the meetings decided, until nothing is left to do.
    fn settle(&mut self) {
        while let Some(output) = self.meetings.poll_output() {
            match output {
                Output::Order(order) => self.order(&order),
                Output::Message(channel, message) => {
                    // Workers must know of a link before its client does.
                    self.dispatch.flush();
                    self.send(channel, message);
                }
                Output::CloseChannel(channel) => drop(self.channels.remove(&channel)),
                Output::ClosePath(Path::Stream { connection, .. }) => {
                    self.dispatch.order_door(DoorOrder::Close(connection));
                }
                Output::ClosePath(Path::Udp { .. }) => {}
            }
        }
        self.dispatch.flush();
        self.serve_versions();
    }

    fn order(&mut self, order: &Order) {
        if let Some(express) = &mut self.express {
            express.hear_order(order, Instant::now());
        }
        self.dispatch.order(order);
    }

    /// New versions of what the kernel serves: told to the workers first, brought into effect then.
    fn serve_versions(&mut self) {
        let Some(express) = &mut self.express else { return };
        let now = Instant::now();
        for order in express.plan(now) {
            self.dispatch.order(&order);
        }
        self.dispatch.flush();
        if express.has_plans() && self.dispatch.is_ahead_of_packets() {
            express.commit(now);
        }
    }

    /// When [`Control::serve_versions`] has something to do.
    fn next_versions(&self, now: Instant) -> Option<Instant> {
        let express = self.express.as_ref()?;
        let waiting = express.has_plans().then_some(now + RETRY_INTERVAL);
        express.poll_timeout(now).into_iter().chain(waiting).min()
    }

    /// Queues a message for a client; cuts off a client that does not read.
    fn send(&mut self, channel: ChannelId, message: ServerMessage) {
        if let ServerMessage::Error { code, .. } = &message {
            self.counts.count_error(*code);
        }
        let Some(open) = self.channels.get(&channel) else { return };
        if open.outgoing.messages.try_send(message).is_err() {
            open.outgoing.cut.notify_one();
            self.channels.remove(&channel);
            self.meetings.handle_disconnect(Instant::now(), channel);
        }
    }

    fn count_refused(&mut self, reason: &'static str) {
        *self.counts.refused.entry(reason).or_default() += 1;
    }

    fn snapshot(&self, now: Instant) -> Snapshot {
        let ages = heartbeat_ages(&self.exchange, now);
        Snapshot {
            uptime: now.saturating_duration_since(self.exchange.started),
            draining: self.draining.map(|(deadline, asker)| Draining {
                left: deadline.saturating_duration_since(now),
                asker,
            }),
            summary: self.meetings.summary(),
            tables: self.tables(),
            control: ControlCounts {
                channels: u64::from(self.admission.total()),
                orders_waiting: self.dispatch.waiting() as u64,
                ..self.counts.clone()
            },
            door: DoorCounts::of(&self.exchange.door),
            express: self.express.as_ref().map(Express::counts),
            workers: self.reports.counts(&ages),
        }
    }

    fn tables(&self) -> [Table; 3] {
        let [links, layers, routes] = self.sizes;
        let used = self.meetings.occupancy();
        [
            Table { name: "links", used: used.links, size: links },
            Table { name: "layers", used: used.layers, size: layers },
            Table { name: "routes", used: used.routes, size: routes },
        ]
    }

    /// Lets every channel write its last messages and close.
    async fn stop(mut self) {
        self.settle();
        self.channels.clear();
        drop(self.requests);
        let all_closed = async { while self.tasks.join_next().await.is_some() {} };
        // Whoever does not close in time is cut off when the runtime goes.
        let _ = timeout(GOODBYE_MAX + Duration::from_millis(500), all_closed).await;
    }
}

/// Lets the express plane hear of the network; pends for ever without it.
async fn news(express: &mut Option<Express>) {
    match express {
        Some(express) => express.hear_news().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
