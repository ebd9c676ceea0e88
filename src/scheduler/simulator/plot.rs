//! Outcomes as a picture: one bar per policy with its confidence interval, for wait and abandonment; an SVG document.

use super::{
    outcome::{Happened, Outcome},
    statistics::Estimate,
};
use std::fmt::Write;

const WIDTH: f64 = 760.0;
const ROW: f64 = 26.0;
const LABEL: f64 = 110.0;
/// Room on the right for the figure in numbers.
const FIGURE: f64 = 120.0;
const TOP: f64 = 34.0;

/// Draws the outcomes of one scenario under several policies.
pub fn svg(outcomes: &[Outcome]) -> String {
    type Panel = (&'static str, fn(&Outcome) -> Estimate, fn(&Happened) -> f64, f64);
    let panels: [Panel; 3] = [
        ("mean wait, s", |outcome| outcome.mean_wait_s, |log| log.mean_wait_s, 1.0),
        ("95 of 100 wait less than, s", |outcome| outcome.wait_p95_s, |log| log.wait_p95_s, 1.0),
        ("abandonment, %", |outcome| outcome.abandonment, |log| log.abandonment, 100.0),
    ];
    let shown: Vec<&Panel> = panels.iter().filter(|panel| outcomes.iter().any(|o| panel.1(o).mean > 0.0)).collect();
    // All of them replay the same log, if any does.
    let happened = outcomes.first().and_then(|outcome| outcome.happened);
    let panel_height = TOP + ROW * (outcomes.len() + usize::from(happened.is_some())) as f64 + 14.0;
    let height = 40.0 + panel_height * shown.len() as f64;
    let title = outcomes.first().map(|outcome| escaped(&outcome.scenario)).unwrap_or_default();
    let mut svg = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" font-weight=\"bold\">{title}</text>"
    );
    for (number, (name, of, of_log, factor)) in shown.into_iter().enumerate() {
        let top = 40.0 + panel_height * number as f64;
        let row = |outcome: &Outcome| {
            let Estimate { mean, half_width } = of(outcome);
            (outcome.policy.as_str(), Estimate { mean: mean * factor, half_width: half_width * factor })
        };
        let log = happened.map(|log| ("what happened", Estimate { mean: of_log(&log) * factor, half_width: 0.0 }));
        let rows: Vec<(&str, Estimate)> = outcomes.iter().map(row).chain(log).collect();
        panel(&mut svg, &rows, name, top);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, rows: &[(&str, Estimate)], name: &str, top: f64) {
    let end = |estimate: Estimate| {
        if estimate.half_width.is_finite() { estimate.mean + estimate.half_width } else { estimate.mean }
    };
    let most = rows.iter().map(|row| end(row.1)).fold(0.0, f64::max);
    let scale = if most > 0.0 { (WIDTH - LABEL - FIGURE) / most } else { 0.0 };
    let _ = writeln!(svg, "<text x=\"12\" y=\"{:.1}\" fill=\"#555\">{name}</text>", top + 20.0);
    for (row, &(label, estimate)) in rows.iter().enumerate() {
        let y = top + TOP + ROW * row as f64;
        let middle = y + ROW / 2.0 - 4.0;
        let (from, to) = ((estimate.mean * 2.0 - end(estimate)).max(0.0) * scale, end(estimate) * scale);
        let _ = writeln!(
            svg,
            "<text x=\"12\" y=\"{:.1}\">{}</text>\
             <rect x=\"{LABEL}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"#4a7ab5\"/>\
             <line x1=\"{:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\" stroke=\"black\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.2} ± {:.2}</text>",
            y + 14.0,
            label,
            estimate.mean * scale,
            ROW - 8.0,
            LABEL + from,
            LABEL + to,
            LABEL + to + 8.0,
            y + 14.0,
            estimate.mean,
            estimate.half_width,
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduler::{
        policy::PolicyName,
        simulator::{Run, Scenario, run},
    };

    #[test]
    fn a_picture_has_a_bar_for_every_policy() {
        let text = "title = \"a < b\"\nrate_per_s = 0.5\n[work]\ndistribution = \"exponential\"\nmean_s = 1\n\
                    [[demand]]\nname = \"x\"\nshare = 1\n[[agents]]\nskills = { x = 5 }\n";
        let scenario = Scenario::parse(text).unwrap();
        let outcome = |policy| {
            let wanted = Run { scenario: &scenario, policy, seed: 1, arrivals: 1_000, data: None, weights: None };
            run(&wanted, &mut |_| {}).unwrap()
        };
        let happened = Happened { arrivals: 1_000, mean_wait_s: 1.5, wait_p95_s: 9.0, abandonment: 0.0 };
        let replayed = svg(&[Outcome { happened: Some(happened), ..outcome(PolicyName::Index) }]);
        assert!(replayed.contains("what happened") && replayed.contains("1.50"));
        let svg = svg(&[outcome(PolicyName::Random), outcome(PolicyName::Index)]);
        assert!(svg.contains("a &lt; b") && svg.contains("random") && svg.contains("index"));
        // Two panels (nobody leaves), two bars each, and the background.
        assert_eq!(svg.matches("<rect").count(), 5);
    }
}
