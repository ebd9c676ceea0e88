//! What is known: entries, answers, and what was ever said.

use super::{Range, carry_out, commits, parameters};
use crate::{
    access::{Permission, Principal, Resource},
    bridge::{answer::Failure, caller::Caller, inbox, upstream::Upstream},
};
use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use kefu_events::{AggregateKind, bridge::CommandRequest, query::name};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};

type Asked = Query<Vec<(String, String)>>;

/// Hits on a page, where the question does not say how many.
const HITS: usize = 20;
/// At most.
const MAX_HITS: usize = 100;
/// Hits that are looked at for somebody who may read few of them.
const MAX_LOOKED_AT: usize = 1_000;

pub(in crate::bridge) async fn entries(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadEntry, &Resource::Tenant)?;
    let known = ["status", "waiting", "category", "language", "content", "after", "limit"];
    let parameters = parameters(asked.into_inner(), &known, &["waiting", "content"])?;
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::ENTRIES, parameters).await?))
}

pub(in crate::bridge) async fn entry(caller: Caller, key: Path<String>) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadEntry, &Resource::Tenant)?;
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::ENTRY, json!({ "id": *key })).await?))
}

pub(in crate::bridge) async fn entry_commits(
    caller: Caller,
    key: Path<String>,
    range: Query<Range>,
) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadEntry, &Resource::Tenant)?;
    commits(&caller, AggregateKind::Faq, &key, &range).await
}

pub(in crate::bridge) async fn entry_command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Faq, key.into_inner(), asked.into_inner()).await
}

pub(in crate::bridge) async fn ask(caller: Caller, asked: Json<Value>) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadEntry, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::ASK, asked.into_inner()).await?))
}

pub(in crate::bridge) async fn search_entries(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadEntry, &Resource::Tenant)?;
    let known = ["text", "status", "waiting", "category", "language", "offset", "limit"];
    let parameters = parameters(asked.into_inner(), &known, &["waiting"])?;
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::SEARCH_ENTRIES, parameters).await?))
}

/// Only messages of conversations that the caller may read: where that is not all of them, the newest or best hits are looked
/// at one by one, and how many there are in all is not said.
pub(in crate::bridge) async fn search(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    let Caller { who, up } = caller;
    up.access.check(&who, Permission::SearchMessages, &Resource::Tenant)?;
    let known = ["text", "conversation", "channel", "author", "agent", "from", "to", "by_relevance", "notes", "limit"];
    let mut wanted = parameters(asked.into_inner(), &known, &["by_relevance", "notes"])?;
    let limit = wanted["limit"].as_u64().map_or(HITS, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit == 0 || limit > MAX_HITS {
        return Err(Failure::invalid(format!("`limit` is 1 to {MAX_HITS}")));
    }
    let everything = Resource::Conversation { queues: &[], agents: &[] };
    if up.access.check(&who, Permission::ReadConversation, &everything).is_ok() {
        wanted["limit"] = limit.into();
        return Ok(Json(up.query(&who.tenant, name::SEARCH_MESSAGES, wanted).await?));
    }
    let (mut items, mut offset, mut readable) = (Vec::new(), 0, HashMap::new());
    wanted["limit"] = MAX_HITS.into();
    let mut archive = Value::Null;
    while items.len() < limit && offset < MAX_LOOKED_AT {
        wanted["offset"] = offset.into();
        let mut page = up.query(&who.tenant, name::SEARCH_MESSAGES, wanted.clone()).await?;
        archive = page["archive"].take();
        let hits = page["items"].as_array().cloned().unwrap_or_default();
        let found = hits.len();
        for hit in hits {
            let key = hit["conversation"].as_str().unwrap_or_default().to_owned();
            let may = match readable.get(&key) {
                Some(may) => *may,
                None => {
                    let may = may_read(&up, &who, &key).await?;
                    readable.insert(key, may);
                    may
                }
            };
            if may && items.len() < limit {
                items.push(hit);
            }
        }
        offset += found;
        if found < MAX_HITS {
            break;
        }
    }
    Ok(Json(json!({ "items": items, "looked_at": offset, "archive": archive })))
}

async fn may_read(up: &Arc<Upstream>, who: &Principal, key: &str) -> Result<bool, Failure> {
    let (who, key) = (who.clone(), key.to_owned());
    up.read(move |this| {
        let found = inbox::summary(&this.store, &who.tenant, &key)?;
        Ok(found.is_some_and(|(_, tracked)| {
            let concerns = tracked.state.concerns();
            let resource = Resource::Conversation { queues: &concerns.queues, agents: &concerns.agents };
            this.access.check(&who, Permission::ReadConversation, &resource).is_ok()
        }))
    })
    .await
}
