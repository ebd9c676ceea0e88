//! Accounts: users, their roles, passwords and tokens.

use super::parameters;
use crate::{
    access::{AccountError, NewToken, Permission, Resource},
    bridge::{
        answer::Failure,
        caller::{Caller, Stranger},
    },
};
use actix_web::{
    HttpResponse,
    web::{Json, Path, Query},
};
use kefu_events::{CommandResult, Timestamp, bridge::CommandRequest, query::name, user::UserCommand};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(in crate::bridge) async fn list(caller: Caller, asked: Query<Vec<(String, String)>>) -> Result<Json<Value>, Failure> {
    caller.up.access.check(&caller.who, Permission::ReadUser, &Resource::Tenant)?;
    let parameters = parameters(asked.into_inner(), &["after", "limit"], &[])?;
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::USERS, parameters).await?))
}

pub(in crate::bridge) async fn one(caller: Caller, key: Path<String>) -> Result<Json<Value>, Failure> {
    if *key != caller.who.user {
        caller.up.access.check(&caller.who, Permission::ReadUser, &Resource::User(&key))?;
    }
    caller.up.caught_up().await?;
    Ok(Json(caller.up.query(&caller.who.tenant, name::USER, json!({ "id": *key })).await?))
}

pub(in crate::bridge) async fn command(
    caller: Caller,
    key: Path<String>,
    asked: Json<CommandRequest>,
) -> Result<HttpResponse, Failure> {
    let CommandRequest { id, expected_version, mut command } = asked.into_inner();
    if let Value::Object(fields) = &mut command {
        fields.entry("v").or_insert_with(|| 1.into());
    }
    let command: UserCommand =
        serde_json::from_value(command).map_err(|error| Failure::invalid(format!("`command`: {error}")))?;
    let id = id.map(|id| format!("{}:{id}", caller.who.user));
    let result = caller.up.access.change(&caller.who, &key, command, id, expected_version).await?;
    Ok(answer(&result))
}

fn answer(result: &CommandResult) -> HttpResponse {
    if result.ok { HttpResponse::Ok().json(result) } else { HttpResponse::Conflict().json(result) }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Password {
    present: Option<String>,
    password: String,
}

pub(in crate::bridge) async fn password(
    caller: Caller,
    stranger: Stranger,
    key: Path<String>,
    asked: Json<Password>,
) -> Result<HttpResponse, Failure> {
    let Password { present, password } = asked.into_inner();
    let access = &caller.up.access;
    let set = access.set_password(&caller.who, &key, present.as_deref(), &password, &stranger.address).await?;
    Ok(answer(&set))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct Token {
    name: String,
    scopes: Option<BTreeSet<String>>,
    expires_at: Option<Timestamp>,
}

pub(in crate::bridge) async fn issue(
    caller: Caller,
    key: Path<String>,
    asked: Json<Token>,
) -> Result<HttpResponse, Failure> {
    let Token { name, scopes, expires_at } = asked.into_inner();
    let issued = caller.up.access.issue_token(&caller.who, &key, NewToken { name, scopes, expires_at }).await?;
    if !issued.result.ok {
        return Ok(answer(&issued.result));
    }
    Ok(HttpResponse::Created().json(json!({ "id": issued.id, "token": issued.secret })))
}

pub(in crate::bridge) async fn revoke(caller: Caller, path: Path<(String, String)>) -> Result<HttpResponse, Failure> {
    let (user, token) = path.into_inner();
    let result = caller.up.access.revoke_token(&caller.who, &user, &token).await?;
    Ok(answer(&result))
}

impl From<AccountError> for Failure {
    fn from(error: AccountError) -> Self {
        let message = error.to_string();
        match error {
            AccountError::Denied(denied) => denied.into(),
            AccountError::Refused(refusal) => refusal.into(),
            AccountError::Password(_) => Self::invalid(message),
            AccountError::SignIn(error) => error.into(),
            AccountError::Unavailable(_) => Self::unavailable(message),
        }
    }
}
