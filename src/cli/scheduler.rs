//! `kefu scheduler`: weights of the index policy, searched on the simulator. A person approves them.

use super::{
    error::CliError,
    output::{Output, note},
    simulate::{bar, read, read_data},
};
use crate::scheduler::{
    policy::PolicyName,
    settings::Weights,
    simulator::{
        self, Run,
        tune::{Effort, Tuned, search},
    },
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// Tune the scheduler
#[derive(Debug, Subcommand)]
pub enum Scheduler {
    Tune(Tune),
}

/// Search the index policy's weights on a scenario, and print them as a proposal for the settings
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu scheduler tune bench/scenarios/c-92.toml --json > proposal.json")]
pub struct Tune {
    /// The scenario file
    #[arg(value_name = "SCENARIO.toml")]
    scenario: PathBuf,
    /// Seed of the customers, and of the search [default: the scenario's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Customers in each of the simulations
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..))]
    arrivals: u64,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Weights tried in each round
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(4..=1_000))]
    tries: u16,
}

impl Scheduler {
    pub(super) fn run(self, out: Output) -> Result<(), CliError> {
        match self {
            Self::Tune(tune) => tune.run(out),
        }
    }
}

impl Tune {
    fn run(self, mut out: Output) -> Result<(), CliError> {
        let scenario = read(&self.scenario)?;
        let data = read_data(&scenario)?;
        let seed = self.seed.unwrap_or(scenario.seed);
        let simulated = |weights: Weights, seed: u64| {
            let run = Run {
                scenario: &scenario,
                policy: PolicyName::Index,
                seed,
                arrivals: self.arrivals,
                data: data.as_deref(),
                weights: Some(weights),
            };
            simulator::run(&run, &mut |_| {}).map_err(|error| CliError::usage(error.to_string()))
        };
        let start = scenario.scheduling.weights;
        // Whatever is wrong with the scenario shows here, once.
        simulated(start, seed)?;
        let effort = Effort {
            generations: usize::from(self.rounds),
            population: usize::from(self.tries),
            elite: usize::from(self.tries / 4),
        };
        let bar = bar(u64::from(self.rounds) * u64::from(self.tries) + 1, "tuning");
        let mut costs = |tried: &[Weights]| -> Vec<f64> {
            let cost = |weights: &Weights| {
                bar.inc(1);
                simulated(*weights, seed).map_or(f64::INFINITY, |outcome| outcome.mean_wait_s.mean)
            };
            tried.iter().map(cost).collect()
        };
        let mut progress = |_: usize, best: &Tuned| bar.set_message(format!("mean wait {:.3} s", best.cost));
        let tuned = search(start, seed, effort, &mut costs, &mut progress);
        bar.finish_and_clear();
        // Other customers than those it was tuned on: what is left of the gain.
        let (before, after) = (simulated(start, seed + 1)?, simulated(tuned.weights, seed + 1)?);
        note(format!(
            "mean wait {:.3} s → {:.3} s; with other customers {:.3} s → {:.3} s",
            tuned.cost_before, tuned.cost, before.mean_wait_s.mean, after.mean_wait_s.mean
        ));
        out.result(&json!({ "scheduling": { "weights": tuned.weights } }), || {
            toml::to_string(&json!({ "scheduling": { "weights": tuned.weights } })).unwrap_or_default()
        })
    }
}
