//! The knowledge base: what an answer is, who approved it, and which one a question gets.
//!
//! - [`entry`]: the FAQ entry, an aggregate: drafts, approval, versions, feedback; pure.
//! - [`answer`]: what a customer gets to a question, given what was found; pure;
//! - [`eval`]: how good the answers would be, on files of questions;
//! - [`files`]: entries in JSON Lines, CSV and spreadsheets;
//! - [`llm`]: answers that a language model words from entries, checked against them; off by default.
//!
//! What finds entries — indexes, models — is [`search`](crate::search); what runs all of it on a node is
//! [`answering`](crate::answering). This folder may not know NATS, RocksDB or how a vector is made.

pub mod answer;
pub mod entry;
pub mod eval;
pub mod files;
pub mod llm;
