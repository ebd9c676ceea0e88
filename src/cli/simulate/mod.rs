//! `kefu simulate`: a contact centre under one policy or several, on this machine and without a server; or a tenant's own
//! [`past`], which is read from a running kefu's log or from what `kefu replay` wrote.

mod past;

use super::{
    Session, TenantArg,
    error::CliError,
    output::{Output, note},
    values,
};
use crate::{
    journal::Journal,
    scheduler::{
        policy::{PolicyName, UnknownPolicy},
        simulator::{self, History, Outcome, Run, Scenario, Staffing, plot, statistics::Estimate},
    },
};
use clap::Args;
use futures::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use kefu_events::Timestamp;
use past::Past;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    str::FromStr,
};

/// Simulate a contact centre: waits, abandonment and occupancy under a policy, with 99 % confidence intervals
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu simulate bench/scenarios/b-85.toml                               kefu's own policy
  kefu simulate bench/scenarios/b-85.toml --policy longest-idle,index   two beside each other
  kefu simulate bench/scenarios/c-92.toml --policy all --plot c.svg     all, and a picture
  kefu simulate --from-log --tenant demo --from 7d --policy all         a tenant's last week under each policy
  kefu replay --tenant demo > past.ndjson
  kefu simulate --from-log=past.ndjson --staffing more.toml             and with other agents

Every policy meets the same customers. A scenario that replays a recorded file finds it under
KEFU_TEST_DATA.

With --from-log those who waited come again at the same moments, asking for the same, with the
work that they were; agents have the skills, slots and hours that they had. The file for
--staffing has [[agents]] and [scheduling] as a scenario has them; either may be absent. What had
to be assumed is printed below the table, and is \"counterfactual\" in the JSON.")]
pub struct Simulate {
    /// The scenario file
    #[arg(value_name = "SCENARIO.toml", required_unless_present = "from_log", conflicts_with = "from_log")]
    scenario: Option<PathBuf>,
    /// A tenant's own past instead: from the log, or from a file that `kefu replay` wrote (- is stdin)
    #[arg(long, value_name = "FILE.ndjson", num_args = 0..=1, require_equals = true)]
    from_log: Option<Option<PathBuf>>,
    #[command(flatten)]
    tenant: TenantArg,
    /// Those who began to wait from this time on
    #[arg(long, value_name = "TIME", value_parser = values::time, requires = "from_log")]
    from: Option<Timestamp>,
    /// Those who began to wait before this time
    #[arg(long, value_name = "TIME", value_parser = values::time, requires = "from_log")]
    to: Option<Timestamp>,
    /// Other agents or scheduling settings than the recorded ones
    #[arg(long, value_name = "FILE.toml", requires = "from_log")]
    staffing: Option<PathBuf>,
    /// Policies: random, round-robin, longest-idle, least-loaded, score-4321, score-523, fastest-gcmu, index, or all
    #[arg(long, value_name = "NAME,…", default_value = "index")]
    policy: Policies,
    /// Seed of everything random [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many customers come [default: the scenario's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    arrivals: Option<u64>,
    /// Write a picture into this file
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

/// Names of policies, separated by commas.
#[derive(Debug, Clone)]
struct Policies(Vec<PolicyName>);

impl FromStr for Policies {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        if text == "all" {
            return Ok(Self(PolicyName::ALL.to_vec()));
        }
        text.split(',').map(|name| name.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl Simulate {
    /// Whether configuration, and perhaps a server, are needed.
    pub(super) fn is_from_log(&self) -> bool {
        self.from_log.is_some()
    }

    pub(super) fn run(self, out: Output) -> Result<(), CliError> {
        let Some(path) = &self.scenario else { return Err(CliError::usage("a scenario is needed, or --from-log")) };
        let scenario = read(path)?;
        let data = read_data(&scenario)?;
        let simulated = |run: &Run<'_>, progress: &mut dyn FnMut(f64)| simulator::run(run, progress);
        self.each(&scenario, data.as_deref(), simulated, out)
    }

    pub(super) async fn run_from_log(self, session: &mut Session) -> Result<(), CliError> {
        let staffing = match &self.staffing {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| in_file(path, error))?;
                Staffing::parse(&text).map_err(|error| in_file(path, error))?
            }
            None => Staffing::default(),
        };
        let history = self.history(session).await?;
        let simulated =
            |run: &Run<'_>, progress: &mut dyn FnMut(f64)| simulator::replay(run, &history, &staffing, progress);
        let out = Output::new(session.out.is_json());
        self.each(&history.scenario(), None, simulated, out)
    }

    async fn history(&self, session: &Session) -> Result<History, CliError> {
        let config = session.config()?;
        let mut past = Past::new(&self.tenant.of(&config));
        match &self.from_log {
            Some(Some(path)) => {
                let file: Box<dyn BufRead> = if path.as_os_str() == "-" {
                    Box::new(std::io::stdin().lock())
                } else {
                    Box::new(BufReader::new(std::fs::File::open(path).map_err(|error| in_file(path, error))?))
                };
                for (row, line) in file.lines().enumerate() {
                    past.take_in(line?.as_bytes()).map_err(|error| {
                        CliError::usage(format!("{}, line {}: {error}", path.display(), row + 1))
                            .hint("lines as `kefu replay` writes them are needed, without --flat")
                    })?;
                }
            }
            Some(None) | None => {
                let client = session.connect().await?;
                let filter = client.journal.subjects().events_of_tenant(&self.tenant.of(&client.config));
                let end = client.journal.last(&filter).await?.map_or(0, |commit| commit.seq);
                if end > 0 {
                    // From the first on: what a conversation asks for may have been said long before it waited.
                    let mut commits = client.journal.tail(0, Some(filter)).await?;
                    let bar = bar(end, "reading");
                    while let Some(commit) = commits.next().await.transpose()?.filter(|commit| commit.seq <= end) {
                        past.take_in(&commit.payload).map_err(|error| CliError::failure(error.to_string()))?;
                        bar.set_position(commit.seq);
                        if commit.seq == end {
                            break;
                        }
                    }
                    bar.finish_and_clear();
                }
            }
        }
        Ok(past.into_history(self.from, self.to)?)
    }

    fn each(
        self,
        scenario: &Scenario,
        data: Option<&str>,
        simulated: impl Fn(&Run<'_>, &mut dyn FnMut(f64)) -> Result<Outcome, simulator::scenario::BadScenario>,
        mut out: Output,
    ) -> Result<(), CliError> {
        let mut outcomes = Vec::new();
        for policy in self.policy.0 {
            let bar = bar(100, &policy.to_string());
            let run = Run {
                scenario,
                policy,
                seed: self.seed.unwrap_or(scenario.seed),
                // A recorded log ends by itself.
                arrivals: self.arrivals.unwrap_or(if scenario.arrivals > 0 { scenario.arrivals } else { u64::MAX }),
                data,
                weights: None,
            };
            let outcome = simulated(&run, &mut |part| bar.set_position((part * 100.0) as u64));
            bar.finish_and_clear();
            outcomes.push(outcome.map_err(|error| CliError::usage(error.to_string()))?);
        }
        if let Some(path) = &self.plot {
            std::fs::write(path, plot::svg(&outcomes))?;
        }
        if out.is_json() {
            return match outcomes.as_slice() {
                [outcome] => out.json(outcome),
                several => out.json(&several),
            };
        }
        table(&mut out, &outcomes)
    }
}

/// What is wrong with a file that was named.
fn in_file(path: &Path, error: impl std::fmt::Display) -> CliError {
    CliError::usage(format!("{}: {error}", path.display()))
}

/// A scenario file.
pub(super) fn read(path: &Path) -> Result<Scenario, CliError> {
    let text = std::fs::read_to_string(path).map_err(|error| in_file(path, error))?;
    Scenario::parse(&text).map_err(|error| in_file(path, error))
}

/// The text of the file that a scenario needs beside itself.
pub(super) fn read_data(scenario: &Scenario) -> Result<Option<String>, CliError> {
    let Some(name) = scenario.needs() else { return Ok(None) };
    let folder = std::env::var_os("KEFU_TEST_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = folder.join(name);
    let unread = |error| {
        CliError::failure(format!("{}: {error}", path.display()))
            .hint("this scenario replays a recorded log: KEFU_TEST_DATA names the folder that it is in")
    };
    std::fs::read_to_string(&path).map(Some).map_err(unread)
}

/// A progress bar on stderr; invisible where that is no terminal.
pub(super) fn bar(length: u64, what: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{prefix:13} {bar:40} {percent:>3} %  {eta} left  {msg}") {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}

fn table(out: &mut Output, outcomes: &[Outcome]) -> Result<(), CliError> {
    let figure = |estimate: Estimate, factor: f64| {
        let half = if estimate.half_width.is_finite() {
            format!("{:.2}", estimate.half_width * factor)
        } else {
            "?".to_owned()
        };
        format!("{:.2} ± {half}", estimate.mean * factor)
    };
    let row = |outcome: &Outcome| {
        [
            outcome.policy.to_string(),
            figure(outcome.mean_wait_s, 1.0),
            figure(outcome.wait_p95_s, 1.0),
            figure(outcome.abandonment, 100.0),
            figure(outcome.occupancy, 100.0),
        ]
    };
    let mut rows: Vec<[String; 5]> = outcomes.iter().map(row).collect();
    if let Some(happened) = outcomes.first().and_then(|outcome| outcome.happened) {
        rows.push([
            "what happened".to_owned(),
            format!("{:.2}", happened.mean_wait_s),
            format!("{:.2}", happened.wait_p95_s),
            format!("{:.2}", happened.abandonment * 100.0),
            String::new(),
        ]);
    }
    out.table(["POLICY", "MEAN WAIT s", "P95 s", "ABANDONED %", "OCCUPANCY %"], &rows)?;
    if let [outcome] = outcomes {
        let rows: Vec<[String; 4]> = outcome
            .by_skill
            .iter()
            .map(|(name, skill)| {
                [
                    name.clone(),
                    skill.arrivals.to_string(),
                    figure(skill.mean_wait_s, 1.0),
                    figure(skill.abandonment, 100.0),
                ]
            })
            .collect();
        out.line("")?;
        out.table(["SKILL", "ARRIVALS", "MEAN WAIT s", "ABANDONED %"], &rows)?;
    }
    if let Some(theory) = outcomes.first().and_then(|outcome| outcome.theory) {
        let all_inside = outcomes.iter().all(|outcome| outcome.theory.is_some_and(|theory| theory.inside));
        note(format!(
            "closed form: mean wait {:.3} s, abandonment {:.3} %: {} the intervals",
            theory.mean_wait_s,
            theory.abandonment * 100.0,
            if all_inside { "inside" } else { "NOT inside" }
        ));
    }
    for assumed in outcomes.first().map_or(&[][..], |outcome| outcome.counterfactual) {
        note(format!("counterfactual: {assumed}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_named_one_by_one_or_all_at_once() {
        assert_eq!("index, random".parse::<Policies>().unwrap().0, [PolicyName::Index, PolicyName::Random]);
        assert_eq!("all".parse::<Policies>().unwrap().0.len(), 8);
        assert!("best".parse::<Policies>().is_err());
    }
}
