//! Whether the simulator tells the truth, and what the index policy gains: short versions of what bench/scenarios shows
//! in full, with the wider intervals that fewer customers give.

#![allow(clippy::unwrap_used)] // A test may panic.

use kefu::scheduler::{
    policy::PolicyName,
    simulator::{Outcome, Run, Scenario, run},
};
use std::path::Path;

fn scenario(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/scenarios").join(name);
    Scenario::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn simulate(scenario: &Scenario, policy: PolicyName, arrivals: u64) -> Outcome {
    let wanted = Run { scenario, policy, seed: scenario.seed, arrivals, data: None, weights: None };
    run(&wanted, &mut |_| {}).unwrap()
}

#[test]
fn closed_forms_lie_inside_the_intervals() {
    for (name, arrivals) in [
        ("mm1.toml", 1_000_000),
        ("mm20.toml", 1_000_000),
        ("mm100.toml", 2_000_000),
        ("erlang-a-95.toml", 1_000_000),
        ("erlang-a-105.toml", 1_000_000),
    ] {
        let outcome = simulate(&scenario(name), PolicyName::LongestIdle, arrivals);
        let theory = outcome.theory.unwrap();
        assert!(theory.inside, "{name}: {theory:?}, simulated {:?} {:?}", outcome.mean_wait_s, outcome.abandonment);
        let widest = if name.starts_with("mm") { 0.15 } else { 0.1 };
        let width = outcome.mean_wait_s.half_width / outcome.mean_wait_s.mean;
        assert!(width < widest, "{name}: the interval is ± {:.0} %", width * 100.0);
    }
}

#[test]
fn every_policy_meets_the_same_customers() {
    let scenario = scenario("b-85.toml");
    let arrivals: Vec<_> = [PolicyName::Random, PolicyName::Index]
        .map(|policy| simulate(&scenario, policy, 20_000))
        .iter()
        .map(|outcome| outcome.by_skill.values().map(|skill| skill.arrivals).collect::<Vec<_>>())
        .collect();
    assert_eq!(arrivals[0], arrivals[1]);
    assert_eq!(simulate(&scenario, PolicyName::Index, 20_000), simulate(&scenario, PolicyName::Index, 20_000));
}

#[test]
fn with_one_conversation_at_a_time_the_index_waits_less_and_starves_nobody() {
    for (name, at_most) in [("b-85.toml", 0.82), ("b-92.toml", 0.92)] {
        let scenario = scenario(name);
        let of = |policy| simulate(&scenario, policy, 500_000);
        let [index, longest_idle] = [PolicyName::Index, PolicyName::LongestIdle].map(of);
        let ratio = index.mean_wait_s.mean / longest_idle.mean_wait_s.mean;
        assert!(ratio <= at_most, "{name}: {ratio:.3} of the wait under longest idle");
        for score in [PolicyName::Score4321, PolicyName::Score523].map(of) {
            assert!(index.mean_wait_s.mean < score.mean_wait_s.mean, "{name}: {}", score.policy);
        }
        for (skill, waits) in &index.by_skill {
            let before = longest_idle.by_skill[skill].mean_wait_s.mean;
            assert!(waits.mean_wait_s.mean <= 2.0 * before, "{name}: {skill} waits {:?}", waits.mean_wait_s);
        }
    }
}

#[test]
fn in_a_chat_the_index_waits_less_than_the_fastest_first() {
    let scenario = scenario("c-92.toml");
    let [index, fastest, longest_idle] = [PolicyName::Index, PolicyName::FastestGcmu, PolicyName::LongestIdle]
        .map(|policy| simulate(&scenario, policy, 300_000));
    assert!(index.mean_wait_s.mean < fastest.mean_wait_s.mean);
    assert!(index.mean_wait_s.mean < 0.5 * longest_idle.mean_wait_s.mean);
    assert!(index.abandonment.mean < 0.5 * longest_idle.abandonment.mean);
}

/// Two kinds of customers, agents who know one of them, and agents who know both.
const DEDICATED: usize = 4;
const FLEXIBLE: usize = 4;
/// Lines longer than this do not happen at the loads looked at: the optimum does not change with it.
const LONGEST: usize = 90;

fn flexible_scenario(load: f64) -> Scenario {
    let rate = load * (2 * DEDICATED + FLEXIBLE) as f64 / 300.0;
    let text = format!(
        "title = \"two kinds\"\nrate_per_s = {rate}\nbatches = 40\n\
         [work]\ndistribution = \"exponential\"\nmean_s = 300\n\
         [[demand]]\nname = \"a\"\nshare = 1\n[[demand]]\nname = \"b\"\nshare = 1\n\
         [[agents]]\ncount = {DEDICATED}\nskills = {{ a = 5 }}\n\
         [[agents]]\ncount = {DEDICATED}\nskills = {{ b = 5 }}\n\
         [[agents]]\ncount = {FLEXIBLE}\nskills = {{ a = 5, b = 5 }}\n"
    );
    Scenario::parse(&text).unwrap()
}

/// The smallest possible mean wait, in seconds, by value iteration over everything that can be decided without idling.
///
/// A state is how many dedicated agents of each kind are busy, how many flexible ones, and how many of each kind wait.
/// Work lasts equally long for everybody, so who a flexible agent serves does not matter.
fn best_mean_wait_s(load: f64) -> f64 {
    let all = (2 * DEDICATED + FLEXIBLE) as f64;
    // In units of the work: each agent ends 1 conversation, each kind's customers come at this rate.
    let rate = load * all / 2.0;
    let uniform = 2.0 * rate + all;
    type State = [usize; 5];
    let sizes = [DEDICATED + 1, DEDICATED + 1, FLEXIBLE + 1, LONGEST + 1, LONGEST + 1];
    let index = |s: &State| s.iter().zip(sizes).fold(0, |at, (value, size)| at * size + value);
    // Without idling somebody waits only while all who fit are busy.
    let valid = |s: &State| {
        (s[3] == 0 || (s[0] == DEDICATED && s[2] == FLEXIBLE)) && (s[4] == 0 || (s[1] == DEDICATED && s[2] == FLEXIBLE))
    };
    let mut states: Vec<State> = Vec::new();
    for a in 0..sizes[0] {
        for b in 0..sizes[1] {
            for f in 0..sizes[2] {
                let waiting_a = if a == DEDICATED && f == FLEXIBLE { LONGEST } else { 0 };
                let waiting_b = if b == DEDICATED && f == FLEXIBLE { LONGEST } else { 0 };
                for qa in 0..=waiting_a {
                    states.extend((0..=waiting_b).map(|qb| [a, b, f, qa, qb]));
                }
            }
        }
    }
    let mut numbers = vec![u32::MAX; sizes.iter().product()];
    for (number, state) in states.iter().enumerate() {
        numbers[index(state)] = number as u32;
    }
    let number = |s: State| {
        assert!(valid(&s), "{s:?}");
        numbers[index(&s)] as usize
    };
    let with = |s: &State, changes: &[(usize, isize)]| {
        let mut next = *s;
        for &(at, by) in changes {
            next[at] = next[at].saturating_add_signed(by);
        }
        next
    };
    // For each state: events with their rates, and for each event the states that can be chosen.
    let events: Vec<Vec<(f64, [usize; 2])>> = states
        .iter()
        .map(|s| {
            let mut events = Vec::new();
            for (kind, line) in [(0, 3), (1, 4)] {
                let mut choices = Vec::new();
                if s[kind] < DEDICATED {
                    choices.push(number(with(s, &[(kind, 1)])));
                }
                if s[2] < FLEXIBLE {
                    choices.push(number(with(s, &[(2, 1)])));
                }
                if choices.is_empty() {
                    // At the end of the line nobody more is counted.
                    choices.push(number(if s[line] < LONGEST { with(s, &[(line, 1)]) } else { *s }));
                }
                events.push((rate, [choices[0], *choices.last().unwrap()]));
                let after = if s[line] > 0 { with(s, &[(line, -1)]) } else { with(s, &[(kind, -1)]) };
                if s[kind] > 0 {
                    events.push((s[kind] as f64, [number(after); 2]));
                }
            }
            if s[2] > 0 {
                let mut choices = Vec::new();
                for line in [3, 4] {
                    if s[line] > 0 {
                        choices.push(number(with(s, &[(line, -1)])));
                    }
                }
                if choices.is_empty() {
                    choices.push(number(with(s, &[(2, -1)])));
                }
                events.push((s[2] as f64, [choices[0], *choices.last().unwrap()]));
            }
            events
        })
        .collect();
    let mut value = vec![0.0_f64; states.len()];
    loop {
        let next: Vec<f64> = states
            .iter()
            .zip(&events)
            .zip(&value)
            .map(|((s, events), own)| {
                let busy: f64 = events.iter().map(|event| event.0).sum();
                let ahead: f64 = events.iter().map(|(rate, [one, other])| rate * value[*one].min(value[*other])).sum();
                ((s[3] + s[4]) as f64 + ahead + (uniform - busy) * own) / uniform
            })
            .collect();
        let changes = next.iter().zip(&value).map(|(new, old)| (new - old) * uniform);
        let (least, most) =
            changes.fold((f64::MAX, f64::MIN), |(least, most), change| (least.min(change), most.max(change)));
        value = next;
        // The mean number of those who wait lies between the two.
        if most - least < 1e-3 * least {
            let mean_queue = f64::midpoint(least, most);
            return mean_queue / (2.0 * rate) * 300.0;
        }
    }
}

#[test]
fn the_index_is_within_two_percent_of_the_best_that_is_possible() {
    for load in [0.85, 0.92] {
        let best_s = best_mean_wait_s(load);
        let outcome = simulate(&flexible_scenario(load), PolicyName::Index, 4_000_000);
        let wait = outcome.mean_wait_s;
        // The interval is part of the question: fewer customers than the full version has.
        assert!(
            wait.mean - wait.half_width <= 1.02 * best_s && wait.mean + wait.half_width >= 0.98 * best_s,
            "load {load}: {wait:?}, at best {best_s:.3} s"
        );
    }
}
