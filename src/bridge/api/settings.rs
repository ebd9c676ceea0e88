//! The tenant's settings: documents with authors and a history.

use super::{Range, carry_out};
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

pub(in crate::bridge) async fn command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    carry_out(&caller, AggregateKind::Settings, key.into_inner(), asked.into_inner()).await
}
