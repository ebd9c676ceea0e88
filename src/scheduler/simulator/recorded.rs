//! A recorded call log as a scenario: its arrivals, its agents, what they served and when.
//!
//! Columns: `arrival, service_type, priority, outcome, vru_s, queue_s, service_s, agent`. What is taken from the log:
//! when each customer came to the queue, the service time of those who were served, who served which types, and when.
//! What is not in it, and so is counterfactual: how long a customer who was served would have waited (the time waited,
//! plus an exponential time with the mean that the log shows for leaving), how long one who left would have been served
//! (drawn from those of the same type who were), and whether an agent without a call was there (at work from the first
//! to the last call of a day, but not in gaps longer than a quarter of an hour).

use super::{
    arrivals::Arrival,
    outcome::Happened,
    random::Stream,
    scenario::{BadScenario, DemandSpec},
    statistics::Histogram,
    world::{Centre, Shifts, Staff},
};
use crate::scheduler::{
    settings::Scheduling,
    views::{AgentView, Status},
};
use std::collections::BTreeMap;

/// Without a call for longer than this, an agent was not there, in seconds.
const BREAK_S: f64 = 900.0;
/// An agent who served fewer calls of a type has no skill for it.
const LEAST_CALLS: u32 = 5;

/// What the replay has to assume, for people.
pub(super) const COUNTERFACTUAL: &[&str] = &[
    "how long served customers would have waited",
    "how long those who left would have been served",
    "whether an agent without a call was there",
];

/// One call.
#[derive(Debug, Clone)]
struct Call {
    queued_s: f64,
    service_type: String,
    priority: u8,
    wait_s: f64,
    /// Service time and agent.
    served: Option<(f64, String)>,
}

/// The log.
pub(super) struct Log {
    calls: Vec<Call>,
    seed: u64,
}

fn content(text: String) -> BadScenario {
    BadScenario::Content(text)
}

impl Log {
    pub fn parse(csv: &str, seed: u64) -> Result<Self, BadScenario> {
        let mut lines = csv.lines();
        let heading: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
        let column = |name: &str| {
            let at = heading.iter().position(|known| *known == name);
            at.ok_or_else(|| content(format!("the log has no column `{name}`")))
        };
        let [arrival, service_type, priority, outcome, vru, queue, service, agent] = [
            column("arrival")?,
            column("service_type")?,
            column("priority")?,
            column("outcome")?,
            column("vru_s")?,
            column("queue_s")?,
            column("service_s")?,
            column("agent")?,
        ];
        let mut calls = Vec::new();
        let mut beginning = None;
        for (row, line) in lines.enumerate() {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
            let number = |at: usize| {
                let wrong = |_| content(format!("row {}: {:?} is no number", row + 2, cell(at)));
                cell(at).parse::<f64>().map_err(wrong)
            };
            if !matches!(cell(outcome), "AGENT" | "HANG") {
                continue;
            }
            let at = chrono::NaiveDateTime::parse_from_str(cell(arrival), "%Y-%m-%dT%H:%M:%S")
                .map_err(|_| content(format!("row {}: {:?} is no time", row + 2, cell(arrival))))?;
            // Days begin at midnight, so that shifts do.
            let beginning = *beginning.get_or_insert(at.date().and_time(chrono::NaiveTime::MIN));
            let arrival_s = (at - beginning).num_seconds() as f64;
            let answered = cell(outcome) == "AGENT" && !cell(agent).is_empty();
            calls.push(Call {
                queued_s: arrival_s + number(vru)?,
                service_type: cell(service_type).to_owned(),
                priority: number(priority)? as u8,
                wait_s: number(queue)?,
                served: if answered { Some((number(service)?, cell(agent).to_owned())) } else { None },
            });
        }
        calls.sort_by(|a, b| a.queued_s.total_cmp(&b.queued_s));
        Ok(Self { calls, seed })
    }

    pub fn happened(&self) -> Happened {
        let mut waits = Histogram::default();
        self.calls.iter().for_each(|call| waits.add(call.wait_s));
        let all = self.calls.len().max(1) as f64;
        Happened {
            arrivals: self.calls.len() as u64,
            mean_wait_s: self.calls.iter().map(|call| call.wait_s).sum::<f64>() / all,
            wait_p95_s: waits.quantile(0.95),
            abandonment: self.calls.iter().filter(|call| call.served.is_none()).count() as f64 / all,
        }
    }

    pub fn into_centre(self) -> (Centre, Vec<Arrival>) {
        let mut stream = Stream::new(self.seed, 6);
        // Kinds of customers: type and priority.
        let mut kinds: BTreeMap<(String, u8), usize> = BTreeMap::new();
        let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut work: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        let mut served: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for call in &self.calls {
            kinds.insert((call.service_type.clone(), call.priority), 0);
            if let Some((service_s, agent)) = &call.served {
                times.entry(call.service_type.clone()).or_default().push(*service_s);
                let begins_s = call.queued_s + call.wait_s;
                work.entry(agent.clone()).or_default().push((begins_s, begins_s + service_s));
                *served.entry(agent.clone()).or_default().entry(call.service_type.clone()).or_default() += 1;
            }
        }
        kinds.values_mut().enumerate().for_each(|(at, number)| *number = at);
        let waited: f64 = self.calls.iter().map(|call| call.wait_s).sum();
        let left = self.calls.iter().filter(|call| call.served.is_none()).count().max(1);
        let patience_s = waited / left as f64;
        let arrivals = self.calls.iter().map(|call| {
            // Two draws for everybody, so that one call more or less changes nobody else.
            let (lot, more_s) = (stream.unit(), stream.exponential() * patience_s);
            let drawn = || {
                let times = times.get(&call.service_type)?;
                times.get((lot * times.len() as f64) as usize).copied()
            };
            let (work_s, patience_s) = match &call.served {
                Some((service_s, _)) => (*service_s, call.wait_s + more_s),
                None => (drawn().unwrap_or(0.0), call.wait_s),
            };
            let demand = kinds[&(call.service_type.clone(), call.priority)];
            Arrival { at_s: call.queued_s, demand, work_s, patience_s }
        });
        let arrivals = arrivals.collect();
        let staff = work.into_iter().map(|(agent, mut calls)| {
            calls.sort_by(|a, b| a.0.total_cmp(&b.0));
            let mut shifts: Vec<(f64, f64)> = Vec::new();
            for (from, to) in calls {
                match shifts.last_mut() {
                    Some(last) if from - last.1 <= BREAK_S => last.1 = last.1.max(to),
                    _ => shifts.push((from, to)),
                }
            }
            let counts = &served[&agent];
            let most = counts.values().copied().max().unwrap_or(0).min(LEAST_CALLS);
            let skills = counts.iter().filter(|(_, count)| **count >= most).map(|(skill, _)| (skill.clone(), 5));
            let view = AgentView {
                id: agent,
                status: Status::Available,
                online: true,
                skills: skills.collect(),
                performance: BTreeMap::new(),
                languages: Default::default(),
                queues: ["main".to_owned()].into(),
                slots: 1,
                load: BTreeMap::new(),
                idle_since_ms: None,
            };
            Staff { view, shifts: Shifts::Listed(shifts) }
        });
        let demand = |(service_type, priority): (String, u8)| DemandSpec {
            name: format!("{service_type}/{priority}"),
            share: 1.0,
            required: Some(BTreeMap::from([(service_type, 0)])),
            wished: Default::default(),
            language: None,
            agent: None,
            queue: "main".to_owned(),
            priority,
            weight: 1,
            work: None,
            patience: None,
        };
        let staff = staff.collect();
        let demands = kinds.into_keys().map(demand).collect();
        (Centre { demands, staff, scheduling: Scheduling::default() }, arrivals)
    }
}
