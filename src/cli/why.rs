//! `kefu why`: why a conversation has the agent that it has, or has none.

use super::{
    Exit, Session, TenantArg,
    client::Client,
    error::CliError,
    output::{Output, Style, plain},
    replay::Progress,
    values::ConversationArg,
};
use crate::{
    dispatch::past::Past,
    journal::Journal,
    scheduler::{
        Decision,
        decision::{Candidate, WhyNot},
    },
};
use clap::Args;
use futures::StreamExt;
use kefu_events::{AggregateKind, Commit, conversation::ConversationEvent, query::name, upcast::decode_commit};
use serde::Serialize;
use serde_json::{Value, json};

/// Say why a conversation was offered to an agent, why not to another, or why it still waits
#[derive(Debug, Args)]
#[command(after_help = "\
The decision is taken again on the state that the log had when it was taken: read up to there, which takes a while in a long
one. It comes out the same, or the difference is shown; so what is said of an agent who was not among the candidates
is what held then.

Examples:
  kefu why web:alice                      the last offer's candidates and scores; or what it waits for
  kefu why web:alice --agent bob          why not Bob
  kefu why web:alice --all --json         every decision about it
  kefu why web:alice --recorded           as it was committed, without reading the log up to there")]
pub struct Why {
    /// The conversation: its key, or CHANNEL:THREAD
    conversation: ConversationArg,
    #[command(flatten)]
    tenant: TenantArg,
    /// Why not this agent
    #[arg(long, short, value_name = "ID")]
    agent: Option<String>,
    /// All decisions about it, the first one first
    #[arg(long)]
    all: bool,
    /// Show decisions as they were committed, and do not take them again
    #[arg(long)]
    recorded: bool,
}

/// What the log says of one conversation.
#[derive(Debug, Default)]
struct History {
    decisions: Vec<Made>,
    /// Who did not take it, how, and when.
    declined: Vec<(String, &'static str, kefu_events::Timestamp)>,
}

/// A decision as the log holds it.
#[derive(Debug, Serialize)]
struct Made {
    seq: u64,
    at: kefu_events::Timestamp,
    agent: String,
    /// Absent where a person made the offer.
    decision: Option<Decision>,
    /// What came of taking it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<TakenAgain>,
}

/// What came of taking a decision again.
#[derive(Debug, Serialize)]
struct TakenAgain {
    /// It came out the same.
    same: bool,
    /// In what it did not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<String>,
    /// Why it could not be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What held then of the agent who is asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<WhyNot>,
}

impl Why {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let key = &self.conversation.key;
        let History { decisions: mut made, declined } = history(&client, &tenant, key).await?;
        if !self.all {
            made.drain(..made.len().saturating_sub(1));
        }
        if !self.recorded {
            take_again(&client, &tenant, &mut made, self.agent.as_deref()).await?;
        }
        let shown = &made[..];
        let asked = json!({ "conversation": key, "agent": self.agent });
        let now: Option<Value> = client.find(&tenant, name::WHY, &asked).await?;
        let waiting = now.as_ref().is_some_and(|now| now["waiting"].is_object());
        if shown.is_empty() && !waiting {
            let text = format!("conversation {key} of tenant {tenant} was never offered to anybody and does not wait");
            return Err(CliError::new(Exit::Failure, "not_found", text)
                .hint("see where it is with `kefu show`; it is scheduled once it is queued"));
        }
        let value = json!({ "conversation": key, "decisions": shown, "now": now });
        let mut text = describe(&session.out, shown, now.as_ref(), self.agent.as_deref());
        for (agent, how, at) in declined.iter().filter(|(agent, ..)| self.agent.as_ref().is_none_or(|one| one == agent))
        {
            text += &format!("\n{at}  {} {how}", plain(agent));
        }
        session.out.result(&value, || text)
    }
}

async fn history(client: &Client, tenant: &str, key: &str) -> Result<History, CliError> {
    let subject = client.journal.subjects().events(tenant, AggregateKind::Conversation.as_str(), key);
    let mut history = History::default();
    for recorded in client.journal.history(&subject, 0).await? {
        let commit: Commit<ConversationEvent> =
            decode_commit(&recorded.payload).map_err(|error| CliError::failure(error.to_string()))?;
        for event in commit.events {
            let (agent, how) = match event {
                ConversationEvent::OfferMade { agent, decision, .. } => {
                    let decision = decision.and_then(|decision| decision.read().ok());
                    history.decisions.push(Made { seq: recorded.seq, at: commit.at, agent, decision, again: None });
                    continue;
                }
                ConversationEvent::OfferRejected { agent, .. } => (agent, "rejected it"),
                ConversationEvent::OfferTimedOut { agent, .. } => (agent, "did not answer in time"),
                ConversationEvent::OfferRescinded { agent, .. } => (agent, "lost the offer again"),
                _ => continue,
            };
            history.declined.push((agent, how, commit.at));
        }
    }
    Ok(history)
}

/// Reads the log up to each decision and takes it again.
async fn take_again(client: &Client, tenant: &str, made: &mut [Made], agent: Option<&str>) -> Result<(), CliError> {
    let damaged = |error: kefu_events::upcast::DecodeError| CliError::failure(error.to_string());
    let mut wanted: Vec<&mut Made> = made.iter_mut().filter(|made| made.decision.is_some()).collect();
    wanted.sort_by_key(|made| made.decision.as_ref().map_or(0, |decision| decision.sequence));
    let last = wanted.last().map(|made| made.seq);
    let mut past = Past::new(wanted.iter().filter_map(|made| made.decision.as_ref()));
    let mut wanted = wanted.into_iter().peekable();
    let subjects = client.journal.subjects();
    let progress = Progress::shown(0, last);
    let mut log = client.journal.tail(0, Some(subjects.events_of_tenant(tenant))).await?;
    // The offer itself is in the log after all that its decision was taken on, so that there is always a next commit.
    while wanted.peek().is_some()
        && let Some(commit) = log.next().await
    {
        let commit = commit?;
        let is_before = |made: &&mut Made| made.decision.as_ref().is_some_and(|one| one.sequence < commit.seq);
        while let Some(made) = wanted.next_if(is_before) {
            let Some(decision) = &made.decision else { continue };
            for key in past.incomplete().map(str::to_owned).collect::<Vec<_>>() {
                let subject = subjects.events(tenant, AggregateKind::Conversation.as_str(), &key);
                let history = client.journal.history(&subject, 0).await?;
                let history = history.iter().filter(|recorded| recorded.seq <= decision.sequence);
                past.take_whole(history.map(|recorded| (recorded.seq, recorded.payload.as_ref()))).map_err(damaged)?;
            }
            let (differences, error) = match past.again(decision) {
                Ok(again) => (again.differences, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            let agent = agent.and_then(|agent| past.why_not(decision, agent).ok());
            let same = differences.is_empty() && error.is_none();
            made.again = Some(TakenAgain { same, differences, error, agent });
        }
        past.take(commit.seq, &commit.payload).map_err(damaged)?;
        progress.at(commit.seq);
    }
    progress.clear();
    Ok(())
}

fn describe(out: &Output, made: &[Made], now: Option<&Value>, agent: Option<&str>) -> String {
    let mut lines = Vec::new();
    for one in made {
        let Some(decision) = &one.decision else {
            lines.push(format!("{}  offered to {} by a person (commit {})", one.at, plain(&one.agent), one.seq));
            continue;
        };
        let heading = format!("{}  offered to {} by policy {}", one.at, plain(&one.agent), decision.policy);
        lines.push(out.styled(Style::Bold, heading));
        let why =
            if decision.named { "only this agent was allowed: named, or preferred" } else { "best of those who could" };
        lines.push(format!("  {why}; settings version {}, log at {}", decision.settings_version, decision.sequence));
        for (rank, candidate) in decision.candidates.iter().enumerate() {
            if agent.is_none_or(|agent| agent == candidate.agent || rank == 0) {
                lines.push(format!("  {:>2}. {}", rank + 1, line_of(candidate)));
            }
        }
        if !decision.excluded.is_empty() {
            let name = |reason| serde_json::to_value(reason).map_or(String::new(), |name| words(&name));
            let excluded = decision.excluded.iter().map(|(reason, count)| format!("{count} {}", name(reason)));
            lines.push(format!("  could not: {}", excluded.collect::<Vec<_>>().join(", ")));
        }
        if let Some(again) = &one.again {
            lines.extend(describe_again(again, agent));
        }
    }
    let Some(now) = now else { return lines.join("\n") };
    if let Some(waiting) = now["waiting"].as_object() {
        lines.push(out.styled(Style::Bold, format!("waits since {} s", waiting["waited_s"])));
        if let Some(asked) = waiting.get("asked").and_then(Value::as_str) {
            lines.push(format!("  {} is being asked", plain(asked)));
        }
        if let Some(ahead) = waiting.get("ahead") {
            lines.push(format!("  {ahead} ahead of it ask for the same"));
        }
        let excluded = waiting["excluded"].as_object().into_iter().flatten();
        for (reason, count) in excluded {
            lines.push(format!("  {count} agents: {}", reason.replace('_', " ")));
        }
        if waiting["excluded"].as_object().is_some_and(serde_json::Map::is_empty) {
            lines.push("  there are no agents: make some with `kefu agent add`".to_owned());
        }
    }
    if let (Some(agent), Some(not)) = (agent, now["agent"].as_object().filter(|not| not["answer"] != "not_waiting")) {
        let answer = match not.get("reason").and_then(Value::as_str) {
            Some(reason) => format!("{} could not: {}", plain(agent), reason.replace('_', " ")),
            None => format!("{}: {}", plain(agent), words(&not["answer"])),
        };
        lines.push(answer);
    }
    lines.join("\n")
}

fn describe_again(again: &TakenAgain, agent: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    if let (Some(agent), Some(then)) = (agent, &again.agent) {
        lines.push(match then {
            WhyNot::Impossible { reason } => {
                let reason = serde_json::to_value(reason).map_or(String::new(), |reason| words(&reason));
                format!("  {} could not: {reason}", plain(agent))
            }
            WhyNot::Possible { candidate } => format!("  could have: {}", line_of(candidate)),
            WhyNot::AskedFor { agent } => format!("  {} was being asked", plain(agent)),
            WhyNot::NotWaiting => "  it did not wait".to_owned(),
        });
    }
    if let Some(error) = &again.error {
        lines.push(format!("  it cannot be taken again: {error}"));
        return lines;
    }
    match again.same {
        true => lines.push("  taken again on the log as it was then: the same".to_owned()),
        false => {
            lines.push("  taken again on the log as it was then, it is not the same:".to_owned());
            lines.extend(again.differences.iter().map(|difference| format!("    {}", plain(difference))));
        }
    }
    lines
}

/// A name of the contract, for people.
fn words(name: &Value) -> String {
    name.as_str().unwrap_or_default().replace('_', " ")
}

fn line_of(candidate: &Candidate) -> String {
    let parts = candidate.parts.iter().map(|(part, score)| format!("{part} {score:.3}"));
    format!("{:<20} {:>8.3}  ({})", plain(&candidate.agent), candidate.score, parts.collect::<Vec<_>>().join(", "))
}
