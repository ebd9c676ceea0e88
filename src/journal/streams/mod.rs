//! The streams: what kefu needs of them, made where they are missing, checked where they exist.
//!
//! An existing stream is never changed: whoever runs the server may have set what kefu does not care about (replicas,
//! placement, a larger bound). What matters and differs is an error that says how to mend it.

mod check;

use self::check::check;
use super::{
    JournalError, LogPosition,
    subjects::{DEFAULT_PARTITIONS, Subjects},
};
use async_nats::jetstream::{
    self, Context, ErrorCode,
    response::Response,
    stream::{Compression, Config, DiscardPolicy, RetentionPolicy, StorageType, SubjectTransform},
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, time::Duration};

/// For how long a stream remembers message ids: longer than a publisher's retries of one publish.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);

/// How long replies are kept for an adapter that is down.
const OUTBOX_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long refused input is kept for a person to look at and retry.
const REJECTED_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long a lease lives without renewal: a node that died is replaced after this time, and one that a busy machine
/// holds up for a second keeps what it has.
const LEASE_TTL: Duration = Duration::from_secs(2);

/// Messages in `KEFU_COMMANDS`: more than the inbox, so that a full inbox can never stop an owner from finishing its
/// work; bounded, so that a loop of commands cannot fill the disk. (No bound of bytes: the server would reserve them on
/// the disk.)
const COMMANDS_MESSAGES: i64 = 4_000_000;

/// "insufficient storage resources available".
const STORAGE_EXCEEDED: u64 = 10047;
/// "stream not found".
const STREAM_NOT_FOUND: u64 = 10059;
/// "stream name already in use with a different configuration".
const STREAM_NAME_IN_USE: u64 = 10058;

/// How much may wait in `KEFU_INBOX` before a publisher's publish is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxBounds {
    /// Messages in all: some minutes of a flood at full speed.
    pub messages: i64,
    /// Messages of one thread, so that one flooding thread stalls nobody else.
    pub messages_per_subject: i64,
    /// Bytes in all, so that a flood of large messages cannot fill the disk. The server reserves so many at the start.
    pub bytes: i64,
    /// Bytes of one message. Twice what kefu decides on, so that what is too large can still be stored as rejected,
    /// with its reason; and half of `max_payload`, which leaves room for headers.
    pub message_bytes: i32,
}

impl Default for InboxBounds {
    fn default() -> Self {
        Self { messages: 1_000_000, messages_per_subject: 1_000, bytes: 1 << 30, message_bytes: 512 << 10 }
    }
}

/// What the streams are made with. Of streams that exist, only the names and a differing number of partitions matter.
#[derive(Debug, Clone, Default)]
pub struct StreamOptions {
    /// Names of subjects and streams.
    pub subjects: Subjects,
    /// Number of partitions; what the streams have, or 16, when not given. Fixed once they exist.
    pub partitions: Option<u16>,
    /// Replicas of every stream; 1 when not given.
    pub replicas: Option<usize>,
    /// How long a lease lives without renewal; 2 s when not given.
    pub lease_ttl: Option<Duration>,
    /// Bounds of the inbox.
    pub inbox: InboxBounds,
}

/// What was found in the streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub partitions: u16,
    pub lease_ttl: Duration,
}

/// A stream as the server describes it, in so far as kefu looks.
#[derive(Debug, Deserialize)]
pub(super) struct StreamInfo {
    config: Config,
    created: DateTime<Utc>,
    state: StreamState,
}

#[derive(Debug, Deserialize)]
struct StreamState {
    messages: u64,
    first_seq: u64,
    last_seq: u64,
}

impl StreamInfo {
    pub fn position(&self) -> LogPosition {
        let last = self.state.last_seq;
        let first = if self.state.messages == 0 { last + 1 } else { self.state.first_seq };
        let nanos = self.created.timestamp_nanos_opt().unwrap_or_default();
        LogPosition { identity: nanos.to_string(), first, last }
    }
}

/// `{}`: the body of a request that has nothing to say.
pub(super) const EMPTY: BTreeMap<&str, &str> = BTreeMap::new();

/// A request to the server's own interface; the inner result is its answer.
pub(super) async fn api<T: DeserializeOwned>(
    context: &Context,
    subject: String,
    request: &impl Serialize,
) -> Result<Result<T, jetstream::Error>, JournalError> {
    let what = subject.clone();
    match context.request(subject, request).await {
        Ok(Response::Ok(value)) => Ok(Ok(value)),
        Ok(Response::Err { error }) => Ok(Err(error)),
        Err(error) => Err(super::nats::request_failed(&what, &error)),
    }
}

/// Makes the streams that are missing and checks those that exist.
pub(super) async fn ensure(context: &Context, options: &StreamOptions) -> Result<Facts, JournalError> {
    let subjects = &options.subjects;
    let inbox = find(context, &subjects.inbox_stream()).await?;
    let commands = find(context, &subjects.commands_stream()).await?;
    let mut partitions = options.partitions;
    for found in [&inbox, &commands].into_iter().flatten() {
        let existing = partitions_of(found)?;
        match partitions {
            Some(wanted) if wanted != existing => return Err(other_partitions(&found.name, existing, wanted)),
            _ => partitions = Some(existing),
        }
    }
    let partitions = partitions.unwrap_or(DEFAULT_PARTITIONS).max(1);
    for wanted in wanted(options, partitions) {
        let found = match &*wanted.name {
            name if name == subjects.inbox_stream() => inbox.clone(),
            name if name == subjects.commands_stream() => commands.clone(),
            name => find(context, name).await?,
        };
        let found = match found {
            Some(found) => found,
            None => create(context, &wanted).await?,
        };
        check(&found, &wanted)?;
    }
    inspect(context, subjects).await
}

/// Reads what a client needs to know from streams that must exist.
pub(super) async fn inspect(context: &Context, subjects: &Subjects) -> Result<Facts, JournalError> {
    let missing = |name: &str| {
        JournalError::Refused(format!(
            "this NATS server has no stream {name}: has kefu been started on it, under the prefix {:?}?",
            subjects.prefix()
        ))
    };
    let name = subjects.inbox_stream();
    let inbox = find(context, &name).await?.ok_or_else(|| missing(&name))?;
    let name = owners_stream(subjects);
    let owners = find(context, &name).await?.ok_or_else(|| missing(&name))?;
    Ok(Facts { partitions: partitions_of(&inbox)?, lease_ttl: owners.max_age })
}

async fn find(context: &Context, name: &str) -> Result<Option<Config>, JournalError> {
    match api::<StreamInfo>(context, format!("STREAM.INFO.{name}"), &EMPTY).await? {
        Ok(info) => Ok(Some(info.config)),
        Err(error) if error.error_code() == ErrorCode(STREAM_NOT_FOUND) => Ok(None),
        Err(error) => Err(no_jetstream(name, &error)),
    }
}

async fn create(context: &Context, wanted: &Config) -> Result<Config, JournalError> {
    match api::<StreamInfo>(context, format!("STREAM.CREATE.{}", wanted.name), wanted).await? {
        Ok(info) => {
            tracing::info!(stream = wanted.name, "made the stream");
            Ok(info.config)
        }
        // Another node made it at the same moment.
        Err(error) if error.error_code() == ErrorCode(STREAM_NAME_IN_USE) => {
            find(context, &wanted.name).await?.ok_or_else(|| no_jetstream(&wanted.name, &error))
        }
        Err(error) => {
            let hint = match error.error_code() {
                ErrorCode(STORAGE_EXCEEDED) => {
                    format!(". It reserves {} bytes: make room on the disk, or lower the bound", wanted.max_bytes)
                }
                _ => String::new(),
            };
            Err(JournalError::Refused(format!("the stream {} cannot be made: {error}{hint}", wanted.name)))
        }
    }
}

fn no_jetstream(name: &str, error: &jetstream::Error) -> JournalError {
    if error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED
        || error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
    {
        return JournalError::Misconfigured(
            "the NATS server has no JetStream for this account: start it with `jetstream {}` in its configuration"
                .into(),
        );
    }
    if error.code() >= 500 {
        JournalError::Unavailable(format!("{name}: {error}"))
    } else {
        JournalError::Refused(format!("{name}: {error}"))
    }
}

fn owners_stream(subjects: &Subjects) -> String {
    format!("KV_{}", subjects.owners_bucket())
}

/// The configurations to make. Fields that are not set here have the server's defaults.
fn wanted(options: &StreamOptions, partitions: u16) -> Vec<Config> {
    let subjects = &options.subjects;
    let prefix = subjects.prefix();
    let base = |name: String, subject: String| Config {
        name,
        subjects: vec![subject],
        storage: StorageType::File,
        num_replicas: options.replicas.unwrap_or(1),
        duplicate_window: DUPLICATE_WINDOW,
        max_messages: -1,
        max_messages_per_subject: -1,
        max_bytes: -1,
        max_consumers: -1,
        ..Default::default()
    };
    let queue = |name: String, incoming: &str, stored: &str| {
        let source = format!("{prefix}.{incoming}.*.*.*");
        let destination = format!(
            "{prefix}.{stored}.{{{{partition({partitions},1,3)}}}}.{{{{wildcard(1)}}}}.{{{{wildcard(2)}}}}.{{{{wildcard(3)}}}}"
        );
        Config {
            retention: RetentionPolicy::WorkQueue,
            // Full means that the publisher hears of it, not that the oldest message is dropped.
            discard: DiscardPolicy::New,
            subject_transform: Some(SubjectTransform { source: source.clone(), destination }),
            ..base(name, source)
        }
    };
    let kept = |name: String, subject: String, max_age: Duration| Config {
        max_age,
        allow_direct: true,
        compression: Some(Compression::S2),
        ..base(name, subject)
    };
    let inbox = options.inbox;
    let lease_ttl = options.lease_ttl.unwrap_or(LEASE_TTL);
    let owners = subjects.owners_bucket();
    let (files, notes) = (subjects.files_bucket(), subjects.notes_bucket());
    vec![
        Config {
            description: Some("kefu: messages of customers, until they are decided".into()),
            max_messages: inbox.messages,
            max_bytes: inbox.bytes,
            max_messages_per_subject: inbox.messages_per_subject,
            discard_new_per_subject: true,
            max_message_size: inbox.message_bytes,
            ..queue(subjects.inbox_stream(), "in", "inbox")
        },
        Config {
            description: Some("kefu: commands, until they are decided".into()),
            max_messages: COMMANDS_MESSAGES,
            ..queue(subjects.commands_stream(), "cmd", "command")
        },
        // Neither deny_purge nor deny_delete: they can never be undone, and would forbid archiving and erasure. That
        // nobody but the engine writes or deletes here is a matter of permissions.
        Config {
            description: Some("kefu: commits, the only truth".into()),
            ..kept(subjects.events_stream(), format!("{prefix}.events.>"), Duration::ZERO)
        },
        Config {
            description: Some("kefu: replies, for the channels' adapters".into()),
            ..kept(subjects.outbox_stream(), format!("{prefix}.out.>"), OUTBOX_AGE)
        },
        Config {
            description: Some("kefu: input that was refused, as it came".into()),
            ..kept(subjects.rejected_stream(), format!("{prefix}.rejected.>"), REJECTED_AGE)
        },
        // A bucket and an object store are streams with agreed names; made as the client libraries make them.
        Config {
            description: Some("kefu: who owns which partition".into()),
            max_messages_per_subject: 1,
            max_age: lease_ttl,
            duplicate_window: lease_ttl, // may not be longer than the age
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..base(owners_stream(subjects), format!("$KV.{owners}.>"))
        },
        Config {
            description: Some("kefu: how far webhooks have got, and their secrets".into()),
            max_messages_per_subject: 1,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..base(format!("KV_{notes}"), format!("$KV.{notes}.>"))
        },
        Config {
            description: Some("kefu: bytes of images and files".into()),
            subjects: vec![format!("$O.{files}.C.>"), format!("$O.{files}.M.>")],
            discard: DiscardPolicy::New,
            allow_rollup: true,
            allow_direct: true,
            ..base(format!("OBJ_{files}"), String::new())
        },
    ]
}

/// The P in `{{partition(P,1,3)}}` of a work queue's transform.
fn partitions_of(found: &Config) -> Result<u16, JournalError> {
    let destination = found.subject_transform.as_ref().map(|transform| &*transform.destination);
    let number = destination
        .and_then(|destination| destination.split_once("{{partition("))
        .and_then(|(_, rest)| rest.split_once(",1,3)}}"))
        .and_then(|(number, _)| number.trim().parse().ok())
        .filter(|partitions| *partitions > 0);
    number.ok_or_else(|| {
        JournalError::Misconfigured(misconfigured(
            &found.name,
            "subject_transform",
            destination.unwrap_or("none"),
            "one with {{partition(P,1,3)}}",
            "The stream was not made by kefu: choose another prefix, or remove it with `nats stream rm` \
             once nothing in it is needed",
        ))
    })
}

fn other_partitions(stream: &str, existing: u16, wanted: u16) -> JournalError {
    JournalError::Misconfigured(misconfigured(
        stream,
        "the number of partitions",
        &existing.to_string(),
        &wanted.to_string(),
        "It is fixed when the streams are made: leave the option out, or use another prefix",
    ))
}

fn misconfigured(stream: &str, field: &str, found: &str, wanted: &str, remedy: &str) -> String {
    format!("stream {stream}: {field} is {found}, but kefu needs {wanted}. {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(name: &str) -> Config {
        let mut all = wanted(&StreamOptions::default(), 16).into_iter();
        all.find(|config| config.name == name).unwrap()
    }

    #[test]
    fn what_kefu_makes_passes_its_own_check() {
        for wanted in wanted(&StreamOptions::default(), 16) {
            assert_eq!(check(&wanted, &wanted), Ok(()), "{}", wanted.name);
        }
        // A server that fills in what was left out changes nothing.
        let inbox = config("KEFU_INBOX");
        let told = Config { compression: Some(Compression::None), max_message_size: 1 << 20, ..inbox.clone() };
        assert_eq!(check(&told, &inbox), Ok(()));
    }

    #[test]
    fn the_number_of_partitions_is_read_back() {
        assert_eq!(partitions_of(&config("KEFU_INBOX")), Ok(16));
        let mut foreign = config("KEFU_INBOX");
        foreign.subject_transform = None;
        assert!(partitions_of(&foreign).is_err());
    }

    #[test]
    fn a_raised_bound_is_accepted_and_a_missing_one_is_not() {
        let inbox = config("KEFU_INBOX");
        let raised = Config { max_messages: 5_000_000, num_replicas: 3, max_bytes: -1, ..inbox.clone() };
        assert_eq!(check(&raised, &inbox), Ok(()));
        let error = check(&Config { max_messages: -1, ..inbox.clone() }, &inbox).unwrap_err().to_string();
        for part in ["KEFU_INBOX", "max_msgs", "-1", "nats stream edit KEFU_INBOX --max-msgs=1000000"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_log_that_forgets_is_an_error() {
        let events = config("KEFU_EVENTS");
        assert!(check(&Config { max_age: Duration::from_secs(60), ..events.clone() }, &events).is_err());
        assert!(check(&Config { max_messages: 10, ..events.clone() }, &events).is_err());
        assert!(check(&Config { max_bytes: 1 << 40, ..events.clone() }, &events).is_err());
        let full = Config { max_bytes: 1 << 40, discard: DiscardPolicy::New, ..events.clone() };
        assert_eq!(check(&full, &events), Ok(()));
    }
}
