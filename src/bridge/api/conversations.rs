//! Conversations: the inbox, one of them, what happened, why, and what to do.

use super::{Range, carry_out};
use crate::{
    access::{Permission, Resource},
    bridge::{
        answer::Failure,
        caller::Caller,
        commands,
        inbox::{self, List},
    },
};
use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use kefu_events::{AggregateKind, bridge::CommandRequest, query::name};
use serde::Deserialize;
use serde_json::{Value, json};

/// Rows on a page, where the question does not say how many.
const ROWS: usize = 50;
/// At most.
const MAX_ROWS: usize = 500;

/// Whether the caller may read any conversation at all: one's own is the least.
fn some(caller: &Caller) -> Result<(), Failure> {
    let own = [caller.who.user.clone()];
    let resource = Resource::Conversation { queues: &[], agents: &own };
    Ok(caller.up.access.check(&caller.who, Permission::ReadConversation, &resource)?)
}

pub(in crate::bridge) async fn counts(caller: Caller) -> Result<HttpResponse, Failure> {
    some(&caller)?;
    let Caller { who, up } = caller;
    let counts = up.read(move |this| Ok(this.inbox.counts(&this.store, &this.access, &who)?)).await?;
    Ok(HttpResponse::Ok().json(counts))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Listed {
    inbox: Option<List>,
    after: Option<String>,
    limit: Option<usize>,
}

pub(in crate::bridge) async fn list(caller: Caller, asked: Query<Listed>) -> Result<HttpResponse, Failure> {
    let Listed { inbox, after, limit } = asked.into_inner();
    let limit = limit.unwrap_or(ROWS);
    if limit == 0 || limit > MAX_ROWS {
        return Err(Failure::invalid(format!("`limit` is 1 to {MAX_ROWS}")));
    }
    some(&caller)?;
    let Caller { who, up } = caller;
    up.caught_up().await?;
    let page = up.read(move |this| {
        let list = inbox.unwrap_or(List::Mine);
        this.inbox.page(&this.store, &this.access, &who, list, after.as_deref(), limit)
    });
    Ok(HttpResponse::Ok().json(page.await?))
}

pub(in crate::bridge) async fn one(caller: Caller, key: Path<String>) -> Result<HttpResponse, Failure> {
    commands::conversation(&caller.up, &caller.who, Permission::ReadConversation, &key).await?;
    let tenant = caller.who.tenant.clone();
    let asked = key.clone();
    let found = caller.up.read(move |this| Ok(inbox::summary(&this.store, &tenant, &asked)?)).await?;
    let (summary, tracked) = found.ok_or_else(|| Failure::not_found(format!("conversation {key:?}")))?;
    Ok(HttpResponse::Ok().json(json!({
        "key": *key,
        "version": tracked.version,
        "seq": tracked.seq,
        "at": tracked.at,
        "quarantined": tracked.quarantined,
        "state": tracked.state,
        "summary": summary,
    })))
}

pub(in crate::bridge) async fn commits(
    caller: Caller,
    key: Path<String>,
    range: Query<Range>,
) -> Result<Json<Value>, Failure> {
    commands::conversation(&caller.up, &caller.who, Permission::ReadConversation, &key).await?;
    super::commits(&caller, AggregateKind::Conversation, &key, &range).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct WhyNot {
    agent: Option<String>,
}

pub(in crate::bridge) async fn why(
    caller: Caller,
    key: Path<String>,
    asked: Query<WhyNot>,
) -> Result<Json<Value>, Failure> {
    commands::conversation(&caller.up, &caller.who, Permission::ReadConversation, &key).await?;
    caller.up.access.check(&caller.who, Permission::ReadAgent, &Resource::Tenant)?;
    let commits = caller.up.commits(&caller.who.tenant, AggregateKind::Conversation, &key, 0).await?;
    let mut decisions = Vec::new();
    for (seq, commit) in &commits {
        let events = commit["events"].as_array().into_iter().flatten();
        for event in events.filter(|event| event["type"] == "offer_made") {
            decisions.push(json!({
                "seq": seq, "at": commit["at"], "agent": event["agent"], "offer": event["offer"],
                "decision": event["decision"],
            }));
        }
    }
    let parameters = json!({ "conversation": *key, "agent": asked.agent });
    let now = caller.up.query(&caller.who.tenant, name::WHY, parameters).await?;
    Ok(Json(json!({ "decisions": decisions, "waiting": now["waiting"], "agent": now["agent"] })))
}

pub(in crate::bridge) async fn command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Conversation, key.into_inner(), asked.into_inner()).await
}
