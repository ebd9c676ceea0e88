//! Entries on a terminal.

use crate::{
    cli::{
        Session,
        diff::{diff, lines},
        error::{CliError, Exit},
        output::{Output, Style, plain},
    },
    faq::entry::{EntryVersion, State},
};
use serde_json::Value;

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
