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

pub(in crate::bridge) async fn sessions(caller: Caller, asked: Asked) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadReport, &Resource::Tenant)?;
    let known = ["from", "to", "metric", "by", "value", "after", "limit"];
    let asked = parameters(asked.into_inner(), &known, &[])?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::REPORT_SESSIONS, asked).await?))
}

pub(in crate::bridge) async fn metrics(caller: Caller) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadReport, &Resource::Tenant)?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::METRICS, json!({})).await?))
}
