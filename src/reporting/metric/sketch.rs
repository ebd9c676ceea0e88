//! Durations of which quantiles can be told, and that can be added to one another in any order.

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Durations that are kept one by one: beyond that, they are counted in a histogram. A minute of a queue has fewer, and a
/// histogram takes a hundred times their room.
const FEW: usize = 64;
/// Decimal digits of a duration that a histogram tells: a quantile is within 1 % of the exact one.
const DIGITS: u8 = 2;
/// How far a quantile may be from the exact one, as a share of it.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Longest duration that is told apart: 49 days in milliseconds.
const LONGEST_MS: u64 = u32::MAX as u64;

/// Durations in milliseconds. Two with the same durations are equal, in whatever order and portions they were added.
#[derive(Debug, Clone, PartialEq)]
pub enum Sketch {
    /// Each one, sorted.
    Few(Vec<u32>),
    /// How many are how long, about.
    Many(Box<Histogram<u32>>),
}

impl Default for Sketch {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

fn empty() -> Histogram<u32> {
    // These bounds are ones that the crate allows; its own default holds any value, too.
    Histogram::new_with_bounds(1, LONGEST_MS, DIGITS)
        .or_else(|_| Histogram::new(DIGITS))
        .unwrap_or_else(|_| unreachable!("2 digits are allowed"))
}

impl Sketch {
    /// Adds one.
    pub fn add(&mut self, ms: u64) {
        let ms = ms.min(LONGEST_MS);
        match self {
            Self::Few(few) => {
                // Cannot be cut: it was clamped.
                let ms = u32::try_from(ms).unwrap_or(u32::MAX);
                few.insert(few.partition_point(|known| *known <= ms), ms);
                self.grow();
            }
            Self::Many(many) => many.saturating_record(ms),
        }
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        match (&mut *self, other) {
            (Self::Few(few), Self::Few(more)) => {
                few.extend_from_slice(more);
                few.sort_unstable();
                self.grow();
            }
            (Self::Many(many), Self::Few(more)) => more.iter().for_each(|ms| many.saturating_record(u64::from(*ms))),
            (Self::Few(few), Self::Many(more)) => {
                let mut many = more.clone();
                few.iter().for_each(|ms| many.saturating_record(u64::from(*ms)));
                *self = Self::Many(many);
            }
            // The same bounds on both sides: cannot fail.
            (Self::Many(many), Self::Many(more)) => drop(many.add(&**more)),
        }
    }

    fn grow(&mut self) {
        if let Self::Few(few) = self
            && few.len() > FEW
        {
            let mut many = empty();
            few.iter().for_each(|ms| many.saturating_record(u64::from(*ms)));
            *self = Self::Many(Box::new(many));
        }
    }

    /// The smallest duration that at least this share (0 to 1) of all do not exceed, in milliseconds: exact where they are
    /// few, else within [`RELATIVE_ERROR`]. `None`: there is none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        match self {
            Self::Few(few) => {
                // At least one of them, however small the share is.
                let rank = (share * few.len() as f64).ceil().max(1.0) as usize;
                few.get(rank.min(few.len()).checked_sub(1)?).map(|ms| u64::from(*ms))
            }
            Self::Many(many) => {
                let highest = many.value_at_quantile(share);
                Some(many.median_equivalent(highest).min(many.max()))
            }
        }
    }
}

/// As it is stored: the same bytes for the same durations.
#[derive(Serialize, Deserialize)]
enum Stored {
    Few(Vec<u32>),
    /// A duration of each step of the histogram, less the one before, and how many they are.
    Many(Vec<(u32, u32)>),
}

impl Serialize for Sketch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match self {
            Self::Few(few) => Stored::Few(few.clone()),
            Self::Many(many) => {
                let mut before = 0;
                Stored::Many(
                    many.iter_recorded()
                        .map(|step| {
                            let value = many.lowest_equivalent(step.value_iterated_to());
                            let delta = value - std::mem::replace(&mut before, value);
                            (u32::try_from(delta).unwrap_or(u32::MAX), step.count_at_value())
                        })
                        .collect(),
                )
            }
        };
        stored.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sketch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Few(few) => Self::Few(few),
            Stored::Many(steps) => {
                let (mut many, mut value) = (empty(), 0u64);
                for (delta, count) in steps {
                    value += u64::from(delta);
                    many.record_n(value, count).map_err(D::Error::custom)?;
                }
                Self::Many(Box::new(many))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[u64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().for_each(|ms| sketch.add(*ms));
        sketch
    }

    proptest! {
        #[test]
        fn the_same_durations_are_the_same_bytes_in_any_order_and_portions(
            values in prop::collection::vec(0u64..10_000_000, 0..300),
            cuts in prop::collection::vec(0usize..300, 0..5),
        ) {
            let whole = postcard::to_allocvec(&of(&values)).expect("bytes");
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(values.len())).chain([0, values.len()]).collect();
            cuts.sort_unstable();
            let mut merged = Sketch::default();
            for pair in cuts.windows(2).rev() {
                let mut part: Vec<u64> = values[pair[0]..pair[1]].to_vec();
                part.reverse();
                // What was stored and read back is what was stored.
                let bytes = postcard::to_allocvec(&of(&part)).expect("bytes");
                merged.merge(&postcard::from_bytes(&bytes).expect("a sketch"));
            }
            prop_assert_eq!(postcard::to_allocvec(&merged).expect("bytes"), whole);
        }

        #[test]
        fn a_quantile_is_within_its_error(
            mut values in prop::collection::vec(0u64..100_000_000, 1..400),
            share in 0.0f64..=1.0,
        ) {
            let told = of(&values).quantile(share).expect("there are some") as f64;
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).clamp(1, values.len());
            let exact = values[rank - 1] as f64;
            // One millisecond where they are short: durations are whole milliseconds.
            prop_assert!((told - exact).abs() <= (exact * RELATIVE_ERROR).max(1.0), "{told} for {exact}");
        }
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Sketch::default().quantile(0.5), None);
    }
}
