//! Which states a wall of the past is made of, and where they are read from.

use super::{
    Wall,
    staff::{Kept, Reach},
};
use crate::{
    agent,
    aggregate::{Gathered, Tracked},
    conversation::{self, Conversation},
    journal::{Journal, JournalError, subjects::Subjects},
    reporting::{ReportError, Reports},
    runtime::places::first_not_before,
    store::{CONVERSATIONS, ConversationEntry, Store, StoreError},
};
use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream};
use kefu_events::{
    AggregateKind, Commit, Timestamp,
    conversation::ConversationEvent,
    settings::TENANT_DOCUMENT,
    upcast::{DecodeError, decode_commit},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, watch},
    time::{sleep, timeout_at},
};

/// How long an answer may take: as long as somebody waits for one who asked by the bus.
const PATIENCE: Duration = Duration::from_secs(8);
/// By how much the clocks of nodes differ, at most. It is milliseconds, or something is wrong with them.
const SKEW_MS: i64 = 60_000;
/// Histories that are read at once.
const AT_ONCE: usize = 32;
/// The figures are looked at this often until they have the last commits. They are a second behind.
const LOOK: Duration = Duration::from_millis(20);

/// Why a wall cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum NoWall {
    /// There was none, or it is no longer known.
    #[error("{0}")]
    Invalid(String),
    /// There is no such tenant.
    #[error("there is no tenant {0:?}")]
    NoTenant(String),
    /// Ask again.
    #[error("{0}")]
    Behind(String),
    /// The log cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Nor the store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nor a commit.
    #[error(transparent)]
    Commit(#[from] DecodeError),
}

impl From<ReportError> for NoWall {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Invalid(message) => Self::Invalid(message),
            ReportError::NotReady => Self::Behind(error.to_string()),
            ReportError::Store(error) => Self::Store(error),
        }
    }
}

type Ask = dyn Fn(String, Timestamp) -> BoxFuture<'static, Result<Wall, NoWall>> + Send + Sync;

/// Tells walls of the past. Cheap to clone.
#[derive(Clone)]
pub struct Walls {
    ask: Arc<Ask>,
    stopped: Arc<watch::Sender<bool>>,
}

impl Walls {
    /// Tells them out of this log, with the help of what this store and these figures say of it.
    pub fn new<J: Journal>(journal: J, subjects: Arc<Subjects>, store: Store, reports: Reports) -> Self {
        let past = Arc::new(Past { journal, subjects, store, reports, kept: Mutex::default() });
        let ask: Arc<Ask> = Arc::new(move |tenant, at| {
            let past = Arc::clone(&past);
            async move { past.wall(&tenant, at).await }.boxed()
        });
        Self { ask, stopped: Arc::new(watch::Sender::new(false)) }
    }

    /// The wall of a tenant at a moment. Reads the store and folds histories: not for a thread that must not wait.
    ///
    /// # Errors
    /// See [`NoWall`].
    pub async fn at(&self, tenant: &str, at: Timestamp) -> Result<Wall, NoWall> {
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => Err(NoWall::Behind("kefu is stopping".to_owned())),
            wall = (self.ask)(tenant.to_owned(), at) => wall,
        }
    }

    /// Whoever asks is told to ask elsewhere: what reads the store is to end.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }
}

struct Past<J> {
    journal: J,
    subjects: Arc<Subjects>,
    store: Store,
    reports: Reports,
    /// One history of agents is read at a time, whoever asks: it is the expensive part.
    kept: Mutex<Kept>,
}

impl<J: Journal> Past<J> {
    async fn wall(&self, tenant: &str, at: Timestamp) -> Result<Wall, NoWall> {
        let until = Instant::now() + PATIENCE;
        let now = Timestamp::from(chrono::Utc::now());
        if at > now {
            return Err(NoWall::Invalid(format!("{at} is in the future: here it is {now}")));
        }
        let began = self.began(tenant).await?;
        if at < began {
            return Err(NoWall::Invalid(format!("tenant {tenant:?} began at {began}: there was no wall before")));
        }
        let (agents, conversations) =
            futures::try_join!(self.agents(tenant, at, until), self.conversations(tenant, at, until))?;
        Ok(Wall::of(at, began, &agents, &conversations))
    }

    /// When the tenant's settings were made, before which nothing can have happened.
    async fn began(&self, tenant: &str) -> Result<Timestamp, NoWall> {
        #[derive(Deserialize)]
        struct At {
            at: Timestamp,
        }
        let subject = self.subjects.events(tenant, AggregateKind::Settings.as_str(), TENANT_DOCUMENT);
        let history = self.journal.history(&subject, 0).await?;
        let first = history.first().ok_or_else(|| NoWall::NoTenant(tenant.to_owned()))?;
        let At { at } = serde_json::from_slice(&first.payload).map_err(DecodeError::from)?;
        Ok(at)
    }

    async fn agents(&self, tenant: &str, at: Timestamp, until: Instant) -> Result<Gathered<agent::State>, NoWall> {
        let mut now = Gathered::default();
        let (mut last, mut changed, mut damaged) = (0, false, None);
        self.store.snapshots(tenant, AggregateKind::Agent, "", |key, snapshot| {
            match read::<agent::State>(key, snapshot) {
                Ok(tracked) => {
                    last = last.max(tracked.seq);
                    changed |= tracked.at > at;
                    now.put(key.to_owned(), tracked);
                }
                Err(error) => damaged = Some(error),
            }
            damaged.is_none()
        })?;
        if let Some(error) = damaged {
            return Err(error.into());
        }
        if !changed {
            return Ok(now);
        }
        let busy = || NoWall::Behind("another moment's wall is being read; ask again in a while".to_owned());
        let mut kept = timeout_at(until.into(), self.kept.lock()).await.map_err(|_| busy())?;
        kept.check(&self.journal.position().await?);
        let after = Timestamp::from_millis(at.as_millis().saturating_add(SKEW_MS));
        let end = first_not_before(&self.journal, after).await?.saturating_sub(1);
        let filter = self.subjects.events_of_kind(tenant, AggregateKind::Agent.as_str());
        kept.read(&self.journal, tenant, &Reach { filter, at, end, last, until }).await
    }

    /// Conversations that were meant for a person then.
    async fn conversations(
        &self,
        tenant: &str,
        at: Timestamp,
        until: Instant,
    ) -> Result<Gathered<conversation::State>, NoWall> {
        let mut then = Gathered::default();
        let mut changed = Vec::new();
        for key in self.open_now(tenant)? {
            let Some(snapshot) = self.store.snapshot(tenant, AggregateKind::Conversation, &key)? else { continue };
            let tracked: Tracked<conversation::State> = read(&key, &snapshot)?;
            match tracked.state.session.as_ref().map(|session| session.opened_at) {
                // An earlier session is among the ended ones; one that has ended meanwhile will be.
                Some(opened_at) if opened_at > at => {}
                None => {}
                Some(_) if tracked.at <= at => then.put(key, tracked),
                Some(_) => changed.push(key),
            }
        }
        self.counted(until).await?;
        changed.extend(self.reports.open_at(tenant, at)?.into_iter().filter(|key| !then.knows(key)));
        changed.sort_unstable();
        changed.dedup();
        let count = changed.len();
        let histories = stream::iter(changed).map(|key| self.conversation(tenant, key, at)).buffer_unordered(AT_ONCE);
        let read = histories.try_for_each(|(key, tracked)| {
            then.put(key, tracked);
            futures::future::ok(())
        });
        let late = || NoWall::Behind(format!("{count} conversations were open then: their histories took too long"));
        timeout_at(until.into(), read).await.map_err(|_| late())??;
        Ok(then)
    }

    /// Conversations with an open session that has come to a queue.
    fn open_now(&self, tenant: &str) -> Result<Vec<String>, StoreError> {
        let mut keys = Vec::new();
        for phase in ConversationEntry::OPEN_PHASES {
            let prefix = [tenant.as_bytes(), b"/", &[phase]].concat();
            self.store.list(CONVERSATIONS.name, &prefix, &prefix, |key, value| {
                let entry = ConversationEntry::read(key, value).filter(|entry| !entry.queue.is_empty());
                keys.extend(entry.map(|entry| entry.key.to_owned()));
                true
            })?;
        }
        Ok(keys)
    }

    /// Waits until the figures have what the store has: what is not open any more must be among the ended.
    async fn counted(&self, until: Instant) -> Result<(), NoWall> {
        let projected = self.store.projected();
        while self.reports.status().seq < projected {
            if Instant::now() >= until {
                return Err(NoWall::Behind("the figures are behind the log; ask again in a while".to_owned()));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn conversation(
        &self,
        tenant: &str,
        key: String,
        at: Timestamp,
    ) -> Result<(String, Tracked<conversation::State>), NoWall> {
        let subject = self.subjects.events(tenant, AggregateKind::Conversation.as_str(), &key);
        let mut tracked = Tracked::default();
        for recorded in self.journal.history(&subject, 0).await? {
            let commit: Commit<ConversationEvent> = decode_commit(&recorded.payload)?;
            if commit.at > at {
                break;
            }
            tracked.apply::<Conversation>(&commit, recorded.seq);
        }
        Ok((key, tracked))
    }
}

fn read<S: DeserializeOwned + Serialize>(key: &str, snapshot: &[u8]) -> Result<Tracked<S>, StoreError> {
    serde_json::from_slice(snapshot).map_err(|error| StoreError::Damaged(format!("{key}: {error}")))
}
