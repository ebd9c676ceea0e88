//! What is counted, and what is reported of it.

use super::{
    statistics::{Estimate, Histogram},
    theory::{self, Theory},
    world::Run,
};
use crate::scheduler::{policy::PolicyName, simulator::random::Duration};
use serde::Serialize;
use std::collections::BTreeMap;

/// The result of one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The scenario's title.
    pub scenario: String,
    /// The policy.
    pub policy: PolicyName,
    /// The seed.
    pub seed: u64,
    /// Customers who were counted (those of the warm-up are not).
    pub arrivals: u64,
    /// Mean wait of all customers, those who left among them, in seconds.
    pub mean_wait_s: Estimate,
    /// 95 of 100 waited less, in seconds.
    pub wait_p95_s: Estimate,
    /// Part that left before getting an agent.
    pub abandonment: Estimate,
    /// Part of the slots of agents at work that was taken.
    pub occupancy: Estimate,
    /// The same per kind of customer.
    pub by_skill: BTreeMap<String, BySkill>,
    /// What a closed form says, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theory: Option<Expected>,
    /// What really happened, for a recorded log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub happened: Option<Happened>,
    /// What had to be assumed, where a recorded log was replayed.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub counterfactual: &'static [&'static str],
}

/// One kind of customer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BySkill {
    /// Customers who were counted.
    pub arrivals: u64,
    /// Mean wait, in seconds.
    pub mean_wait_s: Estimate,
    /// Part that left.
    pub abandonment: Estimate,
}

/// A closed form, and whether the simulation agrees.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Expected {
    /// Mean wait, in seconds.
    pub mean_wait_s: f64,
    /// Part that leaves.
    pub abandonment: f64,
    /// Whether both lie inside the 99 % intervals.
    pub inside: bool,
}

/// What a recorded log says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Happened {
    /// Customers.
    pub arrivals: u64,
    /// Mean wait, in seconds.
    pub mean_wait_s: f64,
    /// 95 of 100 waited less, in seconds.
    pub wait_p95_s: f64,
    /// Part that left.
    pub abandonment: f64,
}

/// The end of one customer's wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub number: u64,
    pub demand: usize,
    pub wait_s: f64,
    pub left: bool,
}

/// Sums of one batch of customers.
#[derive(Debug, Clone, Default)]
struct Batch {
    /// Per demand: customers, waits, those who left.
    sums: Vec<(f64, f64, f64)>,
    waits: Histogram,
    busy_s: f64,
    staffed_s: f64,
}

/// Counts while a world goes on.
#[derive(Debug)]
pub(super) struct Tally {
    scenario: String,
    policy: PolicyName,
    seed: u64,
    names: Vec<String>,
    theory: Option<Theory>,
    batches: Vec<Batch>,
    first: u64,
    per_batch: u64,
    current: Option<usize>,
    busy: i64,
    staff: i64,
}

impl Tally {
    pub fn new(run: &Run<'_>, names: &[String], arrivals: u64) -> Self {
        let first = (arrivals as f64 * run.scenario.warm_up) as u64;
        let batches = run.scenario.batches;
        let batch = Batch { sums: vec![(0.0, 0.0, 0.0); names.len()], ..Batch::default() };
        Self {
            scenario: run.scenario.title.clone(),
            policy: run.policy,
            seed: run.seed,
            names: names.to_vec(),
            theory: closed_form(run),
            batches: vec![batch; batches],
            first,
            per_batch: (arrivals - first).div_ceil(batches as u64).max(1),
            current: None,
            busy: 0,
            staff: 0,
        }
    }

    fn batch(&self, number: u64) -> Option<usize> {
        let counted = number.checked_sub(self.first)?;
        Some(((counted / self.per_batch) as usize).min(self.batches.len() - 1))
    }

    pub fn arrived(&mut self, number: u64) {
        self.current = self.batch(number);
    }

    pub fn pass(&mut self, for_s: f64) {
        if let Some(current) = self.current {
            let batch = &mut self.batches[current];
            batch.busy_s += self.busy as f64 * for_s;
            batch.staffed_s += self.staff as f64 * for_s;
        }
    }

    /// So many slots more are taken, of agents at work.
    pub fn busy(&mut self, slots: i64) {
        self.busy += slots;
    }

    /// So many slots more are taken, of agents who have gone home: not counted.
    pub fn overtime(&mut self, _slots: i64) {}

    /// So many slots more are at work.
    pub fn staff(&mut self, slots: i64) {
        self.staff += slots;
    }

    pub fn ended(&mut self, ended: &Ended) {
        let Some(at) = self.batch(ended.number) else { return };
        let batch = &mut self.batches[at];
        let sums = &mut batch.sums[ended.demand];
        sums.0 += 1.0;
        sums.1 += ended.wait_s;
        sums.2 += f64::from(u8::from(ended.left));
        batch.waits.add(ended.wait_s);
    }

    pub fn finish(self) -> Outcome {
        let all = |batch: &Batch, of: fn(&(f64, f64, f64)) -> f64| batch.sums.iter().map(of).sum::<f64>();
        let estimate = |of: fn(&(f64, f64, f64)) -> f64| {
            Estimate::of_batches(self.batches.iter().map(|batch| (all(batch, of), all(batch, |sums| sums.0))))
        };
        let (mean_wait_s, abandonment) = (estimate(|sums| sums.1), estimate(|sums| sums.2));
        let p95 = self.batches.iter().filter(|batch| batch.waits.count() > 0);
        let by_skill = self.names.iter().enumerate().map(|(at, name)| {
            let of = |value: fn(&(f64, f64, f64)) -> f64| {
                Estimate::of_batches(self.batches.iter().map(|batch| (value(&batch.sums[at]), batch.sums[at].0)))
            };
            let arrivals = self.batches.iter().map(|batch| batch.sums[at].0).sum::<f64>() as u64;
            (name.clone(), BySkill { arrivals, mean_wait_s: of(|sums| sums.1), abandonment: of(|sums| sums.2) })
        });
        let theory = self.theory.map(|theory| Expected {
            mean_wait_s: theory.mean_wait_s,
            abandonment: theory.abandonment,
            inside: mean_wait_s.contains(theory.mean_wait_s) && abandonment.contains(theory.abandonment),
        });
        Outcome {
            arrivals: self.batches.iter().map(|batch| batch.waits.count()).sum(),
            mean_wait_s,
            wait_p95_s: Estimate::of_batches(p95.map(|batch| (batch.waits.quantile(0.95), 1.0))),
            abandonment,
            occupancy: Estimate::of_batches(self.batches.iter().map(|batch| (batch.busy_s, batch.staffed_s))),
            by_skill: by_skill.collect(),
            theory,
            happened: None,
            counterfactual: &[],
            scenario: self.scenario,
            policy: self.policy,
            seed: self.seed,
        }
    }
}

/// The closed form of a scenario with one kind of customer, one pool of single-slot agents and exponential times.
fn closed_form(run: &Run<'_>) -> Option<Theory> {
    let scenario = run.scenario;
    let [demand] = scenario.demands.as_slice() else { return None };
    let [group] = scenario.agents.as_slice() else { return None };
    let plain = scenario.profile.is_none() && scenario.counts.is_none() && group.speed.is_empty();
    if !plain || group.slots != 1 || group.shift_h.is_some() {
        return None;
    }
    let Duration::Exponential { mean_s: work_s } = demand.work.as_ref().or(scenario.work.as_ref())? else {
        return None;
    };
    match demand.patience.as_ref().or(scenario.patience.as_ref()) {
        None => Some(theory::erlang_c(scenario.rate_per_s, *work_s, group.count)),
        Some(Duration::Exponential { mean_s }) => {
            Some(theory::erlang_a(scenario.rate_per_s, *work_s, group.count, *mean_s))
        }
        Some(_) => None,
    }
}
