//! What is done to every text before it is searched or looked for, whatever its language.
//!
//! - [`fold`]: compatible forms, case, width, accents, traditional characters: what people do not mean to tell apart;
//! - [`language`]: which language a text is in;
//! - [`words`]: the words of a text: stems in English, words and single characters in Chinese, and the same as a tokenizer of
//!   tantivy;
//! - [`spelling`]: the known word that an unknown one was meant to be;
//! - [`find`]: what somebody types, in a text, and the piece of it to show.
//!
//! Pure and the same everywhere: an index built by one of these must be asked by the same. [`VERSION`] is part of each
//! index's identity.

pub mod find;
pub mod fold;
pub mod language;
pub mod spelling;
pub mod words;

pub use fold::fold;
pub use language::Language;
pub use words::{Analyzer, Word};

/// Counts up whenever the same text gives other words than before: indexes of another version are built anew.
pub const VERSION: u32 = 1;

/// Characters of a text that are looked at. Questions are far shorter; what is longer says what it says in its beginning,
/// and must not cost more than one that just fits.
pub const MAX_CHARS: usize = 4_000;
