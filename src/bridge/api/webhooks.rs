//! Webhooks: who is told over HTTP what happens.

use crate::{
    access::{Permission, Resource},
    bridge::{
        answer::Failure,
        caller::Caller,
        commands::{self, Wanted},
    },
    runtime::places,
    webhooks::{
        patch,
        record::{self, WebhookError},
    },
};
use actix_web::{
    HttpResponse,
    web::{Json, Path},
};
use kefu_events::{
    AggregateKind, Timestamp,
    bridge::CommandResponse,
    key::is_token,
    webhook::{WEBHOOKS_DOCUMENT, WebhookSettings, WebhooksSettings},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long a test may take: the sender looks for it every second, and gives the receiver 15.
const TEST_TIMEOUT: Duration = Duration::from_secs(25);
/// Between looks whether it was sent.
const LOOK: Duration = Duration::from_millis(200);

fn check(caller: &Caller) -> Result<(), Failure> {
    Ok(caller.up.access.check(&caller.who, Permission::ManageWebhook, &Resource::Tenant)?)
}

/// The tenant's webhooks, as the store knows them now.
async fn settings(caller: &Caller) -> Result<BTreeMap<String, WebhookSettings>, Failure> {
    caller.up.caught_up().await?;
    let settings = caller.up.store.settings();
    let Some(document) = settings.document(&caller.who.tenant, WEBHOOKS_DOCUMENT) else { return Ok(BTreeMap::new()) };
    let document = serde_json::from_value::<WebhooksSettings>((**document).clone());
    Ok(document.map_err(|error| Failure::internal(&error))?.webhooks)
}

async fn find(caller: &Caller, name: &str) -> Result<WebhookSettings, Failure> {
    settings(caller).await?.remove(name).ok_or_else(|| Failure::not_found(format!("webhook {name:?}")))
}

async fn shown(caller: &Caller) -> Result<Vec<Value>, Failure> {
    let tenant = &caller.who.tenant;
    let mut states = record::shown(&caller.up.journal, Some(tenant)).await?;
    let one = |(name, webhook): (String, WebhookSettings)| {
        let state = states.remove(&(tenant.clone(), name.clone()));
        json!({ "name": name, "settings": webhook, "state": state })
    };
    Ok(settings(caller).await?.into_iter().map(one).collect())
}

pub(in crate::bridge) async fn list(caller: Caller) -> Result<Json<Value>, Failure> {
    check(&caller)?;
    Ok(Json(json!({ "items": shown(&caller).await? })))
}

pub(in crate::bridge) async fn one(caller: Caller, name: Path<String>) -> Result<Json<Value>, Failure> {
    check(&caller)?;
    let found = shown(&caller).await?.into_iter().find(|webhook| webhook["name"] == **name);
    found.map(Json).ok_or_else(|| Failure::not_found(format!("webhook {name:?}")))
}

/// Changes the settings document; `None`: it was as wanted already.
async fn set(caller: &Caller, value: Value) -> Result<Option<HttpResponse>, Failure> {
    let command = json!({ "type": "set", "v": 1, "merge": true, "value": value });
    let key = WEBHOOKS_DOCUMENT.to_owned();
    let wanted = Wanted { kind: AggregateKind::Settings, key, id: None, expected_version: None, command };
    let outcome = commands::carry_out(&caller.up, &caller.who, wanted).await?;
    match outcome.result.refusal.as_ref().map(|refusal| refusal.code.as_str()) {
        None | Some("unchanged") => {
            caller.up.projected(outcome.result.seq.unwrap_or_default()).await?;
            Ok(None)
        }
        Some(_) => {
            let response = CommandResponse { result: outcome.result, changed: outcome.changed };
            Ok(Some(HttpResponse::Conflict().json(response)))
        }
    }
}

pub(in crate::bridge) async fn put(
    caller: Caller,
    name: Path<String>,
    asked: Json<WebhookSettings>,
) -> Result<HttpResponse, Failure> {
    check(&caller)?;
    if !is_token(&name) {
        return Err(Failure::invalid(format!("{name:?} is no name: 1 to 64 letters, digits, `_` and `-`")));
    }
    let value = patch(&name, Some(&asked));
    if settings(&caller).await?.contains_key(&*name) {
        let refused = set(&caller, value).await?;
        return Ok(refused.unwrap_or_else(|| HttpResponse::Ok().json(json!({ "name": *name }))));
    }
    let (journal, tenant) = (&caller.up.journal, &caller.who.tenant);
    // Before the settings, so that nothing that happens from now on is missed.
    let secret = record::begin(journal, tenant, &name).await?;
    match set(&caller, value).await {
        Ok(None) => Ok(HttpResponse::Created().json(json!({ "name": *name, "secret": secret }))),
        Ok(Some(refused)) => {
            record::forget(journal, tenant, &name).await?;
            Ok(refused)
        }
        // The command may be carried out all the same, and the note is its webhook's then. What is not, is begun anew.
        Err(failure) => Err(failure),
    }
}

pub(in crate::bridge) async fn remove(caller: Caller, name: Path<String>) -> Result<HttpResponse, Failure> {
    check(&caller)?;
    find(&caller, &name).await?;
    if let Some(refused) = set(&caller, patch(&name, None)).await? {
        return Ok(refused);
    }
    record::forget(&caller.up.journal, &caller.who.tenant, &name).await?;
    Ok(HttpResponse::Ok().json(json!({ "ok": true })))
}

/// From where on everything is sent, again where it was sent already.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Replay {
    from: From,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum From {
    Seq(u64),
    Time(Timestamp),
}

pub(in crate::bridge) async fn replay(
    caller: Caller,
    name: Path<String>,
    asked: Json<Replay>,
) -> Result<Json<Value>, Failure> {
    check(&caller)?;
    find(&caller, &name).await?;
    let from = match asked.into_inner().from {
        From::Seq(seq) => seq,
        From::Time(time) => places::first_not_before(&caller.up.journal, time).await?,
    };
    record::replay(&caller.up.journal, &caller.who.tenant, &name, from).await?;
    Ok(Json(json!({ "from": from })))
}

pub(in crate::bridge) async fn test(caller: Caller, name: Path<String>) -> Result<Json<Value>, Failure> {
    check(&caller)?;
    if !find(&caller, &name).await?.enabled {
        return Err(Failure::invalid(format!("{name:?} is disabled: nothing is sent")));
    }
    let (journal, tenant) = (&caller.up.journal, &caller.who.tenant);
    let id = record::ask_for_test(journal, tenant, &name).await?;
    let began = Instant::now();
    while began.elapsed() < TEST_TIMEOUT {
        if let Some(outcome) = record::tested(journal, tenant, &name, &id).await? {
            return Ok(Json(json!({ "delivery": id, "outcome": outcome })));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(Failure::unavailable("no node has sent the test yet; it will be sent, and GET shows what became of it"))
}

pub(in crate::bridge) async fn rotate(caller: Caller, name: Path<String>) -> Result<Json<Value>, Failure> {
    check(&caller)?;
    find(&caller, &name).await?;
    let secret = record::rotate(&caller.up.journal, &caller.who.tenant, &name).await?;
    Ok(Json(json!({ "name": *name, "secret": secret })))
}

impl std::convert::From<WebhookError> for Failure {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::Journal(error) => error.into(),
            WebhookError::Unknown(name) => Self::not_found(format!("webhook {name:?}, or it has not begun yet")),
            WebhookError::Secret(_) | WebhookError::Damaged(_) => Self::internal(&error),
        }
    }
}
