//! `kefu show`: where a conversation is, or was.

use super::{
    Session, TenantArg,
    client::Client,
    error::CliError,
    output::{Output, Style, plain},
    values::{ConversationArg, Place},
};
use crate::{aggregate::kind::KindOf, conversation::Conversation, journal::Journal};
use clap::Args;
use kefu_events::{AggregateKind, Timestamp, query::name};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Show the state of a conversation, as it is or as it was
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu show web:alice
  kefu show web:alice --at 1734           as it was after the commit of that sequence
  kefu show web:alice --at \"2026-11-22 13:14\"
  kefu show web:alice --at 15m            a quarter of an hour ago
  kefu show web:alice --json | jq .state")]
pub struct Show {
    /// The conversation: its key, or CHANNEL:THREAD
    conversation: ConversationArg,
    #[command(flatten)]
    tenant: TenantArg,
    /// As it was after this commit, or at this time: folded here, from the log
    #[arg(long, value_name = "SEQ|TIME")]
    at: Option<Place>,
}

/// A conversation, as both ways of reading give it.
#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    key: String,
    version: u64,
    seq: u64,
    at: Timestamp,
    #[serde(default)]
    quarantined: bool,
    state: Value,
}

impl Show {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let key = &self.conversation.key;
        let shown = match self.at {
            None => client.find(&tenant, name::CONVERSATION, &json!({ "key": key })).await?,
            Some(place) => fold(&client, &tenant, key, place).await?,
        };
        let Some(shown) = shown else {
            let then = if self.at.is_some() { " at that time" } else { "" };
            return Err(CliError::new(
                super::Exit::Failure,
                "not_found",
                format!("tenant {tenant} has no conversation {key}{then}"),
            ));
        };
        let value = serde_json::to_value(&shown)?;
        let text = describe(&shown, &session.out);
        session.out.result(&value, || text)
    }
}

/// The state after the last commit that is not after `place`.
async fn fold(client: &Client, tenant: &str, key: &str, place: Place) -> Result<Option<Shown>, CliError> {
    let kind = KindOf::<Conversation>::boxed();
    let subject = client.journal.subjects().events(tenant, AggregateKind::Conversation.as_str(), key);
    let mut cell = kind.fresh();
    for recorded in client.journal.history(&subject, 0).await? {
        let commit = kind.read(&recorded.payload).map_err(|error| CliError::failure(error.to_string()))?;
        let after = match place {
            Place::Seq(seq) => recorded.seq > seq,
            Place::Time(time) => commit.facts.at > time,
        };
        if after {
            break;
        }
        cell.apply(&commit, recorded.seq);
    }
    Ok((cell.version() > 0).then(|| Shown {
        key: key.to_owned(),
        version: cell.version(),
        seq: cell.seq(),
        at: cell.at(),
        quarantined: cell.quarantined(),
        state: cell.state(),
    }))
}

fn describe(shown: &Shown, out: &Output) -> String {
    let state = &shown.state;
    let mut lines = vec![format!(
        "{}  {}",
        out.styled(Style::Bold, format!("{}:{}", text(&state["channel"]), text(&state["thread"]))),
        out.styled(Style::Dim, &shown.key),
    )];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<12} {value}"));
        }
    };
    line("version", format!("{} (commit {}, {})", shown.version, shown.seq, shown.at));
    if shown.quarantined {
        line("quarantined", out.styled(Style::Red, "yes: see `kefu rejected list`"));
    }
    line("sender", text(&state["sender"]["name"]));
    line("tags", list(&state["tags"]));
    let session = &state["session"];
    if session.is_object() {
        line("session", format!("{} since {}", session["number"], text(&session["opened_at"])));
        line("phase", phase(&session["phase"]));
        line("queue", text(&session["queue"]));
        line("requires", compact(&session["required"]));
        line("collected", compact(&session["collected"]));
        line("awaited", compact(&session["awaited"]));
        line("disposition", text(&session["disposition"]));
    } else {
        line("sessions", format!("{}, none open", state["sessions"]));
        line("closed", compact(&state["closed"]));
    }
    line("rating", compact(&state["rating"]));
    lines.join("\n")
}

/// `{"active": {…}}` or `"…"`: its name, and what is in it.
fn phase(phase: &Value) -> String {
    match phase.as_object().and_then(|fields| fields.iter().next()) {
        Some((name, inner)) => format!("{name}{}", details(inner)),
        None => text(phase),
    }
}

/// What a phase holds, in words: of an offer, the place in the queue and the offer itself; of wrap-up, who and until when.
fn details(inner: &Value) -> String {
    let parts = match inner {
        Value::Array(parts) => parts.iter().collect(),
        one => vec![one],
    };
    let mut words = String::new();
    for part in parts {
        let Some(fields) = part.as_object() else {
            words += &format!(", until {}", text(part));
            continue;
        };
        let holder = fields.get("to").or_else(|| fields.get("holder")).unwrap_or(part);
        for (before, value) in [
            ("by", &holder["agent"]),
            ("since", &part["since"]),
            ("until", &part["deadline"]),
            ("asking for", &part["collecting"]["field"]),
            ("asked until", &part["asked"]["deadline"]),
            ("snoozed until", &part["snoozed_until"]),
        ] {
            if !value.is_null() {
                words += &format!(", {before} {}", text(value));
            }
        }
        for (flag, word) in [("transferred", "transferred"), ("held", "on hold")] {
            if part[flag] == true {
                words += &format!(", {word}");
            }
        }
    }
    words
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text),
        other => plain(&other.to_string()),
    }
}

fn list(value: &Value) -> String {
    let items = value.as_array().map(|items| items.iter().map(text).collect::<Vec<_>>());
    items.unwrap_or_default().join(", ")
}

fn compact(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        other => plain(&other.to_string()),
    }
}
