//! The bridge of a real `kefu serve`: who gets past which door, and that the tenants' boundary holds on every route.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use futures::StreamExt;
use kefu::{
    bridge::{Door, ROUTES, Route},
    journal::Journal,
};
use kefu_events::key::{contact_key, conversation_key};
use reqwest::{Client, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use support::{eventually, kefu::Kefu};

const ROLES: [&str; 5] = ["agent", "supervisor", "administrator", "analyst", "service"];
/// Stands in everything that the first tenant has.
const MARK: &str = "zebra";
/// The key of what has no key of its own: asked for in vain, it is named in the answer.
const KEY: &str = "striped";

/// A kefu with two tenants, and what is needed to ask it.
struct World {
    kefu: Kefu,
    http: Client,
    /// The address below which all routes are.
    base: String,
}

impl World {
    async fn start() -> Self {
        // Whoever was first has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kefu = Kefu::start().await;
        let base = format!("{}/api/v1", kefu.http_url());
        Self { kefu, http: Client::new(), base }
    }

    /// A user with a role, and a token.
    fn user(&self, tenant: &str, user: &str, role: &str) -> String {
        let role = format!("{role}=all");
        let name = format!("{MARK} {user}");
        self.kefu.run(&["user", "add", user, "--tenant", tenant, "--name", &name, "--role", &role, "--no-password"]);
        let token = self.kefu.run(&["user", "token", "add", user, "--tenant", tenant, "--name", "test"]);
        token["secret"].as_str().unwrap_or_else(|| panic!("{token}")).to_owned()
    }

    async fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str, token: &str) -> (StatusCode, Value) {
        let response = self.ask("GET", path, Some(token), None).await;
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    async fn commands(&self, path: &str, token: &str, command: Value) -> (StatusCode, Value) {
        let response =
            self.ask("POST", &format!("{path}/commands"), Some(token), Some(json!({ "command": command }))).await;
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    /// Fills a tenant with what every route shows, all of it marked; the keys that paths name.
    async fn fill(&self, tenant: &str, token: &str) -> Vec<(&'static str, String)> {
        let text = format!("human, about my {MARK}");
        self.kefu.run(&[
            "send",
            "--tenant",
            tenant,
            "--channel",
            "web",
            "--from",
            MARK,
            "--name",
            MARK,
            "--wait",
            "0s",
            &text,
        ]);
        let (conversation, contact) = (conversation_key("web", MARK), contact_key("web", MARK));
        for (path, command) in [
            (format!("/agents/{KEY}"), json!({ "type": "register", "name": MARK })),
            (
                format!("/entries/{KEY}"),
                json!({ "type": "draft", "content": {
                    "question": format!("where is my {MARK}"), "answer": MARK, "language": "en" } }),
            ),
            (
                "/settings/routing".to_owned(),
                json!({ "type": "set", "value": { "rules": [
                { "name": MARK, "when": "true", "then": { "queue": "support" } }] } }),
            ),
        ] {
            let (status, answer) = self.commands(&path, token, command).await;
            assert_eq!(status, 200, "{path}: {answer}");
        }
        let uploaded = self.http.post(format!("{}/files?name={MARK}.png", self.base)).bearer_auth(token);
        let uploaded = uploaded.header(header::CONTENT_TYPE, "image/png").body(MARK).send().await.unwrap();
        let file: Value = uploaded.json().await.unwrap();
        let object = file["object"].as_str().unwrap().to_owned();
        eventually("the conversation", async || {
            (self.get(&format!("/conversations/{conversation}"), token).await.0 == 200).then_some(())
        })
        .await;
        vec![
            ("/conversations/{key}", conversation),
            ("/contacts/{key}", contact),
            ("/agents/{key}", KEY.to_owned()),
            ("/entries/{key}", KEY.to_owned()),
            ("/settings/{key}", "routing".to_owned()),
            ("/users/{key}", "ada".to_owned()),
            ("/files/{object}", object),
        ]
    }
}

/// A route's path with the names of what is there.
fn path_of(route: &Route, keys: &[(&'static str, String)]) -> String {
    let named = keys.iter().find(|(start, _)| route.path.starts_with(start));
    let path = named.map_or(route.path.to_owned(), |(_, key)| {
        route.path.replace("{key}", key).replace("{object}", key).replace("{token}", "nothing")
    });
    match route.path {
        "/search/entries" | "/search/messages" => format!("{path}?text={MARK}"),
        "/events" => format!("{path}?wait=0"),
        "/files" => format!("{path}?name=a.png"),
        "/conversations" => format!("{path}?inbox=all"),
        "/contacts" => format!("{path}?channel=web"),
        _ => path,
    }
}

/// A body that gets as far as the permission.
fn body_of(route: &Route) -> Option<Value> {
    match route.body? {
        "command-request" => Some(json!({ "command": { "type": "lift_quarantine" } })),
        "set-up" => Some(json!({ "code": "kefu_f_guessed", "user": "eve", "password": "a long enough phrase" })),
        "customer-token" => Some(json!({ "channel": "page", "thread": "alice" })),
        "webhook" => Some(json!({ "url": "https://crm.example/hook" })),
        "replay" => Some(json!({ "from": 1 })),
        "check" => Some(json!({ "value": {} })),
        "ask" => Some(json!({ "question": "where is it" })),
        "sign-in" => Some(json!({ "tenant": "demo", "user": "nobody", "password": "wrong" })),
        "token" => Some(json!({ "name": "test" })),
        "password" => Some(json!({ "password": "a long enough phrase" })),
        other => panic!("{other} is new: say here what a request with it looks like"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_role_gets_past_the_doors_that_its_permissions_open_and_no_others_and_no_tenant_sees_another() {
    let world = World::start().await;
    world.kefu.run(&["tenant", "create", "other"]);
    let mut tokens: Vec<(&str, String)> = Vec::new();
    for role in ROLES {
        let user = if role == "administrator" { "ada" } else { role };
        tokens.push((role, world.user("demo", user, role)));
    }
    let foreign: Vec<(&str, String)> =
        ROLES.iter().map(|role| (*role, world.user("other", &format!("o-{role}"), role))).collect();
    let administrator = tokens.iter().find(|(role, _)| *role == "administrator").unwrap().1.clone();
    let keys = world.fill("demo", &administrator).await;

    for route in ROUTES.iter().filter(|route| route.path != "/socket") {
        let (path, what) = (path_of(route, &keys), format!("{} {}", route.method, route.path));
        let nobody = world.ask(route.method, &path, None, body_of(route)).await.status();
        // Signing in with a wrong password is no way in either.
        let is_sign_in = route.path == "/session" && route.method == "POST";
        // Strangers who ask too often are kept out by that already.
        let kept_out = |status: StatusCode| status == 401 || (status == 429 && route.door != Door::Open);
        assert_eq!(kept_out(nobody), route.door != Door::Open || is_sign_in, "{what} by nobody: {nobody}");
        let guessed = world.ask(route.method, &path, Some("kefu_guessed"), body_of(route)).await.status();
        assert_eq!(kept_out(guessed), route.door != Door::Open || is_sign_in, "{what} by a guess: {guessed}");
        if let Door::Has(permission) = route.door {
            for (role, token) in &tokens {
                let (_, me) = world.get("/session", token).await;
                let has = me["permissions"].as_array().unwrap().iter().any(|name| name == permission.as_str());
                let response = world.ask(route.method, &path, Some(token), body_of(route)).await;
                let (status, answer) = (response.status(), response.text().await.unwrap());
                let let_in = status != 403 && status != 401;
                assert_eq!(let_in, has, "{what} by {role}: {status} {answer}");
                if !has {
                    assert!(answer.contains(permission.as_str()), "{what} by {role} is told what is missing: {answer}");
                }
            }
        }
        for (role, token) in &foreign {
            let response = world.ask(route.method, &path, Some(token), body_of(route)).await;
            let (status, answer) = (response.status(), response.text().await.unwrap());
            let own = answer.replace(&format!("{MARK} o-"), "");
            assert!(!own.contains(MARK) || status == 404, "{what} by a foreign {role}: {status} {answer}");
            if route.method == "GET" && route.path.contains('{') && !route.path.ends_with("/settings/{key}") {
                assert!(matches!(status.as_u16(), 403 | 404), "{what} by a foreign {role}: {status} {answer}");
            }
        }
    }
    // Whatever foreigners asked, nothing was written here by them.
    let journal = world.kefu.journal().await;
    let last = journal.position().await.unwrap().last;
    let commits = journal.tail(0, None).await.unwrap().take(usize::try_from(last).unwrap());
    let commits: Vec<Value> =
        commits.map(|commit| serde_json::from_slice(&commit.unwrap().payload).unwrap()).collect().await;
    let by_foreigner = |commit: &Value| commit["actor"]["id"].as_str().unwrap().starts_with("o-");
    assert!(commits.iter().any(by_foreigner), "they did ask");
    assert!(!commits.iter().any(|commit| commit["tenant"] == "demo" && by_foreigner(commit)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_others_stolen_and_ended_credentials_and_paths_out_of_the_store_get_nowhere() {
    let world = World::start().await;
    let token = world.user("demo", "ada", "administrator");
    world.kefu.run(&["user", "add", "ann", "--role", "agent", "--no-password"]);
    let ann = world.kefu.run(&["user", "token", "add", "ann", "--name", "short", "--expires", "1s"]);
    let short = ann["secret"].as_str().unwrap().to_owned();

    // A request with a cookie that a foreign page made: by a form, by a script, by a socket.
    let password = json!({ "password": "correct horse battery" });
    let set = world.ask("POST", "/users/ann/password", Some(&token), Some(password.clone())).await;
    assert_eq!(set.status(), 200, "{}", set.text().await.unwrap());
    let sign_in = json!({ "tenant": "demo", "user": "ann", "password": password["password"] });
    let signed_in = world.ask("POST", "/session", None, Some(sign_in)).await;
    let cookie = signed_in.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with = |method: Method, path: &str, headers: &[(&'static str, &str)]| {
        let mut request = world.http.request(method, format!("{}{path}", world.base)).header(header::COOKIE, &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let command = json!({ "command": { "type": "set_status", "status": "away" } });
        async move { request.json(&command).send().await.unwrap().status().as_u16() }
    };
    let own = world.kefu.http_url();
    assert_eq!(with(Method::POST, "/agents/ann/commands", &[]).await, 403, "without the header of our own page");
    let ours = ("X-Kefu-Request", "1");
    assert_eq!(with(Method::POST, "/agents/ann/commands", &[ours, ("Origin", "https://evil.example")]).await, 403);
    assert_eq!(with(Method::POST, "/agents/ann/commands", &[ours, ("Sec-Fetch-Site", "cross-site")]).await, 403);
    let let_in = with(Method::POST, "/agents/ann/commands", &[ours, ("Origin", &own)]).await;
    assert_ne!(let_in, 403, "our own page may");
    let upgrade = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "https://evil.example"),
    ];
    assert_eq!(with(Method::GET, "/socket", &upgrade).await, 403, "a foreign page's socket");

    // What has ended has ended everywhere, at once.
    let signed_out = world.http.delete(format!("{}/session", world.base)).header(header::COOKIE, &cookie);
    assert_eq!(signed_out.header("X-Kefu-Request", "1").send().await.unwrap().status(), 200);
    assert_eq!(with(Method::GET, "/session", &[]).await, 401);
    eventually("the token's end", async || (world.get("/session", &short).await.0 == 401).then_some(())).await;

    // Objects are named by us; a path leads nowhere.
    for path in
        ["/files/..%2f..%2fetc%2fpasswd", "/files/other.0198", "/files/demo.%2e%2e%2fsecret", "/files/demo.none"]
    {
        assert_eq!(world.get(path, &token).await.0, 404, "{path}");
    }
    let script = world.http.post(format!("{}/files?name=%3Cscript%3E.svg", world.base)).bearer_auth(&token);
    let script =
        script.header(header::CONTENT_TYPE, "image/svg+xml").body("<svg onload='alert(1)'/>").send().await.unwrap();
    let file: Value = script.json().await.unwrap();
    let shown = world.ask("GET", &format!("/files/{}", file["object"].as_str().unwrap()), Some(&token), None).await;
    assert_eq!(
        shown.headers()[header::CONTENT_TYPE],
        "application/octet-stream",
        "a picture that can run is for saving"
    );
    assert!(shown.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    for (name, part) in [("content-security-policy", "script-src 'self'"), ("x-content-type-options", "nosniff")] {
        assert!(shown.headers()[name].to_str().unwrap().contains(part));
    }

    // Guessing is slowed.
    let wrong = json!({ "tenant": "demo", "user": "ann", "password": "a guess" });
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(world.ask("POST", "/session", None, Some(wrong.clone())).await.status().as_u16());
    }
    assert!(statuses.contains(&429) && !statuses.contains(&200), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_user_is_made_once_with_the_code_that_was_printed_and_by_nobody_else() {
    let mut world = World::start().await;
    let code = |words: String| {
        let found = words.rsplit_once("/#/setup/").map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
        found.map(str::to_owned)
    };
    let outdated = eventually("a code, since there are no users", async || code(world.kefu.last_words())).await;
    assert!(world.kefu.stop().await.success());
    world.kefu.spawn();
    world.kefu.ready().await;
    let printed =
        eventually("another code", async || code(world.kefu.last_words()).filter(|code| *code != outdated)).await;
    let set_up = async |code: &str, user: &str, password: &str| {
        let body = json!({ "code": code, "user": user, "name": "Ada", "password": password });
        world.ask("POST", "/setup", None, Some(body)).await
    };
    let password = "correct horse battery";
    for wrong in [outdated.as_str(), "kefu_f_guessed", ""] {
        assert_eq!(set_up(wrong, "eve", password).await.status(), 409, "{wrong}");
    }
    assert_eq!(set_up(&printed, "ada", "short").await.status(), 400, "the code is still good after a bad password");
    let made = set_up(&printed, "ada", password).await;
    let cookie = made.headers()[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(made.status(), 201);
    let me: Value = made.json().await.unwrap();
    assert_eq!((&me["user"], &me["roles"][0]["role"]), (&json!("ada"), &json!("administrator")), "{me}");
    let session =
        world.http.get(format!("{}/session", world.base)).header(header::COOKIE, cookie).send().await.unwrap();
    assert_eq!(session.status(), 200, "one is signed in");
    assert_eq!(set_up(&printed, "eve", password).await.status(), 409, "it is good once");
    world.kefu.kill();
    world.kefu.spawn();
    world.kefu.ready().await;
    let after = world.kefu.last_words();
    assert_eq!(code(after).as_deref(), Some(&*printed), "nothing more is printed where there are users");
}
