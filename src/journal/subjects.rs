//! Names on the bus: every subject and stream name is made and taken apart here, and nowhere else.
//!
//! All names start with one prefix (`kefu`), so that two installations can share a server. The prefix is lower case,
//! because stream names are the same prefix in capitals and must not collide where the prefixes do not.

use sha2::{Digest, Sha256};
use std::{fmt::Write, sync::Arc};

/// Longest subject token. Five tokens of this length and a prefix stay well below what a server's subject may have,
/// and it holds a UUID, a SHA-256 in hex, or a name that a person would give.
pub const MAX_TOKEN_CHARS: usize = 64;

/// Partitions unless configured: enough to spread over a small cluster, few enough that their consumers cost nothing.
pub const DEFAULT_PARTITIONS: u16 = 16;

/// Longest prefix; short because it is repeated in every stored message.
const MAX_PREFIX_CHARS: usize = 32;

/// A name that cannot stand in a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {found:?} cannot stand in a subject: it must be 1 to {max} of {allowed}")]
pub struct InvalidToken {
    what: &'static str,
    found: String,
    max: usize,
    allowed: &'static str,
}

/// Whether `text` can stand as one token of a subject: `[A-Za-z0-9_-]{1,64}`.
pub fn is_token(text: &str) -> bool {
    (1..=MAX_TOKEN_CHARS).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// `text`, if it is a token; `what` names it in the error.
pub fn token<'a>(what: &'static str, text: &'a str) -> Result<&'a str, InvalidToken> {
    if is_token(text) {
        return Ok(text);
    }
    // A hostile name may be megabytes long; an error message should not be.
    let found = text.chars().take(2 * MAX_TOKEN_CHARS).collect();
    Err(InvalidToken { what, found, max: MAX_TOKEN_CHARS, allowed: "A-Z a-z 0-9 _ -" })
}

/// Whether `name` can name a lease: the alphabet of a token, but longer, because `scheduler-<tenant>` is.
pub fn is_lease_name(name: &str) -> bool {
    (1..=2 * MAX_TOKEN_CHARS).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

/// Whether `name` can name a note: one to eight tokens, joined by dots.
pub fn is_note_name(name: &str) -> bool {
    (1..=8).contains(&name.split('.').count()) && name.split('.').all(is_token)
}

/// The id itself if it is a token, else the first 32 hex digits of its SHA-256.
pub fn id_token(id: &str) -> String {
    if is_token(id) {
        return id.to_owned();
    }
    let mut hex = String::with_capacity(32);
    for byte in &Sha256::digest(id.as_bytes())[..16] {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
    }
    hex
}

/// Which of `partitions` a key of a tenant belongs to: what the server's `{{partition(P,1,3)}}` computes, FNV-1a of
/// 32 bits over the tokens joined without a separator. (That two pairs such as `a`+`bc` and `ab`+`c` meet in one
/// partition is harmless: a partition only says who works on it.)
pub fn partition(tenant: &str, key: &str, partitions: u16) -> u16 {
    let hash = tenant
        .bytes()
        .chain(key.bytes())
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % u32::from(partitions.max(1))) as u16
}

/// Whether `subject` matches `pattern`, where `*` stands for one token and a last `>` for one or more.
pub fn matches(pattern: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in pattern.split('.') {
        match (wanted, tokens.next()) {
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(found)) if wanted == found => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// What the subject of a message in a work queue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueAddress {
    /// Partition, as the server computed it.
    pub partition: u16,
    /// Tenant.
    pub tenant: String,
    /// Channel (inbox) or kind of sender (commands).
    pub source: String,
    /// Key of the aggregate.
    pub key: String,
}

/// What the subject of a commit says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventAddress {
    /// Tenant.
    pub tenant: String,
    /// Kind of aggregate: `conversation`, `contact`, `agent`, …
    pub aggregate: String,
    /// Its key.
    pub key: String,
}

/// The subjects and stream names under one prefix. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: Arc<str>,
    upper: Arc<str>,
}

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: "kefu".into(), upper: "KEFU".into() }
    }
}

impl Subjects {
    /// Subjects under `prefix`: lower-case letters, digits, `_` and `-`, 32 at most.
    pub fn new(prefix: &str) -> Result<Self, InvalidToken> {
        let fits = (1..=MAX_PREFIX_CHARS).contains(&prefix.len())
            && prefix.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
        if !fits {
            let found = prefix.chars().take(2 * MAX_PREFIX_CHARS).collect();
            return Err(InvalidToken { what: "prefix", found, max: MAX_PREFIX_CHARS, allowed: "a-z 0-9 _ -" });
        }
        Ok(Self { prefix: prefix.into(), upper: prefix.to_ascii_uppercase().into() })
    }

    /// The prefix itself.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `KEFU_<name>`: name of a stream or bucket.
    pub fn stream(&self, name: &str) -> String {
        format!("{}_{name}", self.upper)
    }

    /// `KEFU_INBOX`.
    pub fn inbox_stream(&self) -> String {
        self.stream("INBOX")
    }

    /// `KEFU_COMMANDS`.
    pub fn commands_stream(&self) -> String {
        self.stream("COMMANDS")
    }

    /// `KEFU_EVENTS`.
    pub fn events_stream(&self) -> String {
        self.stream("EVENTS")
    }

    /// `KEFU_OUTBOX`.
    pub fn outbox_stream(&self) -> String {
        self.stream("OUTBOX")
    }

    /// `KEFU_REJECTED`.
    pub fn rejected_stream(&self) -> String {
        self.stream("REJECTED")
    }

    /// `KEFU_FILES`, an object store.
    pub fn files_bucket(&self) -> String {
        self.stream("FILES")
    }

    /// `KEFU_OWNERS`, a key-value bucket.
    pub fn owners_bucket(&self) -> String {
        self.stream("OWNERS")
    }

    /// `KEFU_NOTES`, a key-value bucket.
    pub fn notes_bucket(&self) -> String {
        self.stream("NOTES")
    }

    /// Where a channel adapter publishes: `kefu.in.<tenant>.<channel>.<key>`.
    pub fn inbound(&self, tenant: &str, channel: &str, key: &str) -> String {
        format!("{}.in.{tenant}.{channel}.{key}", self.prefix)
    }

    /// Where a command is published: `kefu.cmd.<tenant>.<source>.<key>`.
    pub fn command(&self, tenant: &str, source: &str, key: &str) -> String {
        format!("{}.cmd.{tenant}.{source}.{key}", self.prefix)
    }

    /// Everything of one partition in `KEFU_INBOX`: `kefu.inbox.<partition>.>`.
    pub fn inbox_partition(&self, partition: u16) -> String {
        format!("{}.inbox.{partition}.>", self.prefix)
    }

    /// Everything of one partition in `KEFU_COMMANDS`: `kefu.command.<partition>.>`.
    pub fn commands_partition(&self, partition: u16) -> String {
        format!("{}.command.{partition}.>", self.prefix)
    }

    /// Where an aggregate's commits are appended: `kefu.events.<tenant>.<aggregate>.<key>`.
    pub fn events(&self, tenant: &str, aggregate: &str, key: &str) -> String {
        format!("{}.events.{tenant}.{aggregate}.{key}", self.prefix)
    }

    /// Everything of one tenant in the log: `kefu.events.<tenant>.>`.
    pub fn events_of_tenant(&self, tenant: &str) -> String {
        format!("{}.events.{tenant}.>", self.prefix)
    }

    /// Everything of one tenant's aggregates of a kind in the log: `kefu.events.<tenant>.<aggregate>.>`.
    pub fn events_of_kind(&self, tenant: &str, aggregate: &str) -> String {
        format!("{}.events.{tenant}.{aggregate}.>", self.prefix)
    }

    /// Where a reply is published: `kefu.out.<tenant>.<channel>.<key>`.
    pub fn outbound(&self, tenant: &str, channel: &str, key: &str) -> String {
        format!("{}.out.{tenant}.{channel}.{key}", self.prefix)
    }

    /// All replies of one channel: `kefu.out.<tenant>.<channel>.>`.
    pub fn outbound_of_channel(&self, tenant: &str, channel: &str) -> String {
        format!("{}.out.{tenant}.{channel}.>", self.prefix)
    }

    /// Where refused input is published: `kefu.rejected.<tenant>.<source>`.
    pub fn rejected(&self, tenant: &str, source: &str) -> String {
        format!("{}.rejected.{tenant}.{source}", self.prefix)
    }

    /// Where the result of a command is sent: `kefu.result.<tenant>.<id>`, the id hashed where it is no token.
    pub fn result(&self, tenant: &str, id: &str) -> String {
        format!("{}.result.{tenant}.{}", self.prefix, id_token(id))
    }

    /// Where a query is asked: `kefu.query.<tenant>.<name>`.
    pub fn query(&self, tenant: &str, name: &str) -> String {
        format!("{}.query.{tenant}.{name}", self.prefix)
    }

    /// The address in a subject of `KEFU_INBOX` or `KEFU_COMMANDS` as stored:
    /// `kefu.(inbox|command).<partition>.<tenant>.<source>.<key>`.
    pub fn parse_queue(&self, subject: &str) -> Option<QueueAddress> {
        let [queue, partition, tenant, source, key] = self.tokens(subject)?;
        (queue == "inbox" || queue == "command").then_some(())?;
        Some(QueueAddress {
            partition: partition.parse().ok()?,
            tenant: tenant.to_owned(),
            source: source.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The address in the subject of a commit.
    pub fn parse_events(&self, subject: &str) -> Option<EventAddress> {
        let [kind, tenant, aggregate, key] = self.tokens(subject)?;
        (kind == "events").then_some(())?;
        Some(EventAddress { tenant: tenant.to_owned(), aggregate: aggregate.to_owned(), key: key.to_owned() })
    }

    /// Tenant and source in the subject of refused input.
    pub fn parse_rejected(&self, subject: &str) -> Option<(String, String)> {
        let [kind, tenant, source] = self.tokens(subject)?;
        (kind == "rejected").then(|| (tenant.to_owned(), source.to_owned()))
    }

    /// Tenant, channel and key in the subject of a reply.
    pub fn parse_outbound(&self, subject: &str) -> Option<(String, String, String)> {
        let [kind, tenant, channel, key] = self.tokens(subject)?;
        (kind == "out").then(|| (tenant.to_owned(), channel.to_owned(), key.to_owned()))
    }

    /// Tenant and name in the subject of a query.
    pub fn parse_query(&self, subject: &str) -> Option<(String, String)> {
        let [kind, tenant, name] = self.tokens(subject)?;
        (kind == "query").then(|| (tenant.to_owned(), name.to_owned()))
    }

    /// The tokens after the prefix, if there are exactly `N`.
    fn tokens<'a, const N: usize>(&self, subject: &'a str) -> Option<[&'a str; N]> {
        let mut rest = subject.strip_prefix(&*self.prefix)?.strip_prefix('.')?.split('.');
        let mut tokens = [""; N];
        for token in &mut tokens {
            *token = rest.next()?;
        }
        rest.next().is_none().then_some(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_limited_in_length_and_alphabet() {
        assert!(is_token("Az09_-"));
        assert!(is_token(&"x".repeat(64)));
        for bad in ["", "a.b", "a b", "*", ">", "客", &"x".repeat(65)] {
            assert!(!is_token(bad), "{bad}");
        }
    }

    #[test]
    fn an_id_that_is_no_token_is_hashed() {
        assert_eq!(id_token("cmd-1"), "cmd-1");
        assert_eq!(id_token("a/b").len(), 32);
        assert_ne!(id_token("a/b"), id_token("a/c"));
        assert_eq!(id_token(""), "e3b0c44298fc1c149afbf4c8996fb924");
    }

    #[test]
    fn subjects_are_parsed_as_they_are_formatted() {
        let subjects = Subjects::new("shop").unwrap();
        assert_eq!(subjects.inbox_stream(), "SHOP_INBOX");
        let address = subjects.parse_events(&subjects.events("t", "agent", "k")).unwrap();
        assert_eq!((&*address.tenant, &*address.aggregate, &*address.key), ("t", "agent", "k"));
        let address = subjects.parse_queue("shop.inbox.7.t.web.k").unwrap();
        assert_eq!((address.partition, &*address.source), (7, "web"));
        for bad in ["shop.inbox.7.t.web", "shop.inbox.7.t.web.k.x", "shop.inbox.x.t.web.k", "kefu.inbox.7.t.web.k"] {
            assert_eq!(subjects.parse_queue(bad), None, "{bad}");
        }
        assert!(Subjects::new("Kefu").is_err());
        assert!(Subjects::new("a.b").is_err());
    }

    #[test]
    fn patterns_match_as_on_the_server() {
        assert!(matches("a.*.c", "a.b.c"));
        assert!(matches("a.>", "a.b.c"));
        assert!(!matches("a.>", "a"));
        assert!(!matches("a.*", "a.b.c"));
        assert!(!matches("a.b.c", "a.b"));
    }
}
