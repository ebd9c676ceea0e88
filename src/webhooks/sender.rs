//! One webhook: reads the log from where it stands, and delivers commit by commit.

use super::{
    delivery::{self, Delivery, Failure},
    record::{self, Failing, Outcome, Record, WebhookError, now},
};
use crate::journal::{Journal, Recorded};
use futures::StreamExt;
use kefu_events::{AggregateKind, Timestamp, webhook::WebhookSettings};
use rand::RngExt;
use reqwest::Client;
use serde::Deserialize;
use serde_json::json;
use std::{
    borrow::Cow,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How often progress is written, and looked whether somebody said something about the webhook. What was delivered since is
/// delivered again after a crash.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks it is looked whether the place is still one in this log.
const LOOKS_PER_CHECK: u32 = 30;
/// After a failure of the bus.
const PAUSE: Duration = Duration::from_secs(1);
/// Commits that are gone back where the log lost its end and grew otherwise: more than are written between two looks. Receivers
/// know those that they have had by their ids.
const GONE_BACK: u64 = 50_000;

/// One webhook of one tenant.
pub(super) struct Sender<J> {
    pub journal: J,
    /// The tenant's subjects in the log.
    pub subjects: String,
    /// Subject of the settings document's commits.
    pub document: String,
    pub tenant: String,
    pub name: String,
    pub settings: WebhookSettings,
    pub client: Client,
    /// Whether private addresses are allowed.
    pub private: bool,
}

/// Why reading the log ended.
enum End {
    /// Somebody said where to go on.
    Elsewhere,
    /// The log's reader ended.
    Lost,
}

/// As much of a commit as decides whether it is wanted.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    commit_id: Cow<'a, str>,
    aggregate: AggregateKind,
    #[serde(borrow)]
    events: Vec<EventType<'a>>,
}

#[derive(Deserialize)]
struct EventType<'a> {
    #[serde(borrow, rename = "type")]
    name: Cow<'a, str>,
}

/// What the sender knows of its webhook.
struct Held {
    record: Record,
    revision: u64,
    /// Whether there is progress that is not written.
    dirty: bool,
}

impl<J: Journal> Sender<J> {
    /// Delivers until it is told to stop; then it writes down how far it got.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut held = None;
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.go_on(&mut held) => {}
        }
        if let Some(held) = &mut held
            && held.dirty
            && let Err(error) = self.look(held).await
        {
            tracing::debug!(%error, webhook = self.name, "some commits will be delivered again");
        }
    }

    async fn go_on(&self, held: &mut Option<Held>) {
        loop {
            match self.follow(held).await {
                Ok(End::Elsewhere) => tracing::info!(tenant = self.tenant, webhook = self.name, "goes on elsewhere"),
                Ok(End::Lost) => tokio::time::sleep(PAUSE).await,
                Err(error) => {
                    tracing::debug!(%error, tenant = self.tenant, webhook = self.name, "a webhook waits for the bus");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn follow(&self, held: &mut Option<Held>) -> Result<End, WebhookError> {
        let held = match held {
            // Progress that could not be written is not forgotten.
            Some(held) => {
                self.look(held).await?;
                held
            }
            None => held.insert(self.begin().await?),
        };
        self.find_place(held).await?;
        let mut commits = self.journal.tail(held.record.seq, Some(self.subjects.clone())).await?;
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut looked = 0;
        loop {
            tokio::select! {
                biased;
                _ = looks.tick() => {
                    if self.look(held).await? {
                        return Ok(End::Elsewhere);
                    }
                    looked += 1;
                    // The reader heals itself, and would wait beyond the end of a log that has lost it.
                    let before = held.record.seq;
                    if looked % LOOKS_PER_CHECK == 0 {
                        self.find_place(held).await?;
                    }
                    if held.record.seq != before {
                        return Ok(End::Lost);
                    }
                }
                commit = commits.next() => {
                    let Some(commit) = commit else { return Ok(End::Lost) };
                    if self.take(held, &commit?).await? {
                        return Ok(End::Elsewhere);
                    }
                }
            }
        }
    }

    /// The record; a webhook that was set without one begins where the settings document changed last.
    async fn begin(&self) -> Result<Held, WebhookError> {
        loop {
            if let Some((record, revision)) = record::load(&self.journal, &self.tenant, &self.name).await? {
                return Ok(Held { record, revision, dirty: false });
            }
            let (log, set) = (self.journal.position().await?, self.journal.last(&self.document).await?);
            let record = Record::new(&log, set.map_or(log.last, |commit| commit.seq))?;
            let name = record::note_name(&self.tenant, &self.name);
            // If somebody else was quicker, theirs is read.
            self.journal.put_note(&name, 0, record.to_bytes()).await?;
        }
    }

    /// Makes sure that the place is one in this log.
    async fn find_place(&self, held: &mut Held) -> Result<(), WebhookError> {
        let (log, record) = (self.journal.position().await?, &mut held.record);
        if record.log != log.identity {
            tracing::warn!(
                tenant = self.tenant,
                webhook = self.name,
                "the log is another one: it is sent from its start"
            );
            (record.log, record.seq, record.last_commit) = (log.identity, 0, None);
            held.dirty = true;
            return Ok(());
        }
        let there = self.journal.read(record.seq).await?;
        let id =
            there.as_ref().and_then(|commit| Some(serde_json::from_slice::<Head<'_>>(&commit.payload).ok()?.commit_id));
        let went_back = match (&record.last_commit, id) {
            (Some(known), Some(id)) => id != known.as_str(),
            // One that was archived is taken to be right.
            (_, None) => record.seq > log.last,
            (None, Some(_)) => false,
        };
        if went_back {
            tracing::warn!(tenant = self.tenant, webhook = self.name, "the log lost its end: some is sent again");
            record.seq = record.seq.min(log.last).saturating_sub(GONE_BACK);
            record.last_commit = None;
            held.dirty = true;
        }
        Ok(())
    }

    /// Delivers a commit if it is wanted. `true`: somebody said where to go on.
    async fn take(&self, held: &mut Held, commit: &Recorded) -> Result<bool, WebhookError> {
        // What this version cannot read is nobody's commit; the store counts it.
        let Ok(head) = serde_json::from_slice::<Head<'_>>(&commit.payload) else { return Ok(false) };
        let wanted = self.settings.wants(head.aggregate, head.events.iter().map(|event| &*event.name));
        if wanted && self.deliver(held, commit, &head).await? {
            return Ok(true);
        }
        // It failed, and is not wanted any more.
        held.record.failing.take_if(|failing| failing.seq <= commit.seq);
        held.record.seq = commit.seq;
        held.record.last_commit = Some(head.commit_id.into_owned());
        held.dirty = true;
        Ok(false)
    }

    /// Tries until it is taken. `true`: somebody said where to go on.
    async fn deliver(&self, held: &mut Held, commit: &Recorded, head: &Head<'_>) -> Result<bool, WebhookError> {
        let id = delivery::id_of(&self.tenant, &self.name, &head.commit_id);
        loop {
            // After a crash it goes on counting.
            let earlier = held.record.failing.as_ref().filter(|failing| failing.seq == commit.seq);
            let attempt = earlier.map_or(0, |failing| failing.attempts) + 1;
            let body = body(&id, &self.name, commit.seq, &commit.payload);
            match self.send(&held.record, &id, attempt, body).await {
                Ok(_) => {
                    if let Some(failing) = held.record.failing.take() {
                        let (tenant, webhook, since) = (&self.tenant, &self.name, failing.since);
                        tracing::info!(tenant, webhook, %since, "a webhook gets through again");
                    }
                    held.record.delivered += 1;
                    held.record.delivered_at = Some(now());
                    return Ok(false);
                }
                Err(failure) => {
                    if self.wait(held, commit.seq, attempt, failure).await? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    async fn send(&self, record: &Record, id: &str, attempt: u64, body: String) -> Result<u16, Failure> {
        let delivery = Delivery { id, webhook: &self.name, attempt, body };
        delivery::send(&self.client, &self.settings.url, self.private, record.secrets(now()), delivery).await
    }

    /// Writes a failure down and waits for the next attempt. `true`: somebody said where to go on.
    async fn wait(&self, held: &mut Held, seq: u64, attempts: u64, failure: Failure) -> Result<bool, WebhookError> {
        let wait = delivery::pause(attempts, failure.retry_after, rand::rng().random());
        let ms = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
        let next_at = Timestamp::from_millis(now().as_millis().saturating_add(ms));
        let since = held.record.failing.as_ref().map_or_else(now, |failing| failing.since);
        if attempts == 1 {
            let (tenant, webhook, why) = (&self.tenant, &self.name, &failure.message);
            tracing::warn!(tenant, webhook, seq, why, "a webhook does not get through; it is tried until it does");
        }
        let Failure { status, message: error, .. } = failure;
        held.record.failing = Some(Failing { since, seq, attempts, status, error, next_at });
        held.dirty = true;
        let (until, had) = (Instant::now() + wait, passed(&held.record));
        loop {
            if self.look(held).await? {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            // A test that got through meanwhile means that the next attempt does, too.
            if left.is_zero() || passed(&held.record) != had {
                return Ok(false);
            }
            tokio::time::sleep(left.min(LOOK)).await;
        }
    }

    /// Writes progress, and takes in what others wrote. `true`: they said where to go on.
    async fn look(&self, held: &mut Held) -> Result<bool, WebhookError> {
        let name = record::note_name(&self.tenant, &self.name);
        loop {
            if held.dirty
                && let Some(revision) = self.journal.put_note(&name, held.revision, held.record.to_bytes()).await?
            {
                (held.revision, held.dirty) = (revision, false);
            } else if let Some((record, revision)) = record::load(&self.journal, &self.tenant, &self.name).await? {
                let elsewhere = record.is_another_than(&held.record);
                if revision != held.revision {
                    held.revision = revision;
                    held.record = if elsewhere { record } else { record.with_progress_of(&held.record) };
                    held.dirty &= !elsewhere;
                }
                if elsewhere {
                    return Ok(true);
                }
            } else {
                // Whoever removes a webhook takes it out of the settings first: this one was lost.
                (held.revision, held.dirty) = (0, true);
            }
            if self.test(held).await {
                continue;
            }
            if !held.dirty {
                return Ok(false);
            }
        }
    }

    /// Carries out a test that is asked for. `true`: it did.
    async fn test(&self, held: &mut Held) -> bool {
        let Some(asked) = held.record.test.clone().filter(|test| test.outcome.is_none()) else { return false };
        let body = json!({ "delivery": asked.id, "webhook": self.name, "test": true }).to_string();
        let outcome = match self.send(&held.record, &asked.id, 1, body).await {
            Ok(status) => Outcome { ok: true, status: Some(status), error: None },
            Err(failure) => Outcome { ok: false, status: failure.status, error: Some(failure.message) },
        };
        if let Some(test) = &mut held.record.test {
            test.outcome = Some(outcome);
        }
        held.dirty = true;
        true
    }
}

/// The last test that was taken.
fn passed(record: &Record) -> Option<String> {
    let test = record.test.as_ref()?;
    test.outcome.as_ref()?.ok.then(|| test.id.clone())
}

/// The commit as it stands in the log, without reading it again.
fn body(id: &str, webhook: &str, seq: u64, commit: &[u8]) -> String {
    // Its head was read as JSON, which is UTF-8.
    let commit = std::str::from_utf8(commit).unwrap_or("null");
    format!(r#"{{"delivery":"{id}","webhook":"{webhook}","seq":{seq},"commit":{commit}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        journal::{
            memory::{MemoryJournal, MemoryStream},
            subjects::Subjects,
        },
        webhooks::guard,
    };
    use std::collections::BTreeSet;

    fn sender(journal: &MemoryJournal) -> Sender<MemoryJournal> {
        let settings = WebhookSettings {
            url: "https://crm.example/".to_owned(),
            events: BTreeSet::new(),
            aggregates: BTreeSet::new(),
            enabled: true,
        };
        Sender {
            journal: journal.clone(),
            subjects: Subjects::default().events_of_tenant("demo"),
            document: Subjects::default().events("demo", "settings", "webhooks"),
            tenant: "demo".to_owned(),
            name: "crm".to_owned(),
            settings,
            client: guard::client(true).unwrap(),
            private: true,
        }
    }

    async fn append(journal: &MemoryJournal, key: &str, id: &str) -> u64 {
        let commit = json!({ "commit_id": id, "aggregate": "contact", "events": [{ "type": "contact_seen" }] });
        let subject = Subjects::default().events("demo", "contact", key);
        journal.append(&subject, 0, commit.to_string().into()).await.unwrap()
    }

    #[tokio::test]
    async fn a_webhook_begins_where_it_was_set_and_goes_back_where_the_log_does() {
        let journal = MemoryJournal::default();
        let sender = sender(&journal);
        append(&journal, "before", "c1").await;
        let document = json!({ "commit_id": "c2", "aggregate": "settings", "events": [] });
        let set = journal.append(&sender.document, 0, document.to_string().into()).await.unwrap();
        append(&journal, "meanwhile", "c3").await;
        let mut held = sender.begin().await.unwrap();
        assert_eq!(held.record.seq, set, "what came before it was seen is not missed");
        let secret = held.record.secret.clone();
        assert_eq!(sender.begin().await.unwrap().record.secret, secret, "the next node goes on with it");

        // As it was, it stays.
        let last = append(&journal, "lost", "c4").await;
        (held.record.seq, held.record.last_commit) = (last, Some("c4".to_owned()));
        sender.find_place(&mut held).await.unwrap();
        assert_eq!(held.record.seq, last);
        // Its end is lost, and it has grown otherwise since.
        journal.core(|core| core.rollback(MemoryStream::Events, last - 1));
        sender.find_place(&mut held).await.unwrap();
        assert!(held.record.seq < last && held.dirty, "{}", held.record.seq);
        (held.record.seq, held.record.last_commit) = (last, Some("c4".to_owned()));
        assert_eq!(append(&journal, "other", "c5").await, last);
        sender.find_place(&mut held).await.unwrap();
        assert!(held.record.seq < last, "c5 is told");
        // It is another log altogether.
        held.record.seq = last;
        journal.core(|core| core.recreate_log());
        sender.find_place(&mut held).await.unwrap();
        assert_eq!(held.record.seq, 0);
    }

    #[tokio::test]
    async fn a_webhook_that_is_added_again_at_once_keeps_the_secret_that_was_told() {
        let journal = MemoryJournal::default();
        let sender = sender(&journal);
        let mut old = sender.begin().await.unwrap();
        (old.record.seq, old.dirty) = (7, true);
        let removed = append(&journal, "removal", "c1").await;
        let told = record::begin(&journal, "demo", "crm").await.unwrap();
        // The old one writes how far it got, and what was removed is forgotten: after the new one has begun.
        assert!(sender.look(&mut old).await.unwrap());
        record::forget_removed(&journal, "demo", "crm", removed).await.unwrap();
        let (kept, _) = record::load(&journal, "demo", "crm").await.unwrap().expect("the new one");
        assert_eq!((kept.secret, kept.seq), (told, removed));
        let removed = append(&journal, "removed again", "c2").await;
        record::forget_removed(&journal, "demo", "crm", removed).await.unwrap();
        assert!(record::load(&journal, "demo", "crm").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_webhook_does_not_fail_by_what_it_does_not_want_any_more() {
        let journal = MemoryJournal::default();
        let sender = sender(&journal);
        let sender = Sender {
            settings: WebhookSettings { events: ["contact_merged".into()].into(), ..sender.settings },
            ..sender
        };
        let mut held = sender.begin().await.unwrap();
        let seq = append(&journal, "unwanted", "c1").await;
        let failing = Failing { since: now(), seq, attempts: 3, status: None, error: String::new(), next_at: now() };
        held.record.failing = Some(failing);
        let commit = journal.read(seq).await.unwrap().expect("the commit");
        assert!(!sender.take(&mut held, &commit).await.unwrap());
        assert_eq!(held.record.failing, None);
    }

    #[tokio::test]
    async fn what_is_said_to_a_webhook_while_it_delivers_and_its_progress_are_both_kept() {
        let journal = MemoryJournal::default();
        let sender = sender(&journal);
        let mut held = sender.begin().await.unwrap();
        (held.record.seq, held.record.delivered, held.dirty) = (7, 3, true);
        let secret = record::rotate(&journal, "demo", "crm").await.unwrap();
        assert!(!sender.look(&mut held).await.unwrap());
        let (kept, _) = record::load(&journal, "demo", "crm").await.unwrap().unwrap();
        assert_eq!((&kept.secret, kept.seq, kept.delivered), (&secret, 7, 3));
        assert_eq!(kept.secrets(now()).count(), 2, "the old one still signs");
        // Where to go on has been said anew: what was reached since is of no meaning.
        held.dirty = true;
        record::replay(&journal, "demo", "crm", 1).await.unwrap();
        assert!(sender.look(&mut held).await.unwrap());
        assert_eq!((held.record.seq, held.dirty), (0, false));
    }
}
