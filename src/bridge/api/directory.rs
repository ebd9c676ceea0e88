//! People: contacts, agents, and the queues between them.

use super::{carry_out, parameters};
use crate::{
    access::{Permission, Resource},
    bridge::{answer::Failure, caller::Caller},
};
use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use kefu_events::{AggregateKind, bridge::CommandRequest, query::name};
use serde_json::{Value, json};

type Asked = Query<Vec<(String, String)>>;

pub(in crate::bridge) async fn contacts(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadContact, &Resource::Tenant)?;
    let known = ["attribute", "value", "tag", "channel", "after", "limit"];
    let parameters = parameters(asked.into_inner(), &known, &[])?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::CONTACTS, parameters).await?))
}

pub(in crate::bridge) async fn contact(caller: Caller, key: Path<String>) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadContact, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::CONTACT, json!({ "key": *key })).await?))
}

pub(in crate::bridge) async fn contact_command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Contact, key.into_inner(), asked.into_inner()).await
}

pub(in crate::bridge) async fn agents(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadAgent, &Resource::Tenant)?;
    let parameters = parameters(asked.into_inner(), &["status", "queue", "skill", "after", "limit"], &[])?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::AGENTS, parameters).await?))
}

pub(in crate::bridge) async fn agent(caller: Caller, key: Path<String>) -> Result<Json<Value>, Failure> {
    if *key != caller.who.user {
        caller.up.access.check(&caller.who, Permission::ReadAgent, &Resource::Agent { key: &key })?;
    }
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::AGENT, json!({ "key": *key })).await?))
}

pub(in crate::bridge) async fn agent_command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Agent, key.into_inner(), asked.into_inner()).await
}

pub(in crate::bridge) async fn queues(caller: Caller) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadAgent, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::QUEUES, json!({})).await?))
}
