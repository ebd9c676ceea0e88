//! Who may send which command over HTTP: every role with every reach, every command of the contract, and conversations within
//! and beyond reach; and that the interface is what its description says.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

use kefu::bridge::{ROUTES, openapi};
use kefu_events::{
    AggregateKind,
    agent::AgentCommand,
    contact::ContactCommand,
    conversation::ConversationCommand,
    faq::FaqCommand,
    key::{contact_key, conversation_key},
    schema,
    settings::SettingsCommand,
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{eventually, kefu::Kefu};

/// Users: a letter for the tables below, the id, the role with its reach, what its token is for, and whether it is an agent.
const USERS: [(char, &str, &str, &[&str], bool); 8] = [
    ('o', "olga", "agent=own", &[], true),
    ('q', "quinn", "agent=my-queues", &[], true),
    ('s', "sam", "supervisor=support", &[], true),
    ('v', "vera", "supervisor=vip", &[], true),
    ('m', "mona", "administrator=all", &[], false),
    ('x', "xaver", "analyst=all", &[], false),
    ('-', "robot", "service=all", &["conversation.read", "conversation.annotate"], false),
    ('b', "oracle", "service=support", &["conversation.read", "answer.give"], false),
];

/// Who reads a conversation in the queue `support`, in `vip`, and one of one's own (in `support`).
const READS: [&str; 3] = ["qsmx-b", "vmx-", "oqsv"];

/// For each command of conversations: who may send it there. What is not here nobody may.
fn conversation(command: &str) -> [&'static str; 3] {
    match command {
        "accept" | "reject" | "reply" | "hold" | "resume" | "transfer" | "return_to_bot" | "consult"
        | "end_consult" | "snooze" | "unsnooze" | "wrap_up" | "set_disposition" | "close" => ["m", "m", "oqsv"],
        "note" | "tag" | "untag" => ["sm-", "vm-", "oqsv"],
        "join" | "take_over" | "reassign" | "request_handoff" | "lift_quarantine" => ["sm", "vm", "sv"],
        "give_answer" | "decline_answer" | "offer_choices" => ["mb", "m", ""],
        "rate_answer" | "offer" | "rescind" | "tell_position" | "check_reservation" | "rate_satisfaction"
        | "timer_fired" => ["", "", ""],
        other => panic!("{other} is new: say here who may send it"),
    }
}

/// The same for everything else: who may send it to something of the tenant's (an agent of the queue `support`).
fn elsewhere(kind: AggregateKind, command: &str) -> &'static str {
    match (kind, command) {
        (
            AggregateKind::Agent,
            "register" | "set_status" | "set_skills" | "set_capacity" | "set_shifts" | "remove" | "force_release"
            | "lift_quarantine",
        ) => "sm",
        (AggregateKind::Agent, _) => "",
        (AggregateKind::Contact, "set_attributes" | "tag" | "untag" | "merge" | "unmerge" | "lift_quarantine") => {
            "oqsvm"
        }
        (AggregateKind::Contact, _) => "",
        (AggregateKind::Faq, "draft" | "give_feedback") => "oqsvm",
        (AggregateKind::Faq, _) => "svm",
        (AggregateKind::Settings, _) => "m",
        (AggregateKind::Conversation | AggregateKind::User, _) => unreachable!("has a table of its own"),
    }
}

/// Something that a schema accepts.
fn sample(schema: &Value) -> Value {
    if let Some(constant) = schema.get("const") {
        return constant.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    if let Some(first) = schema["oneOf"].get(0).or_else(|| schema["anyOf"].get(0)) {
        let mut all = sample(first);
        // Fields beside the choice.
        if let (Some(all), Value::Object(more)) = (all.as_object_mut(), fields(schema)) {
            all.extend(more);
        }
        return all;
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"].get(0)?.as_str()).unwrap_or_default();
    match kind {
        "string" if schema["format"] == "date-time" => json!("2026-11-22T10:00:00.000Z"),
        "string" => json!("x"),
        "integer" => schema.get("minimum").cloned().unwrap_or(json!(1)),
        "number" => json!(0.5),
        "boolean" => json!(true),
        "array" => json!([sample(&schema["items"])]),
        _ => fields(schema),
    }
}

fn fields(schema: &Value) -> Value {
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Value::Object(required.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect())
}

/// One well-formed command of each type.
fn commands(schema: &Value) -> BTreeMap<String, Value> {
    let each = schema["oneOf"].as_array().unwrap().iter().map(fields);
    each.map(|command| (command["type"].as_str().unwrap().to_owned(), command)).collect()
}

struct World {
    kefu: Kefu,
    http: Client,
    tokens: BTreeMap<char, String>,
}

impl World {
    async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let kefu = Kefu::start().await;
        kefu.run(&["settings", "set", r#"queues=["support", "vip"]"#, "bot.answer_deadline_s=600"]);
        let mut tokens = BTreeMap::new();
        for (letter, user, role, scopes, is_agent) in USERS {
            kefu.run(&["user", "add", user, "--role", role, "--no-password"]);
            if is_agent {
                kefu.run(&["agent", "add", user, "--name", user, "--queue", "support"]);
            }
            let mut arguments = vec!["user", "token", "add", user, "--name", "test"];
            scopes.iter().for_each(|scope| arguments.extend(["--scope", *scope]));
            tokens.insert(letter, kefu.run(&arguments)["secret"].as_str().unwrap().to_owned());
        }
        Self { kefu, http: Client::new(), tokens }
    }

    async fn ask(&self, method: &str, path: &str, letter: char, body: Option<Value>) -> (u16, Value) {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = self.http.request(method, format!("{}/api/v1{path}", self.kefu.http_url()));
        let request = request.bearer_auth(&self.tokens[&letter]);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let again = request.try_clone().unwrap();
        let mut response = request.send().await.unwrap();
        // All of it is more than one user may ask in so short a time.
        while response.status() == 429 {
            support::pause().await;
            response = again.try_clone().unwrap().send().await.unwrap();
        }
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// A conversation in a queue, whose it is if anybody's.
    async fn conversation(&self, thread: &str, queue: &str, agent: Option<&str>) -> String {
        let name = format!("web:{thread}");
        self.kefu.run(&["send", "--channel", "web", "--from", thread, "--wait", "0s", "hello"]);
        eventually("the conversation", async || {
            let shown = self.kefu.command().args(["--json", "show", &name]).output().unwrap();
            shown.status.success().then_some(())
        })
        .await;
        self.kefu.run(&["act", &name, "handoff", "--queue", queue]);
        if let Some(agent) = agent {
            self.kefu.run(&["act", &name, "offer", "--agent", agent]);
            self.kefu.run(&["act", &name, "--as", &format!("agent:{agent}"), "accept"]);
        }
        conversation_key("web", thread)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_sends_the_commands_that_are_written_out_within_its_reach_and_no_others() {
    let world = World::start().await;
    let support = world.conversation("c-support", "support", None).await;
    let vip = world.conversation("c-vip", "vip", None).await;
    let mut own = BTreeMap::new();
    for (letter, user, _, _, is_agent) in USERS {
        if is_agent {
            own.insert(letter, world.conversation(&format!("c-{user}"), "support", Some(user)).await);
        }
    }
    world.kefu.run(&["agent", "add", "target", "--name", "Target", "--queue", "support"]);

    let mut wrong = Vec::new();
    let mut sent = 0;
    for (letter, user, ..) in USERS {
        let places = [Some(&support), Some(&vip), own.get(&letter)];
        for (kind, command) in commands(&schema::inline::<ConversationCommand>()) {
            for (place, key) in places.iter().enumerate() {
                let Some(key) = key else { continue };
                // Nothing is changed by it: it names a version that is long past.
                let body = json!({ "expected_version": 1, "command": command });
                let (status, answer) =
                    world.ask("POST", &format!("/conversations/{key}/commands"), letter, Some(body)).await;
                let expected = match () {
                    () if conversation(&kind) == ["", "", ""] => "403",
                    () if !READS[place].contains(letter) => "403 conversation.read",
                    () if !conversation(&kind)[place].contains(letter) => "403",
                    () => "let in",
                };
                // Whoever may not even read it is told so, and nothing of what else is missing.
                let missing = answer["error"]["permission"].as_str();
                let found = match (status, missing) {
                    (200 | 409, _) => "let in".to_owned(),
                    (403, Some("conversation.read")) => "403 conversation.read".to_owned(),
                    (other, _) => other.to_string(),
                };
                if found != expected {
                    wrong.push(format!("{user} {kind} in place {place}: {found}, not {expected}: {answer}"));
                }
                sent += 1;
            }
        }
        let contact = contact_key("web", "c-support");
        for (kind, path, schema) in [
            (AggregateKind::Agent, "/agents/target".to_owned(), schema::inline::<AgentCommand>()),
            (AggregateKind::Contact, format!("/contacts/{contact}"), schema::inline::<ContactCommand>()),
            (AggregateKind::Faq, "/entries/none".to_owned(), schema::inline::<FaqCommand>()),
            (AggregateKind::Settings, "/settings/routing".to_owned(), schema::inline::<SettingsCommand>()),
        ] {
            for (name, command) in commands(&schema) {
                let body = json!({ "expected_version": 4_711, "command": command });
                let (status, answer) = world.ask("POST", &format!("{path}/commands"), letter, Some(body)).await;
                let may = elsewhere(kind, &name).contains(letter);
                if matches!(status, 200 | 409) != may || !matches!(status, 200 | 403 | 409) {
                    wrong.push(format!("{user} {name} at {path}: {status}: {answer}"));
                }
                sent += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {sent}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(sent > 600, "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_description_is_openapi_and_answers_are_as_it_says() {
    let document = openapi();
    let meta: Value = serde_json::from_str(include_str!("data/openapi-3.1.schema.json")).unwrap();
    let meta = jsonschema::validator_for(&meta).unwrap();
    let errors: Vec<String> =
        meta.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        jsonschema::meta::validate(schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    // Every reference leads somewhere, and no answer is left open.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name}");
    }

    let world = World::start().await;
    let key = world.conversation("c-1", "support", Some("sam")).await;
    world.kefu.run(&["faq", "add", "gift-cards", "--question", "Do you sell gift cards?", "--answer", "Yes."]);
    world.kefu.run(&["webhook", "add", "crm", "https://crm.example/hook"]);
    world.kefu.run(&["settings", "set", "--document", "scheduling", "default.policy=longest-idle"]);
    let contact = contact_key("web", "c-1");
    let mut seen = 0;
    for route in ROUTES.iter().filter(|route| route.method == "GET" && route.path != "/socket") {
        let named = [
            ("/conversations/", key.as_str()),
            ("/contacts/", contact.as_str()),
            ("/agents/", "sam"),
            ("/entries/", "gift-cards"),
            ("/settings/", "scheduling"),
            ("/users/", "sam"),
            ("/webhooks/", "crm"),
        ];
        let at = named.iter().find(|(start, _)| route.path.starts_with(start));
        let path = at.map_or(route.path.to_owned(), |(_, key)| route.path.replace("{key}", key));
        let path = match route.path {
            "/search/entries" | "/search/messages" => format!("{path}?text=hello"),
            "/events" => format!("{path}?wait=0"),
            "/reports" | "/reports/sessions" => {
                format!("{path}?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z")
            }
            "/conversations" => format!("{path}?inbox=all"),
            "/contacts" => format!("{path}?channel=web"),
            "/files/{object}" | "/oidc/login" | "/oidc/callback" => continue,
            _ => path,
        };
        let (status, answer) = world.ask("GET", &path, 'm', None).await;
        assert_eq!(status, 200, "{path}: {answer}");
        let responses = &document["paths"][format!("/api/v1{}", route.path)]["get"]["responses"];
        let reference = responses["200"]["content"]["application/json"]["schema"]["$ref"].as_str();
        let name = reference.unwrap_or_else(|| panic!("{path} has no answer")).rsplit('/').next().unwrap();
        let schema = jsonschema::validator_for(&schemas[name]).unwrap();
        let errors: Vec<String> =
            schema.iter_errors(&answer).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{path} is no {name}: {}\n{answer}", errors.join("\n"));
        seen += 1;
    }
    assert!(seen > 20, "{seen}");

    // What is asked before a document is set says what setting it would say, and changes nothing.
    let checked = jsonschema::validator_for(&schemas["checked"]).unwrap();
    let rules =
        |when: &str| json!({ "value": { "rules": [{ "name": "sales", "when": when, "then": { "queue": "vip" } }] } });
    for (when, wrong) in
        [("text.contains('buy')", None), ("text.contains(", Some("rules[0].when (rule \"sales\"), line 1"))]
    {
        let (status, answer) = world.ask("POST", "/settings/routing/check", 'm', Some(rules(when))).await;
        assert_eq!((status, &answer["ok"]), (200, &json!(wrong.is_none())), "{answer}");
        assert!(checked.is_valid(&answer), "{answer}");
        let message = answer["refusal"]["message"].as_str().unwrap_or_default();
        assert!(message.contains(wrong.unwrap_or_default()), "{message}");
    }
    let (status, document) = world.ask("GET", "/settings/routing", 'm', None).await;
    assert!(status == 404 || document["document_version"] == 0, "{document}");
}
