//! How far a webhook has got, and its secret: one note on the bus for each.
//!
//! A note and not events: a secret must be gone once it was changed, which nothing in the log ever is, and how far a webhook has
//! got changes with every delivery. On the bus and not in a file: whichever node leads goes on from there.

use crate::{
    access::secret::{NoChance, new_secret},
    journal::{Journal, JournalError, LogPosition},
};
use bytes::Bytes;
use kefu_events::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// What a webhook's secret begins with, so that it is known where it turns up.
const SECRET_PREFIX: &str = "kefu_w_";
/// For how long the old secret signs as well after it was changed.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);
/// A webhook that fails for longer than this is one that somebody should look at.
pub const LONG: Duration = Duration::from_secs(60);
/// Before all notes of webhooks.
pub(super) const NOTES: &str = "webhook";

/// Why nothing was done about a webhook.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// There is none of this name, or it has not begun yet.
    #[error(
        "there is no webhook {0:?} here: it is added by `kefu webhook add`, or in the settings document `webhooks`"
    )]
    Unknown(String),
    /// The bus failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// No secret could be made.
    #[error(transparent)]
    Secret(#[from] NoChance),
    /// The note is not one that this version understands.
    #[error("the note of webhook {0:?} cannot be read: remove the webhook and add it again")]
    Damaged(String),
}

/// What is known of a webhook beside its settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The key of signatures.
    pub secret: String,
    /// The one before, and until when it signs as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<(String, Timestamp)>,
    /// Counts how often somebody said where to go on: progress under an earlier count is of no meaning.
    pub begun: u64,
    /// The end of the log when it was made: tells it from one of the same name that was removed before.
    #[serde(default)]
    pub set_at: u64,
    /// Name of the log that the sequences belong to.
    pub log: String,
    /// Everything up to this sequence was delivered, or was not for this webhook.
    pub seq: u64,
    /// Id of the last commit looked at, to notice a log that lost its end and grew otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit: Option<String>,
    /// Commits delivered, those counted twice that were delivered again.
    #[serde(default)]
    pub delivered: u64,
    /// When the last one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// Why it does not go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// A delivery that somebody asked for to see whether it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Test>,
}

/// A webhook that does not get through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// The commit that is not taken.
    pub seq: u64,
    /// Attempts to deliver it.
    pub attempts: u64,
    /// What the receiver answered last, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was wrong the last time.
    pub error: String,
    /// When it is tried again.
    pub next_at: Timestamp,
}

/// A delivery that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Its id, by which whoever asked finds what became of it.
    pub id: String,
    /// What became of it; `None`: not sent yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What became of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Whether it was taken.
    pub ok: bool,
    /// What the receiver answered, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What was wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Record {
    /// One that begins after this sequence.
    pub fn new(log: &LogPosition, after: u64) -> Result<Self, NoChance> {
        Ok(Self {
            secret: new_secret(SECRET_PREFIX)?,
            former: None,
            begun: 1,
            set_at: log.last,
            log: log.identity.clone(),
            seq: after,
            last_commit: None,
            delivered: 0,
            delivered_at: None,
            failing: None,
            test: None,
        })
    }

    /// The secrets that sign now.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &str> {
        let former = self.former.iter().filter(move |(_, until)| *until > now).map(|(secret, _)| secret.as_str());
        std::iter::once(self.secret.as_str()).chain(former)
    }

    /// Whether the progress of `other` is of no meaning for this one: somebody said where to go on, or it was made anew.
    pub fn is_another_than(&self, other: &Self) -> bool {
        (self.begun, self.set_at) != (other.begun, other.set_at)
    }

    /// The same with the progress of `own`, which delivered meanwhile.
    pub fn with_progress_of(self, own: &Self) -> Self {
        let test = match (self.test, &own.test) {
            // What was found out about the very test that is asked for.
            (Some(asked), Some(done)) if asked.id == done.id => Some(done.clone()),
            (asked, _) => asked,
        };
        Self {
            log: own.log.clone(),
            seq: own.seq,
            last_commit: own.last_commit.clone(),
            delivered: own.delivered,
            delivered_at: own.delivered_at,
            failing: own.failing.clone(),
            test,
            ..self
        }
    }

    pub fn to_bytes(&self) -> Bytes {
        // Our own type, in which no map has keys other than strings.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// What people are shown: all but the secrets.
    fn shown(&self) -> Value {
        let mut shown = serde_json::to_value(self).unwrap_or_default();
        if let Some(fields) = shown.as_object_mut() {
            for hidden in ["secret", "former", "log", "last_commit"] {
                fields.remove(hidden);
            }
            let until = self.former.as_ref().map(|(_, until)| *until).filter(|until| *until > now());
            fields.insert("former_secret_until".to_owned(), json!(until));
        }
        shown
    }
}

/// The time.
pub(super) fn now() -> Timestamp {
    chrono::Utc::now().into()
}

pub(super) fn note_name(tenant: &str, webhook: &str) -> String {
    format!("{NOTES}.{tenant}.{webhook}")
}

/// A webhook's record with its revision.
pub(super) async fn load(
    journal: &impl Journal,
    tenant: &str,
    webhook: &str,
) -> Result<Option<(Record, u64)>, WebhookError> {
    let Some(note) = journal.note(&note_name(tenant, webhook)).await? else { return Ok(None) };
    let record = serde_json::from_slice(&note.value).map_err(|_| WebhookError::Damaged(webhook.to_owned()))?;
    Ok(Some((record, note.revision)))
}

/// Changes a record, whoever else is writing it.
async fn change<T>(
    journal: &impl Journal,
    tenant: &str,
    webhook: &str,
    change: impl Fn(&mut Record) -> Result<T, WebhookError>,
) -> Result<T, WebhookError> {
    loop {
        let unknown = || WebhookError::Unknown(webhook.to_owned());
        let (mut record, revision) = load(journal, tenant, webhook).await?.ok_or_else(unknown)?;
        let told = change(&mut record)?;
        if journal.put_note(&note_name(tenant, webhook), revision, record.to_bytes()).await?.is_some() {
            return Ok(told);
        }
    }
}

/// Begins a webhook at the end of the log, before it stands in the settings; its secret, which is told this once. Whatever was
/// left of an earlier one by this name is gone.
///
/// # Errors
/// See [`WebhookError`].
pub async fn begin(journal: &impl Journal, tenant: &str, webhook: &str) -> Result<String, WebhookError> {
    let log = journal.position().await?;
    let record = Record::new(&log, log.last)?;
    let name = note_name(tenant, webhook);
    loop {
        let revision = journal.note(&name).await?.map_or(0, |note| note.revision);
        if journal.put_note(&name, revision, record.to_bytes()).await?.is_some() {
            return Ok(record.secret);
        }
    }
}

/// Forgets a webhook that is not in the settings any more: its secret, and how far it had got.
///
/// # Errors
/// See [`WebhookError`].
pub async fn forget(journal: &impl Journal, tenant: &str, webhook: &str) -> Result<(), WebhookError> {
    let name = note_name(tenant, webhook);
    while let Some(note) = journal.note(&name).await? {
        if journal.remove_note(&name, note.revision).await? {
            break;
        }
    }
    Ok(())
}

/// Forgets a webhook that was not in the settings as of this commit, unless it was begun again since.
pub(super) async fn forget_removed(
    journal: &impl Journal,
    tenant: &str,
    webhook: &str,
    as_of: u64,
) -> Result<(), WebhookError> {
    while let Some((record, revision)) = load(journal, tenant, webhook).await? {
        if record.set_at >= as_of || journal.remove_note(&note_name(tenant, webhook), revision).await? {
            break;
        }
    }
    Ok(())
}

/// Makes another secret, which is told this once. The old one signs as well for a day, so that no delivery is refused while the
/// receiver learns the new one.
///
/// # Errors
/// See [`WebhookError`].
pub async fn rotate(journal: &impl Journal, tenant: &str, webhook: &str) -> Result<String, WebhookError> {
    change(journal, tenant, webhook, |record| {
        let overlap = i64::try_from(OVERLAP.as_millis()).unwrap_or(i64::MAX);
        let until = Timestamp::from_millis(now().as_millis().saturating_add(overlap));
        let former = std::mem::replace(&mut record.secret, new_secret(SECRET_PREFIX)?);
        record.former = Some((former, until));
        Ok(record.secret.clone())
    })
    .await
}

/// Sends everything from this sequence on, again where it was sent already: under the same delivery ids.
///
/// # Errors
/// See [`WebhookError`].
pub async fn replay(journal: &impl Journal, tenant: &str, webhook: &str, from: u64) -> Result<(), WebhookError> {
    let log = journal.position().await?;
    change(journal, tenant, webhook, |record| {
        record.begun += 1;
        record.log.clone_from(&log.identity);
        record.seq = from.saturating_sub(1).min(log.last);
        (record.last_commit, record.failing) = (None, None);
        Ok(())
    })
    .await
}

/// Asks for a delivery that says nothing, to see whether it arrives; its id. [`tested`] says what became of it.
///
/// # Errors
/// See [`WebhookError`].
pub async fn ask_for_test(journal: &impl Journal, tenant: &str, webhook: &str) -> Result<String, WebhookError> {
    let id = uuid::Uuid::now_v7().to_string();
    change(journal, tenant, webhook, |record| {
        record.test = Some(Test { id: id.clone(), outcome: None });
        Ok(())
    })
    .await?;
    Ok(id)
}

/// What became of a test, if it was sent. A newer test takes the place of one that was not.
///
/// # Errors
/// See [`WebhookError`].
pub async fn tested(
    journal: &impl Journal,
    tenant: &str,
    webhook: &str,
    id: &str,
) -> Result<Option<Outcome>, WebhookError> {
    let found = load(journal, tenant, webhook).await?.ok_or_else(|| WebhookError::Unknown(webhook.to_owned()))?;
    Ok(found.0.test.filter(|test| test.id == id).and_then(|test| test.outcome))
}

/// What people are shown of all webhooks of a tenant, or of all tenants: by tenant and name.
///
/// # Errors
/// See [`WebhookError`].
pub async fn shown(
    journal: &impl Journal,
    tenant: Option<&str>,
) -> Result<BTreeMap<(String, String), Value>, WebhookError> {
    let start = tenant.map_or(NOTES.to_owned(), |tenant| format!("{NOTES}.{tenant}"));
    let notes = journal.notes(&start).await?;
    let shown = notes.into_iter().filter_map(|(name, note)| {
        let mut parts = name.splitn(3, '.').skip(1).map(str::to_owned);
        let (tenant, webhook) = (parts.next()?, parts.next()?);
        let shown = match serde_json::from_slice::<Record>(&note.value) {
            Ok(record) => record.shown(),
            Err(_) => json!({ "damaged": WebhookError::Damaged(webhook.clone()).to_string() }),
        };
        Some(((tenant, webhook), shown))
    });
    Ok(shown.collect())
}
