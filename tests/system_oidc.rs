//! Signing in by OpenID Connect, at a provider of this test's own that signs real tokens and checks PKCE.

#![allow(clippy::unwrap_used)] // A test may panic.

#[path = "support/http.rs"]
mod http;
mod support;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::{Reply, Request, Server};
use reqwest::{Client, Response, header, redirect::Policy};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    net::TcpListener,
    sync::{Arc, Mutex},
};
use support::kefu::Kefu;
use url::Url;

/// What the provider does about the next code.
#[derive(Clone)]
struct Plan {
    challenge: String,
    claims: Value,
    /// Which of its keys signs: only the first is published.
    key: usize,
}

struct Provider {
    url: String,
    plan: Arc<Mutex<Option<Plan>>>,
    _server: Server,
}

fn key() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap()
}

fn signed(key: &EcdsaKeyPair, claims: &Value) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let said = format!("{}.{}", part(&json!({ "alg": "ES256", "kid": "one", "typ": "JWT" })), part(claims));
    let signature = key.sign(&SystemRandom::new(), said.as_bytes()).unwrap();
    format!("{said}.{}", BASE64.encode(signature.as_ref()))
}

impl Provider {
    async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}/v1");
        let plan = Arc::new(Mutex::new(None::<Plan>));
        let (keys, planned, issuer) = ([key(), key()], Arc::clone(&plan), url.clone());
        let point = keys[0].public_key().as_ref().to_vec();
        let server = Server::start_on(port, move |_, request: &Request| {
            let json =
                |status, value: Value| Reply::Whole(status, "content-type: application/json\r\n", value.to_string());
            let line = request.head.lines().next().unwrap_or_default().to_owned();
            match line.split(' ').nth(1).unwrap_or_default() {
                "/v1/.well-known/openid-configuration" => json(
                    200,
                    json!({
                        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
                        "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
                        "response_types_supported": ["code"], "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["ES256"],
                    }),
                ),
                "/v1/jwks" => json(
                    200,
                    json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
                        "x": BASE64.encode(&point[1..33]), "y": BASE64.encode(&point[33..65]) }] }),
                ),
                "/v1/token" => {
                    // A code is good once.
                    let plan = planned.lock().unwrap().take();
                    let form: BTreeMap<String, String> =
                        url::form_urlencoded::parse(request.text.as_bytes()).into_owned().collect();
                    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode("kefu:hush"));
                    let verifier = form.get("code_verifier").cloned().unwrap_or_default();
                    match plan {
                        Some(plan)
                            if form.get("code").is_some_and(|code| code == "the-code")
                                && BASE64.encode(Sha256::digest(verifier.as_bytes())) == plan.challenge
                                && request.header("authorization") == Some(&basic) =>
                        {
                            let token = signed(&keys[plan.key], &plan.claims);
                            json(200, json!({ "access_token": "a", "token_type": "Bearer", "id_token": token }))
                        }
                        _ => json(400, json!({ "error": "invalid_grant" })),
                    }
                }
                _ => json(404, json!({})),
            }
        });
        Self { url, plan, _server: server.await }
    }
}

/// A browser that follows no redirect by itself.
struct Browser {
    http: Client,
    base: String,
}

impl Browser {
    async fn get(&self, path: &str, cookie: Option<&str>) -> Response {
        let request = self.http.get(format!("{}{path}", self.base));
        let request = if let Some(cookie) = cookie { request.header(header::COOKIE, cookie) } else { request };
        request.send().await.unwrap()
    }

    /// Begins; the cookie, and what the provider is asked.
    async fn begin(&self) -> (String, BTreeMap<String, String>) {
        let answer = self.get("/oidc/login", None).await;
        assert_eq!(answer.status(), 302, "{}", answer.text().await.unwrap());
        let set = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
        let url = Url::parse(answer.headers()[header::LOCATION].to_str().unwrap()).unwrap();
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((&*asked["response_type"], &*asked["code_challenge_method"]), ("code", "S256"));
        (set.split(';').next().unwrap().to_owned(), asked)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_signs_its_people_in_and_nobody_gets_in_by_a_word_that_is_not_for_them_here_and_now() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let provider = Provider::start().await;
    let redirect = "http://localhost/api/v1/oidc/callback";
    let kefu = Kefu::start_with(&[
        ("KEFU_OIDC_ISSUER", &provider.url),
        ("KEFU_OIDC_CLIENT_ID", "kefu"),
        ("KEFU_OIDC_CLIENT_SECRET", "hush"),
        ("KEFU_OIDC_REDIRECT_URL", redirect),
    ])
    .await;
    kefu.run(&["user", "add", "ann", "--role", "agent", "--no-password"]);
    kefu.run(&["user", "add", "gone", "--role", "agent", "--no-password"]);
    kefu.run(&["user", "disable", "gone"]);
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let browser = Browser { http, base: format!("{}/api/v1", kefu.http_url()) };
    let offered: Value = browser.get("/oidc", None).await.json().await.unwrap();
    assert_eq!(offered["login"], "/api/v1/oidc/login");

    let now = chrono::Utc::now().timestamp();
    let right = |asked: &BTreeMap<String, String>| Plan {
        challenge: asked["code_challenge"].clone(),
        claims: json!({ "iss": provider.url, "aud": "kefu", "sub": "4711", "preferred_username": "ann", "iat": now,
            "exp": now + 300, "nonce": asked["nonce"] }),
        key: 0,
    };
    let attempt = async |change: &dyn Fn(&mut Plan)| {
        let (cookie, asked) = browser.begin().await;
        assert_eq!(asked["redirect_uri"], redirect);
        let mut plan = right(&asked);
        change(&mut plan);
        *provider.plan.lock().unwrap() = Some(plan);
        browser.get(&format!("/oidc/callback?code=the-code&state={}", asked["state"]), Some(&cookie)).await
    };

    let back = attempt(&|_| {}).await;
    assert_eq!(back.status(), 302, "{}", back.text().await.unwrap());
    assert_eq!(back.headers()[header::LOCATION], "/#/signed-in");
    let cookies: Vec<String> =
        back.headers().get_all(header::SET_COOKIE).iter().map(|set| set.to_str().unwrap().to_owned()).collect();
    let session = cookies.iter().find(|set| set.starts_with("kefu_session=")).unwrap();
    assert!(session.contains("HttpOnly") && session.contains("SameSite=Strict"), "{session}");
    let me = browser.get("/session", Some(session.split(';').next().unwrap())).await;
    let me: Value = me.json().await.unwrap();
    assert_eq!((&me["user"], &me["tenant"]), (&json!("ann"), &json!("demo")));

    // Everything else ends without a session.
    type Change = &'static dyn Fn(&mut Plan);
    let cases: [(&str, u16, Change); 9] = [
        ("another attempt's token", 401, &|plan| plan.claims["nonce"] = json!("other")),
        ("another client's token", 401, &|plan| plan.claims["aud"] = json!("other")),
        ("another provider's token", 401, &|plan| plan.claims["iss"] = json!("https://other.example")),
        ("an old token", 401, &|plan| plan.claims["exp"] = json!(1_000)),
        ("a token of a key that is not the provider's", 401, &|plan| plan.key = 1),
        ("a code of another browser", 401, &|plan| plan.challenge = "other".to_owned()),
        ("nobody's token", 401, &|plan| drop(plan.claims.as_object_mut().unwrap().remove("preferred_username"))),
        ("somebody who is no user", 403, &|plan| plan.claims["preferred_username"] = json!("eve")),
        ("somebody who was disabled", 401, &|plan| plan.claims["preferred_username"] = json!("gone")),
    ];
    for (what, status, change) in cases {
        let back = attempt(change).await;
        assert_eq!(back.status().as_u16(), status, "{what}");
        let session =
            back.headers().get_all(header::SET_COOKIE).iter().any(|set| set.to_str().unwrap().contains("kefu_session"));
        assert!(!session, "{what}");
        support::pause().await;
    }
    let (cookie, asked) = browser.begin().await;
    *provider.plan.lock().unwrap() = Some(right(&asked));
    let callback = format!("/oidc/callback?code=the-code&state={}", asked["state"]);
    assert_eq!(browser.get(&callback, None).await.status(), 400, "a browser that began nothing");
    let other = "/oidc/callback?code=the-code&state=other";
    assert_eq!(browser.get(other, Some(&cookie)).await.status(), 403, "the answer to another attempt");
    let refused = format!("/oidc/callback?error=access_denied&state={}", asked["state"]);
    assert_eq!(browser.get(&refused, Some(&cookie)).await.status(), 401, "the provider said no");
}
