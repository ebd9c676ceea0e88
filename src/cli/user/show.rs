//! How users are shown.

use crate::{
    cli::{
        Session,
        client::Client,
        error::{CliError, Exit},
        output::{Output, Style, plain},
    },
    policy::{Permission, SCHEMA, SHIPPED},
};
use kefu_events::query::name;
use serde_json::{Value, json};

pub(super) async fn find(client: &Client, tenant: &str, user: &str) -> Result<Value, CliError> {
    let found: Option<Value> = client.find(tenant, name::USER, &json!({ "id": user })).await?;
    found.ok_or_else(|| CliError::new(Exit::Failure, "not_found", format!("tenant {tenant} has no user {user}")))
}

pub(super) async fn one(session: &mut Session, client: &Client, tenant: &str, user: &str) -> Result<(), CliError> {
    let found = find(client, tenant, user).await?;
    let text = describe(&found, &session.out);
    session.out.result(&found, || text)
}

fn describe(found: &Value, out: &Output) -> String {
    let state = &found["state"];
    let mut lines = vec![out.styled(Style::Bold, plain(&text(&state["name"])))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<12} {}", plain(&value)));
        }
    };
    line("id", text(&found["key"]));
    line("roles", roles(&state["grants"]));
    let password =
        if state["has_password"] == true { format!("set {}", text(&state["password_at"])) } else { "none".into() };
    line("password", password);
    line("signed in", text(&state["signed_in_at"]));
    if state["disabled_at"].is_string() {
        line("disabled", format!("{}  {}", text(&state["disabled_at"]), text(&state["disabled_for"])));
    }
    for session in items(&state["sessions"]) {
        let (id, from) = (text(&session["id"]), text(&session["from"]));
        line(
            "session",
            format!("{id}  since {}  until {}  from {from}", text(&session["at"]), text(&session["expires_at"])),
        );
    }
    for token in items(&state["tokens"]) {
        let [id, name, scopes, _, ends] = row(token);
        line("token", format!("{id}  {name}  {scopes}  until {ends}"));
    }
    if found["quarantined"] == true {
        line("quarantined", "yes: see `kefu rejected list`".to_owned());
    }
    lines.join("\n")
}

pub(super) fn list(session: &mut Session, users: &[Value]) -> Result<(), CliError> {
    if session.out.is_json() {
        return users.iter().try_for_each(|user| session.out.json_line(user));
    }
    let row = |user: &Value| {
        let state = match (user["disabled_at"].is_string(), user["has_password"] == true) {
            (true, _) => "disabled",
            (false, true) => "",
            (false, false) => "no password",
        };
        let (sessions, tokens) = (user["sessions"].to_string(), user["tokens"].to_string());
        let signed_in = text(&user["signed_in_at"]);
        [text(&user["id"]), text(&user["name"]), roles(&user["grants"]), state.to_owned(), sessions, tokens, signed_in]
    };
    let rows: Vec<[String; 7]> = users.iter().map(row).collect();
    session.out.table(["USER", "NAME", "ROLES", "STATE", "SESSIONS", "TOKENS", "SIGNED IN"], &rows)
}

pub(super) fn tokens(session: &mut Session, found: &Value) -> Result<(), CliError> {
    let tokens: Vec<&Value> = items(&found["state"]["tokens"]).collect();
    if session.out.is_json() {
        return tokens.iter().try_for_each(|token| session.out.json_line(token));
    }
    let rows: Vec<[String; 5]> = tokens.iter().map(|token| row(token)).collect();
    session.out.table(["TOKEN", "NAME", "PERMISSIONS", "MADE", "ENDS"], &rows)
}

fn row(token: &Value) -> [String; 5] {
    let scopes = match token["scopes"].as_array() {
        Some(scopes) => scopes.iter().map(text).collect::<Vec<_>>().join(", "),
        None => "all of the user's".to_owned(),
    };
    let ends = match (token["expired"] == true, token["expires_at"].as_str()) {
        (true, _) => "expired".to_owned(),
        (false, Some(ends)) => ends.to_owned(),
        (false, None) => "revoked".to_owned(),
    };
    [text(&token["id"]), text(&token["name"]), scopes, text(&token["at"]), ends]
}

/// `agent (my_queues), supervisor (tax, vip)`.
fn roles(grants: &Value) -> String {
    let role = |grant: &Value| {
        let reach = match grant["scope"]["queues"].as_array() {
            Some(queues) => queues.iter().map(text).collect::<Vec<_>>().join(", "),
            None => text(&grant["scope"]),
        };
        format!("{} ({reach})", text(&grant["role"]))
    };
    items(grants).map(role).collect::<Vec<_>>().join(", ")
}

pub(super) fn policies(session: &mut Session) -> Result<(), CliError> {
    let permissions: Vec<Value> = Permission::ALL
        .iter()
        .map(|permission| json!({"permission": permission.as_str(), "allows": permission.description()}))
        .collect();
    if session.out.is_json() {
        let all = json!({"permissions": permissions, "schema": SCHEMA, "shipped": SHIPPED});
        return session.out.json(&all);
    }
    session.out.line(SCHEMA)?;
    session.out.line(SHIPPED)?;
    for permission in Permission::ALL {
        session.out.line(format!("// {:<24} {}", permission.as_str(), permission.description()))?;
    }
    session.out.flush()
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
