//! Answers that a language model words, from entries of the knowledge base and from nothing else.
//!
//! A question goes through these, in this order: [`budget`] and [`breaker`] (may the model be asked now?), [`mask`] (personal
//! data out), [`prompt`] (what is asked), `client` (the request), [`grounding`] (does the answer say what its sources say?),
//! [`mask`] again (personal data in). All but the request are pure. Whatever goes wrong anywhere, the outcome says so, and the
//! caller gives the plain entry: nothing here is needed for a customer to get an answer.
//!
//! It may not know where entries come from, which one fits best, or what becomes of an answer.

pub mod breaker;
pub mod budget;
mod client;
mod facts;
pub mod grounding;
pub mod mask;
pub mod prompt;
pub mod settings;

mod answerer;

pub use answerer::{Answerer, LlmCounts};
pub use budget::Usage;
pub use grounding::{Refusal, SourceRef};
pub use settings::LlmSettings;

use crate::http::Fault;

/// An approved entry, as customers may see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceEntry {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: u64,
    /// The question it answers.
    pub question: String,
    /// The answer, its variables filled in.
    pub answer: String,
}

/// Who said something earlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The customer.
    Customer,
    /// The bot or an agent.
    Us,
}

/// Something that was said earlier in the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn<'a> {
    /// By whom.
    pub speaker: Speaker,
    /// What.
    pub text: &'a str,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question<'a> {
    /// The customer's text.
    pub text: &'a str,
    /// What was said before, oldest first.
    pub context: &'a [Turn<'a>],
    /// What the contact is called, to be masked.
    pub names: &'a [&'a str],
}

/// What became of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum LlmOutcome {
    /// An answer that rests on its sources.
    Answered {
        /// For the customer.
        text: String,
        /// The entries it cites, at least one.
        sources: Vec<SourceRef>,
        /// What it used.
        usage: Usage,
    },
    /// The model wrote something that is not used.
    Refused {
        /// Why.
        reason: Refusal,
        /// What it used.
        usage: Usage,
    },
    /// The model was not asked.
    Skipped(Skipped),
    /// The model was asked and did not answer.
    Failed(Fault),
}

/// Why a model was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// It is not enabled.
    #[error("answers by a model are off")]
    Off,
    /// There is nothing to answer from.
    #[error("there are no entries to answer from")]
    NoEntries,
    /// As many requests as allowed are under way.
    #[error("too many requests to the model are under way")]
    Busy,
    /// It failed again and again, and is left alone.
    #[error("the model is left alone after failures")]
    Resting,
    /// The day's budget is used up.
    #[error(transparent)]
    OverBudget(#[from] budget::OverBudget),
}
