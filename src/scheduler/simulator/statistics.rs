//! Means with confidence intervals, and quantiles without keeping every number.

use serde::Serialize;

/// An estimate and half of its 99 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub mean: f64,
    /// The truth is in mean ± this with 99 % confidence.
    pub half_width: f64,
}

impl Estimate {
    /// From batches: a sum and a count each. The mean is that of all; its spread is that of the batches' means.
    pub fn of_batches(batches: impl Iterator<Item = (f64, f64)> + Clone) -> Self {
        let (sum, count) = batches.clone().fold((0.0, 0.0), |all, batch| (all.0 + batch.0, all.1 + batch.1));
        let mean = if count > 0.0 { sum / count } else { 0.0 };
        // Batches may differ in size: the spread of a ratio.
        let filled: Vec<(f64, f64)> = batches.filter(|batch| batch.1 > 0.0).collect();
        let n = filled.len() as f64;
        if n < 2.0 {
            return Self { mean, half_width: f64::INFINITY };
        }
        let typical = count / n;
        let squares: f64 = filled.iter().map(|(sum, count)| ((sum - mean * count) / typical).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        Self { mean, half_width: student_99(n - 1.0) * error }
    }

    /// Whether a value lies inside of the interval.
    pub fn contains(&self, value: f64) -> bool {
        (value - self.mean).abs() <= self.half_width
    }
}

/// The two-sided 99 % quantile of Student's t (Hill, Algorithm 396).
pub fn student_99(freedom: f64) -> f64 {
    let p = 0.01;
    if freedom <= 1.0 {
        return 63.657;
    }
    if freedom < 2.5 {
        return 9.925;
    }
    let a = 1.0 / (freedom - 0.5);
    let b = (48.0 / a) / a;
    let mut c = ((20_700.0 * a / b - 98.0) * a - 16.0) * a + 96.36;
    let d = ((94.5 / (b + c) - 3.0) / b + 1.0) * (a * std::f64::consts::FRAC_PI_2).sqrt() * freedom;
    let mut y = (d * p).powf(2.0 / freedom);
    if y > 0.05 + a {
        // The normal's quantile at p / 2.
        let x = -2.575_829_303_548_901_f64;
        y = x * x;
        if freedom < 5.0 {
            c += 0.3 * (freedom - 4.5) * (x + 0.6);
        }
        c += (((0.05 * d * x - 5.0) * x - 7.0) * x - 2.0) * x + b;
        y = (((((0.4 * y + 6.3) * y + 36.0) * y + 94.5) / c - y - 3.0) / b + 1.0) * x;
        y = a * y * y;
        y = if y > 0.002 { y.exp_m1() } else { 0.5 * y * y + y };
    } else {
        y = ((1.0 / (((freedom + 6.0) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2.0) * 3.0)
            + 0.5 / (freedom + 4.0))
            * y
            - 1.0)
            * (freedom + 1.0)
            / (freedom + 2.0)
            + 1.0 / y;
    }
    (freedom * y).sqrt()
}

/// Buckets per doubling: quantiles are exact to 2 %.
const PER_OCTAVE: f64 = 36.0;
/// The first bucket ends here, in seconds.
const SMALLEST_S: f64 = 0.001;
/// 36 buckets for each of 30 doublings, up to 12 days.
const BUCKETS: usize = 1_081;

/// Waits, by buckets that grow.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u32>,
    all: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], all: 0 }
    }
}

impl Histogram {
    /// One more, in seconds.
    pub fn add(&mut self, wait_s: f64) {
        let bucket = if wait_s <= SMALLEST_S { 0 } else { 1 + ((wait_s / SMALLEST_S).log2() * PER_OCTAVE) as usize };
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.all += 1;
    }

    /// The value below which a part of all lies, in seconds.
    pub fn quantile(&self, part: f64) -> f64 {
        let wanted = (part * self.all as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted.max(1) {
                return if bucket == 0 { 0.0 } else { SMALLEST_S * ((bucket as f64 - 0.5) / PER_OCTAVE).exp2() };
            }
        }
        0.0
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_the_tables() {
        for (freedom, table) in [(1.0, 63.657), (2.0, 9.925), (4.0, 4.604), (9.0, 3.250), (39.0, 2.708), (99.0, 2.626)]
        {
            assert!((student_99(freedom) - table).abs() < 0.003, "{freedom}: {}", student_99(freedom));
        }
    }

    #[test]
    fn batches_that_agree_give_a_narrow_interval() {
        let same = Estimate::of_batches([(20.0, 10.0), (40.0, 20.0)].into_iter());
        assert_eq!((same.mean, same.half_width), (2.0, 0.0));
        let unequal = Estimate::of_batches([(10.0, 10.0), (30.0, 10.0)].into_iter());
        assert_eq!(unequal.mean, 2.0);
        assert!((unequal.half_width - 63.657).abs() < 0.01 && unequal.contains(3.0));
    }

    #[test]
    fn quantiles_are_exact_to_two_percent() {
        let mut histogram = Histogram::default();
        for wait in 1..=10_000 {
            histogram.add(f64::from(wait) / 10.0);
        }
        for part in [0.5, 0.95, 0.99] {
            let error = histogram.quantile(part) / (part * 1_000.0) - 1.0;
            assert!(error.abs() < 0.02, "{part}: {error}");
        }
    }
}
