//! Figures, the sessions behind them, and what they mean.

use super::parameters;
use crate::{
    access::{Permission, Resource},
    bridge::{answer::Failure, caller::Caller},
};
use actix_web::web::{Json, Query};
use kefu_events::query::name;
use serde_json::{Value, json};

type Asked = Query<Vec<(String, String)>>;

pub(in crate::bridge) async fn report(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadReport, &Resource::Tenant)?;
    let mut asked = parameters(asked.into_inner(), &["from", "to", "by", "value", "step", "metrics"], &[])?;
    if let Some(metrics) = asked["metrics"].as_str() {
        asked["metrics"] = metrics.split(',').filter(|name| !name.is_empty()).collect();
    }
    Ok(Json(caller.up.query(&caller.who.tenant, name::REPORT, asked).await?))
}

/// Only sessions of conversations that the caller may read: pages of who may not read all have fewer rows.
pub(in crate::bridge) async fn sessions(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadReport, &Resource::Tenant)?;
    let known = ["from", "to", "metric", "by", "value", "after", "limit"];
    let asked = parameters(asked.into_inner(), &known, &[])?;
    let mut found = caller.up.query(&caller.who.tenant, name::REPORT_SESSIONS, asked).await?;
    let may_read = |queues: &[String], agents: &[String]| {
        let conversation = Resource::Conversation { queues, agents };
        caller.up.access.check(&caller.who, Permission::ReadConversation, &conversation).is_ok()
    };
    if !may_read(&[], &[])
        && let Some(items) = found["items"].as_array_mut()
    {
        let named = |item: &Value, field: &str| item[field].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
        items.retain(|item| may_read(&named(item, "queue"), &named(item, "agent")));
    }
    Ok(Json(found))
}

pub(in crate::bridge) async fn metrics(caller: Caller) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadReport, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::METRICS, json!({})).await?))
}
