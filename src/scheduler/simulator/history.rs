//! A tenant's own past as a scenario: who came when and asked for what, how long it took, who was there.
//!
//! Recorded, and replayed as it was: the moment at which each conversation was queued, what it asked for, its priority, the
//! work it was (for those that were served), when a customer left (for those who did), each agent's skills, slots and hours.
//!
//! Not recorded, and so [counterfactual](COUNTERFACTUAL): how much longer a served customer would have waited
//! ([`Patience`]), how long one who left would have been served, and the same work with another agent.

use super::{
    arrivals::Arrival,
    outcome::Happened,
    patience::Patience,
    random::Stream,
    scenario::{AgentGroup, BadScenario, DemandSpec, Scenario, check_groups},
    statistics::Histogram,
    world::{Centre, Shifts, Staff},
};
use crate::scheduler::{
    settings::Scheduling,
    views::{AgentView, Performance, Status},
};
use std::collections::{BTreeMap, BTreeSet};

/// What a replay has to assume, for people.
pub const COUNTERFACTUAL: &[&str] = &[
    "how much longer customers who got an agent would have waited: drawn from Kaplan and Meier's estimate of patience, \
     in which their waits are censored",
    "how long those who left would have taken: drawn from the served conversations of the same queue",
    "the work of a conversation with another agent, or beside others: the recorded time, times the pace that the settings \
     give to as many at once, times the agent's speed (the mean over 20 conversations of everybody's and the agent's own)",
    "agents answer at once; the time an offer rang is part of the handle time; nobody declines",
    "conversations that were transferred come back at the recorded moment; conversations under way at the beginning are \
     not there; the last agent is not preferred",
];

/// So many conversations at everybody's speed are added to each agent's own.
const PRIOR_CASES: f64 = 20.0;
/// Batches for the confidence intervals, at most: a log is short.
const BATCHES: usize = 20;
/// Customers in a batch, at least: fewer say little of a quantile.
const PER_BATCH: usize = 50;

/// All that a log says. Moments are in seconds from the same beginning, a midnight (UTC).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct History {
    /// Whose, and from when to when: the title of the results.
    pub title: String,
    /// Those who waited, by time.
    pub waits: Vec<Wait>,
    /// Agent by id.
    pub agents: BTreeMap<String, Recorded>,
    /// The settings at its end.
    pub scheduling: Scheduling,
}

/// One wait for a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// When it began, in seconds.
    pub at_s: f64,
    /// What was asked for.
    pub wanted: Wanted,
    /// How long it lasted, in seconds.
    pub waited_s: f64,
    /// How it ended.
    pub end: End,
    /// It would have been given up after so long, in seconds.
    pub limit_s: Option<f64>,
}

/// What a conversation asked for, beside what its queue requires.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The queue.
    pub queue: String,
    /// The channel.
    pub channel: String,
    /// 0 to 10.
    pub priority: u8,
    /// Skill → least proficiency.
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited.
    pub wished: BTreeSet<String>,
    /// The customer's language.
    pub language: Option<String>,
    /// The only agent who may get it.
    pub agent: Option<String>,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// An agent took it.
    Served {
        /// Who.
        agent: String,
        /// For how long, in seconds.
        handle_s: f64,
        /// Whether to its end, and not only to the end of the log.
        whole: bool,
    },
    /// The customer left, or somebody closed it.
    Left,
    /// It was given up because nobody had time, or the log ends.
    Cut,
}

/// What is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Skill → proficiency.
    pub skills: BTreeMap<String, u8>,
    /// Languages.
    pub languages: BTreeSet<String>,
    /// Queues.
    pub queues: BTreeSet<String>,
    /// Slots.
    pub slots: u32,
    /// From and to, in ms from the beginning: connected and ready for new conversations.
    pub there_ms: Vec<(i64, i64)>,
}

/// Other staff, other settings.
#[derive(Debug, Clone, PartialEq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Staffing {
    /// Instead of the recorded agents, if there are any here.
    pub agents: Vec<AgentGroup>,
    /// Instead of the tenant's settings.
    pub scheduling: Option<Scheduling>,
}

impl Staffing {
    /// Reads and checks a file's text.
    pub fn parse(text: &str) -> Result<Self, BadScenario> {
        let staffing: Self = toml::from_str(text).map_err(|error| BadScenario::Toml(error.to_string()))?;
        check_groups(&staffing.agents)?;
        if let Some((path, message)) = staffing.scheduling.as_ref().and_then(|scheduling| scheduling.check().err()) {
            return Err(BadScenario::Content(format!("scheduling.{path}: {message}")));
        }
        Ok(staffing)
    }
}

impl History {
    /// What happened.
    pub fn happened(&self) -> Happened {
        let mut waits = Histogram::default();
        self.waits.iter().for_each(|wait| waits.add(wait.waited_s));
        let all = self.waits.len().max(1) as f64;
        Happened {
            arrivals: self.waits.len() as u64,
            mean_wait_s: self.waits.iter().map(|wait| wait.waited_s).sum::<f64>() / all,
            wait_p95_s: waits.quantile(0.95),
            abandonment: self.waits.iter().filter(|wait| !matches!(wait.end, End::Served { .. })).count() as f64 / all,
        }
    }

    /// The scenario that says how to count; who comes and who is there is here.
    pub fn scenario(&self) -> Scenario {
        let batches = (self.waits.len() / PER_BATCH).clamp(2, BATCHES);
        Scenario { title: self.title.clone(), warm_up: 0.0, batches, ..Scenario::default() }
    }

    /// Everybody who comes and everybody who is there.
    pub(super) fn centre(&self, staffing: &Staffing, seed: u64) -> (Centre, Vec<Arrival>) {
        let scheduling = staffing.scheduling.as_ref().unwrap_or(&self.scheduling).clone();
        let speeds = self.speeds();
        let mut kinds: BTreeMap<&Wanted, usize> = self.waits.iter().map(|wait| (&wait.wanted, 0)).collect();
        kinds.values_mut().enumerate().for_each(|(at, number)| *number = at);
        let demands: Vec<DemandSpec> = kinds.keys().map(|wanted| demand(wanted, &scheduling)).collect();
        let speed = |agent: &str, kind: usize| {
            let skilled = demands[kind].required.as_ref().is_some_and(|required| !required.is_empty());
            if skilled { speeds.get(agent).copied().unwrap_or(1.0) } else { 1.0 }
        };
        let paces = self.paces();
        let mut work: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let works: Vec<Option<f64>> = self
            .waits
            .iter()
            .enumerate()
            .map(|(at, wait)| {
                let End::Served { agent, handle_s, whole } = &wait.end else { return None };
                let work_s = handle_s * paces[at] * speed(agent, kinds[&wait.wanted]);
                if *whole {
                    work.entry(&wait.wanted.queue).or_default().push(work_s);
                }
                Some(work_s)
            })
            .collect();
        work.values_mut().for_each(|times| times.sort_by(f64::total_cmp));
        let patience = Patience::of(self.waits.iter().map(|wait| (wait.waited_s, wait.end == End::Left)));
        let mut stream = Stream::new(seed, 6);
        let arrivals = self.waits.iter().zip(&works).map(|(wait, known)| {
            // The same draws for everybody, so that one customer changes nobody else.
            let lot = stream.unit();
            let drawn_s = patience.draw(wait.waited_s, &mut stream);
            let longer_than = |than_s: f64| {
                let times = work.get(wait.wanted.queue.as_str()).map_or(&[][..], Vec::as_slice);
                let times = &times[times.partition_point(|time| *time <= than_s)..];
                times.get((lot * times.len() as f64) as usize).copied()
            };
            let work_s = match (&wait.end, known) {
                (End::Served { whole: false, .. }, Some(so_far_s)) => longer_than(*so_far_s).unwrap_or(*so_far_s),
                (_, Some(work_s)) => *work_s,
                (_, None) => longer_than(-1.0).unwrap_or(0.0),
            };
            let patience_s = if wait.end == End::Left { wait.waited_s } else { drawn_s };
            let patience_s = patience_s.min(wait.limit_s.unwrap_or(f64::INFINITY));
            Arrival { at_s: wait.at_s, demand: kinds[&wait.wanted], work_s, patience_s }
        });
        let arrivals = arrivals.collect();
        let mut centre = Centre { demands, staff: Vec::new(), scheduling };
        if staffing.agents.is_empty() {
            centre.staff = self.agents.iter().map(|(id, agent)| staff(id, agent, speeds.get(id))).collect();
        } else {
            centre.employ(&staffing.agents);
        }
        (centre, arrivals)
    }

    /// What of each wait's handle time was work, because the agent had others beside it: the mean pace.
    fn paces(&self) -> Vec<f64> {
        let speeds = &self.scheduling.concurrency;
        let pace = |at_once: usize| speeds.get(at_once.max(1) - 1).or(speeds.last()).copied().unwrap_or(1.0);
        let mut by_agent: BTreeMap<&str, Vec<(f64, f64, usize)>> = BTreeMap::new();
        for (at, wait) in self.waits.iter().enumerate() {
            if let End::Served { agent, handle_s, .. } = &wait.end {
                let from_s = wait.at_s + wait.waited_s;
                by_agent.entry(agent).or_default().push((from_s, from_s + handle_s, at));
            }
        }
        let mut paces = vec![1.0; self.waits.len()];
        for spans in by_agent.values() {
            let mut edges: Vec<f64> = spans.iter().flat_map(|span| [span.0, span.1]).collect();
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            let mut order: Vec<&(f64, f64, usize)> = spans.iter().collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut next, mut open) = (0, Vec::new());
            let mut done = vec![0.0; self.waits.len().min(spans.len())];
            let number: BTreeMap<usize, usize> =
                spans.iter().enumerate().map(|(number, span)| (span.2, number)).collect();
            for edge in edges.windows(2) {
                while let Some(span) = order.get(next).filter(|span| span.0 <= edge[0]) {
                    open.push(**span);
                    next += 1;
                }
                open.retain(|span| span.1 > edge[0]);
                for span in &open {
                    done[number[&span.2]] += (edge[1] - edge[0]) * pace(open.len());
                }
            }
            for (span, done_s) in spans.iter().zip(&done) {
                if span.1 > span.0 {
                    paces[span.2] = done_s / (span.1 - span.0);
                }
            }
        }
        paces
    }

    /// Each agent's speed: everybody's mean handle time for the same queues, divided by the agent's own.
    fn speeds(&self) -> BTreeMap<String, f64> {
        let served = || {
            self.waits.iter().filter_map(|wait| match &wait.end {
                End::Served { agent, handle_s, whole: true } => Some((&wait.wanted.queue, agent, *handle_s)),
                _ => None,
            })
        };
        let mut queues: BTreeMap<&String, (f64, f64)> = BTreeMap::new();
        for (queue, _, handle_s) in served() {
            let sums = queues.entry(queue).or_default();
            *sums = (sums.0 + handle_s, sums.1 + 1.0);
        }
        // In units of the queue's mean.
        let mut agents: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (queue, agent, handle_s) in served() {
            let (sum, count) = queues[queue];
            let sums = agents.entry(agent.clone()).or_default();
            let relative = if sum > 0.0 { handle_s * count / sum } else { 1.0 };
            *sums = (sums.0 + relative, sums.1 + 1.0);
        }
        agents.into_iter().map(|(agent, (sum, count))| (agent, (count + PRIOR_CASES) / (sum + PRIOR_CASES))).collect()
    }
}

fn demand(wanted: &Wanted, scheduling: &Scheduling) -> DemandSpec {
    let rules = scheduling.rules(&wanted.queue);
    let (mut required, mut wished) = (rules.required.clone(), rules.wished.clone());
    // As the leader of the live scheduler does: whoever hands it to one agent knows better than a rule.
    if wanted.agent.is_none() {
        for (skill, least) in &wanted.required {
            let known = required.entry(skill.clone()).or_default();
            *known = (*known).max(*least);
        }
        wished.extend(wanted.wished.iter().cloned());
    }
    let skills = required.keys().map(|skill| format!(" {skill}"));
    let language = wanted.language.clone().filter(|_| rules.match_language);
    let more = [
        (wanted.priority > 0).then(|| format!(" priority {}", wanted.priority)),
        language.as_ref().map(|language| format!(" {language}")),
        wanted.agent.as_ref().map(|agent| format!(" for {agent}")),
        Some(format!(" ({})", wanted.channel)),
    ];
    DemandSpec {
        name: format!(
            "{}{}{}",
            wanted.queue,
            skills.collect::<String>(),
            more.into_iter().flatten().collect::<String>()
        ),
        share: 1.0,
        required: Some(required),
        wished,
        language,
        agent: wanted.agent.clone(),
        queue: wanted.queue.clone(),
        priority: wanted.priority,
        weight: scheduling.channel_weights.get(&wanted.channel).copied().unwrap_or(1),
        work: None,
        patience: None,
    }
}

fn staff(id: &str, agent: &Recorded, speed: Option<&f64>) -> Staff {
    let known = |skill: &String| Some((skill.clone(), Performance { speed: *speed?, quality: 1.0 }));
    let seconds = |&(from, to): &(i64, i64)| {
        let to_s = if to == i64::MAX { f64::INFINITY } else { to as f64 / 1_000.0 };
        (from as f64 / 1_000.0, to_s)
    };
    let view = AgentView {
        id: id.to_owned(),
        status: Status::Available,
        online: true,
        skills: agent.skills.clone(),
        performance: agent.skills.keys().filter_map(known).collect(),
        languages: agent.languages.clone(),
        queues: agent.queues.clone(),
        slots: agent.slots,
        load: BTreeMap::new(),
        idle_since_ms: None,
    };
    Staff { view, shifts: Shifts::Listed(agent.there_ms.iter().map(seconds).collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{
        policy::PolicyName,
        simulator::{Outcome, Run, replay},
    };

    fn wanted(queue: &str) -> Wanted {
        Wanted {
            queue: queue.to_owned(),
            channel: "web".to_owned(),
            priority: 0,
            required: BTreeMap::new(),
            wished: BTreeSet::new(),
            language: None,
            agent: None,
        }
    }

    fn wait(at_s: f64, waited_s: f64, end: End) -> Wait {
        Wait { at_s, wanted: wanted("main"), waited_s, end, limit_s: None }
    }

    fn served(agent: &str, handle_s: f64) -> End {
        End::Served { agent: agent.to_owned(), handle_s, whole: true }
    }

    fn history(slots: u32, waits: Vec<Wait>) -> History {
        let ann = Recorded {
            queues: ["main".to_owned()].into(),
            slots,
            there_ms: vec![(0, i64::MAX)],
            ..Recorded::default()
        };
        History {
            title: "a day".to_owned(),
            waits,
            agents: BTreeMap::from([("ann".to_owned(), ann)]),
            scheduling: Scheduling::default(),
        }
    }

    fn again(history: &History, staffing: &Staffing) -> Outcome {
        let scenario = history.scenario();
        let policy = PolicyName::LongestIdle;
        let run = Run { scenario: &scenario, policy, seed: 1, arrivals: u64::MAX, data: None, weights: None };
        replay(&run, history, staffing, &mut |_| {}).unwrap()
    }

    #[test]
    fn with_the_same_staff_the_past_comes_out_the_same_and_with_more_it_does_not() {
        let past = history(
            1,
            vec![
                wait(0.0, 0.0, served("ann", 100.0)),
                wait(10.0, 90.0, served("ann", 50.0)),
                wait(20.0, 30.0, End::Left),
                wait(30.0, 120.0, served("ann", 10.0)),
            ],
        );
        let same = again(&past, &Staffing::default());
        let happened = same.happened.unwrap();
        assert_eq!((same.mean_wait_s.mean, same.abandonment.mean), (60.0, 0.25));
        assert_eq!((happened.mean_wait_s, happened.abandonment, happened.arrivals), (60.0, 0.25, 4));
        let more = Staffing::parse("[[agents]]\ncount = 4\nskills = {}").unwrap();
        let served = again(&past, &more);
        assert_eq!((served.mean_wait_s.mean, served.abandonment.mean), (0.0, 0.0));
        assert!(!served.counterfactual.is_empty());
        assert!(Staffing::parse("[[agents]]\ncount = 0\nskills = {}").is_err());
    }

    #[test]
    fn what_was_done_beside_something_else_was_less_work() {
        // Two at once at half the pace each, for 100 s: 50 s of work each. Then one alone: 40 s.
        let mut past = history(
            2,
            vec![
                wait(0.0, 0.0, served("ann", 100.0)),
                wait(0.0, 0.0, served("ann", 100.0)),
                wait(200.0, 0.0, served("ann", 40.0)),
            ],
        );
        past.scheduling.concurrency = vec![1.0, 0.5];
        let (_, arrivals) = past.centre(&Staffing::default(), 1);
        assert_eq!(arrivals.iter().map(|arrival| arrival.work_s).collect::<Vec<_>>(), [50.0, 50.0, 40.0]);
    }

    #[test]
    fn a_limit_is_a_limit_and_hours_are_hours() {
        let mut past = history(1, vec![wait(0.0, 0.0, served("ann", 1_000.0)), wait(10.0, 60.0, End::Cut)]);
        past.waits[1].limit_s = Some(60.0);
        past.agents.get_mut("ann").unwrap().there_ms = vec![(0, 5_000)];
        let same = again(&past, &Staffing::default());
        assert_eq!((same.mean_wait_s.mean, same.abandonment.mean), (30.0, 0.5));
        past.agents.get_mut("ann").unwrap().there_ms = vec![(5_000, i64::MAX)];
        assert_eq!(again(&past, &Staffing::default()).mean_wait_s.mean, (5.0 + 60.0) / 2.0);
    }

    #[test]
    fn a_faster_agent_is_known_as_one_after_many_cases() {
        let waits = (0..200).map(|at| {
            let (agent, handle_s) = if at % 2 == 0 { ("ann", 50.0) } else { ("bob", 150.0) };
            wait(f64::from(at) * 1_000.0, 0.0, served(agent, handle_s))
        });
        let speeds = history(1, waits.collect()).speeds();
        assert!(speeds["ann"] > 1.6 && speeds["ann"] < 2.0 && speeds["bob"] < 0.8, "{speeds:?}");
    }
}
