//! What is looked for by what it says: texts, vectors, and the indexes over them.
//!
//! - [`text`]: what is done to every text: folding, words, spelling, which language it is in;
//! - [`embed`]: texts as vectors, by models here or elsewhere;
//! - [`lexical`] and [`vectors`]: what shares words with a question, what is near to it;
//! - [`messages`]: all that was ever said.
//!
//! tantivy, usearch and the models are known here only. This folder may not know where texts come from, nor what is done
//! with what is found.

pub mod base;
pub mod embed;
pub mod lexical;
pub mod messages;
pub mod rank;
pub mod text;
pub mod vectors;
