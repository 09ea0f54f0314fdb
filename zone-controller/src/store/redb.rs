//! The store of a zone with one controller: a file.
//!
//! One thread owns the file. It takes everything that is waiting at once and makes it durable with
//! one commit, so that a burst costs no more syncs than a trickle.

use super::{Answer, Change, Order, Outcome, Place, Shared, Sighting, Store, StoreError, Wanted};
use crate::digest::digest;
use futures_util::FutureExt;
use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;
use wire::MmrId;

/// Meeting → [`Place`] as JSON.
const PLACES: TableDefinition<'_, &str, &str> = TableDefinition::new("places");
/// (Until when it is remembered, digest of the token's id) → digest of its attempt.
const USED: TableDefinition<'_, (u64, [u8; 32]), [u8; 32]> = TableDefinition::new("used");
/// MMR → [`Order`] as JSON.
const ORDERS: TableDefinition<'_, &str, &str> = TableDefinition::new("orders");

/// Requests that wait for the file; more are turned away.
const WAITING_MAX: usize = 4_096;
/// Made durable together at most.
const BATCH_MAX: usize = 512;
/// Tokens forgotten in one commit at most: what expired adds little to what came in.
const FORGOTTEN_MAX: usize = 2 * BATCH_MAX;
/// Places looked at for each change, for those nobody joined for long…
const SWEPT_PER_CHANGE: usize = 2;
/// …and in each commit at least.
const SWEPT_MIN: usize = 16;
/// After a commit of so many the next ones are on their way…
const MANY: usize = 8;
/// …and waited for: a sync costs the same for all of them.
const GATHER: Duration = Duration::from_millis(8);

/// The store in a file. Dropping it waits until everything is written.
pub struct RedbStore {
    database: Arc<Database>,
    requests: Option<SyncSender<Request>>,
    thread: Option<thread::JoinHandle<()>>,
}

enum Request {
    Commit(Box<OwnedChange>, Reply<Outcome>),
    Order(MmrId, Wanted, u64, Reply<Order>),
    Shared(Reply<Shared>),
}

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A [`Change`] on its way to the thread.
struct OwnedChange {
    /// Digests of id and attempt, and until when.
    token: Option<([u8; 32], [u8; 32], u64)>,
    meeting: String,
    from: Option<Place>,
    to: Place,
    now_s: u64,
}

impl RedbStore {
    /// Opens the file, or makes it. Meetings that nobody joined for `kept_s` are forgotten.
    ///
    /// # Errors
    /// When it can't be used: another process has it open, it is no such file, the disk is full.
    pub fn open(file: &Path, kept_s: u64) -> Result<Self, StoreError> {
        let database = Database::create(file).map_err(|cause| {
            StoreError::File(format!(
                "the store {} can't be opened: {cause}. Only one controller may use it; several need etcd",
                file.display()
            ))
        })?;
        Self::start(database, kept_s)
    }

    /// In memory alone, for benches and simulations.
    ///
    /// # Errors
    /// When there is no memory or no thread.
    pub fn in_memory(kept_s: u64) -> Result<Self, StoreError> {
        let backend = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).map_err(file_error)?;
        Self::start(database, kept_s)
    }

    fn start(database: Database, kept_s: u64) -> Result<Self, StoreError> {
        let write = database.begin_write().map_err(file_error)?;
        drop(Tables::open(&write)?);
        write.commit().map_err(file_error)?;
        let (requests, waiting) = sync_channel(WAITING_MAX);
        let database = Arc::new(database);
        let owner = Owner { database: Arc::clone(&database), kept_s, sweep: Sweep::default() };
        let thread = thread::Builder::new()
            .name("store".into())
            .spawn(move || owner.run(&waiting))
            .map_err(file_error)?;
        Ok(Self { database, requests: Some(requests), thread: Some(thread) })
    }

    fn ask<T: Send + 'static>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Answer<'_, T> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().expect("there until it is dropped");
        let sent = requests.try_send(request(reply)).map_err(|refused| match refused {
            TrySendError::Full(_) => StoreError::Unreachable("too much waits for the disk".into()),
            TrySendError::Disconnected(_) => ended(),
        });
        async move {
            sent?;
            answer.await.map_err(|_| ended())?
        }
        .boxed()
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It can't have panicked without its log having said so.
            let _ = thread.join();
        }
    }
}

impl Store for RedbStore {
    fn place_of<'a>(&'a self, meeting: &'a str) -> Answer<'a, Option<Place>> {
        // What is committed can be read beside the thread, and mostly from memory.
        std::future::ready(read_place(&self.database, meeting)).boxed()
    }

    fn commit<'a>(&'a self, change: &'a Change<'a>) -> Answer<'a, Outcome> {
        let token = change.token.map(|token| {
            (digest(token.jti.as_bytes()), digest(token.attempt.as_bytes()), token.until_s)
        });
        let change = OwnedChange {
            token,
            meeting: change.meeting.to_owned(),
            from: change.from.cloned(),
            to: change.to.clone(),
            now_s: change.now_s,
        };
        self.ask(|reply| Request::Commit(Box::new(change), reply))
    }

    fn order<'a>(&'a self, mmr: &'a MmrId, wanted: Wanted, now_ms: u64) -> Answer<'a, Order> {
        self.ask(|reply| Request::Order(mmr.clone(), wanted, now_ms, reply))
    }

    fn exchange<'a>(&'a self, _own: &'a Sighting) -> Answer<'a, Shared> {
        self.ask(Request::Shared)
    }

    fn is_shared(&self) -> bool {
        false
    }
}

/// Has the file to itself.
struct Owner {
    database: Arc<Database>,
    kept_s: u64,
    sweep: Sweep,
}

/// How far the places were looked through for those nobody joined for long.
#[derive(Default)]
struct Sweep {
    after: String,
}

/// A reply that waits for the commit.
type Settle = Box<dyn FnOnce(Result<(), StoreError>)>;

impl Owner {
    /// Until the store is dropped.
    fn run(mut self, waiting: &Receiver<Request>) {
        let mut are_many = false;
        while let Ok(first) = waiting.recv() {
            if are_many {
                thread::sleep(GATHER);
            }
            let batch: Vec<_> =
                std::iter::once(first).chain(waiting.try_iter()).take(BATCH_MAX).collect();
            are_many = batch.len() >= MANY;
            self.commit(batch);
        }
    }

    /// Makes all of a batch durable, then answers.
    fn commit(&mut self, batch: Vec<Request>) {
        let mut settles: Vec<Settle> = Vec::with_capacity(batch.len());
        let done = self.database.begin_write().map_err(file_error).and_then(|write| {
            let mut tables = Tables::open(&write)?;
            let now_s = batch.iter().filter_map(Request::now_s).max();
            let looks = (batch.len() * SWEPT_PER_CHANGE).max(SWEPT_MIN);
            for request in batch {
                settles.push(request.apply(&mut tables));
            }
            if let Some(now_s) = now_s {
                tables.forget_tokens(now_s)?;
                let before_s = now_s.saturating_sub(self.kept_s);
                self.sweep.forget_places(&mut tables, before_s, looks)?;
            }
            drop(tables);
            write.commit().map_err(file_error)
        });
        if let Err(error) = &done {
            tracing::error!(%error, "the store can't be written: is the disk full?");
        }
        let failed = done.err().map(|error| error.to_string());
        for settle in settles {
            settle(failed.clone().map_or(Ok(()), |cause| Err(StoreError::File(cause))));
        }
    }
}

impl Request {
    fn now_s(&self) -> Option<u64> {
        match self {
            Self::Commit(change, _) => Some(change.now_s),
            Self::Order(..) | Self::Shared(_) => None,
        }
    }

    fn apply(self, tables: &mut Tables<'_>) -> Settle {
        fn settle<T: 'static>(done: Result<T, StoreError>, reply: Reply<T>) -> Settle {
            // Who asked may be gone.
            Box::new(move |committed| drop(reply.send(committed.and(done))))
        }
        match self {
            Self::Commit(change, reply) => settle(change.apply(tables), reply),
            Self::Order(mmr, wanted, now_ms, reply) => {
                settle(tables.order(&mmr, wanted, now_ms), reply)
            }
            Self::Shared(reply) => settle(tables.shared(), reply),
        }
    }
}

impl OwnedChange {
    fn apply(&self, tables: &mut Tables<'_>) -> Result<Outcome, StoreError> {
        let Tables { places, used: tokens, .. } = tables;
        if let Some((jti, attempt, until_s)) = self.token {
            let used = tokens.get((until_s, jti)).map_err(file_error)?.map(|used| used.value());
            if used.is_some_and(|used| used != attempt) {
                return Ok(Outcome::TokenUsed);
            }
        }
        let written = places.get(self.meeting.as_str()).map_err(file_error)?;
        let found = written.map(|text| parse(&self.meeting, text.value())).transpose()?;
        if found != self.from {
            return Ok(Outcome::Moved(found));
        }
        if let Some((jti, attempt, until_s)) = self.token {
            tokens.insert((until_s, jti), attempt).map_err(file_error)?;
        }
        if self.from.as_ref() != Some(&self.to) {
            let text = json(&self.to);
            places.insert(self.meeting.as_str(), text.as_str()).map_err(file_error)?;
        }
        Ok(Outcome::Done)
    }
}

fn read_place(database: &Database, meeting: &str) -> Result<Option<Place>, StoreError> {
    let read = database.begin_read().map_err(file_error)?;
    let places = read.open_table(PLACES).map_err(file_error)?;
    let written = places.get(meeting).map_err(file_error)?;
    written.map(|text| parse(meeting, text.value())).transpose()
}

/// All tables, open for one commit.
struct Tables<'a> {
    places: Table<'a, &'static str, &'static str>,
    used: Table<'a, (u64, [u8; 32]), [u8; 32]>,
    orders: Table<'a, &'static str, &'static str>,
}

impl<'a> Tables<'a> {
    fn open(write: &'a WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            places: write.open_table(PLACES).map_err(file_error)?,
            used: write.open_table(USED).map_err(file_error)?,
            orders: write.open_table(ORDERS).map_err(file_error)?,
        })
    }

    fn order(&mut self, mmr: &MmrId, wanted: Wanted, now_ms: u64) -> Result<Order, StoreError> {
        let written = self.orders.get(mmr.as_str()).map_err(file_error)?;
        let last = written.map(|text| parse(mmr.as_str(), text.value())).transpose()?;
        let order = Order::after(last, wanted, now_ms);
        self.orders.insert(mmr.as_str(), json(&order).as_str()).map_err(file_error)?;
        Ok(order)
    }

    fn shared(&self) -> Result<Shared, StoreError> {
        let mut shared = Shared::default();
        for entry in self.orders.iter().map_err(file_error)? {
            let (mmr, text) = entry.map_err(file_error)?;
            let corrupt = |cause: wire::ids::BadMmrId| StoreError::Corrupt {
                key: mmr.value().to_owned(),
                cause: cause.to_string(),
            };
            let id = MmrId::try_from(mmr.value().to_owned()).map_err(corrupt)?;
            shared.orders.insert(id, parse(mmr.value(), text.value())?);
        }
        shared.meetings = self.places.len().map_err(file_error)?;
        Ok(shared)
    }

    /// Tokens that nobody would take any more need not be remembered.
    fn forget_tokens(&mut self, now_s: u64) -> Result<(), StoreError> {
        for _ in 0..FORGOTTEN_MAX {
            let first = self.used.first().map_err(file_error)?.map(|(key, _)| key.value());
            if first.is_none_or(|(until_s, _)| until_s >= now_s) {
                break;
            }
            self.used.pop_first().map_err(file_error)?;
        }
        Ok(())
    }
}

impl Sweep {
    /// Looks at a few places more, round and round.
    fn forget_places(
        &mut self,
        tables: &mut Tables<'_>,
        before_s: u64,
        looks: usize,
    ) -> Result<(), StoreError> {
        let places = &mut tables.places;
        let mut old = Vec::new();
        let mut looked = 0;
        let after = std::mem::take(&mut self.after);
        for entry in places.range(after.as_str()..).map_err(file_error)?.take(looks) {
            let (meeting, text) = entry.map_err(file_error)?;
            looked += 1;
            meeting.value().clone_into(&mut self.after);
            // One that can't be read is left for whoever can.
            let place = parse::<Place>(meeting.value(), text.value());
            if place.is_ok_and(|place| place.renewed_s < before_s) {
                old.push(meeting.value().to_owned());
            }
        }
        if looked < looks {
            self.after.clear();
        }
        for meeting in old {
            places.remove(meeting.as_str()).map_err(file_error)?;
        }
        Ok(())
    }
}

fn json(record: &impl serde::Serialize) -> String {
    serde_json::to_string(record).expect("records are plain JSON")
}

fn parse<T: serde::de::DeserializeOwned>(key: &str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text)
        .map_err(|cause| StoreError::Corrupt { key: key.to_owned(), cause: cause.to_string() })
}

fn ended() -> StoreError {
    StoreError::File("the store's thread has ended: its log says why".into())
}

fn file_error(cause: impl std::fmt::Display) -> StoreError {
    StoreError::File(format!("the store's file: {cause}"))
}
