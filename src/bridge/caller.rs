//! Who makes a request: a session's cookie or a token, checked, and guarded against pages of others.

use super::{
    answer::Failure,
    front::Front,
    limit::{self, Limits},
    upstream::Upstream,
};
use crate::access::{AuthError, Principal, customer::CUSTOMER_PREFIX, network_of};
use crate::journal::Journal;
use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::Data};
use futures::{FutureExt, future::LocalBoxFuture};
use std::{
    future::{Ready, ready},
    sync::{Arc, OnceLock},
    time::Instant,
};

/// The cookie that holds a browser's session.
pub(super) const COOKIE: &str = "kefu_session";
/// The header that a page of another origin cannot send without being asked first (OWASP, "custom request headers").
pub(super) const OWN_REQUEST: &str = "X-Kefu-Request";

/// What all requests share.
pub(super) struct Shared {
    /// The node, once it is there.
    pub upstream: OnceLock<Arc<Upstream>>,
    /// How often one may ask.
    pub limits: Limits,
    /// Names and proxies.
    pub front: Front,
}

/// Somebody who may ask, and the node that is asked.
pub(super) struct Caller {
    /// Who.
    pub who: Principal,
    /// The node.
    pub up: Arc<Upstream>,
}

/// The node, asked by nobody in particular.
pub(super) struct Stranger {
    /// The node.
    pub up: Arc<Upstream>,
    /// The address that the request came from.
    pub address: String,
}

fn shared(request: &HttpRequest) -> Result<&Data<Arc<Shared>>, Failure> {
    request.app_data::<Data<Arc<Shared>>>().ok_or_else(|| Failure::unavailable("kefu is starting"))
}

fn upstream(request: &HttpRequest) -> Result<Arc<Upstream>, Failure> {
    let up = shared(request)?.upstream.get().cloned();
    up.ok_or_else(|| Failure::unavailable("kefu is starting: /readyz says what it waits for"))
}

/// Counts a request of somebody who has not shown who it is, by the address or the network that it came from.
fn take_stranger(request: &HttpRequest) -> Result<(), Failure> {
    let shared = shared(request)?;
    let asker = format!("address {}", network_of(&shared.front.address(request)));
    shared.limits.take(&asker, limit::STRANGER, Instant::now())
}

/// Whether whoever asks does it over TLS.
pub(super) fn is_secure(request: &HttpRequest) -> bool {
    shared(request).is_ok_and(|shared| shared.front.is_secure(request))
}

impl FromRequest for Stranger {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready((|| {
            let (up, address) = (upstream(request)?, shared(request)?.front.address(request));
            take_stranger(request)?;
            if !request.method().is_safe() {
                guard(request)?;
            }
            Ok(Self { up, address })
        })())
    }
}

impl FromRequest for Caller {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        async move { caller(&request).await }.boxed_local()
    }
}

async fn caller(request: &HttpRequest) -> Result<Caller, Failure> {
    let up = upstream(request)?;
    let in_query = token_in_query(request);
    let bearer = bearer(request)?.or(in_query.as_deref());
    let cookie = request.cookie(COOKIE);
    let token = match (&bearer, &cookie) {
        (Some(token), _) => (*token).to_owned(),
        (None, Some(cookie)) => {
            // A browser sends the cookie whoever's page asks; this header and this origin only our own page has.
            let upgrades = request.headers().contains_key(header::UPGRADE);
            if upgrades || !request.method().is_safe() {
                guard(request)?;
            }
            if !upgrades && !request.method().is_safe() && !request.headers().contains_key(OWN_REQUEST) {
                return Err(Failure::forbidden(format!(
                    "a request that comes with a cookie needs the header {OWN_REQUEST}: 1"
                )));
            }
            cookie.value().to_owned()
        }
        (None, None) => {
            take_stranger(request)?;
            return Err(Failure::unauthenticated(
                "sign in by POST /api/v1/session, or send `Authorization: Bearer TOKEN`",
            ));
        }
    };
    let known = match up.access.authenticate(&token) {
        Err(AuthError::Unknown) if token.starts_with(CUSTOMER_PREFIX) => {
            match up.customers.known(&token) {
                Some(customer) => Ok(customer),
                // The bus is asked: not as often as a stranger likes.
                None => {
                    take_stranger(request)?;
                    Ok(up.customers.authenticate(&up.journal, &token).await?)
                }
            }
        }
        // Made a moment ago, perhaps, on another node or by the command line.
        Err(AuthError::Unknown) => {
            take_stranger(request)?;
            let last = up.journal.position().await.map_err(Failure::from)?.last;
            up.projected(last).await?;
            up.access.authenticate(&token)
        }
        known => known,
    };
    let who = known?;
    let asker = format!("user {}/{}", who.tenant, who.user);
    shared(request)?.limits.take(&asker, limit::USER, Instant::now())?;
    Ok(Caller { who, up })
}

/// A customer's token in the address of a WebSocket: a browser lets a page set no header there. Others' are not taken from an
/// address, which proxies write into their logs; a customer's is for one conversation and soon of no use.
fn token_in_query(request: &HttpRequest) -> Option<String> {
    let pairs = url::form_urlencoded::parse(request.query_string().as_bytes());
    let token = pairs.into_iter().find(|(name, _)| name == "token").map(|(_, token)| token.into_owned());
    token.filter(|token| token.starts_with(CUSTOMER_PREFIX) && request.headers().contains_key(header::UPGRADE))
}

fn bearer(request: &HttpRequest) -> Result<Option<&str>, Failure> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    token
        .map(|token| Some(token.trim()))
        .ok_or_else(|| Failure::unauthenticated("`Authorization` must be `Bearer TOKEN`"))
}

/// Refuses what another origin's page sends. A client that is no browser sends no origin.
fn guard(request: &HttpRequest) -> Result<(), Failure> {
    let site = request.headers().get("Sec-Fetch-Site").and_then(|site| site.to_str().ok());
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(Failure::forbidden("this request was made by a page of another origin"));
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else { return Ok(()) };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let own = origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, from)| from == host);
    if own { Ok(()) } else { Err(Failure::forbidden("this request was made by a page of another origin")) }
}
