//! Signing in and out, and who one is.

use crate::{
    access::{Principal, SignInError},
    bridge::{
        answer::Failure,
        caller::{COOKIE, Caller, Stranger, is_secure},
        customers, presence,
        upstream::Upstream,
    },
};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::OffsetDateTime},
    web::Json,
};
use kefu_events::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct SignIn {
    tenant: String,
    user: String,
    password: String,
}

pub(in crate::bridge) async fn sign_in(
    stranger: Stranger,
    request: HttpRequest,
    asked: Json<SignIn>,
) -> Result<HttpResponse, Failure> {
    let Stranger { up, address } = stranger;
    let SignIn { tenant, user, password } = asked.into_inner();
    let signed_in = up.access.sign_in(&tenant, &user, &password, &address).await?;
    let me = me(&up, &signed_in.principal).await?;
    let cookie = cookie(&request, signed_in.secret, Some(signed_in.expires_at));
    Ok(HttpResponse::Ok().cookie(cookie).json(me))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::bridge) struct SetUp {
    code: String,
    user: String,
    name: Option<String>,
    password: String,
}

/// The first user of a tenant, with the code that `kefu serve` has printed; signed in as that.
pub(in crate::bridge) async fn set_up(
    stranger: Stranger,
    request: HttpRequest,
    asked: Json<SetUp>,
) -> Result<HttpResponse, Failure> {
    let Stranger { up, address } = stranger;
    let SetUp { code, user, name, password } = asked.into_inner();
    let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| user.clone());
    let signed_in = up.access.set_up(&code, &user, &name, &password, &address).await?;
    let me = me(&up, &signed_in.principal).await?;
    let cookie = cookie(&request, signed_in.secret, Some(signed_in.expires_at));
    Ok(HttpResponse::Created().cookie(cookie).json(me))
}

pub(in crate::bridge) async fn sign_out(caller: Caller, request: HttpRequest) -> Result<HttpResponse, Failure> {
    caller.up.access.sign_out(&caller.who).await?;
    let mut cookie = cookie(&request, String::new(), None);
    cookie.make_removal();
    Ok(HttpResponse::Ok().cookie(cookie).json(json!({ "ok": true })))
}

pub(in crate::bridge) async fn who(caller: Caller) -> Result<Json<Value>, Failure> {
    Ok(Json(me(&caller.up, &caller.who).await?))
}

/// Who somebody is, and what a console may show them.
async fn me(up: &Arc<Upstream>, who: &Principal) -> Result<Value, Failure> {
    let asked = who.clone();
    let agent = up.read(move |this| Ok(presence::is_known(&this.store, &asked.tenant, &asked.user, "")?)).await?;
    let permissions: Vec<&str> = up.access.permissions(who).into_iter().map(|permission| permission.as_str()).collect();
    Ok(json!({
        "tenant": who.tenant,
        "user": who.user,
        "name": who.name,
        "roles": who.grants,
        "permissions": permissions,
        "queues": who.queues,
        "agent": agent.is_some(),
        "expires_at": who.expires_at,
    }))
}

pub(in crate::bridge) async fn admit_customer(
    caller: Caller,
    asked: Json<customers::Wanted>,
) -> Result<HttpResponse, Failure> {
    let made = customers::issue(&caller.up, &caller.who, asked.into_inner()).await?;
    Ok(HttpResponse::Created().json(made))
}

pub(in crate::bridge) fn cookie(
    request: &HttpRequest,
    secret: String,
    expires_at: Option<Timestamp>,
) -> Cookie<'static> {
    let mut cookie =
        Cookie::build(COOKIE, secret).http_only(true).same_site(SameSite::Strict).path("/").secure(is_secure(request));
    if let Some(ends) = expires_at.and_then(|ends| OffsetDateTime::from_unix_timestamp(ends.as_millis() / 1000).ok()) {
        cookie = cookie.expires(ends);
    }
    cookie.finish()
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        let message = error.to_string();
        match error {
            SignInError::Wrong | SignInError::Disabled => Self::unauthenticated(message),
            SignInError::Throttled { wait } => Self::too_many(message, wait.as_secs().max(1)),
            SignInError::Unavailable(_) => Self::unavailable(message),
        }
    }
}
