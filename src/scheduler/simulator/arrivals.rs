//! Who comes when, with how much work and patience.

use super::{
    random::{Duration, Stream},
    scenario::{BadScenario, Scenario},
};

/// One customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arrival {
    /// When, in seconds from the beginning.
    pub at_s: f64,
    /// Which of the scenario's demands.
    pub demand: usize,
    /// Work, in seconds of an agent of speed 1 with nothing else.
    pub work_s: f64,
    /// Wait after which the customer leaves, in seconds; infinite: never.
    pub patience_s: f64,
}

/// Draws customers one after the other. The order of draws does not depend on what happens to them.
pub(super) struct Customers<'a> {
    scenario: &'a Scenario,
    cumulative: Vec<f64>,
    times: Stream,
    kinds: Stream,
    work: Stream,
    patience: Stream,
    clock_s: f64,
    left: u64,
    /// Times drawn from counts per interval.
    counted: Option<std::vec::IntoIter<f64>>,
}

impl<'a> Customers<'a> {
    pub fn new(scenario: &'a Scenario, seed: u64, arrivals: u64, data: Option<&str>) -> Result<Self, BadScenario> {
        let mut sum = 0.0;
        let cumulative = scenario.demands.iter().map(|demand| {
            sum += demand.share;
            sum
        });
        let mut times = Stream::new(seed, 1);
        let counted = match &scenario.counts {
            Some(counts) => Some(spread(data.unwrap_or_default(), counts.step_s, &mut times)?.into_iter()),
            None => None,
        };
        Ok(Self {
            scenario,
            cumulative: cumulative.collect(),
            times,
            kinds: Stream::new(seed, 2),
            work: Stream::new(seed, 3),
            patience: Stream::new(seed, 4),
            clock_s: 0.0,
            left: counted.as_ref().map_or(arrivals, |times| (times.len() as u64).min(arrivals)),
            counted,
        })
    }

    /// How many are still to come.
    pub fn left(&self) -> u64 {
        self.left
    }

    fn next_time(&mut self) -> Option<f64> {
        if let Some(counted) = &mut self.counted {
            return counted.next();
        }
        let mut amount = self.times.exponential() / self.scenario.rate_per_s;
        if let Some(profile) = &self.scenario.profile {
            // The wait until an amount of unit rate has gone by, step by step.
            let step_s = profile.step_s;
            loop {
                let step = (self.clock_s / step_s).floor();
                let factor = profile.factors[step as usize % profile.factors.len()];
                let end_s = (step + 1.0) * step_s;
                let there = (end_s - self.clock_s) * factor;
                if amount <= there {
                    self.clock_s += amount / factor;
                    return Some(self.clock_s);
                }
                amount -= there;
                self.clock_s = end_s;
            }
        }
        self.clock_s += amount;
        Some(self.clock_s)
    }
}

impl Iterator for Customers<'_> {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let at_s = self.next_time()?;
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let kind = self.kinds.unit() * total;
        let demand = self.cumulative.partition_point(|sum| *sum <= kind).min(self.cumulative.len() - 1);
        let spec = &self.scenario.demands[demand];
        let draw = |own: &Option<Duration>, common: &Option<Duration>, stream: &mut Stream| {
            own.as_ref().or(common.as_ref()).map(|duration| duration.draw(stream))
        };
        let work_s = draw(&spec.work, &self.scenario.work, &mut self.work).unwrap_or(0.0);
        let patience_s = draw(&spec.patience, &self.scenario.patience, &mut self.patience).unwrap_or(f64::INFINITY);
        Some(Arrival { at_s, demand, work_s, patience_s })
    }
}

/// Times from a table with a column `count`, one row per interval.
fn spread(csv: &str, step_s: f64, stream: &mut Stream) -> Result<Vec<f64>, BadScenario> {
    let mut lines = csv.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split(',').position(|name| name.trim() == "count");
    let column = column.ok_or_else(|| BadScenario::Content("the table of counts has no column `count`".to_owned()))?;
    let mut times = Vec::new();
    for (interval, line) in lines.enumerate() {
        let cell = line.split(',').nth(column).unwrap_or_default().trim();
        let count: f64 =
            cell.parse().map_err(|_| BadScenario::Content(format!("row {}: {cell:?} is no count", interval + 2)))?;
        for _ in 0..count.max(0.0) as u64 {
            times.push((interval as f64 + stream.unit()) * step_s);
        }
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_a_table_come_in_their_intervals() {
        let text = "title = \"a day\"\nwork = { distribution = \"exponential\", mean_s = 1 }\n\
                    counts = { csv = \"day.csv\", step_s = 900 }\n\
                    [[demand]]\nname = \"x\"\nshare = 1\n[[agents]]\nskills = { x = 5 }\n";
        let scenario = Scenario::parse(text).unwrap();
        assert_eq!(scenario.needs(), Some("day.csv"));
        let of = |csv: &str, arrivals| {
            let customers = Customers::new(&scenario, 1, arrivals, Some(csv))?;
            Ok::<Vec<usize>, BadScenario>(customers.map(|customer| (customer.at_s / 900.0) as usize).collect())
        };
        assert_eq!(of("start,count\n09:00,3\n09:15,0\n09:30,2\n", u64::MAX).unwrap(), [0, 0, 0, 2, 2]);
        assert_eq!(of("start,count\n09:00,3\n", 2).unwrap(), [0, 0]);
        assert!(of("start,count\n09:00,three\n", 2).unwrap_err().to_string().contains("row 2"));
        assert!(of("start,number\n09:00,3\n", 2).unwrap_err().to_string().contains("`count`"));
    }
}
