//! The command line: one subcommand, one file, named by its verb.
//!
//! [`main`] parses, reads the configuration and calls the subcommand. What they share: [`client`] finds the server and
//! asks it, [`output`] prints, [`error`] holds the exit codes, [`values`] reads what people type.
//!
//! Client commands know the engine by its bus alone: they publish, ask queries and read the log, and never open its
//! store. `kefu serve` is the one that wires everything together ([`serve`]).

mod act;
mod agent;
mod analyst;
mod channel;
mod chat;
mod client;
mod completions;
mod config;
mod contact;
mod demo;
mod diff;
mod doctor;
mod error;
mod export;
mod faq;
mod list;
mod nats;
mod output;
mod probe;
mod queue;
mod rejected;
mod replay;
mod report;
mod rules;
mod scheduler;
mod schema;
mod search;
mod send;
mod serve;
mod serving;
mod settings;
mod show;
mod simulate;
mod tenant;
mod user;
mod values;
mod version;
mod wall;
mod webhook;
mod why;

pub use error::{CliError, EXIT_CODES, Exit};

use self::output::{Output, note};
use crate::{
    config::{self as configuration, Config, Flag, Layers, keys},
    telemetry,
};
use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

const ABOUT: &str = "An event-sourced customer-service engine on NATS JetStream";

const EXAMPLES: &str = "\
Examples:
  kefu serve                                     start everything on this machine
  kefu send --from alice \"Where is my order?\"    say something as a customer, and see the replies
  kefu show cli:alice                            where that conversation is
  kefu act cli:alice reply \"On its way!\"         what an agent would do
  kefu replay --flat --follow                    everything that happens, one event per line";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "kefu", version, about = ABOUT, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
#[command(propagate_version = true, max_term_width = 110, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// Print JSON instead of text (lists: one object per line); errors too, on stderr
    #[arg(long, global = true)]
    json: bool,
    /// Configuration file [env: KEFU_CONFIG] [default: kefu/config.toml in the configuration directory]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// kefu's directory, where a running `kefu serve` leaves its address [env: KEFU_DATA]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// A NATS server that runs already [env: KEFU_NATS]
    #[arg(long, global = true, value_name = "URL")]
    nats: Option<String>,
    /// Start of the names of all subjects and streams [env: KEFU_PREFIX]
    #[arg(long, global = true, value_name = "NAME")]
    prefix: Option<String>,
    /// Which lines are logged: error, warn, info, debug, trace, or a tracing filter [env: KEFU_LOG, RUST_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
    /// How they look: human or json [env: KEFU_LOG_FORMAT]
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<String>,
}

impl Global {
    fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        for (key, flag, value) in [
            (keys::DATA, "--data", &self.data),
            (keys::NATS_URL, "--nats", &self.nats),
            (keys::PREFIX, "--prefix", &self.prefix),
            (keys::LOG_LEVEL, "--log", &self.log),
            (keys::LOG_FORMAT, "--log-format", &self.log_format),
        ] {
            flags.extend(value.clone().map(|value| Flag { key, flag, value }));
        }
        flags
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Demo(demo::Demo),
    Send(send::Send),
    Chat(chat::Chat),
    Act(act::Act),
    List(list::List),
    Show(show::Show),
    Replay(replay::Replay),
    Export(export::Export),
    #[command(subcommand)]
    Settings(settings::Settings),
    #[command(subcommand)]
    Rules(rules::Rules),
    #[command(subcommand)]
    Tenant(tenant::Tenant),
    #[command(subcommand)]
    Contact(contact::Contact),
    #[command(subcommand)]
    Agent(agent::Agent),
    #[command(subcommand)]
    User(user::User),
    #[command(subcommand)]
    Faq(faq::Faq),
    Search(search::Search),
    Queue(queue::Queue),
    Wall(wall::Wall),
    #[command(subcommand)]
    Report(report::Report),
    Why(why::Why),
    #[command(subcommand)]
    Channel(channel::Channel),
    #[command(subcommand)]
    Analyst(analyst::Analyst),
    #[command(subcommand)]
    Webhook(webhook::Webhook),
    #[command(subcommand)]
    Rejected(rejected::Rejected),
    Doctor(doctor::Doctor),
    Schema(schema::Schema),
    Simulate(simulate::Simulate),
    #[command(subcommand)]
    Scheduler(scheduler::Scheduler),
    #[command(subcommand)]
    Nats(nats::Nats),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    Completions(completions::Completions),
    Version(version::Version),
}

/// What a subcommand gets.
struct Session {
    layers: Layers,
    out: Output,
}

impl Session {
    fn config(&self) -> Result<Config, CliError> {
        Ok(Config::from_layers(&self.layers)?)
    }

    async fn connect(&self) -> Result<client::Client, CliError> {
        client::Client::connect(&self.layers).await
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.global.json;
    match run(cli) {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) if error.broken_pipe => ExitCode::SUCCESS,
        Err(error) => {
            note(if json { error.to_json().to_string() } else { format!("kefu: {error}") });
            ExitCode::from(error.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Result<Exit, CliError> {
    let Cli { global, command } = cli;
    let mut flags = global.flags();
    match &command {
        Command::Serve(serve) => flags.extend(serve.flags()),
        Command::Demo(demo) => flags.extend(demo.flags()),
        _ => {}
    }
    let env = |name: &str| std::env::var(name).ok();
    let out = Output::new(global.json);
    // These must work whatever the configuration says.
    match command {
        Command::Completions(args) => args.run().map(|()| Exit::Ok),
        Command::Version(args) => args.run(out).map(|()| Exit::Ok),
        Command::Schema(args) => args.run(out).map(|()| Exit::Ok),
        Command::Simulate(args) if !args.is_from_log() => args.run(out).map(|()| Exit::Ok),
        Command::Scheduler(args) => args.run(out).map(|()| Exit::Ok),
        command => {
            let layers = Layers::read(global.config.as_deref(), env, flags)?;
            let serving = matches!(command, Command::Serve(_) | Command::Demo(_));
            let config = Config::from_layers(&layers)?;
            telemetry::init_logs(&telemetry::LogOptions {
                level: config.log_level.clone().or_else(|| env("RUST_LOG")),
                default_level: if serving { telemetry::SERVE_LEVEL } else { telemetry::CLIENT_LEVEL },
                json: config.log_format == configuration::LogFormat::Json,
            })?;
            let mut builder = if serving {
                tokio::runtime::Builder::new_multi_thread()
            } else {
                tokio::runtime::Builder::new_current_thread()
            };
            let runtime = builder.enable_all().build()?;
            let mut session = Session { layers, out };
            let result = runtime.block_on(dispatch(command, &mut session));
            // A thread that reads a terminal cannot be stopped; do not wait for it.
            runtime.shutdown_background();
            let flushed = session.out.flush();
            result.and_then(|exit| flushed.map(|()| exit))
        }
    }
}

async fn dispatch(command: Command, session: &mut Session) -> Result<Exit, CliError> {
    match command {
        Command::Serve(args) => args.run(session).await?,
        Command::Demo(args) => args.run(session).await?,
        Command::Send(args) => args.run(session).await?,
        Command::Chat(args) => args.run(session).await?,
        Command::Act(args) => args.run(session).await?,
        Command::List(args) => args.run(session).await?,
        Command::Show(args) => args.run(session).await?,
        Command::Replay(args) => args.run(session).await?,
        Command::Export(args) => args.run(session).await?,
        Command::Settings(args) => args.run(session).await?,
        Command::Rules(args) => args.run(session).await?,
        Command::Tenant(args) => args.run(session).await?,
        Command::Contact(args) => args.run(session).await?,
        Command::Agent(args) => args.run(session).await?,
        Command::User(args) => args.run(session).await?,
        Command::Faq(args) => args.run(session).await?,
        Command::Search(args) => args.run(session).await?,
        Command::Queue(args) => args.run(session).await?,
        Command::Wall(args) => args.run(session).await?,
        Command::Why(args) => args.run(session).await?,
        Command::Report(args) => args.run(session).await?,
        Command::Channel(args) => args.run(session).await?,
        Command::Analyst(args) => args.run(session).await?,
        Command::Rejected(args) => args.run(session).await?,
        Command::Webhook(args) => args.run(session).await?,
        Command::Simulate(args) => args.run_from_log(session).await?,
        Command::Doctor(args) => return args.run(session).await,
        Command::Nats(args) => args.run(session)?,
        Command::Config(args) => args.run(session)?,
        Command::Completions(_) | Command::Version(_) | Command::Schema(_) | Command::Scheduler(_) => {}
    }
    Ok(Exit::Ok)
}

/// The tenant that a command is about.
#[derive(Debug, Args)]
struct TenantArg {
    /// Whose [env: KEFU_TENANT] [default: demo]
    #[arg(long, short, global = true, value_name = "TENANT", value_parser = configuration::units::token)]
    tenant: Option<String>,
}

impl TenantArg {
    fn of(&self, config: &Config) -> String {
        self.tenant.clone().unwrap_or_else(|| config.tenant.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_tree_of_commands_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
            command.get_subcommands().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
    }
}
