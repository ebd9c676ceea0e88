//! How long customers are ready to wait, where most got an agent before their patience ended.
//!
//! Such waits are censored: they say that the patience was longer. Kaplan and Meier's estimator ("Nonparametric Estimation
//! from Incomplete Observations", J. Amer. Statist. Assoc. 53, 1958) takes them for what they are: at each wait after which
//! somebody left, the part that stays is multiplied by 1 - left ÷ still there. It ends at the longest wait; beyond it the
//! time until somebody leaves is taken to be exponential, with the rate of all (left ÷ time waited, which is the maximum
//! likelihood under censoring).

use super::random::Stream;

/// What is known of patience.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    /// Waits after which somebody left, in seconds, with the part of all customers that would still be there after it.
    stays: Vec<(f64, f64)>,
    /// The longest wait, in seconds.
    longest_s: f64,
    /// Those who left per second waited.
    rate_per_s: f64,
}

impl Patience {
    /// From waits, in seconds, and whether the customer left.
    pub fn of(waits: impl IntoIterator<Item = (f64, bool)>) -> Self {
        let mut waits: Vec<(f64, bool)> = waits.into_iter().collect();
        // Who left after as long as another was served counts as still there when the other left.
        waits.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let (mut stays, mut part) = (Vec::new(), 1.0);
        let mut at = 0;
        while let Some(&(wait_s, _)) = waits.get(at) {
            let there = waits.len() - at;
            let same = waits[at..].iter().take_while(|wait| wait.0 == wait_s).count();
            let left = waits[at..at + same].iter().filter(|wait| wait.1).count();
            if left > 0 {
                part *= 1.0 - left as f64 / there as f64;
                stays.push((wait_s, part));
            }
            at += same;
        }
        let waited_s: f64 = waits.iter().map(|wait| wait.0).sum();
        let left = waits.iter().filter(|wait| wait.1).count() as f64;
        let rate_per_s = if waited_s > 0.0 { left / waited_s } else { 0.0 };
        Self { stays, longest_s: waits.last().map_or(0.0, |wait| wait.0), rate_per_s }
    }

    /// The part of all customers that waits longer than this, as far as was seen.
    pub fn stays(&self, wait_s: f64) -> f64 {
        let left = self.stays.partition_point(|known| known.0 <= wait_s);
        left.checked_sub(1).map_or(1.0, |at| self.stays[at].1)
    }

    /// Draws the patience of somebody who was still there after `beyond_s`, in seconds; infinite where nobody ever left.
    pub fn draw(&self, beyond_s: f64, stream: &mut Stream) -> f64 {
        // Always two numbers, so that one customer changes nobody else.
        let (lot, more_s) = (stream.unit(), stream.exponential() / self.rate_per_s);
        let part = lot * self.stays(beyond_s);
        let at = self.stays.partition_point(|known| known.1 > part || known.0 <= beyond_s);
        match self.stays.get(at) {
            Some(known) => known.0,
            None => self.longest_s.max(beyond_s) + more_s,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_textbooks_example() {
        // Remissions in weeks of 21 patients under 6-mercaptopurine (Freireich and others 1963); true: relapse.
        let relapse = [6.0, 6.0, 6.0, 7.0, 10.0, 13.0, 16.0, 22.0, 23.0];
        let censored = [6.0, 9.0, 10.0, 11.0, 17.0, 19.0, 20.0, 25.0, 32.0, 32.0, 34.0, 35.0];
        let waits = relapse.map(|week| (week, true)).into_iter().chain(censored.map(|week| (week, false)));
        let patience = Patience::of(waits);
        for (week, part) in [(5.0, 1.0), (6.0, 0.857), (7.0, 0.807), (10.0, 0.753), (13.0, 0.690), (16.0, 0.627)] {
            assert!((patience.stays(week) - part).abs() < 0.001, "{week}: {}", patience.stays(week));
        }
        assert!((patience.stays(22.0) - 0.538).abs() < 0.001 && (patience.stays(40.0) - 0.448).abs() < 0.001);
    }

    #[test]
    fn exponential_patience_is_found_again_behind_short_waits() {
        let mut stream = Stream::new(3, 0);
        let waits: Vec<(f64, bool)> = (0..200_000)
            .map(|_| {
                let (patience_s, offered_s) = (240.0 * stream.exponential(), 60.0 * stream.exponential());
                (patience_s.min(offered_s), patience_s < offered_s)
            })
            .collect();
        let known = Patience::of(waits);
        let mean = |beyond_s: f64, stream: &mut Stream| {
            (0..50_000).map(|_| known.draw(beyond_s, stream)).sum::<f64>() / 50_000.0
        };
        let (fresh, later) = (mean(0.0, &mut stream), mean(100.0, &mut stream));
        assert!((fresh - 240.0).abs() < 12.0, "{fresh}");
        assert!((later - 340.0).abs() < 12.0, "{later}");
    }

    #[test]
    fn where_nobody_left_nobody_will() {
        let known = Patience::of([(5.0, false), (9.0, false)]);
        assert_eq!(known.draw(3.0, &mut Stream::new(1, 0)), f64::INFINITY);
    }
}
