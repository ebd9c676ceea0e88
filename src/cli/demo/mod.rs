//! `kefu demo`: a kefu to look at: a tenant with a knowledge base, agents, and customers who write.
//!
//! Everything is set up by ordinary commands, as an operator would; `play` has the people. Passwords are made anew for each
//! data directory, and stand in its `demo.json`, which only its owner can read.

mod play;

use super::{
    Session,
    client::{Ask, Client},
    error::CliError,
    output::note,
    serve::Serve,
    settings::set,
};
use crate::{
    access::{Grant, Role, Scope, password},
    config::Flag,
    faq::files::{self, Format},
    settings::demo_settings,
};
use clap::Args;
use kefu_events::{
    Actor, ActorKind, AggregateKind, V,
    agent::{AgentCommand, RoutingStatus},
    faq::FaqCommand,
    settings::{SettingsCommand, TENANT_DOCUMENT},
    user::UserCommand,
};
use rand::seq::IndexedRandom;
use serde::Serialize;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The demo's tenant.
const TENANT: &str = "demo";
/// How long each step of the setting up may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Its knowledge base.
const ENTRIES: &str = include_str!("../../../scripts/demo-faq.jsonl");

/// Somebody of the demo's staff.
struct Person {
    id: &'static str,
    name: &'static str,
    role: Role,
    /// Does by itself what an agent does.
    played: bool,
}

/// Agents: the first one is for whoever looks at the demo.
const AGENTS: [Person; 4] = [
    Person { id: "anna", name: "Anna", role: Role::Agent, played: false },
    Person { id: "ben", name: "Ben", role: Role::Agent, played: true },
    Person { id: "chen", name: "陈晨", role: Role::Agent, played: true },
    Person { id: "dora", name: "Dora", role: Role::Agent, played: true },
];
/// Those who look after them.
const OTHERS: [Person; 2] = [
    Person { id: "sam", name: "Sam", role: Role::Supervisor, played: false },
    Person { id: "ada", name: "Ada", role: Role::Administrator, played: false },
];

/// Start kefu with a tenant to look at: a knowledge base, four agents, and customers who write; says how to sign in
#[derive(Debug, Args)]
#[command(after_help = "\
Three of the agents are played, and answer; the fourth, anna, is you. Everything is under --data, as with `kefu serve`; started
again on the same directory, it goes on.

Examples:
  kefu demo
  kefu demo --customers 30          thirty new customers a minute
  kefu demo --customers 0           nobody writes but who is told to: see `kefu chat`")]
pub struct Demo {
    /// New customers per minute
    #[arg(long, value_name = "N", default_value_t = 6.0)]
    customers: f64,
    #[command(flatten)]
    serve: Serve,
}

impl Demo {
    /// What the flags set.
    pub(super) fn flags(&self) -> Vec<Flag> {
        self.serve.flags()
    }

    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let customers = self.customers;
        if !(0.0..=600.0).contains(&customers) {
            return Err(CliError::usage(format!("--customers is 0 to 600 a minute, not {customers}")));
        }
        self.serve.run_with(session, false, async move |client, http| run(client, http, customers).await).await
    }
}

/// Sets up what is missing, says how to sign in, and plays.
async fn run(client: Arc<Client>, http: String, customers: f64) -> Result<(), CliError> {
    let passwords = passwords(&client.config.data)?;
    set_up(&client, &passwords).await?;
    let line = |person: &Person| {
        let password = passwords.get(person.id).map(String::as_str).unwrap_or_default();
        format!("  {:<6} {password}   {} ({})", person.id, person.name, person.role)
    };
    let people: Vec<String> = AGENTS.iter().filter(|person| !person.played).chain(&OTHERS).map(line).collect();
    note(format!(
        "\nThe demo is at {http} — tenant {TENANT}; sign in as one of\n\n{}\n\nAs anna, set yourself available: customers write \
         now and then. These passwords are in {}.",
        people.join("\n"),
        file(&client.config.data).display()
    ));
    if customers == 0.0 {
        return std::future::pending().await;
    }
    play::play(client, TENANT.to_owned(), customers).await
}

async fn set_up(client: &Client, passwords: &BTreeMap<String, String>) -> Result<(), CliError> {
    let operator = || Actor::new(ActorKind::System, "demo");
    let settings =
        SettingsCommand::Set { v: V, value: demo_settings(), merge: true, comment: Some("the demo".to_owned()) };
    done(set(client, TENANT, TENANT_DOCUMENT, settings, operator(), PATIENCE).await.map(drop))?;
    for person in AGENTS.iter().chain(&OTHERS) {
        user(client, person, &passwords[person.id]).await?;
    }
    for person in &AGENTS {
        let register = AgentCommand::Register { v: V, agent: None, name: person.name.to_owned() };
        ask(client, AggregateKind::Agent, person.id, operator(), register).await?;
        let queues = Some(vec!["support".to_owned(), "sales".to_owned()]);
        let skills = AgentCommand::SetSkills { v: V, skills: None, languages: None, queues };
        ask(client, AggregateKind::Agent, person.id, operator(), skills).await?;
        let capacity = AgentCommand::SetCapacity { v: V, slots: 4, weights: None };
        ask(client, AggregateKind::Agent, person.id, operator(), capacity).await?;
        if person.played {
            // The scheduler offers nothing to somebody who is not there.
            let presence = AgentCommand::SetPresence { v: V, online: true, connection: Some("demo".to_owned()) };
            ask(client, AggregateKind::Agent, person.id, Actor::new(ActorKind::Agent, person.id), presence).await?;
            let status = AgentCommand::SetStatus { v: V, status: RoutingStatus::Available, reason: None };
            ask(client, AggregateKind::Agent, person.id, Actor::new(ActorKind::Agent, person.id), status).await?;
        }
    }
    let rows = files::parse(ENTRIES.as_bytes(), Format::Jsonl)?;
    for row in rows {
        let draft = FaqCommand::Draft { v: V, content: row.content, comment: None };
        ask(client, AggregateKind::Faq, &row.id, operator(), draft).await?;
        let approve = FaqCommand::Approve { v: V, entry_version: None };
        ask(client, AggregateKind::Faq, &row.id, operator(), approve).await?;
    }
    Ok(())
}

async fn user(client: &Client, person: &Person, secret: &str) -> Result<(), CliError> {
    let operator = || Actor::new(ActorKind::System, "demo");
    let scope = if person.role == Role::Agent { Scope::MyQueues } else { Scope::All };
    let grants = vec![Grant { role: person.role, scope }];
    let create = UserCommand::Create { v: V, name: person.name.to_owned(), grants };
    if !ask(client, AggregateKind::User, person.id, operator(), create).await? {
        return Ok(());
    }
    let (id, secret) = (person.id.to_owned(), secret.to_owned());
    let hashed = tokio::task::spawn_blocking(move || password::hash(&id, &secret)).await;
    let hash = hashed.map_err(|error| CliError::failure(error.to_string()))?;
    let hash = hash.map_err(|error| CliError::failure(error.to_string()))?;
    let set = UserCommand::SetPassword { v: V, hash: Some(hash), keep: None };
    ask(client, AggregateKind::User, person.id, operator(), set).await.map(drop)
}

/// Whether it was done now, and not before.
async fn ask<B: Serialize>(
    client: &Client,
    aggregate: AggregateKind,
    key: &str,
    actor: Actor,
    body: B,
) -> Result<bool, CliError> {
    let ask = Ask { tenant: TENANT, aggregate, key, actor, id: None, expected_version: None, body };
    match client.command(ask, PATIENCE).await {
        Ok(_) => Ok(true),
        Err(error) => done(Err(error)).map(|()| false),
    }
}

/// What was there already is as good as made.
fn done(made: Result<(), CliError>) -> Result<(), CliError> {
    match made {
        Err(error) if !matches!(error.code.as_str(), "unchanged" | "exists") => Err(error),
        _ => Ok(()),
    }
}

fn file(data: &Path) -> PathBuf {
    data.join("demo.json")
}

/// Everybody's password: those of this directory, or new ones.
fn passwords(data: &Path) -> Result<BTreeMap<String, String>, CliError> {
    let path = file(data);
    let wrong = |error: &dyn std::fmt::Display| CliError::failure(format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(bytes) => return serde_json::from_slice(&bytes).map_err(|error| wrong(&error)),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(wrong(&error)),
    }
    let made: BTreeMap<String, String> =
        AGENTS.iter().chain(&OTHERS).map(|person| (person.id.to_owned(), new_password())).collect();
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|error| wrong(&error))?;
    file.write_all(format!("{:#}\n", json!(made)).as_bytes()).map_err(|error| wrong(&error))?;
    Ok(made)
}

/// Sixty bits, without letters that look like others.
fn new_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
    let mut rng = rand::rng();
    let mut group =
        || -> String { (0..4).filter_map(|_| LETTERS.choose(&mut rng)).map(|letter| char::from(*letter)).collect() };
    format!("{}-{}-{}", group(), group(), group())
}
