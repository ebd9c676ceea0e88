//! From a commit to what is published after it. Pure: a commit always gives the same bytes under the same ids.

use crate::{
    aggregate::{Effect, kind::Recorded},
    journal::Outgoing,
};
use bytes::Bytes;
use kefu_events::{
    Actor, ActorKind, CommandHeader, CommandResult,
    key::{MAX_BODY_BYTES, is_token},
};

/// Who sends the commands of one aggregate to another.
pub const SYSTEM_ACTOR: &str = "kefu";

/// With this before the id of an input begins the cause of the commit that sets its aggregate aside: the input itself is
/// not done, and is decided when it is sent again.
pub const QUARANTINE: &str = "quarantine:";

/// Everything that follows from `commit`, which the log holds at `seq`.
pub fn outgoing(commit: &Recorded, seq: u64) -> Vec<Outgoing> {
    let facts = &commit.facts;
    let mut all: Vec<Outgoing> = Vec::with_capacity(commit.effects.len() + 1);
    for (index, effect) in commit.effects.iter().enumerate() {
        all.push(match effect {
            Effect::Reply(reply) => Outgoing::Reply {
                tenant: reply.tenant.clone(),
                channel: reply.channel.clone(),
                key: reply.key.clone(),
                id: reply.id.clone(),
                payload: json(reply),
            },
            Effect::Command { aggregate, key, body } => {
                let id = format!("{}-c{index}", facts.commit_id);
                let header = CommandHeader {
                    id: id.clone(),
                    aggregate: *aggregate,
                    key: key.clone(),
                    expected_version: None,
                    actor: Actor::new(ActorKind::System, SYSTEM_ACTOR),
                    at: facts.at,
                    correlation: Some(facts.correlation.clone()),
                };
                Outgoing::Command {
                    tenant: facts.tenant.clone(),
                    source: ActorKind::System.as_str().to_owned(),
                    key: key.clone(),
                    id,
                    payload: Bytes::from(body.followed_by(&header)),
                }
            }
        });
    }
    // Quarantine answers its input in another way: with a rejection, since the command may still be carried out.
    if facts.is_command && !facts.cause.starts_with(QUARANTINE) {
        let result = CommandResult {
            id: facts.cause.clone(),
            ok: facts.refusal.is_none(),
            version: Some(facts.version),
            seq: Some(seq),
            refusal: facts.refusal.clone(),
        };
        all.push(result_of(&facts.tenant, &result));
    }
    all
}

/// Bytes of a commit below which none of its effects can be too large: they are made of what it says.
const SURELY_SMALL: usize = 64 * 1024;

/// Why an effect of this commit, which is `bytes` long, could never be published, if that is so. It would be tried for
/// ever, and everything behind it would wait: so such a commit must not come into the log.
pub fn never_published(commit: &Recorded, bytes: usize) -> Option<String> {
    let address = commit.effects.iter().find_map(|effect| match effect {
        Effect::Reply(reply) => [&reply.channel, &reply.key].into_iter().find(|token| !is_token(token)),
        Effect::Command { key, .. } => (!is_token(key)).then_some(key),
    });
    if let Some(token) = address {
        let start: String = token.chars().take(100).collect();
        return Some(format!("an effect is for {start:?}, which cannot stand in a subject"));
    }
    if bytes < SURELY_SMALL {
        return None;
    }
    outgoing(commit, 0).iter().find_map(|effect| match effect {
        Outgoing::Command { payload, .. } if payload.len() > MAX_BODY_BYTES => {
            Some(format!("a command to another aggregate has {} bytes; {MAX_BODY_BYTES} are allowed", payload.len()))
        }
        Outgoing::Reply { payload, .. } if payload.len() > MAX_REPLY_BYTES => {
            Some(format!("a reply has {} bytes; {MAX_REPLY_BYTES} are allowed", payload.len()))
        }
        _ => None,
    })
}

/// Bytes of a reply, at most: half of what the server takes by default, which leaves room for whatever it adds.
const MAX_REPLY_BYTES: usize = 512 * 1024;

/// The publication of a command's result.
pub fn result_of(tenant: &str, result: &CommandResult) -> Outgoing {
    Outgoing::Result { tenant: tenant.to_owned(), id: result.id.clone(), payload: json(result) }
}

fn json<T: serde::Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(512);
    match serde_json::to_writer(&mut bytes, value) {
        Ok(()) => Bytes::from(bytes),
        Err(error) => unreachable!("a type of the contract that JSON cannot write: {error}"),
    }
}
