//! What each route does. Each function reads its request, asks whether it is permitted, asks the node, and answers.

pub(super) mod conversations;
pub(super) mod directory;
pub(super) mod figures;
pub(super) mod files;
pub(super) mod knowledge;
pub(super) mod session;
pub(super) mod settings;
pub(super) mod users;
pub(super) mod wall;
pub(super) mod webhooks;

use super::{
    answer::Failure,
    caller::Caller,
    commands::{self, Wanted},
    openapi,
    routes::BASE,
};
use actix_web::{HttpRequest, HttpResponse, web::Json};
use kefu_events::{
    AggregateKind,
    bridge::{CommandRequest, CommandResponse},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Commits on a page, where the question does not say how many.
const COMMITS: usize = 200;
/// At most.
const MAX_COMMITS: usize = 1_000;

/// Which commits of an aggregate.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    after: Option<u64>,
    before: Option<u64>,
    limit: Option<usize>,
}

pub(super) async fn described() -> HttpResponse {
    HttpResponse::Ok().json(openapi::document())
}

pub(super) async fn nothing(request: HttpRequest) -> Result<HttpResponse, Failure> {
    Err(Failure::not_found(format!("{} {}: {BASE}/openapi.json says what there is", request.method(), request.path())))
}

/// Carries a command out and answers with its result: 200, or 409 where it was refused.
async fn carry_out(
    caller: &Caller,
    kind: AggregateKind,
    key: String,
    asked: CommandRequest,
) -> Result<HttpResponse, Failure> {
    let CommandRequest { id, expected_version, command } = asked;
    let wanted = Wanted { kind, key, id, expected_version, command };
    let outcome = commands::carry_out(&caller.up, &caller.who, wanted).await?;
    let response = CommandResponse { result: outcome.result, changed: outcome.changed };
    match response.result.ok {
        true => Ok(HttpResponse::Ok().json(response)),
        false => Ok(HttpResponse::Conflict().json(response)),
    }
}

/// Some of an aggregate's commits, the oldest first.
async fn commits(caller: &Caller, kind: AggregateKind, key: &str, range: &Range) -> Result<Json<Value>, Failure> {
    let limit = range.limit.unwrap_or(COMMITS);
    if limit == 0 || limit > MAX_COMMITS {
        return Err(Failure::invalid(format!("`limit` is 1 to {MAX_COMMITS}")));
    }
    let mut found = caller.up.commits(&caller.who.tenant, kind, key, range.after.unwrap_or_default()).await?;
    if found.is_empty() && range.after.is_none() {
        return Err(Failure::not_found(format!("{kind} {key:?}")));
    }
    let mut next = None;
    if let Some(before) = range.before {
        found.retain(|(seq, _)| *seq < before);
        let surplus = found.len().saturating_sub(limit);
        found.drain(..surplus);
        next = (surplus > 0).then(|| found.first().map(|(seq, _)| *seq)).flatten();
    } else if found.len() > limit {
        found.truncate(limit);
        next = found.last().map(|(seq, _)| *seq);
    }
    let items: Vec<Value> = found.into_iter().map(|(seq, commit)| json!({ "seq": seq, "commit": commit })).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

/// Parameters of a query out of those of a URL: numbers and truth values as such.
fn parameters(asked: Vec<(String, String)>, known: &[&str], flags: &[&str]) -> Result<Value, Failure> {
    let mut parameters = Map::new();
    for (name, value) in asked {
        if !known.contains(&name.as_str()) {
            return Err(Failure::invalid(format!("there is no parameter {name:?}; there are: {}", known.join(", "))));
        }
        let value = match name.as_str() {
            "limit" | "offset" => {
                value.parse::<u64>().map_err(|_| Failure::invalid(format!("`{name}` is a number")))?.into()
            }
            flag if flags.contains(&flag) => {
                value.parse::<bool>().map_err(|_| Failure::invalid(format!("`{name}` is true or false")))?.into()
            }
            _ => Value::String(value),
        };
        parameters.insert(name, value);
    }
    Ok(Value::Object(parameters))
}
