//! What is printed.

use serde_json::{Value, json};

/// Says on standard error how far a run is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    shown: bool,
}

impl Progress {
    pub fn new(shown: bool) -> Self {
        Self { shown }
    }

    pub fn say(self, text: impl std::fmt::Display) {
        if self.shown {
            eprintln!("  {text}");
        }
    }
}

/// The middle one; of an even number, the mean of the middle two.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        count if count % 2 == 1 => sorted[count / 2],
        count => (sorted[count / 2 - 1] + sorted[count / 2]) / 2.0,
    }
}

/// A figure for people and machines: two digits after the point are more than any run repeats.
pub fn rounded(value: f64) -> Value {
    json!((value * 100.0).round() / 100.0)
}

/// What it was measured on.
pub fn machine() -> Value {
    let cpus = std::thread::available_parallelism().map_or(0, |count| count.get());
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    json!({"cpus": cpus, "cpu": model, "kefu": env!("CARGO_PKG_VERSION")})
}

/// The goals beside what was measured.
pub fn table(all: &Value) {
    eprintln!("\n{:<44} {:>12} {:>12}  reached", "figure", "measured", "goal");
    for benchmark in
        ["throughput", "memory", "rebuild", "scheduler", "dispatch", "sockets", "reporting", "vectors", "faq"]
    {
        for goal in all[benchmark]["goals"].as_array().into_iter().flatten() {
            let number = |name: &str| goal[name].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"));
            let text = |name: &str| goal[name].as_str().unwrap_or_default();
            let reached = if goal["reached"] == json!(true) { "yes" } else { "no" };
            let bound = format!("{} {}", text("bound"), number("goal"));
            eprintln!("{:<44} {:>12} {:>12}  {reached}", text("figure"), number("measured"), bound);
        }
    }
    eprintln!();
}

/// A goal that is reached from `goal` upwards.
pub fn at_least(figure: &str, measured: f64, goal: f64) -> Value {
    json!({"figure": figure, "measured": rounded(measured), "bound": "≥", "goal": goal, "reached": measured >= goal})
}

/// A goal that is reached up to `goal`.
pub fn at_most(figure: &str, measured: f64, goal: f64) -> Value {
    json!({"figure": figure, "measured": rounded(measured), "bound": "≤", "goal": goal, "reached": measured <= goal})
}
