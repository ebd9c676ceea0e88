//! The wall of an earlier moment: for whoever may see the one of now, and of its conversations those that are readable.

use crate::{
    access::{Access, Permission, Principal, Resource},
    bridge::{answer::Failure, caller::Caller, inbox},
    store::{Store, StoreError},
};
use actix_web::web::{Json, Query};
use kefu_events::query::name;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Agents and waiting conversations, where the question does not say how many.
const ROWS: usize = 1_000;
/// At most.
const MAX_ROWS: usize = 5_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Asked {
    at: Option<String>,
    limit: Option<usize>,
}

pub(in crate::bridge) async fn wall(caller: Caller, asked: Query<Asked>) -> Result<Json<Value>, Failure> {
    let Caller { who, up } = caller;
    up.access.check(&who, Permission::ReadAgent, &Resource::Tenant)?;
    let Asked { at, limit } = asked.into_inner();
    let limit = limit.unwrap_or(ROWS);
    if limit == 0 || limit > MAX_ROWS {
        return Err(Failure::invalid(format!("`limit` is 1 to {MAX_ROWS}")));
    }
    up.caught_up().await?;
    // Of what waited, only what may be read counts.
    let wall = up.query(&who.tenant, name::WALL, json!({ "at": at, "limit": MAX_ROWS })).await?;
    let shown = up.read(move |this| Ok(shown(&this.store, &this.access, &who, wall, limit)?));
    Ok(Json(shown.await?))
}

/// What of a wall this user may see: conversations that would have been in the user's list, and that may still be read.
fn shown(store: &Store, access: &Access, who: &Principal, mut wall: Value, limit: usize) -> Result<Value, StoreError> {
    if let Some(agents) = wall["agents"].as_array_mut() {
        agents.truncate(limit);
    }
    let mut waiting = Vec::new();
    if let Some(Value::Array(rows)) = wall.get_mut("waiting").map(Value::take) {
        for row in rows {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            if waiting.len() < limit
                && inbox::may_read(access, who, text("queue"), [text("agent"), ""])
                && sender(store, access, who, text("key"))?.is_some()
            {
                waiting.push(row);
            }
        }
    }
    let mut senders = Map::new();
    let agents = wall["agents"].as_array().into_iter().flatten();
    for slot in agents.flat_map(|agent| agent["held"].as_object().into_iter().flatten().map(|(_, slot)| slot)) {
        let key = slot["conversation"].as_str().unwrap_or_default();
        if let Some(sender) = sender(store, access, who, key)? {
            senders.insert(key.to_owned(), sender.into());
        }
    }
    wall["waiting"] = waiting.into();
    wall["senders"] = senders.into();
    Ok(wall)
}

/// Who the customer of a conversation is; `None`: this user may not read it.
fn sender(store: &Store, access: &Access, who: &Principal, key: &str) -> Result<Option<String>, StoreError> {
    let Some((summary, tracked)) = inbox::summary(store, &who.tenant, key)? else { return Ok(None) };
    let concerns = tracked.state.concerns();
    let resource = Resource::Conversation { queues: &concerns.queues, agents: &concerns.agents };
    let permitted = access.check(who, Permission::ReadConversation, &resource).is_ok();
    let name = summary.sender.map(|sender| sender.name.unwrap_or(sender.id));
    Ok(permitted.then_some(name.unwrap_or_default()))
}
