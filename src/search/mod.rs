//! What is looked for by what it says: entries of a knowledge base by words, by meaning, and by what was learned of both.
//!
//! In reading order:
//!
//! - [`text`]: what is done to every text, and its words;
//! - [`lexical`]: the index of words; [`vectors`]: the index of embeddings; [`embed`]: the models that make those;
//! - [`rank`]: from evidence to calibrated probabilities;
//! - [`base`]: one tenant's entries, ready to be asked, kept in a folder;
//! - [`messages`]: all that was ever said.
//!
//! It knows texts and their ids. It may not know of aggregates, events, NATS, RocksDB, or what is done with an answer.

pub mod base;
pub mod embed;
pub mod lexical;
pub mod messages;
pub mod rank;
pub mod text;
pub mod vectors;
