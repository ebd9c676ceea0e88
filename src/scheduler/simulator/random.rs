//! Distributions over a small seeded generator.

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(Pcg64Mcg);

impl Stream {
    /// Stream `number` of a seed: streams of one seed are independent.
    pub fn new(seed: u64, number: u64) -> Self {
        // Neighbouring seeds must not give neighbouring states.
        Self(Pcg64Mcg::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number)))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in (0, 1): never an end, so that a logarithm is finite.
    pub fn unit(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller; the second number is not kept, so that every draw takes the
    /// same two numbers).
    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

/// How long something takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "distribution", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Duration {
    /// Exponential.
    Exponential {
        /// In seconds.
        mean_s: f64,
    },
    /// Lognormal.
    Lognormal {
        /// In seconds.
        mean_s: f64,
        /// Standard deviation ÷ mean.
        cv: f64,
    },
    /// One of these, with equal chances.
    Empirical {
        /// In seconds.
        values_s: Vec<f64>,
    },
}

impl Duration {
    /// Draws one, in seconds.
    pub fn draw(&self, stream: &mut Stream) -> f64 {
        match self {
            Self::Exponential { mean_s } => mean_s * stream.exponential(),
            Self::Lognormal { mean_s, cv } => {
                let variance = (1.0 + cv * cv).ln();
                mean_s * (variance.sqrt() * stream.normal() - variance / 2.0).exp()
            }
            Self::Empirical { values_s } => {
                let at = (stream.unit() * values_s.len() as f64) as usize;
                values_s.get(at).copied().unwrap_or(0.0)
            }
        }
    }

    /// The mean, in seconds.
    pub fn mean_s(&self) -> f64 {
        match self {
            Self::Exponential { mean_s } | Self::Lognormal { mean_s, .. } => *mean_s,
            Self::Empirical { values_s } => values_s.iter().sum::<f64>() / values_s.len().max(1) as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_have_the_mean_and_spread_asked_for() {
        for duration in [
            Duration::Exponential { mean_s: 300.0 },
            Duration::Lognormal { mean_s: 300.0, cv: 1.0 },
            Duration::Empirical { values_s: vec![0.0, 600.0] },
        ] {
            let mut stream = Stream::new(7, 0);
            let draws: Vec<f64> = (0..200_000).map(|_| duration.draw(&mut stream)).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            let spread = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64).sqrt();
            assert!((mean - 300.0).abs() < 3.0 && (duration.mean_s() - 300.0).abs() < 1e-9, "{duration:?}: {mean}");
            assert!((spread - 300.0).abs() < 10.0, "{duration:?}: {spread}");
        }
    }
}
