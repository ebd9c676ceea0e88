//! From a commit to what is published after it. Pure: a commit always gives the same bytes under the same ids.

use crate::{
    aggregate::{Effect, kind::Recorded},
    journal::Outgoing,
};
use bytes::Bytes;
use kefu_events::{Actor, ActorKind, CommandHeader, CommandResult, envelope::Command};

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
                    payload: json(&Command { header, body }),
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
