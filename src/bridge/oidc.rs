//! Signing in by OpenID Connect: authorization code with PKCE, at one provider that the server's configuration names.
//!
//! The provider says who somebody is; what they may do is what kefu knows of the user by that name, and nobody becomes a user by
//! it. What belongs to one attempt (state, nonce, verifier) is in a cookie of the browser that began it, so that any node can end
//! it, and no other browser.

use super::{
    answer::Failure,
    caller::{Stranger, is_secure},
};
use crate::{
    access::{SignInError, SignedIn},
    http::{self, Fault, Secret},
};
use actix_web::{
    HttpRequest, HttpResponse,
    cookie::{Cookie, SameSite, time::Duration as Age},
    http::header::LOCATION,
    web::{Json, Query},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest as Asked, HttpResponse as Answered, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    Scope, TokenResponse,
    core::{CoreAuthenticationFlow, CoreClient, CoreJwsSigningAlgorithm, CoreProviderMetadata},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// The cookie of an attempt.
const COOKIE: &str = "kefu_oidc";
/// Where it is sent.
const PATH: &str = "/api/v1/oidc";
/// How long an attempt may take, in minutes.
const ATTEMPT_MINUTES: i64 = 10;
/// How long the provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of its answers: keys and tokens take some thousands.
const MAX_BYTES: usize = 512 * 1024;

/// By what tokens may be signed: with a key that only the provider has.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// By what the provider's word is matched with a user's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserClaim {
    /// The name under which people know themselves there. The provider must not let them choose it.
    PreferredUsername,
    /// The provider's own id of the person.
    Subject,
}

/// The provider, and how kefu is known there.
#[derive(Debug, Clone)]
pub struct OidcOptions {
    /// Its address, under which `/.well-known/openid-configuration` is.
    pub issuer: String,
    /// kefu's id there.
    pub client_id: String,
    /// kefu's secret there, if it has one.
    pub client_secret: Option<Secret>,
    /// `https://<kefu>/api/v1/oidc/callback`, as it is registered there.
    pub redirect_url: String,
    /// Whose users sign in by it.
    pub tenant: String,
    /// Which of them somebody is.
    pub user_claim: UserClaim,
}

/// One attempt to sign in.
#[derive(Serialize, Deserialize)]
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The provider's answer to the browser.
#[derive(Deserialize)]
pub(super) struct Back {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

fn options(stranger: &Stranger) -> Result<&OidcOptions, Failure> {
    let missing = || Failure::not_found("provider for signing in: the server's configuration names none (oidc.issuer)");
    stranger.up.oidc.as_ref().ok_or_else(missing)
}

/// Whether one can sign in by a provider.
pub(super) async fn offered(stranger: Stranger) -> Json<Value> {
    let issuer = stranger.up.oidc.as_ref().map(|oidc| oidc.issuer.as_str());
    Json(json!({ "issuer": issuer, "login": issuer.map(|_| format!("{PATH}/login")) }))
}

/// Asks the provider over kefu's own client: no redirects, and not without end.
async fn ask(asked: Asked) -> Result<Answered, Fault> {
    let malformed = |error: &dyn std::fmt::Display| Fault::Malformed(error.to_string());
    let client = http::client_with(|builder| builder.timeout(TIMEOUT))?;
    let request = reqwest::Request::try_from(asked).map_err(|error| malformed(&error))?;
    let response = client.execute(request).await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = http::read(response, MAX_BYTES).await?;
    let mut answered = Answered::new(body);
    *answered.status_mut() = status;
    *answered.headers_mut() = headers;
    Ok(answered)
}

/// kefu at the provider, with the provider's keys of now.
async fn client(options: &OidcOptions) -> Result<Client, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        tracing::error!(%error, issuer = options.issuer, "the provider for signing in cannot be used");
        Failure::unavailable("the provider for signing in cannot be reached, or does not answer as it should")
    };
    let issuer = IssuerUrl::new(options.issuer.clone()).map_err(|error| wrong(&error))?;
    let metadata = CoreProviderMetadata::discover_async(issuer, &ask).await.map_err(|error| wrong(&error))?;
    let secret = options.client_secret.as_ref().map(|secret| ClientSecret::new(secret.expose().to_owned()));
    let redirect = RedirectUrl::new(options.redirect_url.clone()).map_err(|error| wrong(&error))?;
    let client = CoreClient::from_provider_metadata(metadata, ClientId::new(options.client_id.clone()), secret);
    Ok(client.set_redirect_uri(redirect))
}

fn cookie(request: &HttpRequest, value: String) -> Cookie<'static> {
    // The provider's page leads back here: a strict cookie would not come along.
    let cookie = Cookie::build(COOKIE, value).http_only(true).same_site(SameSite::Lax).path(PATH);
    cookie.secure(is_secure(request)).max_age(Age::minutes(ATTEMPT_MINUTES)).finish()
}

/// Sends the browser to the provider.
pub(super) async fn login(stranger: Stranger, request: HttpRequest) -> Result<HttpResponse, Failure> {
    let client = client(options(&stranger)?).await?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let flow = CoreAuthenticationFlow::AuthorizationCode;
    let url = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
    let (url, state, nonce) = url.add_scope(Scope::new("profile".to_owned())).set_pkce_challenge(challenge).url();
    let verifier = verifier.secret().clone();
    let attempt = Attempt { state: state.secret().clone(), nonce: nonce.secret().clone(), verifier };
    let value = serde_json::to_vec(&attempt).map_err(|error| Failure::internal(&error))?;
    let cookie = cookie(&request, URL_SAFE_NO_PAD.encode(value));
    Ok(HttpResponse::Found().cookie(cookie).insert_header((LOCATION, url.to_string())).finish())
}

/// The provider has sent the browser back.
pub(super) async fn callback(
    stranger: Stranger,
    request: HttpRequest,
    back: Query<Back>,
) -> Result<HttpResponse, Failure> {
    let signed_in = proven(&stranger, &request, back.into_inner()).await?;
    let session = super::api::session::cookie(&request, signed_in.secret, Some(signed_in.expires_at));
    let mut attempt = cookie(&request, String::new());
    attempt.make_removal();
    let answer =
        HttpResponse::Found().cookie(session).cookie(attempt).insert_header((LOCATION, "/#/signed-in")).finish();
    Ok(answer)
}

/// Holds everything against everything: the attempt against this browser, the code against the attempt, the token against the
/// provider's keys, kefu's id and the attempt.
async fn proven(stranger: &Stranger, request: &HttpRequest, back: Back) -> Result<SignedIn, Failure> {
    let options = options(stranger)?;
    let attempt = request.cookie(COOKIE).and_then(|cookie| URL_SAFE_NO_PAD.decode(cookie.value()).ok());
    let attempt = attempt.and_then(|value| serde_json::from_slice::<Attempt>(&value).ok());
    let attempt = attempt
        .ok_or_else(|| Failure::invalid("this browser did not begin to sign in, or too long ago: begin anew"))?;
    if back.state.as_deref() != Some(attempt.state.as_str()) {
        return Err(Failure::forbidden("this is the answer to another attempt to sign in: begin anew"));
    }
    if let Some(error) = back.error {
        let why = back.error_description.unwrap_or_default();
        return Err(Failure::unauthenticated(format!("the provider refuses: {error} {why}")));
    }
    let code = back.code.ok_or_else(|| Failure::invalid("`code` is missing"))?;
    let client = client(options).await?;
    let refused = |error: &dyn std::fmt::Display| {
        tracing::warn!(%error, issuer = options.issuer, "somebody could not sign in by the provider");
        Failure::unauthenticated("the provider's word is no good: begin anew")
    };
    let exchange = client.exchange_code(AuthorizationCode::new(code)).map_err(|error| refused(&error))?;
    let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier));
    let tokens = exchange.request_async(&ask).await.map_err(|error| refused(&error))?;
    let token = tokens.id_token().ok_or_else(|| refused(&"there is no id_token"))?;
    let verifier = client.id_token_verifier().set_allowed_algs(ALGORITHMS);
    let claims = token.claims(&verifier, &Nonce::new(attempt.nonce)).map_err(|error| refused(&error))?;
    let user = match options.user_claim {
        UserClaim::PreferredUsername => claims.preferred_username().map(|name| name.as_str()),
        UserClaim::Subject => Some(claims.subject().as_str()),
    };
    let user = user.ok_or_else(|| refused(&"the token names nobody: see oidc.user_claim"))?;
    let signed_in = stranger.up.access.sign_in_as(&options.tenant, user, &stranger.address).await;
    signed_in.map_err(|error| match error {
        SignInError::Wrong => Failure::forbidden(format!(
            "{user:?} is no user of the tenant {}: an administrator adds users",
            options.tenant
        )),
        other => other.into(),
    })
}
