//! The meetings: in SQLite on this host, or in PostgreSQL for several instances. The queries are the
//! same.

use crate::config::Store as Choice;
use crate::limits::{STORE_CONNECTIONS, STORE_PATIENCE};
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyPool, Row};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Every type and word of it is known to both databases.
const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS meetings (
    number TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    passcode TEXT NOT NULL,
    created_s BIGINT NOT NULL,
    ended_s BIGINT,
    zone TEXT,
    settled_s BIGINT
)";
/// PostgreSQL may refuse one of two instances that make the same table at once.
const SCHEMA_TRIES: usize = 3;

/// Where meetings are kept.
pub struct Store {
    pool: AnyPool,
}

/// A meeting as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meeting {
    /// Its number.
    pub number: String,
    /// Its title.
    pub title: String,
    /// What is kept of its passcode.
    pub passcode: String,
    /// When it was created, Unix seconds.
    pub created_s: i64,
    /// When it was ended.
    pub ended_s: Option<i64>,
    /// Where it is, once somebody has settled for a zone.
    pub home: Option<Home>,
}

/// Where a meeting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The zone.
    pub zone: String,
    /// When somebody last settled for it, Unix seconds.
    pub settled_s: i64,
}

/// A meeting is to be in a zone.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The meeting.
    pub number: &'a str,
    /// Where it was when this was decided; empty for nowhere.
    pub from: &'a str,
    /// Where it is to be: the same to say so again.
    pub to: &'a str,
    /// The time, Unix seconds.
    pub now_s: i64,
    /// What was settled before then is forgotten.
    pub forgotten_s: i64,
}

/// The store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It said why.
    #[error("the database says: {0}")]
    Database(#[from] sqlx::Error),
    /// It said nothing in time.
    #[error("the database did not answer in time")]
    TimedOut,
}

impl Store {
    /// Opens what the configuration asks for, and makes its table if there is none.
    ///
    /// # Errors
    /// When it can't be reached or is none of ours.
    pub async fn open(choice: &Choice, url: &str) -> Result<Self, StoreError> {
        sqlx::any::install_default_drivers();
        let embedded = matches!(choice, Choice::Sqlite(_));
        let options = AnyPoolOptions::new()
            .max_connections(STORE_CONNECTIONS)
            .acquire_timeout(STORE_PATIENCE)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    if embedded {
                        // Readers don't wait for writers.
                        sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await?;
                        sqlx::query("PRAGMA busy_timeout = 2000").execute(connection).await?;
                    }
                    Ok(())
                })
            });
        let pool = options.connect(url).await?;
        let mut tried = in_time(sqlx::query(SCHEMA).execute(&pool)).await;
        for _ in 1..SCHEMA_TRIES {
            if tried.is_ok() {
                break;
            }
            sleep(Duration::from_millis(100)).await;
            tried = in_time(sqlx::query(SCHEMA).execute(&pool)).await;
        }
        tried?;
        Ok(Self { pool })
    }

    /// Keeps a new meeting; false when its number is taken.
    ///
    /// # Errors
    /// So with all others: when the database does not do it.
    pub async fn create(&self, meeting: &Meeting) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "INSERT INTO meetings (number, title, passcode, created_s) VALUES ($1, $2, $3, $4)
             ON CONFLICT (number) DO NOTHING",
        )
        .bind(meeting.number.clone())
        .bind(meeting.title.clone())
        .bind(meeting.passcode.clone())
        .bind(meeting.created_s);
        let done = in_time(query.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// The meeting of this number, ended or not.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn find(&self, number: &str) -> Result<Option<Meeting>, StoreError> {
        let query = sqlx::query("SELECT * FROM meetings WHERE number = $1").bind(number.to_owned());
        let row = in_time(query.fetch_optional(&self.pool)).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// At most so many meetings behind this number, in the order of their numbers.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn list(&self, after: &str, most: i64) -> Result<Vec<Meeting>, StoreError> {
        let text = "SELECT * FROM meetings WHERE number > $1 ORDER BY number LIMIT $2";
        let query = sqlx::query(text).bind(after.to_owned()).bind(most);
        let rows = in_time(query.fetch_all(&self.pool)).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Puts a meeting into a zone; false when it has ended, or somebody else was first and it is in
    /// another zone than was thought. Of several that ask at once one is first: PostgreSQL looks at the
    /// condition again when it has waited for another's update of the same row, SQLite writes one after the other.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn settle(&self, asked: Move<'_>) -> Result<bool, StoreError> {
        let query = sqlx::query(
            "UPDATE meetings SET zone = $1, settled_s = $2
             WHERE number = $3 AND ended_s IS NULL
             AND (zone IS NULL OR zone = $4 OR settled_s < $5)",
        )
        .bind(asked.to.to_owned())
        .bind(asked.now_s)
        .bind(asked.number.to_owned())
        .bind(asked.from.to_owned())
        .bind(asked.forgotten_s);
        let done = in_time(query.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a meeting; false when there is none of this number. One that has ended stays as it is.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn end(&self, number: &str, now_s: i64) -> Result<bool, StoreError> {
        let query =
            sqlx::query("UPDATE meetings SET ended_s = COALESCE(ended_s, $1) WHERE number = $2")
                .bind(now_s)
                .bind(number.to_owned());
        let done = in_time(query.execute(&self.pool)).await?;
        Ok(done.rows_affected() == 1)
    }

    /// Writes what is left to be written, and closes; a database that does not answer is left.
    pub async fn close(&self) {
        let _ = timeout(STORE_PATIENCE, self.pool.close()).await;
    }
}

fn read(row: &sqlx::any::AnyRow) -> Result<Meeting, sqlx::Error> {
    let zone: Option<String> = row.try_get("zone")?;
    let settled_s: Option<i64> = row.try_get("settled_s")?;
    Ok(Meeting {
        number: row.try_get("number")?,
        title: row.try_get("title")?,
        passcode: row.try_get("passcode")?,
        created_s: row.try_get("created_s")?,
        ended_s: row.try_get("ended_s")?,
        home: zone.zip(settled_s).map(|(zone, settled_s)| Home { zone, settled_s }),
    })
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, StoreError> {
    timeout(STORE_PATIENCE, asked).await.map_err(|_| StoreError::TimedOut)?.map_err(Into::into)
}
