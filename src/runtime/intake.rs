//! From the bytes of a work queue to an input, or to the reason why there is none.
//!
//! Pure. Whatever arrives here ends as a [`ParsedInput`] or as a [`Rejection`]; nothing is dropped and nothing panics.

use super::{
    Env,
    outgoing::{QUARANTINE, result_of},
};
use crate::{
    aggregate::kind::{Kinds, ParsedInput},
    journal::{Delivery, Outgoing, Queue},
};
use kefu_events::{
    Actor, ActorKind, CommandHeader, CommandResult, Inbound, Refusal,
    key::{MAX_BODY_BYTES, RESERVED_CHANNELS, contact_key, conversation_key},
};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Headers of a record in `KEFU_REJECTED`.
pub mod header {
    /// Why, for programs: one of [`super::reason`].
    pub const REASON: &str = "Kefu-Reason";
    /// Why, for people.
    pub const DETAIL: &str = "Kefu-Detail";
    /// `inbox` or `commands`.
    pub const QUEUE: &str = "Kefu-Queue";
    /// Sequence in that queue's stream.
    pub const QUEUE_SEQ: &str = "Kefu-Queue-Seq";
    /// Key of the subject that it came by.
    pub const KEY: &str = "Kefu-Key";
    /// Kind of the aggregate, where it is known.
    pub const AGGREGATE: &str = "Kefu-Aggregate";
}

/// Why inputs are rejected.
pub mod reason {
    /// Not JSON, not UTF-8, nested too deeply, or a field is missing or wrong.
    pub const MALFORMED: &str = "malformed";
    /// The body is larger than 256 KiB.
    pub const TOO_LARGE: &str = "too_large";
    /// The subject says another channel, key or sender than the body.
    pub const SUBJECT_MISMATCH: &str = "subject_mismatch";
    /// There is no such tenant.
    pub const UNKNOWN_TENANT: &str = "unknown_tenant";
    /// The channel's name is kept for senders of commands.
    pub const RESERVED_CHANNEL: &str = "reserved_channel";
    /// This node drives no such kind of aggregate.
    pub const UNKNOWN_AGGREGATE: &str = "unknown_aggregate";
    /// There is no such command, or its fields are wrong.
    pub const UNKNOWN_COMMAND: &str = "unknown_command";
    /// The aggregate is set aside after a failed decision.
    pub const QUARANTINED: &str = "quarantined";

    /// All of them.
    pub const ALL: [&str; 8] = [
        MALFORMED,
        TOO_LARGE,
        SUBJECT_MISMATCH,
        UNKNOWN_TENANT,
        RESERVED_CHANNEL,
        UNKNOWN_AGGREGATE,
        UNKNOWN_COMMAND,
        QUARANTINED,
    ];
}

/// Why an input is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// One of [`reason`].
    pub reason: &'static str,
    /// What is wrong and what would be right.
    pub detail: String,
    /// Kind of the aggregate, where it is known.
    pub aggregate: Option<&'static str>,
    /// Id of the command, where it was one that could be read so far.
    pub command: Option<String>,
}

impl Rejection {
    pub(super) fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), aggregate: None, command: None }
    }

    /// All that is published about it: the record, and for a command the result, since somebody may wait for it.
    pub fn outgoing(&self, delivery: &Delivery) -> Vec<Outgoing> {
        let refused = |id: &String| {
            let refusal = Some(Refusal::new(self.reason, self.detail.clone()));
            let result = CommandResult { id: id.clone(), ok: false, version: None, seq: None, refusal };
            result_of(&delivery.tenant, &result)
        };
        [self.record(delivery)].into_iter().chain(self.command.as_ref().map(refused)).collect()
    }

    /// The record for `KEFU_REJECTED`: the payload as it came, under an id that is the same at every redelivery.
    pub fn record(&self, delivery: &Delivery) -> Outgoing {
        let queue = match delivery.queue {
            Queue::Inbox => "inbox",
            Queue::Commands => "commands",
        };
        let mut headers = BTreeMap::new();
        headers.insert(header::REASON.to_owned(), self.reason.to_owned());
        // Headers are lines: what a stranger wrote must not be able to begin another one.
        let detail: String = self.detail.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1000).collect();
        headers.insert(header::DETAIL.to_owned(), detail);
        headers.insert(header::QUEUE.to_owned(), queue.to_owned());
        headers.insert(header::QUEUE_SEQ.to_owned(), delivery.stream_seq.to_string());
        headers.insert(header::KEY.to_owned(), delivery.key.clone());
        if let Some(aggregate) = self.aggregate {
            headers.insert(header::AGGREGATE.to_owned(), aggregate.to_owned());
        }
        Outgoing::Rejected {
            tenant: delivery.tenant.clone(),
            source: delivery.source.clone(),
            // Not the sequence alone: a queue that lost its end counts it again, and the window would swallow another's
            // rejection.
            id: format!("rejected/{queue}/{}/{}", delivery.stream_seq, fingerprint(&delivery.payload)),
            headers,
            payload: delivery.payload.clone(),
        }
    }
}

/// Reads one delivery.
///
/// # Errors
/// The [`Rejection`] that says why it cannot be decided.
pub fn parse(delivery: &Delivery, kinds: &Kinds, env: &Env) -> Result<ParsedInput, Rejection> {
    if delivery.payload.len() > MAX_BODY_BYTES {
        let detail = format!("the body has {} bytes; {MAX_BODY_BYTES} are allowed", delivery.payload.len());
        return Err(Rejection::new(reason::TOO_LARGE, detail));
    }
    match delivery.queue {
        Queue::Inbox => message(delivery, kinds, env),
        Queue::Commands => command(delivery, kinds, env),
    }
}

fn message(delivery: &Delivery, kinds: &Kinds, env: &Env) -> Result<ParsedInput, Rejection> {
    let channel = delivery.source.as_str();
    if RESERVED_CHANNELS.contains(&channel) {
        return Err(Rejection::new(reason::RESERVED_CHANNEL, format!("no channel may be named {channel:?}")));
    }
    known_tenant(delivery, env)?;
    let message: Inbound = serde_json::from_slice(&delivery.payload).map_err(malformed)?;
    for (field, value) in [("id", &message.id), ("thread", &message.thread), ("sender.id", &message.sender.id)] {
        if value.is_empty() || value.len() > 512 {
            let detail = format!("{field} must have 1 to 512 bytes, and has {}", value.len());
            return Err(Rejection::new(reason::MALFORMED, detail));
        }
    }
    if message.channel != channel {
        let detail = format!("the subject's channel is {channel:?}, the body's {:?}", message.channel);
        return Err(Rejection::new(reason::SUBJECT_MISMATCH, detail));
    }
    let key = conversation_key(channel, &message.thread);
    if key != delivery.key {
        let detail = format!("the subject's key is {}, that of the body's channel and thread is {key}", delivery.key);
        return Err(Rejection::new(reason::SUBJECT_MISMATCH, detail));
    }
    let Some(kind) = kinds.for_messages() else {
        return Err(Rejection::new(reason::UNKNOWN_AGGREGATE, "this node takes no customers' messages"));
    };
    let cause = format!("{}/{channel}/{key}/{}", delivery.tenant, message.id);
    let actor = Actor::new(ActorKind::Customer, contact_key(channel, &message.sender.id));
    Ok(kind.message(cause, delivery.stream_seq, actor, message))
}

fn command(delivery: &Delivery, kinds: &Kinds, env: &Env) -> Result<ParsedInput, Rejection> {
    let header: CommandHeader = serde_json::from_slice(&delivery.payload).map_err(malformed)?;
    let named = |rejection: Rejection| {
        let command = (!header.id.is_empty() && header.id.len() <= 512).then(|| header.id.clone());
        Rejection { aggregate: Some(header.aggregate.as_str()), command, ..rejection }
    };
    if header.id.is_empty() || header.id.len() > 512 {
        let detail = format!("id must have 1 to 512 bytes, and has {}", header.id.len());
        return Err(named(Rejection::new(reason::MALFORMED, detail)));
    }
    if header.id.starts_with(QUARANTINE) {
        let detail = format!("ids that begin with {QUARANTINE:?} are kefu's own");
        return Err(named(Rejection::new(reason::MALFORMED, detail)));
    }
    // A customer has messages, and nobody would wait for the result.
    if header.actor.kind == ActorKind::Customer {
        return Err(named(Rejection::new(reason::MALFORMED, "customers send no commands")));
    }
    if header.key != delivery.key {
        let detail = format!("the subject's key is {:?}, the body's {:?}", delivery.key, header.key);
        return Err(named(Rejection::new(reason::SUBJECT_MISMATCH, detail)));
    }
    if header.actor.kind.as_str() != delivery.source {
        let detail = format!(
            "the subject's source is {:?}, the body's actor is {:?}",
            delivery.source,
            header.actor.kind.as_str()
        );
        return Err(named(Rejection::new(reason::SUBJECT_MISMATCH, detail)));
    }
    let Some(kind) = kinds.get(header.aggregate) else {
        let detail = format!("this node drives no aggregates of kind {}", header.aggregate);
        return Err(named(Rejection::new(reason::UNKNOWN_AGGREGATE, detail)));
    };
    if !kind.founds_tenants(&header.key) {
        known_tenant(delivery, env).map_err(named)?;
    }
    let parsed = kind.command(header.clone(), delivery.stream_seq, &delivery.payload);
    parsed.map_err(|error| named(Rejection::new(reason::UNKNOWN_COMMAND, error.to_string())))
}

/// 64 bits of SHA-256, in hex: enough to tell two payloads under one sequence apart.
fn fingerprint(payload: &[u8]) -> String {
    Sha256::digest(payload)[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

fn known_tenant(delivery: &Delivery, env: &Env) -> Result<(), Rejection> {
    if env.tenants.config(&delivery.tenant).is_some() {
        return Ok(());
    }
    let detail = format!("there is no tenant {:?}; make it with `kefu tenant create`", delivery.tenant);
    Err(Rejection::new(reason::UNKNOWN_TENANT, detail))
}

fn malformed(error: serde_json::Error) -> Rejection {
    Rejection::new(reason::MALFORMED, error.to_string())
}
