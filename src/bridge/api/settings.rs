//! The tenant's settings: documents with authors and a history.

use super::{Range, carry_out};
use crate::{
    access::{Permission, Resource},
    bridge::{answer::Failure, caller::Caller},
    settings,
};
use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use kefu_events::{AggregateKind, bridge::CommandRequest, query::name};
use serde::Deserialize;
use serde_json::{Value, json};

pub(in crate::bridge) async fn documents(caller: Caller) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadSettings, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::DOCUMENTS, json!({})).await?))
}

pub(in crate::bridge) async fn document(caller: Caller, key: Path<String>) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadSettings, &Resource::Document(&key))?;
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::SETTINGS, json!({ "document": *key })).await?))
}

pub(in crate::bridge) async fn commits(
    caller: Caller,
    key: Path<String>,
    range: Query<Range>,
) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadSettings, &Resource::Document(&key))?;
    super::commits(&caller, AggregateKind::Settings, &key, &range).await
}

/// What is asked about a document.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Check {
    value: Value,
}

/// Whether it might be set to this, by whoever may set it: people look before they leap, and the log is not told.
pub(in crate::bridge) async fn check(
    caller: Caller,
    key: Path<String>,
    asked: Json<Check>,
) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::EditSettings, &Resource::Document(&key))?;
    Ok(Json(match settings::validate(&key, &asked.value) {
        Ok(()) => json!({ "ok": true }),
        Err(refusal) => json!({ "ok": false, "refusal": refusal }),
    }))
}

pub(in crate::bridge) async fn command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Settings, key.into_inner(), asked.into_inner()).await
}
