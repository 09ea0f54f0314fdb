//! A running router: its threads put together, and taken apart.

use crate::about::About;
use crate::admin::{self, Admin};
use crate::control::{self, Asker, ControlConfig, Drain, Handle, Reload, STALLED_AFTER};
use crate::credentials::Credentials;
use crate::door::{self, DoorConfig, DoorError, DoorHandle, DoorLimits};
use crate::exchange::{Exchange, WorkerOrder};
use crate::express::{Express, ExpressChoice, ExpressError, Prepared, Sizes};
use crate::key_thread::KeyThread;
use crate::network::sockets::{self, Listening, SocketOptions};
use crate::network::{self, Backend};
use crate::stats;
use crate::tls::TlsConfigs;
use crate::worker::{self, WorkerConfig, WorkerHandle};
use crate::{Config, Error, addresses, capabilities, startup};
use daemon::keys::{Fetches, Keys};
use router::{MeetingsConfig, RouterConfig, WorkerId, limits};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wire::control::Addresses;
use wire::stats::Stats;
use wire::token::Verifier;

/// A running router. Dropped, it ends as with [`Daemon::stop`], and blocks for as long as that
/// takes.
pub struct Daemon {
    about: Arc<About>,
    keys: Arc<Keys>,
    control: Handle,
    threads: Threads,
}

/// What runs, in the order it is ended.
struct Threads {
    /// Where keys are fetched.
    keys: OnceLock<KeyThread>,
    control: Option<(Handle, JoinHandle<()>)>,
    admin_socket: Option<PathBuf>,
    door: Option<DoorHandle>,
    workers: Vec<WorkerHandle>,
    exchange: Arc<Exchange>,
}

impl Daemon {
    /// Opens every socket, starts every thread, and answers when clients can connect. May be called
    /// from any thread, within a runtime or without; blocks for some milliseconds. Its threads have
    /// the caller's capabilities but those that only the start needs.
    ///
    /// # Errors
    /// What the configuration names can't be had; nothing is left running then.
    pub fn start(config: Config) -> Result<Self, Error> {
        // From a thread of its own, whose capabilities the others inherit.
        std::thread::scope(|scope| {
            let started = scope.spawn(|| Self::start_threads(config)).join();
            started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn start_threads(config: Config) -> Result<Self, Error> {
        let fetches = Fetches::default();
        let keys = Arc::new(Keys::new(fetches.clone()));
        let Credentials { tls, verifier, keys: reading } = Credentials::load(&config, &keys)?;
        let count = worker_count(&config);
        let backend = network::choose(config.workers.backend).map_err(no_backend)?;
        if let Some(fallback) = &backend.fallback {
            tracing::warn!("{fallback}");
        }
        let prepared = prepare_express(&config)?;
        let mut listening = listen(&config, count, prepared.is_ok())?;
        warn(&listening, backend.backend, &config);
        let express = attach_express(&config, prepared, &listening.addresses)?;
        capabilities::give_up();
        let exchange = Exchange::new(count, Instant::now()).map_err(|cause| {
            Error::system("the queues can't be made", cause, "Allow more open files (LimitNOFILE).")
        })?;
        // From here on an error ends what was started: `threads` does when dropped.
        let mut threads = Threads::new(exchange);
        let sockets = std::mem::take(&mut listening.workers);
        let cores = threads.start_workers(&config, backend.backend, sockets)?;
        let door = start_door(&config, &tls, &threads.exchange)?;
        let bound = Addresses {
            udp: listening.addresses,
            tcp: door.tcp().to_vec(),
            tls: door.tls().to_vec(),
        };
        let about = Arc::new(About {
            zone: config.zone.clone(),
            advertised: addresses::to_tell(&config.listen, &bound),
            addresses: bound,
            started: threads.exchange.started,
            epoch_ms: unix_now_ms(),
            cores,
            channels_max: config.limits.channels,
            connections_max: config.limits.connections,
            backend: backend.backend,
            door_backend: door.backend(),
            fetches,
            express: express.as_ref().map(|it| it.interfaces().to_vec()).map_err(String::clone),
        });
        threads.door = Some(door);
        let control = threads.start_control(&config, (tls, verifier), &about, express.ok())?;
        let fetched = reading.sources().has_urls();
        keys.exchange(reading, || {});
        if fetched {
            threads.fetch_keys(&keys, &control, &config.zone)?;
        }
        tracing::info!(
            version = crate::about::VERSION,
            zone = about.zone,
            workers = count,
            backend = about.backend.name(),
            door_backend = about.door_backend,
            express = ?about.express,
            udp = ?about.addresses.udp,
            tcp = ?about.addresses.tcp,
            tls = ?about.addresses.tls,
            "running"
        );
        Ok(Self { about, keys, control, threads })
    }

    /// When the keys are there that must be fetched, or were asked for at least: some seconds at most.
    pub async fn ready(&self) {
        self.keys.ready().await;
    }

    /// Closes every channel and connection and ends every thread; takes two seconds at most.
    pub async fn stop(self) {
        let ended = tokio::task::spawn_blocking(move || drop(self)).await;
        if let Err(panic) = ended {
            tracing::error!(%panic, "a thread could not be ended");
        }
    }

    /// Where it listens, as really bound: in the order of the configured addresses, ports filled
    /// in.
    pub fn addresses(&self) -> &Addresses {
        &self.about.addresses
    }

    /// The daemon at this moment; workers' counts are at most a second old.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn stats(&self) -> Result<Stats, Error> {
        Ok(stats::of(&self.about, &*self.control.snapshot().await?))
    }

    /// Turns newcomers away, tells everybody to move on until the deadline, and answers at once.
    /// Media goes on.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn drain(&self, deadline: Duration) -> Result<(), Error> {
        self.control.drain(Drain { deadline, asker: Asker::Host }).await
    }

    /// As [`Daemon::drain`], for a daemon that is ended afterwards: its stats say so, and nobody
    /// calls it off.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn drain_to_end(&self, deadline: Duration) -> Result<(), Error> {
        self.control.drain(Drain { deadline, asker: Asker::End }).await
    }

    /// Takes newcomers again.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn undrain(&self) -> Result<(), Error> {
        self.control.undrain(Asker::Host).await
    }

    /// Takes certificates, token keys and DSCP of this configuration; everything else stays as it
    /// was at start. No packet and no connection is lost.
    ///
    /// # Errors
    /// A file can't be used: nothing has changed then. Or [`Error::Ended`].
    pub async fn reload(&self, config: &Config) -> Result<(), Error> {
        let Credentials { tls, verifier, keys: reading } = Credentials::load(config, &self.keys)?;
        if reading.sources().has_urls() {
            self.threads.fetch_keys(&self.keys, &self.control, &self.about.zone)?;
        }
        let reload = Reload { tls, verifier, marks: config.marks };
        self.control.reload(reload, |send| self.keys.exchange(reading, send)).await
    }

    /// A thread that has ended although nobody asked it to. The daemon can't go on well without it.
    pub fn ended(&self) -> Option<String> {
        let Threads { workers, door, control, .. } = &self.threads;
        if let Some(worker) = workers.iter().find(|worker| worker.is_finished()) {
            return Some(format!("worker {} has ended", worker.worker().0));
        }
        if door.as_ref().is_some_and(|door| !door.is_running()) {
            return Some("the stream thread has ended".to_owned());
        }
        let control_ended = control.as_ref().is_some_and(|(_, thread)| thread.is_finished());
        control_ended.then(|| "the control thread has ended".to_owned())
    }

    /// Whether every worker takes its turns: looks at their heartbeats alone.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn health(&self) -> Result<(), String> {
        match self.control.stalled(STALLED_AFTER).first() {
            None => Ok(()),
            Some((worker, age)) => {
                Err(format!("worker {} has not finished a turn for {} s", worker.0, age.as_secs()))
            }
        }
    }
}

impl Threads {
    fn new(exchange: Exchange) -> Self {
        Self {
            keys: OnceLock::new(),
            control: None,
            admin_socket: None,
            door: None,
            workers: Vec::new(),
            exchange: Arc::new(exchange),
        }
    }

    fn start_workers(
        &mut self,
        config: &Config,
        backend: Backend,
        sockets: Vec<Vec<UdpSocket>>,
    ) -> Result<Vec<Option<u32>>, Error> {
        let cores = cores(config);
        let mut pinned_to = Vec::new();
        let count = u8::try_from(sockets.len()).unwrap_or(u8::MAX);
        for (worker, sockets) in (0..count).zip(sockets) {
            let core = cores.get(usize::from(worker)).copied();
            let started = worker::start(WorkerConfig {
                core,
                sockets,
                backend,
                router: router_config(config, worker, count, self.exchange.started),
                marks: config.marks,
                exchange: Arc::clone(&self.exchange),
            });
            let started = started.map_err(|cause| {
                let remedy = "Is there memory for it? See limits and workers in mmr.toml; with io_uring see \
                              LimitMEMLOCK, or set workers.backend to \"poll\".";
                Error::system(format!("worker {worker} can't be started"), cause, remedy)
            })?;
            if core.is_some() && !started.pinned() {
                tracing::warn!(
                    worker,
                    core,
                    "the worker could not be pinned to its core: see workers.cores, and the cores this process may use"
                );
            }
            let pinned = core.filter(|_| started.pinned());
            pinned_to.push(pinned.and_then(|core| u32::try_from(core).ok()));
            self.workers.push(started);
        }
        Ok(pinned_to)
    }

    fn start_control(
        &mut self,
        config: &Config,
        (tls, verifier): (TlsConfigs, Verifier),
        about: &Arc<About>,
        express: Option<Express>,
    ) -> Result<Handle, Error> {
        let admin = config.admin_socket.as_ref().map(|path| {
            let listener = admin::listen(path)?;
            Ok::<_, Error>(Admin {
                listener,
                path: path.clone(),
                about: Arc::clone(about),
                drain_deadline: config.drain_deadline,
            })
        });
        let admin = admin.transpose()?;
        self.admin_socket = config.admin_socket.clone();
        let (handle, thread) = control::start(ControlConfig {
            exchange: Arc::clone(&self.exchange),
            meetings: MeetingsConfig {
                addresses: about.advertised.clone(),
                links: config.limits.links,
                layers: config.limits.layers,
                routes: config.limits.routes,
                participants_per_meeting: config.limits.participants_per_meeting,
            },
            tls,
            verifier,
            marks: config.marks,
            channels: config.limits.channels,
            channels_per_address: config.limits.channels_per_address,
            express,
            admin,
        })
        .map_err(|cause| {
            Error::system("the control thread can't be started", cause, "Allow more threads.")
        })?;
        self.control = Some((handle.clone(), thread));
        Ok(handle)
    }

    /// Starts the thread that fetches keys, unless it runs already.
    fn fetch_keys(&self, keys: &Arc<Keys>, control: &Handle, zone: &str) -> Result<(), Error> {
        if self.keys.get().is_some() {
            return Ok(());
        }
        let thread = KeyThread::start(keys, control, zone).map_err(|cause| {
            let remedy = "Allow more threads and open files.";
            Error::system("the thread that fetches keys can't be started", cause, remedy)
        })?;
        // Another that was started meanwhile is as good.
        let _ = self.keys.set(thread);
        Ok(())
    }

    fn stop_workers(&mut self) {
        for worker in &self.workers {
            let port = &self.exchange.workers[usize::from(worker.worker().0)];
            // A full queue of orders is emptied by the running worker.
            while !worker.is_finished() && port.orders.push(WorkerOrder::Stop).is_err() {
                port.waker.wake();
                std::thread::yield_now();
            }
            port.waker.wake();
        }
        for worker in self.workers.drain(..) {
            let id = worker.worker().0;
            if let Err(error) = worker.join() {
                tracing::error!(worker = id, %error, "the worker's network failed");
            }
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        drop(self.keys.take());
        if let Some((handle, thread)) = self.control.take() {
            handle.stop();
            // A panic was told by the panic hook already.
            let _ = thread.join();
        }
        if let Some(path) = self.admin_socket.take() {
            // Gone already when the folder is.
            let _ = std::fs::remove_file(path);
        }
        drop(self.door.take());
        self.stop_workers();
    }
}

fn unix_now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn no_backend(cause: io::Error) -> Error {
    let remedy = "Set workers.backend to \"auto\" or \"poll\", or allow io_uring \
                  (`sysctl kernel.io_uring_disabled=0`; the container's seccomp profile).";
    Error::system("io_uring can't be used, and workers.backend asks for it", cause, remedy)
}

/// The express plane's program, loaded, or why it is not used.
fn prepare_express(config: &Config) -> Result<Result<Prepared, String>, Error> {
    let limits = &config.limits;
    let sizes = Sizes { links: limits.links, layers: limits.layers, routes: limits.routes };
    match config.workers.express {
        ExpressChoice::Off => Ok(Err("it is switched off (workers.express)".to_owned())),
        choice => {
            let listen = socket_addresses(config, config.listen.media_port);
            unless_asked_for(choice, Prepared::new(sizes, &listen))
        }
    }
}

fn attach_express(
    config: &Config,
    prepared: Result<Prepared, String>,
    bound: &[SocketAddr],
) -> Result<Result<Express, String>, Error> {
    match prepared {
        Ok(prepared) => {
            unless_asked_for(config.workers.express, prepared.attach(bound, config.marks))
        }
        Err(why) => Ok(Err(why)),
    }
}

/// What is not to be had is an error only to who asks for it.
fn unless_asked_for<T>(
    choice: ExpressChoice,
    outcome: Result<T, ExpressError>,
) -> Result<Result<T, String>, Error> {
    match outcome {
        Err(error) if choice == ExpressChoice::On => Err(error.into()),
        Err(error) => {
            tracing::info!("all media stays on the sockets: {error}");
            Ok(Err(error.to_string()))
        }
        Ok(it) => Ok(Ok(it)),
    }
}

fn socket_addresses(config: &Config, port: u16) -> Vec<SocketAddr> {
    config.listen.addresses.iter().map(|address| SocketAddr::new(*address, port)).collect()
}

fn listen(config: &Config, workers: usize, marks: bool) -> Result<Listening, Error> {
    let options = SocketOptions {
        receive_buffer_bytes: config.buffers.receive,
        send_buffer_bytes: config.buffers.send,
        marks,
        ..SocketOptions::default()
    };
    let addresses = socket_addresses(config, config.listen.media_port);
    sockets::open(&addresses, workers, &options).map_err(startup::listen_error)
}

fn warn(listening: &Listening, backend: Backend, config: &Config) {
    // Each connection and channel is a file; sockets, rings and the rest are few.
    let files = u64::from(config.limits.connections) + u64::from(config.limits.channels) + 256;
    for warning in startup::warnings(listening, backend, files) {
        tracing::warn!("{warning}");
    }
}

fn start_door(
    config: &Config,
    tls: &TlsConfigs,
    exchange: &Arc<Exchange>,
) -> Result<DoorHandle, Error> {
    let door = DoorConfig {
        tcp: socket_addresses(config, config.listen.media_port),
        tls: socket_addresses(config, config.listen.tls_port),
        tls_config: Arc::clone(&tls.media),
        marks: config.marks,
        backend: config.workers.backend,
        limits: DoorLimits {
            connections: config.limits.connections as usize,
            ..DoorLimits::default()
        },
    };
    door::start(door, Arc::clone(exchange)).map_err(|error| match error {
        DoorError::Bind(error) => Error::Listen {
            what: format!("TCP {}", error.address),
            cause: error.cause,
            remedy: error.remedy,
        },
        other => Error::Door(other),
    })
}

/// The allowed cores less one, unless the operator says otherwise.
fn worker_count(config: &Config) -> usize {
    let cores = config.workers.cores.len();
    let count = match config.workers.count {
        Some(count) => usize::from(count),
        None if cores > 0 => cores,
        None => {
            let allowed = std::thread::available_parallelism().map_or(1, usize::from);
            allowed.saturating_sub(1).max(1)
        }
    };
    count.min(limits::WORKERS_MAX)
}

/// The core of each worker; none when there are fewer cores than workers, and the scheduler does
/// better.
fn cores(config: &Config) -> Vec<usize> {
    if !config.workers.cores.is_empty() {
        return config.workers.cores.clone();
    }
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    if allowed.len() <= worker_count(config) {
        return Vec::new();
    }
    // The first core is left to the control and stream threads, and to interrupts.
    allowed.into_iter().skip(1).map(|core| core.id).collect()
}

fn router_config(config: &Config, worker: u8, workers: u8, started: Instant) -> RouterConfig {
    RouterConfig {
        worker: WorkerId(worker),
        workers,
        links: config.limits.links,
        layers: config.limits.layers,
        routes: config.limits.routes,
        history_packets: config.limits.history_packets,
        started,
    }
}
