//! What was learned, as bytes: the length of a JSON object, the object, the head's weights, a checksum of all that.

use super::{Ranker, Scope, Weights, features::Featurizer, head::Head};
use crate::search::text;
use serde::{Deserialize, Serialize};
use std::io;

/// Counts up when the same numbers mean something else.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Description {
    format: u32,
    text: u32,
    entries: Vec<String>,
    featurizer: Featurizer,
    centre: Vec<f32>,
    weights: Weights,
    scope: Scope,
    /// Classes, features and width of the head.
    head: (usize, usize, usize),
}

impl Ranker {
    /// As bytes.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let (classes, features, width, weights) = self.head.parts();
        let description = serde_json::to_vec(&Description {
            format: FORMAT,
            text: text::VERSION,
            entries: self.entries.clone(),
            featurizer: self.featurizer.clone(),
            centre: self.centre.clone(),
            weights: self.weights,
            scope: self.scope,
            head: (classes, features, width),
        })?;
        let mut bytes = (description.len() as u64).to_le_bytes().to_vec();
        bytes.extend(description);
        bytes.extend(weights.iter().flat_map(|weight| weight.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Of bytes; `width` is that of the model's vectors now, 0 without one.
    pub fn from_bytes(bytes: &[u8], width: usize) -> io::Result<Self> {
        let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let (body, checksum) = bytes.split_last_chunk::<4>().ok_or_else(|| damaged("truncated"))?;
        if crc32fast::hash(body).to_le_bytes() != *checksum {
            return Err(damaged("changed"));
        }
        let (length, rest) = body.split_first_chunk::<8>().ok_or_else(|| damaged("truncated"))?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| damaged("truncated"))?;
        let (description, weights) = rest.split_at_checked(length).ok_or_else(|| damaged("truncated"))?;
        let described: Description = serde_json::from_slice(description)?;
        let (classes, features, head_width) = described.head;
        if (described.format, described.text, head_width, described.centre.len())
            != (FORMAT, text::VERSION, width, width)
        {
            return Err(damaged("of another version or model"));
        }
        let weights = weights.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let head =
            Head::from_parts(classes, features, width, weights).ok_or_else(|| damaged("its sizes do not fit"))?;
        if classes != described.entries.len() || features != described.featurizer.count() {
            return Err(damaged("its sizes do not fit"));
        }
        let Description { entries, featurizer, centre, weights, scope, .. } = described;
        Ok(Self { entries, featurizer, head, centre, weights, scope })
    }
}
