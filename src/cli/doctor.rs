//! `kefu doctor`: looks at everything that can be wrong, and says what to do.

use super::{
    Session,
    client::{Client, is_alive, locate},
    error::{CliError, Exit},
    output::Style,
};
use crate::{
    config::{Config, units::without_password},
    journal::{
        Journal, NatsJournal, StreamOptions,
        server::{RunFile, find_nats_server},
        subjects::Subjects,
    },
};
use clap::Args;
use kefu_events::query::{ALL_TENANTS, name};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// Free space below which a running installation should be looked at: the log and the store grow, and a full disk stops
/// both.
const LOW_DISK_BYTES: u64 = 2 << 30;
/// Free space below which it will soon stop.
const VERY_LOW_DISK_BYTES: u64 = 256 << 20;
/// Commits that a projector may be behind while it keeps up: a second's worth at full speed.
const LAG: u64 = 10_000;
/// Waiting inputs that are more than a burst.
const BACKLOG: u64 = 10_000;

/// Check server, streams, log, store and disk, and say what to do about what is wrong
#[derive(Debug, Args)]
#[command(after_help = "Exit code 1 where something is wrong, 4 where no kefu is there; warnings alone leave it at 0.")]
pub struct Doctor {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Ok,
    Warning,
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Default)]
struct Checks {
    all: Vec<Check>,
    unreachable: bool,
}

impl Checks {
    fn ok(&mut self, name: &'static str, found: impl Into<String>) {
        self.all.push(Check { name, verdict: Verdict::Ok, found: found.into(), advice: None });
    }

    fn warn(&mut self, name: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.all.push(Check { name, verdict: Verdict::Warning, found: found.into(), advice: Some(advice.into()) });
    }

    fn wrong(&mut self, name: &'static str, found: impl Into<String>, advice: impl Into<String>) {
        self.all.push(Check { name, verdict: Verdict::Wrong, found: found.into(), advice: Some(advice.into()) });
    }

    fn worst(&self) -> Verdict {
        self.all.iter().map(|check| check.verdict).max().unwrap_or(Verdict::Ok)
    }
}

impl Doctor {
    pub(super) async fn run(self, session: &mut Session) -> Result<Exit, CliError> {
        let config = session.config()?;
        let mut checks = Checks::default();
        match session.layers.file() {
            Some(file) => checks.ok("configuration", file.display().to_string()),
            None => checks.ok("configuration", "no file; defaults, environment and flags"),
        }
        disk(&mut checks, &config.data);
        process(&mut checks, session, &config);
        match session.connect().await {
            Ok(client) => engine(&mut checks, session, &config, &client).await,
            Err(error) => {
                checks.unreachable = error.exit == Exit::Unreachable;
                let advice = error.hint.clone().unwrap_or_else(|| "see the nats-server's log".to_owned());
                checks.wrong("nats", error.message, advice);
            }
        }
        report(session, &checks)?;
        Ok(match checks.worst() {
            Verdict::Wrong if checks.unreachable => Exit::Unreachable,
            Verdict::Wrong => Exit::Failure,
            _ => Exit::Ok,
        })
    }
}

fn disk(checks: &mut Checks, data: &Path) {
    // The directory may not be there yet: its disk is that of the nearest one above.
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let shown = data.display();
    let Ok(disk) = nix::sys::statvfs::statvfs(there) else {
        return checks.warn("disk", format!("the free space of {shown} is unknown"), "look at it with `df`");
    };
    let free = u128::from(disk.blocks_available()) * u128::from(disk.fragment_size());
    let free = u64::try_from(free).unwrap_or(u64::MAX);
    let found = format!("{} free for {shown}", size(free));
    match free {
        free if free < VERY_LOW_DISK_BYTES => {
            checks.wrong("disk", found, "make room now: a full disk stops everything")
        }
        free if free < LOW_DISK_BYTES => checks.warn("disk", found, "make room, or move the data to a larger disk"),
        _ => checks.ok("disk", found),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes >= 1 << 30 => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        bytes if bytes >= 1 << 20 => format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
        bytes => format!("{:.1} KiB", bytes as f64 / 1024.0),
    }
}

fn process(checks: &mut Checks, session: &Session, config: &Config) {
    match locate(&session.layers, config) {
        Ok((options, _, None)) => checks.ok("server", format!("by its URL: {}", without_password(&options.url))),
        Ok((_, _, Some(run))) if is_alive(run.pid) => {
            let found = format!("kefu {}, process {}, at {}", run.version, run.pid, run.nats);
            if run.version == env!("CARGO_PKG_VERSION") {
                checks.ok("server", found);
            } else {
                let own = env!("CARGO_PKG_VERSION");
                checks.warn("server", found, format!("this program is kefu {own}: use the same version on both sides"));
            }
        }
        Ok((_, _, Some(run))) => {
            let path = RunFile::path(&config.data);
            checks.wrong(
                "server",
                format!("{} names process {}, which has ended", path.display(), run.pid),
                "start it again with `kefu serve`; its log says why it ended",
            );
        }
        Err(error) => {
            let advice = match find_nats_server(config.nats.server.as_deref()) {
                Ok(_) => error.hint.unwrap_or_default(),
                // The next thing that would be in the way.
                Err(missing) => missing.to_string(),
            };
            checks.wrong("server", error.message, advice);
        }
    }
}

async fn engine(checks: &mut Checks, session: &Session, config: &Config, client: &Client) {
    checks.ok("nats", format!("nats-server {}", client.journal.server_version()));
    let subjects = client.journal.subjects().clone();
    let complete = streams(checks, client, &subjects).await;
    if complete && let Ok((options, subjects, _)) = locate(&session.layers, config) {
        // All of them are there, so that this only looks, and makes nothing.
        let wanted = StreamOptions { subjects, ..StreamOptions::default() };
        match NatsJournal::open(options, wanted).await {
            Ok(_) => checks.ok("stream settings", "as kefu needs them"),
            Err(error) => checks.wrong("stream settings", error.to_string(), "change the stream as the text says"),
        }
    }
    node(checks, client).await;
    webhooks(checks, client).await;
}

/// Whether all are there.
async fn streams(checks: &mut Checks, client: &Client, subjects: &Subjects) -> bool {
    let mut complete = true;
    for (check, stream) in [
        ("inbox", subjects.inbox_stream()),
        ("commands", subjects.commands_stream()),
        ("log", subjects.events_stream()),
        ("outbox", subjects.outbox_stream()),
        ("rejected", subjects.rejected_stream()),
    ] {
        let info = match client.journal.stream_info(&stream).await {
            Ok(info) => info,
            Err(error) => {
                complete = false;
                checks.wrong(check, format!("{stream}: {error}"), "start `kefu serve`, which makes it");
                continue;
            }
        };
        let number = |name: &str| info["state"][name].as_u64().unwrap_or_default();
        let messages = number("messages");
        let found = format!("{stream}: {messages} messages, {}", size(number("bytes")));
        match check {
            "inbox" | "commands" if messages > BACKLOG => {
                checks.warn(check, found, "they come faster than they are worked off, or nobody works: see readiness");
            }
            "rejected" if messages > 0 => checks.warn(check, found, "look at them with `kefu rejected list`"),
            _ => checks.ok(check, found),
        }
    }
    complete
}

async fn node(checks: &mut Checks, client: &Client) {
    let status: Value = match client.query(ALL_TENANTS, name::STATUS, &json!({})).await {
        Ok(status) => status,
        Err(error) => {
            let advice = "start `kefu serve`; one that reads its log first answers when it is done: see its own log";
            return checks.wrong("readiness", error.message, advice);
        }
    };
    let waiting: Vec<&str> =
        status["node"]["waiting_for"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if waiting.is_empty() {
        checks.ok("readiness", "ready");
    } else {
        checks.wrong("readiness", waiting.join("; "), "wait, and look again; the log of `kefu serve` says more");
    }
    match client.journal.position().await {
        Ok(log) => {
            let projected = status["projector"]["projected"].as_u64().unwrap_or_default();
            let found = format!("the store knows commit {projected} of {}", log.last);
            match log.last.checked_sub(projected) {
                // Read after the status, so that it is behind by what came between.
                Some(lag) if lag <= LAG => checks.ok("projector", found),
                Some(_) => {
                    checks.warn("projector", found, "it catches up by itself; if not, see the log of `kefu serve`")
                }
                None => checks.wrong(
                    "projector",
                    format!("{found}: the log went back"),
                    "restart `kefu serve`: it drops the store and builds it anew from the log",
                ),
            }
        }
        Err(error) => checks.wrong("projector", error.to_string(), "see the nats-server's log"),
    }
    search(&status["search"], checks);
}

async fn webhooks(checks: &mut Checks, client: &Client) {
    match super::webhook::failing(client).await {
        Ok((all, failing)) if failing.is_empty() => checks.ok("webhooks", format!("{all}, none failing for long")),
        Ok((_, failing)) => {
            let advice =
                "mend the receiver, then `kefu webhook test NAME`; nothing is left out, what waits is sent then";
            checks.warn("webhooks", failing.join("; "), advice);
        }
        Err(error) => checks.warn("webhooks", error.message, "`kefu serve` of this version makes what is missing"),
    }
}

/// Whether questions can be answered as well as they could be.
fn search(search: &Value, checks: &mut Checks) {
    let sum = |field: &str| -> u64 {
        search["bases"].as_object().into_iter().flatten().filter_map(|(_, base)| base[field].as_u64()).sum()
    };
    let (entries, pending) = (sum("entries"), sum("pending"));
    let models: Vec<&str> = search["models"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if pending > 0 {
        checks.warn("search", format!("{pending} changes of entries are not taken in yet"), "it goes on by itself");
    } else if models.is_empty() && entries > 0 {
        let found = format!("{entries} entries, found by words alone");
        checks.warn("search", found, "`scripts/models` fetches a model; see `kefu serve --model`");
    } else {
        checks.ok(
            "search",
            format!("{entries} entries{}", models.iter().map(|name| format!(", {name}")).collect::<String>()),
        );
    }
}

fn report(session: &mut Session, checks: &Checks) -> Result<(), CliError> {
    let value = json!({ "verdict": checks.worst(), "checks": checks.all });
    if session.out.is_json() {
        return session.out.json(&value);
    }
    for check in &checks.all {
        let (style, mark) = match check.verdict {
            Verdict::Ok => (Style::Green, "ok     "),
            Verdict::Warning => (Style::Yellow, "warning"),
            Verdict::Wrong => (Style::Red, "wrong  "),
        };
        let line = format!("{}  {:<16}{}", session.out.styled(style, mark), check.name, check.found);
        session.out.line(line)?;
        if let Some(advice) = &check.advice {
            session.out.line(format!("{:25}-> {advice}", ""))?;
        }
    }
    session.out.flush()
}

#[cfg(test)]
mod tests {
    use super::{BACKLOG, LAG, LOW_DISK_BYTES};

    #[test]
    fn the_doctor_and_the_alerts_mean_the_same() {
        let alerts = include_str!("../../scripts/monitoring/alerts.yml");
        for rule in [
            format!("kefu_disk_free_bytes < {LOW_DISK_BYTES}\n"),
            format!("kefu_projector_lag > {LAG} or"),
            format!("(kefu_stream_messages{{stream=~\"inbox|commands\"}}) > {BACKLOG}\n"),
        ] {
            assert!(alerts.contains(&rule), "scripts/monitoring/alerts.yml has no {rule}");
        }
    }
}
