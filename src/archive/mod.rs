//! The archive: finds what was ever said, by customers, agents and bots, over the whole history.
//!
//! A task follows the log from where the index was last committed, and a thread of low priority takes the messages in: it
//! may be behind while the engine is busy, and says by how much. The store goes first: the archive begins when it has reached
//! the log's end, and takes from then on what the store reads, so that the log is read and decoded once. Index and place in the log are committed together, so that a
//! message is in it once. An index that is damaged, or of another log, or of a log that went back, is deleted and built
//! anew.
//!
//! This folder may not know how an index works, nor who may read what: whoever asks has been asked for permission.

#[cfg(test)]
mod tests;

use crate::{
    aggregate::Tracked,
    conversation,
    journal::{Journal, JournalError, Recorded},
    runtime::{
        follow::{FollowError, Portion, follow},
        polite::politely,
    },
    search::{
        lexical::IndexError,
        messages::{self, Hits, Message, MessageIndex, MessageReader, Wanted},
    },
    store::{DecodedCommit, Store},
};
use kefu_events::{AggregateKind, AuthorKind, Commit, Content, conversation::ConversationEvent, upcast::decode_commit};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    num::NonZeroUsize,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// Portions of commits on their way to the index. Beyond that the log waits where it is.
const ON_THE_WAY: usize = 16;
/// Between two commits of the index: each costs some milliseconds of the disk, and nobody looks for what was said a second ago.
const COMMIT_EVERY: Duration = Duration::from_secs(1);
/// The same while there is much to be taken in: fewer segments, which are merged less often.
const COMMIT_EVERY_BUSY: Duration = Duration::from_secs(5);
/// Commits of the log since the index was last committed that are counted as much.
const BUSY: usize = 2_000;
/// The same while the index is far behind, where nobody sees it anyway: fewer and larger segments.
const COMMIT_EVERY_BEHIND: Duration = Duration::from_secs(10);
/// Commits of the log that are counted as far behind.
const FAR_BEHIND: u64 = 100_000;
/// After a failure of the bus or of the disk.
const PAUSE: Duration = Duration::from_secs(1);
/// Conversations whose channel is remembered: received messages do not name it.
const CHANNELS: NonZeroUsize = NonZeroUsize::new(65_536).expect("is not zero");

/// Where the index stands in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// Of the documents: see [`messages::VERSION`].
    version: u32,
    /// Which log: see [`LogPosition`](crate::journal::LogPosition).
    identity: String,
    /// The last commit that is in the index.
    seq: u64,
    /// Its id: a log that went back and grew again has another there.
    commit_id: String,
}

/// How far the archive is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ArchiveStatus {
    /// The last commit whose messages can be found.
    pub seq: u64,
    /// The last commit of the log when the archive was opened: until then it is being built.
    pub end: u64,
}

/// Finds messages. Cheap to clone.
#[derive(Clone, Default)]
pub struct Archive(Arc<Mutex<Shown>>);

#[derive(Default)]
struct Shown {
    reader: Option<MessageReader>,
    status: ArchiveStatus,
}

/// The archive's tasks.
pub struct ArchiveTask {
    archive: Archive,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Archive {
    /// Messages of a tenant; `None`: the index is not open yet.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn find(&self, tenant: &str, wanted: &Wanted<'_>) -> Result<Option<Hits>, IndexError> {
        let reader = self.lock().reader.clone();
        reader.map(|reader| reader.find(tenant, wanted)).transpose()
    }

    /// How far it is.
    pub fn status(&self) -> ArchiveStatus {
        self.lock().status.clone()
    }

    /// What is behind this lock is whole after every change: a poisoned one is of no meaning.
    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ArchiveTask {
    /// Starts it. The index is kept in `dir`, which can be deleted at any time.
    pub fn start<J: Journal>(journal: J, store: Store, dir: PathBuf) -> Self {
        let archive = Archive::default();
        let (stop, stopped) = watch::channel(false);
        let follower = Follower { journal, store, dir, archive: archive.clone(), stopped };
        let task = tokio::spawn(follower.run());
        Self { archive, stop, task }
    }

    /// Finds messages.
    pub fn archive(&self) -> Archive {
        self.archive.clone()
    }

    /// Commits what is on its way, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.task.await;
    }
}

struct Follower<J> {
    journal: J,
    store: Store,
    dir: PathBuf,
    archive: Archive,
    stopped: watch::Receiver<bool>,
}

/// Why following ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the indexing thread has ended")]
    Thread,
    #[error(transparent)]
    Follow(#[from] FollowError),
}

impl<J: Journal> Follower<J> {
    async fn run(mut self) {
        loop {
            match self.follow().await {
                Ok(()) => break,
                Err(error) => tracing::warn!(%error, "the search over messages is behind; tries again"),
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = self.stopped.changed() => break,
            }
        }
    }

    /// Until it is told to stop.
    async fn follow(&mut self) -> Result<(), Broken> {
        let position = self.journal.position().await?;
        let (index, place) = self.open(&position.identity, position.last).await?;
        let after = place.as_ref().map_or(0, |place| place.seq);
        {
            let mut shown = self.archive.lock();
            shown.reader = Some(index.reader());
            shown.status = ArchiveStatus { seq: after, end: position.last };
        }
        if position.last > after + FAR_BEHIND {
            tracing::info!(from = after, to = position.last, "messages are taken into the search");
        }
        let end = position.last;
        let (send, receive) = mpsc::channel(ON_THE_WAY);
        let indexer = Indexer {
            index,
            store: self.store.clone(),
            archive: self.archive.clone(),
            identity: position.identity,
            end: position.last,
            channels: LruCache::new(CHANNELS),
            last: None,
            handle: Handle::current(),
        };
        let mut projected = self.store.watch_projected();
        let thread = politely("archive", move || indexer.run(receive))?;
        let mut stopped = self.stopped.clone();
        let ended = tokio::select! {
            biased;
            _ = stopped.changed() => Ok(()),
            Err(error) = async {
                // Nobody can be served before the store is there, and everybody without the archive.
                projected.wait_for(|seq| *seq >= end).await.map_err(|_| FollowError::ReadAnew)?;
                follow(&self.journal, &self.store, after, &send).await
            } => Err(error.into()),
        };
        drop(send);
        // What is on its way is committed first.
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        match joined {
            Ok(Ok(Err(error))) => Err(error.into()),
            Ok(Ok(Ok(()))) => ended,
            _ => Err(Broken::Thread),
        }
    }

    /// The index and where it stands; a new one, where the old one is damaged or of another log.
    async fn open(&self, identity: &str, last: u64) -> Result<(MessageIndex, Option<Place>), Broken> {
        match self.open_index().await? {
            Ok(index) => {
                // Documents are committed with a note only, so that one without a note is empty.
                let Some(note) = index.note()? else { return Ok((index, None)) };
                let Ok(place) = serde_json::from_str::<Place>(&note) else {
                    return Ok((self.anew("it does not say where it stands").await?, None));
                };
                if place.version != messages::VERSION {
                    return Ok((self.anew("it is of another version").await?, None));
                }
                if place.identity != identity || place.seq > last {
                    return Ok((self.anew("it is of another log").await?, None));
                }
                // What is archived away cannot be compared any more; then the sequence alone must do.
                let commit = self.journal.read(place.seq).await?;
                if commit.is_some_and(|commit| commit_id(&commit) != Some(place.commit_id.clone())) {
                    return Ok((self.anew("the log went back").await?, None));
                }
                Ok((index, Some(place)))
            }
            Err(error) => Ok((self.anew(&error.to_string()).await?, None)),
        }
    }

    async fn anew(&self, why: &str) -> Result<MessageIndex, Broken> {
        tracing::warn!(why, "the search over messages is built anew");
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(self.open_index().await??)
    }

    /// On a thread of its own: it reads all files, and the threads that merge them later inherit its priority.
    async fn open_index(&self) -> Result<Result<MessageIndex, IndexError>, Broken> {
        let dir = self.dir.clone();
        let (opened, index) = oneshot::channel();
        politely("archive", move || drop(opened.send(MessageIndex::open(&dir))))?;
        index.await.map_err(|_| Broken::Thread)
    }
}

fn commit_id(recorded: &Recorded) -> Option<String> {
    #[derive(Deserialize)]
    struct Id {
        commit_id: String,
    }
    serde_json::from_slice(&recorded.payload).ok().map(|Id { commit_id }| commit_id)
}

/// The thread that takes messages in.
struct Indexer {
    index: MessageIndex,
    store: Store,
    archive: Archive,
    identity: String,
    end: u64,
    channels: LruCache<(String, String), String>,
    /// Taken in, and not committed.
    last: Option<(u64, String)>,
    handle: Handle,
}

impl Indexer {
    fn run(mut self, mut receive: mpsc::Receiver<Portion>) -> Result<(), IndexError> {
        let mut committed = Instant::now();
        let (mut wait, mut taken) = (COMMIT_EVERY, 0);
        loop {
            let left = wait.saturating_sub(committed.elapsed());
            let next = match (receive.try_recv(), &self.last) {
                (Ok(portion), _) => Some(portion),
                // Nothing to be committed in time.
                (Err(_), None) => receive.blocking_recv(),
                (Err(_), Some(_)) => {
                    let next = self.handle.block_on(async { tokio::time::timeout(left, receive.recv()).await });
                    let Ok(next) = next else {
                        self.commit()?;
                        continue;
                    };
                    next
                }
            };
            let Some(portion) = next else { break };
            if self.last.is_none() {
                (committed, taken) = (Instant::now(), 0);
            }
            match portion {
                Portion::Read(recorded) => {
                    taken += recorded.len();
                    recorded.iter().try_for_each(|one| self.take_in(one))?;
                }
                Portion::Folded(commits, known) => {
                    taken += commits.len() - known;
                    commits[known..].iter().try_for_each(|one| self.take_folded(one))?;
                }
            }
            let seq = self.last.as_ref().map_or(0, |last| last.0);
            wait = match seq + FAR_BEHIND < self.end {
                true => COMMIT_EVERY_BEHIND,
                false if taken > BUSY => COMMIT_EVERY_BUSY,
                false => COMMIT_EVERY,
            };
            if committed.elapsed() >= wait {
                self.commit()?;
            }
        }
        self.commit()
    }

    fn commit(&mut self) -> Result<(), IndexError> {
        let Some((seq, commit_id)) = self.last.take() else { return Ok(()) };
        let place = Place { version: messages::VERSION, identity: self.identity.clone(), seq, commit_id };
        // Cannot fail: a struct of texts and numbers.
        self.index.commit(&serde_json::to_string(&place).unwrap_or_default())?;
        self.archive.lock().status.seq = seq;
        Ok(())
    }

    fn take_in(&mut self, recorded: &Recorded) -> Result<(), IndexError> {
        let conversation = format!(".{}.", AggregateKind::Conversation);
        let commit = if recorded.subject.contains(&conversation) {
            // What no version of kefu wrote, or a newer one, says nothing here.
            decode_commit::<ConversationEvent>(&recorded.payload).ok()
        } else {
            None
        };
        if let Some(commit) = &commit {
            self.add(commit)?;
        }
        let id = commit.map(|commit| commit.commit_id).or_else(|| commit_id(recorded));
        self.last = Some((recorded.seq, id.unwrap_or_default()));
        Ok(())
    }

    fn take_folded(&mut self, commit: &DecodedCommit) -> Result<(), IndexError> {
        if let Some(commit) = commit.events_of::<ConversationEvent>() {
            self.add(commit)?;
        }
        let id = commit.header().map_or("", |header| header.commit_id);
        self.last = Some((commit.seq, id.to_owned()));
        Ok(())
    }

    fn add(&mut self, commit: &Commit<ConversationEvent>) -> Result<(), IndexError> {
        let is_edit = commit.events.iter().any(|event| matches!(event, ConversationEvent::MessageEdited { .. }));
        for message in messages_of(commit) {
            let message = Message { channel: self.channel(commit, &message.channel), ..message };
            // What it takes the place of is looked for in every segment, and there is something for an edit only.
            if is_edit { self.index.replace(&message)? } else { self.index.add(&message)? }
        }
        Ok(())
    }

    /// The channel of a conversation: named by this commit, known from an earlier one, or out of the store.
    fn channel(&mut self, commit: &Commit<ConversationEvent>, named: &str) -> String {
        let key = (commit.tenant.clone(), commit.key.clone());
        if !named.is_empty() {
            self.channels.put(key, named.to_owned());
            return named.to_owned();
        }
        if let Some(known) = self.channels.get(&key) {
            return known.clone();
        }
        let snapshot = self.store.snapshot(&key.0, AggregateKind::Conversation, &key.1).ok().flatten();
        let state = snapshot.and_then(|json| serde_json::from_slice::<Tracked<conversation::State>>(&json).ok());
        let channel = state.map(|tracked| tracked.state.channel).unwrap_or_default();
        if !channel.is_empty() {
            self.channels.put(key, channel.clone());
        }
        channel
    }
}

/// The messages of a commit, with the channel where it is named.
fn messages_of(commit: &Commit<ConversationEvent>) -> Vec<Message> {
    use ConversationEvent as Event;
    let named = commit.events.iter().find_map(|event| match event {
        Event::SessionOpened { channel, .. }
        | Event::MessageSent { channel, .. }
        | Event::CustomerChanged { channel, .. } => Some(channel.clone()),
        _ => None,
    });
    let channel = named.unwrap_or_default();
    let message = |id: &str, session: u32, author, author_id: Option<&String>, text: &str| Message {
        tenant: commit.tenant.clone(),
        id: id.to_owned(),
        conversation: commit.key.clone(),
        session,
        channel: channel.clone(),
        author,
        author_id: author_id.cloned(),
        at_ms: commit.at.as_millis(),
        text: text.to_owned(),
    };
    let found = commit.events.iter().enumerate().filter_map(|(index, event)| match event {
        Event::MessageReceived { session, message: received, .. } => {
            Some(message(&received.id, *session, "customer", None, &text_of(&received.content)?))
        }
        Event::MessageEdited { of, text, .. } => Some(message(of, 0, "customer", None, text)),
        Event::MessageSent { session, id, author, content, .. } => {
            let kind = match author.kind {
                AuthorKind::Bot => "bot",
                AuthorKind::Agent => "agent",
                AuthorKind::System => "system",
            };
            Some(message(id, *session, kind, author.id.as_ref(), &text_of(content)?))
        }
        Event::Noted { by, text, .. } => {
            Some(message(&format!("{}-{index}", commit.commit_id), 0, "note", Some(by), text))
        }
        _ => None,
    });
    found.filter(|message| !message.text.trim().is_empty()).collect()
}

/// What of a message can be looked for.
fn text_of(content: &Content) -> Option<String> {
    match content {
        Content::Text { text } => Some(text.clone()),
        Content::Image(file) | Content::File(file) => Some(file.name.clone()),
        Content::Card { title, .. } => Some(title.clone()),
        Content::Event { .. } | Content::Edit { .. } | Content::Receipt { .. } | Content::Left => None,
    }
}
