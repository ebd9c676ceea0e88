//! What figures are: measures that commits add to, and definitions of what is computed from them. Pure.
//!
//! In reading order:
//!
//! - `measure`: what is counted and timed, each under a number that stands in stored cells;
//! - `metrics`: every figure with its formula, version and edge cases; `definition`: what that consists of;
//! - `session`, `conversation`, `agent`, `faq`: what commits add to the measures, and when it counts;
//! - `rules`: what a tenant's settings say about it;
//! - `slice`: what figures are broken down by; `cell`, `sketch`: what is stored; `ledger`: by minute, hour and day.
//!
//! A measure counts at a moment, under everything that is known of what it counts. Cells are added up in any order, which is why late
//! and corrected events (a rating, a return of the customer) simply add to the moment that they belong to.
//!
//! To add a figure that existing measures are enough for, add a definition. One that needs another measure takes a new number,
//! something that counts it, and a new version of the rollup, which is then built over the whole log beside the old one.
//!
//! It may not know where cells are stored, nor where commits come from.

mod agent;
mod cell;
mod conversation;
mod definition;
mod ledger;
mod measure;
mod metrics;
mod rules;
mod session;
mod sketch;
mod slice;
#[cfg(test)]
mod tests;

pub use agent::{AgentFold, Uncounted};
pub use cell::{Cell, Times};
pub use conversation::Category;
pub use definition::{Formula, Metric, Term, Unit, Whose};
pub use ledger::{Ledger, Level, Place, cell_key, cell_prefix, date_of, minute_of, number_of, parse_cell_key};
pub use measure::{Count, Timing};
pub use metrics::{METRICS, metric};
pub use rules::Rules;
pub use session::{Answer, ConversationFold, Session, Stint, Wait};
pub use sketch::{RELATIVE_ERROR, Sketch};
pub use slice::{Dimension, Slices};

use kefu_events::{
    Commit, Timestamp,
    faq::{FaqEvent, Feedback},
};

/// Where what is counted goes.
pub trait Sink {
    /// Adds to a count at a moment.
    fn count(&mut self, at: Timestamp, measure: Count, by: i64, slices: Slices<'_>);

    /// Adds a duration, in milliseconds, at a moment.
    fn time(&mut self, at: Timestamp, measure: Timing, ms: u64, slices: Slices<'_>);
}

/// What the commits of an entry of the knowledge base add, the entry being of this category.
pub fn fold_entry(commit: &Commit<FaqEvent>, category: Option<&str>, sink: &mut dyn Sink) {
    use kefu_events::ActorKind;
    for event in &commit.events {
        let FaqEvent::FeedbackGiven { feedback, .. } = event else { continue };
        let measure = match feedback {
            Feedback::Adopted => Count::SuggestionsAdopted,
            Feedback::Edited => Count::SuggestionsEdited,
            Feedback::Rejected => Count::SuggestionsRejected,
            _ => continue,
        };
        let agent = Some(commit.actor.id.as_str()).filter(|_| commit.actor.kind == ActorKind::Agent);
        let slices = Slices { agent, intent: category, entry: Some(&commit.key), ..Slices::default() };
        sink.count(commit.at, measure, 1, slices);
    }
}
