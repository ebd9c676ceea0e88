//! Entries on a terminal.

use crate::{
    cli::{
        Session, TenantArg,
        diff::{diff, lines},
        error::{CliError, Exit},
        output::{Output, Style, note, plain},
    },
    faq::entry::{EntryVersion, State},
};
use clap::Args;
use kefu_events::query::name;
use serde_json::{Value, json};

/// Ask as a customer would; nothing is sent to anybody
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu faq ask \"can I send it back?\"
  kefu faq ask \"and for shoes?\" --after \"can I send it back?\"
  kefu faq ask 怎么退货 --json | jq .candidates")]
pub struct Ask {
    /// The question
    question: String,
    #[command(flatten)]
    tenant: TenantArg,
    /// As on this channel
    #[arg(long, short, default_value = "web")]
    channel: String,
    /// What was asked before, the earliest first; can be repeated
    #[arg(long = "after", value_name = "QUESTION")]
    earlier: Vec<String>,
}

impl Ask {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let asked = json!({ "question": self.question, "channel": self.channel, "earlier": self.earlier });
        let answered: Value = client.query(&tenant, name::ASK, &asked).await?;
        if session.out.is_json() {
            return session.out.json(&answered);
        }
        let said = match answered["outcome"].as_str() {
            Some("decline") => format!("a person would take over ({})", text(&answered["reason"])),
            _ => plain(&text(&answered["text"])),
        };
        let how = if answered["by_meaning"] == true { "by meaning and words" } else { "by words alone" };
        let percent = |value: &Value| format!("{:.0} %", value.as_f64().unwrap_or_default() * 100.0);
        let note = format!(
            "{}, {how}, {:.1} ms; in scope: {}",
            text(&answered["outcome"]),
            answered["took_ms"].as_f64().unwrap_or_default(),
            percent(&answered["in_scope"])
        );
        let note = session.out.styled(Style::Dim, note);
        session.out.line(format!("{said}\n\n{note}"))?;
        let row = |candidate: &Value| {
            let question: String = text(&candidate["question"]).chars().take(70).collect();
            [text(&candidate["entry"]), percent(&candidate["probability"]), plain(&question)]
        };
        let rows: Vec<[String; 3]> = answered["candidates"].as_array().into_iter().flatten().map(row).collect();
        session.out.table(["ENTRY", "PROBABILITY", "QUESTION"], &rows)
    }
}

pub(super) fn list(session: &mut Session, entries: &[Value]) -> Result<(), CliError> {
    if session.out.is_json() {
        return entries.iter().try_for_each(|entry| session.out.json_line(entry));
    }
    let row = |entry: &Value| {
        let waits = entry["status"] == "approved" && entry["approved"] != entry["entry_version"];
        let status = format!("{}{}", text(&entry["status"]), if waits { " +draft" } else { "" });
        let feedback = &entry["feedback"];
        let used = format!(
            "{}+{} {}-{}",
            feedback["adopted"].as_u64().unwrap_or_default() + feedback["edited"].as_u64().unwrap_or_default(),
            feedback["helpful"],
            feedback["rejected"],
            feedback["unhelpful"]
        );
        let question: String = text(&entry["question"]).chars().take(60).collect();
        let similar = entry["similar"].to_string();
        [
            text(&entry["id"]),
            status,
            similar,
            text(&entry["language"]),
            text(&entry["category"]),
            used,
            plain(&question),
        ]
    };
    let rows: Vec<[String; 7]> = entries.iter().map(row).collect();
    session.out.table(["ENTRY", "STATUS", "SIMILAR", "LANG", "CATEGORY", "USED", "QUESTION"], &rows)
}

/// What was found by what it says.
pub(super) fn hits(session: &mut Session, found: &Value) -> Result<(), CliError> {
    let items: &[Value] = found["items"].as_array().map_or(&[], Vec::as_slice);
    if session.out.is_json() {
        return items.iter().try_for_each(|item| session.out.json_line(item));
    }
    for item in items {
        let head = format!("{}  {}  {}", text(&item["id"]), text(&item["status"]), plain(&text(&item["question"])));
        session.out.line(session.out.styled(Style::Dim, head))?;
        let line = session.out.marked(&item["snippet"]);
        session.out.line(format!("  {line}"))?;
    }
    let total = found["total"].as_u64().unwrap_or_default();
    if total as usize > items.len() {
        note(format!("{} of {total}: see --limit", items.len()));
    }
    session.out.flush()
}

/// All of an entry, in its newest or in another version.
pub(super) fn entry(session: &mut Session, found: &Value, wanted: Option<u64>) -> Result<(), CliError> {
    let state: State = serde_json::from_value(found["state"].clone())?;
    let version = match wanted {
        None => state.newest(),
        Some(wanted) => state.version(wanted),
    };
    let none = || CliError::new(Exit::Failure, "unknown_version", "the entry remembers no such version");
    let version = version.ok_or_else(none)?;
    let text = describe(found, &state, version, &session.out);
    session.out.result(found, || text)
}

fn describe(found: &Value, state: &State, version: &EntryVersion, out: &Output) -> String {
    let content = &version.content;
    let mut lines = vec![out.styled(Style::Bold, plain(&content.question))];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("  {name:<12} {}", plain(&value)));
        }
    };
    line("id", text(&found["key"]));
    line("status", state.status().as_str().to_owned());
    line(
        "version",
        format!("{} of {}, by {} at {}", version.entry_version, state.entry_version, version.by, version.at),
    );
    let approval = version.approval.as_ref().map(|approval| format!("by {} at {}", approval.reviewer, approval.at));
    line("approved", approval.unwrap_or_else(|| "not this version".to_owned()));
    if state.has_draft() {
        line("waiting", format!("version {} waits for approval", state.entry_version));
    }
    line("language", content.language.clone().unwrap_or_default());
    line("category", content.category.clone().unwrap_or_default());
    line("valid from", content.valid_from.map(|at| at.to_string()).unwrap_or_default());
    line("valid until", content.valid_until.map(|at| at.to_string()).unwrap_or_default());
    content.similar.iter().for_each(|similar| line("similar", similar.clone()));
    line("answer", content.answer.clone());
    content.channel_answers.iter().for_each(|(channel, answer)| line(&format!("on {channel}"), answer.clone()));
    content.variables.iter().for_each(|(name, value)| line(&format!("{{{name}}}"), value.clone()));
    let said = state.all_feedback();
    line(
        "feedback",
        format!(
            "{} adopted, {} edited, {} rejected by agents; {} helpful, {} not to customers",
            said.adopted, said.edited, said.rejected, said.helpful, said.unhelpful
        ),
    );
    if found["quarantined"] == true {
        line("quarantined", "yes: see `kefu rejected list`".to_owned());
    }
    lines.join("\n")
}

/// The versions of an entry, each with what differs from the one before.
pub(super) fn history(session: &mut Session, found: &Value) -> Result<(), CliError> {
    let state: State = serde_json::from_value(found["state"].clone())?;
    if session.out.is_json() {
        return state.history.iter().try_for_each(|version| session.out.json_line(version));
    }
    let mut before = Value::Null;
    for version in &state.history {
        let answers = if state.approved == Some(version.entry_version) { ", answers" } else { "" };
        let approval = version.approval.as_ref().map(|approval| format!(", approved by {}", approval.reviewer));
        let from = version.rolled_back_to.map(|to| format!(", as version {to}"));
        let head = format!("version {}{answers}", version.entry_version);
        let head = session.out.styled(Style::Bold, head);
        let approval = approval.unwrap_or_default();
        session.out.line(format!(
            "{head}  {} by {}{}{approval}",
            version.at,
            plain(&version.by),
            from.unwrap_or_default()
        ))?;
        if let Some(comment) = &version.comment {
            session.out.line(format!("  {}", plain(comment)))?;
        }
        let content = serde_json::to_value(&version.content)?;
        let empty = Value::Object(serde_json::Map::new());
        let changes = diff(if before.is_null() { &empty } else { &before }, &content);
        for line in lines(&changes).lines() {
            let style = if line.starts_with('-') { Style::Red } else { Style::Green };
            let line = session.out.styled(style, format!("  {}", plain(line)));
            session.out.line(line)?;
        }
        before = content;
    }
    session.out.flush()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
