//! stub (not committed)
use super::embed::{EmbedError, ModelIdentity, Role};
use std::path::Path;
pub struct EntryText {
    pub id: String,
    pub entry_version: u64,
    pub question: String,
    pub similar: Vec<String>,
    pub answer: String,
    pub language: Option<String>,
}
pub enum Change {
    Put(EntryText),
    Remove(String),
}
pub struct Base(std::collections::BTreeMap<String, u64>);
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct BaseError;
#[derive(Clone)]
pub struct Reader(usize);
pub struct Found {
    pub entry: String,
    pub entry_version: u64,
    pub probability: f64,
}
pub struct Ranked {
    pub candidates: Vec<Found>,
    pub in_scope: f64,
}
pub struct Question<'a> {
    pub text: &'a str,
    pub earlier: &'a [String],
    pub language: Option<&'a str>,
    pub vector: Option<&'a [f32]>,
}
impl Base {
    pub fn open(_d: &Path, _m: Option<&ModelIdentity>) -> Result<Self, BaseError> {
        Ok(Self(Default::default()))
    }
    pub fn entries(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(a, b)| (a.as_str(), *b))
    }
    pub fn reader(&self) -> Reader {
        Reader(self.0.len())
    }
    pub fn apply(
        &mut self,
        _c: Vec<Change>,
        _e: Option<&dyn Fn(&[&str], Role) -> Result<Vec<Vec<f32>>, EmbedError>>,
    ) -> Result<(), BaseError> {
        Ok(())
    }
    pub fn train(&mut self) -> Result<(), BaseError> {
        Ok(())
    }
}
impl Reader {
    pub fn entries(&self) -> usize {
        self.0
    }
    pub fn text_to_embed(q: &Question<'_>) -> String {
        q.text.to_owned()
    }
    pub fn ask(&self, _q: &Question<'_>) -> Ranked {
        Ranked { candidates: vec![], in_scope: 0.0 }
    }
}
