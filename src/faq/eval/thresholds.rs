//! What each threshold would do: how many questions would be answered without a person, and how many of those wrongly.

use super::Outcome;
use serde::Serialize;
use std::fmt::Write;

/// One threshold of the probability that the first candidate is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Threshold {
    /// The probability from which on a question is answered.
    pub threshold: f64,
    /// Share of all questions that is answered.
    pub intercepted: f64,
    /// Share of the answers that is wrong; 0 where nothing is answered.
    pub wrong: f64,
    /// Share of the questions that are not answered whose answer is among the first three: "did you mean" would help.
    pub did_you_mean: f64,
}

/// Thresholds 0, 0.05 … 0.95, 0.99.
pub fn table(outcomes: &[Outcome]) -> Vec<Threshold> {
    let thresholds = (0..20).map(|step| f64::from(step) * 0.05).chain([0.99]);
    thresholds.map(|threshold| at(outcomes, threshold)).collect()
}

fn at(outcomes: &[Outcome], threshold: f64) -> Threshold {
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    let (answered, others): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.confidence() >= threshold);
    let wrong = answered.iter().filter(|outcome| !(outcome.in_scope && outcome.place == Some(1))).count();
    let among =
        others.iter().filter(|outcome| outcome.in_scope && outcome.place.is_some_and(|place| place <= 3)).count();
    Threshold {
        threshold,
        intercepted: share(answered.len(), outcomes.len()),
        wrong: share(wrong, answered.len()),
        did_you_mean: share(among, others.len()),
    }
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 56.0;
const BOTTOM: f64 = 44.0;
const TOP: f64 = 24.0;

/// The table as a picture: an SVG document with a line per share.
pub fn svg(table: &[Threshold]) -> String {
    let (width, height) = (WIDTH - LEFT - 20.0, HEIGHT - TOP - BOTTOM);
    let place = |x: f64, y: f64| (LEFT + x * width, TOP + (1.0 - y) * height);
    let mut svg = String::new();
    // Writing into a String cannot fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
    );
    for step in 0..=10 {
        let share = f64::from(step) / 10.0;
        let ((left, y), (right, _)) = (place(0.0, share), place(1.0, share));
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" y1=\"{y:.1}\" x2=\"{right}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"12\" y=\"{:.1}\">{:.0} %</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{share:.1}</text>",
            y + 4.0,
            share * 100.0,
            place(share, 0.0).0,
            HEIGHT - 26.0,
        );
    }
    type Line = (&'static str, &'static str, fn(&Threshold) -> f64);
    let lines: [Line; 3] = [
        ("answered without a person", "#2a6fb0", |at| at.intercepted),
        ("wrong among these", "#c0392b", |at| at.wrong),
        ("of the others: right among the first three", "#888", |at| at.did_you_mean),
    ];
    for (number, (name, colour, of)) in lines.into_iter().enumerate() {
        let points: Vec<String> =
            table.iter().map(|at| place(at.threshold, of(at))).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"15\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            LEFT + 190.0 * number as f64,
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\">threshold of the probability</text>\n</svg>",
        LEFT + 180.0,
        HEIGHT - 8.0
    );
    svg
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(place: Option<usize>, in_scope: bool, probability: f64) -> Outcome {
        Outcome { place, in_scope, probability, scope: 1.0 }
    }

    #[test]
    fn a_higher_threshold_answers_less_and_errs_less() {
        let outcomes = [
            outcome(Some(1), true, 0.9),
            outcome(Some(2), true, 0.6),
            outcome(None, false, 0.4),
            outcome(Some(1), true, 0.8),
        ];
        let table = table(&outcomes);
        let of = |threshold: f64| table.iter().find(|at| (at.threshold - threshold).abs() < 1e-9).copied().unwrap();
        assert_eq!((of(0.0).intercepted, of(0.0).wrong, of(0.0).did_you_mean), (1.0, 0.5, 0.0));
        assert_eq!((of(0.7).intercepted, of(0.7).wrong, of(0.7).did_you_mean), (0.5, 0.0, 0.5));
        assert_eq!((of(0.99).intercepted, of(0.99).wrong), (0.0, 0.0));
        assert!(table.is_sorted_by(|one, other| one.intercepted >= other.intercepted));
    }

    #[test]
    fn the_picture_has_a_line_per_share() {
        let svg = svg(&table(&[outcome(Some(1), true, 0.9)]));
        assert_eq!((svg.matches("<polyline").count(), svg.contains("NaN")), (3, false));
    }
}
