//! The seeded simulation: the production step machine in a world where everything goes wrong.
//!
//! `KEFU_SIM_SEEDS=100000` runs so many seeds, `KEFU_SIM_SEED=7` repeats one and shows what happened in it.

#![allow(clippy::unwrap_used, dead_code)] // A test may panic, and uses the part of its support that it needs.

#[path = "simulation/mod.rs"]
mod simulation;

use simulation::{Defect, SIMULATED, Scenarios, Stats, accounts, conversations, run};

/// Seeds of a normal run, over all ranges.
const SEEDS: u64 = 1_000;
/// Seeds of a long run.
const LONG: u64 = 100_000;
/// Of so many seeds one more is run with kefu's own aggregates.
const OWN: u64 = 4;
/// Tests that share them, so that several cores work.
const RANGES: u64 = 4;

/// Failing seeds after which a range gives up: enough to see whether they have something in common.
const FAILURES: usize = 10;

fn quiet_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if info.payload_as_str() != Some(SIMULATED) {
            hook(info);
        }
    }));
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn range(part: u64) {
    quiet_panics();
    let long = std::env::var_os("KEFU_TEST_LONG").is_some();
    let seeds = variable("KEFU_SIM_SEEDS").unwrap_or(if long { LONG } else { SEEDS });
    let seeds = match variable("KEFU_SIM_SEED") {
        Some(seed) if part == 0 => seed..seed + 1,
        Some(_) => return,
        None => part * seeds / RANGES..(part + 1) * seeds / RANGES,
    };
    let repeated = seeds.end - seeds.start == 1;
    let mut stats = Stats::default();
    let mut failures = Vec::new();
    for seed in seeds {
        let own = repeated || seed % OWN == 0;
        for scenario in [Some(accounts as Scenarios), own.then_some(conversations as Scenarios)].into_iter().flatten() {
            match run(seed, Defect::None, scenario) {
                Ok(seen) => stats += seen,
                Err(failure) => failures.push(failure),
            }
        }
        if failures.len() >= FAILURES {
            break;
        }
    }
    println!("{stats:?}");
    if let Some(first) = failures.first() {
        for failure in &failures {
            println!("seed {}: {}", failure.seed, failure.broken[0]);
        }
        panic!("{first}");
    }
}

#[test]
fn nothing_is_lost_or_done_twice_in_the_first_quarter_of_the_seeds() {
    range(0);
}

#[test]
fn nothing_is_lost_or_done_twice_in_the_second_quarter_of_the_seeds() {
    range(1);
}

#[test]
fn nothing_is_lost_or_done_twice_in_the_third_quarter_of_the_seeds() {
    range(2);
}

#[test]
fn nothing_is_lost_or_done_twice_in_the_last_quarter_of_the_seeds() {
    range(3);
}

/// A simulation that cannot fail proves nothing: each of these defects of the driver must be noticed.
#[test]
fn every_defect_is_noticed() {
    quiet_panics();
    let all = [
        Defect::AckBeforeCommit,
        Defect::NoDedupLookUp,
        Defect::IgnoresExpected,
        Defect::EffectsBeforeCommit,
        Defect::UnknownMeansStored,
        Defect::PublishOnce,
        Defect::StaleReadBack,
        Defect::ReadyTooEarly,
        Defect::KeepsStoreAfterRollback,
        Defect::StoreForgetsInputs,
        Defect::DropsMalformed,
    ];
    for defect in all {
        // Enough for the rarest, which needs a power loss, or an aggregate that forgets.
        let noticed = (0..400).find_map(|seed| run(seed, defect, accounts).err());
        let failure = noticed.unwrap_or_else(|| panic!("{defect:?} was not noticed in 400 seeds"));
        println!("{defect:?}: seed {}: {}", failure.seed, failure.broken[0]);
    }
}
