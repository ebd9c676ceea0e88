//! `kefu simulate`: a contact centre under one policy or several, on this machine and without a server.

use super::{
    error::CliError,
    output::{Output, note},
};
use crate::scheduler::{
    policy::{PolicyName, UnknownPolicy},
    simulator::{self, Outcome, Run, Scenario, plot, statistics::Estimate},
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
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

Every policy meets the same customers. A scenario that replays a recorded log finds it under KEFU_TEST_DATA.")]
pub struct Simulate {
    /// The scenario file
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
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
    pub(super) fn run(self, mut out: Output) -> Result<(), CliError> {
        let scenario = read(&self.scenario)?;
        let data = read_data(&scenario)?;
        let mut outcomes = Vec::new();
        for policy in self.policy.0 {
            let bar = bar(100, &policy.to_string());
            let run = Run {
                scenario: &scenario,
                policy,
                seed: self.seed.unwrap_or(scenario.seed),
                // A recorded log ends by itself.
                arrivals: self.arrivals.unwrap_or(if scenario.arrivals > 0 { scenario.arrivals } else { u64::MAX }),
                data: data.as_deref(),
                weights: None,
            };
            let outcome = simulator::run(&run, &mut |part| bar.set_position((part * 100.0) as u64));
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

/// A scenario file.
pub(super) fn read(path: &Path) -> Result<Scenario, CliError> {
    let unread = |error| CliError::usage(format!("{}: {error}", path.display()));
    let text = std::fs::read_to_string(path).map_err(unread)?;
    Scenario::parse(&text).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
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
    if outcomes.iter().any(|outcome| outcome.happened.is_some()) {
        note(
            "counterfactual: how long served customers would have waited, how long those who left would have been \
             served, and whether an agent without a call was there",
        );
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
