//! `kefu agent`: who takes conversations, how many at once, and which they have.

use super::{
    Session, TenantArg,
    client::{Ask, Client, already, operator},
    error::{CliError, Exit},
    output::{Output, Style, plain},
    values,
    wall::{self, Moment},
};
use crate::config::units;
use clap::{Args, Subcommand, ValueEnum};
use kefu_events::{
    Actor, AggregateKind, V,
    agent::{AgentCommand, RoutingStatus, Shifts},
    key::token_of,
    query::name,
    settings::{TENANT_DOCUMENT, TenantSettings},
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Agents: who takes conversations, with which skills, and how many at once
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kefu agent add anna --name Anna --skill tax=3 --language en --queue support --slots 3
  kefu agent online anna
  kefu agent status anna available
  kefu agent status anna away --reason lunch
  kefu agent capacity anna 5 --weight voice=5
  kefu agent shifts anna --time-zone Europe/Berlin --on monday=09:00-12:00,13:00-17:00 --on tuesday=09:00-17:00
  kefu agent list --status available
  kefu agent list --at 2h                        as they were two hours ago
  kefu agent show anna
  kefu agent release anna 0192f3a4-7c1d          free a slot that is stuck")]
pub enum Agent {
    /// Add an agent, or bring back one who was removed
    Add {
        /// The agent's id, such as the one under which they log in
        agent: String,
        /// The name that colleagues see
        #[arg(long)]
        name: String,
        #[command(flatten)]
        skills: Skills,
        /// Conversations at once [default: 3, or as it was]
        #[arg(long)]
        slots: Option<u32>,
        #[command(flatten)]
        change: Change,
    },
    /// List agents
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those with this status: available, away, transfers_only, offline, removed
        #[arg(long, group = "filter")]
        status: Option<String>,
        /// Only those who serve this queue
        #[arg(long, group = "filter")]
        queue: Option<String>,
        /// Only those with this skill
        #[arg(long, group = "filter")]
        skill: Option<String>,
        #[command(flatten)]
        moment: Moment,
        /// Not more than this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show an agent, with what they have
    Show {
        /// The agent's id
        agent: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Say what the agent is ready for
    Status {
        /// The agent's id
        agent: String,
        /// What for
        status: Status,
        /// Why, in your own words
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// A connection of the agent's is there, as a bridge says it
    Online {
        /// The agent's id
        agent: String,
        /// Names the connection, where there are several
        #[arg(long)]
        connection: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// A connection has gone, or all of them
    Offline {
        /// The agent's id
        agent: String,
        /// Which one [default: all]
        #[arg(long)]
        connection: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Set skills, languages or queues: each that is named is replaced as a whole
    Skills {
        /// The agent's id
        agent: String,
        #[command(flatten)]
        skills: Skills,
        /// Take these away altogether
        #[arg(long, value_name = "WHAT", value_delimiter = ',')]
        clear: Vec<Clear>,
        #[command(flatten)]
        change: Change,
    },
    /// Set how much the agent can do at once
    Capacity {
        /// The agent's id
        agent: String,
        /// Slots in all
        slots: u32,
        /// Slots that a conversation on this channel takes [default: 1]
        #[arg(long = "weight", value_name = "CHANNEL=SLOTS", value_parser = weight)]
        weights: Vec<(String, u32)>,
        #[command(flatten)]
        change: Change,
    },
    /// Set when the agent works: outside of it nothing is offered, unless the agent has said meanwhile to be available
    Shifts {
        /// The agent's id
        agent: String,
        /// IANA name of the time zone in which they are meant
        #[arg(long, value_name = "ZONE", required_unless_present = "none")]
        time_zone: Option<String>,
        /// A weekday with its times; can be repeated
        #[arg(long = "on", value_name = "DAY=FROM-TO[,FROM-TO]", value_parser = values::pair)]
        days: Vec<(String, String)>,
        /// Dates on which the agent does not work; can be repeated
        #[arg(long = "off", value_name = "DATE")]
        off: Vec<String>,
        /// None: the agent works whenever available
        #[arg(long, conflicts_with_all = ["time_zone", "days", "off"])]
        none: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Free a slot, whatever the conversation says
    Release {
        /// The agent's id
        agent: String,
        /// The reservation, from `kefu agent show`
        reservation: String,
        /// Why
        #[arg(long, default_value = "released by hand")]
        reason: String,
        #[command(flatten)]
        change: Change,
    },
    /// Remove an agent: what they have is kept to its end, and nothing is added
    Remove {
        /// The agent's id
        agent: String,
        #[command(flatten)]
        change: Change,
    },
}

/// What an agent can do.
#[derive(Debug, Args)]
pub struct Skills {
    /// A skill and how good the agent is at it, 0 to 5; can be repeated
    #[arg(long = "skill", value_name = "NAME=0-5", value_parser = skill)]
    skills: Vec<(String, u8)>,
    /// A language that the agent speaks, the best first; can be repeated
    #[arg(long = "language", value_name = "TAG")]
    languages: Vec<String>,
    /// A queue that the agent serves; can be repeated
    #[arg(long = "queue", value_name = "QUEUE")]
    queues: Vec<String>,
}

/// What goes with a change.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    tenant: TenantArg,
    /// Who does it: agent:ID or system:ID [default: system:operator]
    #[arg(long = "as", value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// How long to wait for the result
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

/// What an agent is ready for.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Status {
    /// New conversations
    Available,
    /// Nothing for now
    Away,
    /// Only what colleagues hand over
    TransfersOnly,
    /// Not at work
    Offline,
}

/// What can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Clear {
    /// All skills
    Skills,
    /// All languages
    Languages,
    /// All queues
    Queues,
}

fn skill(text: &str) -> Result<(String, u8), String> {
    let (name, proficiency) = values::pair(text)?;
    Ok((name, units::number(&proficiency, 0..=5)?))
}

fn weight(text: &str) -> Result<(String, u32), String> {
    let (channel, slots) = values::pair(text)?;
    Ok((channel, units::number(&slots, 1..=1_000)?))
}

/// Shifts as they are written: a day's times are separated by commas.
fn shifts(time_zone: String, days: Vec<(String, String)>, off: Vec<String>) -> Result<Shifts, CliError> {
    let times = |times: String| times.split(',').map(|time| Value::from(time.trim())).collect::<Vec<_>>();
    let mut hours: Map<String, Value> = days.into_iter().map(|(day, of_day)| (day, times(of_day).into())).collect();
    hours.insert("holidays".to_owned(), off.into());
    let hours = serde_json::from_value(Value::Object(hours)).map_err(|error| {
        CliError::usage(format!("--on: {error}")).hint("such as --on monday=09:00-12:00,13:00-17:00")
    })?;
    Ok(Shifts { time_zone, hours })
}

impl Agent {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let (agent, change, body) = match self {
            Self::List { tenant, status, queue, skill, moment, limit } => {
                let tenant = tenant.of(&client.config);
                if moment.at.is_some() {
                    let wall = wall::fetch(&client, &tenant, moment.at, limit).await?;
                    let agents = wall["agents"].as_array().into_iter().flatten();
                    let wanted = |agent: &&Value| {
                        status.as_ref().is_none_or(|status| agent["status"] == **status)
                            && queue.as_ref().is_none_or(|queue| has(&agent["queues"], queue))
                            && skill.as_ref().is_none_or(|skill| agent["skills"].get(skill).is_some())
                    };
                    list(session, &agents.filter(wanted).cloned().collect::<Vec<_>>())?;
                    wall::note_left_out(&wall, "agents");
                    return Ok(());
                }
                let asked = [("status", status), ("queue", queue), ("skill", skill)];
                let asked = asked.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
                let parameters = Value::Object(asked.collect::<Map<_, _>>());
                let agents = client.pages(&tenant, name::AGENTS, parameters, limit).await?;
                return list(session, &agents);
            }
            Self::Show { agent, tenant } => {
                let tenant = tenant.of(&client.config);
                return show(session, &client, &tenant, &agent).await;
            }
            Self::Add { agent, name, skills, slots, change } => {
                return add(session, &client, agent, name, skills, slots, change).await;
            }
            Self::Status { agent, status, reason, change } => {
                (agent, change, AgentCommand::SetStatus { v: V, status: status.into(), reason })
            }
            Self::Online { agent, connection, change } => {
                (agent, change, AgentCommand::SetPresence { v: V, online: true, connection })
            }
            Self::Offline { agent, connection, change } => {
                (agent, change, AgentCommand::SetPresence { v: V, online: false, connection })
            }
            Self::Skills { agent, skills, clear, change } => {
                let body = skills.command(&clear).ok_or_else(|| CliError::usage("nothing is to be set: see --help"))?;
                (agent, change, body)
            }
            Self::Capacity { agent, slots, weights, change } => {
                let weights = (!weights.is_empty()).then(|| weights.into_iter().collect());
                (agent, change, AgentCommand::SetCapacity { v: V, slots, weights })
            }
            Self::Shifts { agent, time_zone, days, off, none: _, change } => {
                let shifts = time_zone.map(|time_zone| shifts(time_zone, days, off)).transpose()?;
                (agent, change, AgentCommand::SetShifts { v: V, shifts })
            }
            Self::Release { agent, reservation, reason, change } => {
                (agent, change, AgentCommand::ForceRelease { v: V, reservation, reason })
            }
            Self::Remove { agent, change } => (agent, change, AgentCommand::Remove { v: V }),
        };
        let result = ask(&client, &agent, &change, body).await?;
        session.out.result(&result, || format!("done: version {}", result["version"]))
    }
}

impl Skills {
    /// What of it is to be set; `None`: nothing.
    fn command(self, clear: &[Clear]) -> Option<AgentCommand> {
        let named = |clears: Clear, is_empty: bool| clear.contains(&clears) || !is_empty;
        let skills = named(Clear::Skills, self.skills.is_empty()).then(|| BTreeMap::from_iter(self.skills));
        let languages = named(Clear::Languages, self.languages.is_empty()).then_some(self.languages);
        let queues = named(Clear::Queues, self.queues.is_empty()).then_some(self.queues);
        let is_any = skills.is_some() || languages.is_some() || queues.is_some();
        is_any.then_some(AgentCommand::SetSkills { v: V, skills, languages, queues })
    }
}

/// One command after the other. What is as wanted already is no failure, so that it can be run again.
async fn add(
    session: &mut Session,
    client: &Client,
    agent: String,
    name: String,
    mut skills: Skills,
    slots: Option<u32>,
    change: Change,
) -> Result<(), CliError> {
    if skills.queues.is_empty() {
        skills.queues = queues_of_new(client, &change.tenant.of(&client.config), &agent).await?;
    }
    let mut commands = vec![AgentCommand::Register { v: V, agent: Some(agent.clone()), name }];
    commands.extend(skills.command(&[]));
    commands.extend(slots.map(|slots| AgentCommand::SetCapacity { v: V, slots, weights: None }));
    let mut done = Value::Null;
    for command in commands {
        match ask(client, &agent, &change, command).await {
            Ok(result) => done = result,
            Err(error) if error.code == "unchanged" => {}
            Err(error) => return Err(error),
        }
    }
    if done.is_null() {
        already(&format!("{agent} is as you want them"));
        return session.out.result(&json!({"ok": true}), || agent);
    }
    session.out.result(&done, || format!("done: {agent}, version {}", done["version"]))
}

/// Somebody who serves no queue would never be asked anything: a new agent serves them all, where none are named.
async fn queues_of_new(client: &Client, tenant: &str, agent: &str) -> Result<Vec<String>, CliError> {
    let known: Option<Value> = client.find(tenant, name::AGENT, &json!({ "id": agent })).await?;
    if known.is_some() {
        return Ok(Vec::new());
    }
    let document = json!({ "document": TENANT_DOCUMENT });
    let found: Option<Value> = client.find(tenant, name::SETTINGS, &document).await?;
    let settings = found.map(|found| serde_json::from_value::<TenantSettings>(found["value"].clone()));
    Ok(settings.transpose()?.unwrap_or_default().queues)
}

async fn ask(client: &Client, agent: &str, change: &Change, body: AgentCommand) -> Result<Value, CliError> {
    let tenant = change.tenant.of(&client.config);
    let ask = Ask {
        tenant: &tenant,
        aggregate: AggregateKind::Agent,
        key: &token_of(agent),
        actor: change.actor.clone().unwrap_or_else(operator),
        id: None,
        expected_version: None,
        body,
    };
    Ok(serde_json::to_value(client.command(ask, change.timeout).await?)?)
}

async fn show(session: &mut Session, client: &Client, tenant: &str, agent: &str) -> Result<(), CliError> {
    let found: Option<Value> = client.find(tenant, name::AGENT, &json!({ "id": agent })).await?;
    let none = || CliError::new(Exit::Failure, "not_found", format!("tenant {tenant} has no agent {agent}"));
    let found = found.ok_or_else(none)?;
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
    line("id", text(&state["id"]));
    line("status", status(state));
    line("since", text(&state["status_since"]));
    line("online", if state["online"] == true { words(&state["connections"]) } else { "no".to_owned() });
    line("skills", pairs(&state["skills"]));
    line("languages", words(&state["languages"]));
    line("queues", words(&state["queues"]));
    line("slots", format!("{} of {} in use", found["in_use"], state["slots"]));
    line("weights", pairs(&state["weights"]));
    if let Some(shifts) = state["shifts"].as_object() {
        let days = shifts["hours"].as_object().into_iter().flatten();
        let days = days.filter(|(_, times)| times.as_array().is_some_and(|times| !times.is_empty()));
        let days = days.map(|(day, times)| format!("{day} {}", words(times)));
        line("shifts", format!("{}; {}", days.collect::<Vec<_>>().join("; "), text(&shifts["time_zone"])));
    }
    for (skill, estimate) in found["estimates"].as_object().into_iter().flatten() {
        line("works", works(skill, estimate));
    }
    for (reservation, slot) in state["held"].as_object().into_iter().flatten() {
        let (phase, conversation) = (text(&slot["phase"]), text(&slot["conversation"]));
        line(&phase, format!("{conversation}  {reservation}  since {}", text(&slot["since"])));
    }
    if found["quarantined"] == true {
        line("quarantined", "yes: see `kefu rejected list`".to_owned());
    }
    lines.join("\n")
}

/// How fast and how well an agent works, compared with the others, and from how many cases that is known.
fn works(skill: &str, estimate: &Value) -> String {
    let number = |name: &str| estimate[name].as_f64().unwrap_or_default();
    let cases = format!("{:.0} cases, {:.0} ratings", number("cases"), number("rated"));
    match estimate["enough"] == true {
        true => format!("{skill}: speed {:.2}, quality {:.2} ({cases})", number("speed"), number("quality")),
        false => format!("{skill}: like everybody, as far as is known ({cases})"),
    }
}

/// The status of an agent's state, or of one in a list.
fn status(agent: &Value) -> String {
    match agent["reason"].as_str() {
        _ if agent["removed"] == true => "removed".to_owned(),
        Some(reason) => format!("{} ({reason})", text(&agent["status"])),
        None => text(&agent["status"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn words(value: &Value) -> String {
    value.as_array().map(|words| words.iter().map(text).collect::<Vec<_>>().join(", ")).unwrap_or_default()
}

fn pairs(value: &Value) -> String {
    let pairs = value.as_object().into_iter().flatten().map(|(name, value)| format!("{name}={value}"));
    pairs.collect::<Vec<_>>().join(", ")
}

fn has(words: &Value, word: &str) -> bool {
    words.as_array().is_some_and(|words| words.iter().any(|known| known == word))
}

pub(super) fn list(session: &mut Session, agents: &[Value]) -> Result<(), CliError> {
    if session.out.is_json() {
        return agents.iter().try_for_each(|agent| session.out.json_line(agent));
    }
    let row = |agent: &Value| {
        let online = if agent["online"] == true { "yes" } else { "no" };
        let slots = format!("{}/{}", agent["in_use"], agent["slots"]);
        let (id, name, skills) = (text(&agent["id"]), text(&agent["name"]), pairs(&agent["skills"]));
        [id, name, status(agent), online.to_owned(), slots, words(&agent["queues"]), skills]
    };
    let rows: Vec<[String; 7]> = agents.iter().map(row).collect();
    session.out.table(["AGENT", "NAME", "STATUS", "ONLINE", "SLOTS", "QUEUES", "SKILLS"], &rows)
}

impl From<Status> for RoutingStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Available => Self::Available,
            Status::Away => Self::Away,
            Status::TransfersOnly => Self::TransfersOnly,
            Status::Offline => Self::Offline,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skills_and_weights_are_read_with_their_limits() {
        assert_eq!(skill("tax=3"), Ok(("tax".to_owned(), 3)));
        assert_eq!(weight("voice=5"), Ok(("voice".to_owned(), 5)));
        for bad in ["tax", "tax=6", "tax=-1", "=3", "tax=much"] {
            assert!(skill(bad).is_err(), "{bad}");
        }
        assert!(weight("web=0").is_err());
    }

    #[test]
    fn what_is_not_named_is_not_set() {
        let none = || Skills { skills: Vec::new(), languages: Vec::new(), queues: Vec::new() };
        assert_eq!(none().command(&[]), None);
        let expected = AgentCommand::SetSkills { v: V, skills: None, languages: None, queues: Some(Vec::new()) };
        assert_eq!(none().command(&[Clear::Queues]), Some(expected));
    }
}
