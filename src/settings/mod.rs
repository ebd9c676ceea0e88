//! Settings: a tenant's configuration as documents, each an aggregate, so that every change has an author, takes effect
//! without a restart, and can be taken back.
//!
//! - [`document`]: which documents there are. A new kind of document is added there and nowhere else.
//! - [`validate`]: what a document may say. What gets past it is safe to use without looking again: patterns compile,
//!   numbers are in range, texts are short enough to send.
//! - [`effective`]: documents laid over one another, into the [`TenantConfig`](crate::aggregate::TenantConfig) that
//!   decisions get.
//! - [`demo`]: what the demo tenant says;
//! - `webhooks`: what the document of that name may say;
//! - `schema`: what documents may say, for editors and other programs.
//!
//! This folder may not know who reads the configuration, how it reaches them, or where documents are stored.

mod demo;
mod document;
mod effective;
mod schema;
#[cfg(test)]
mod tests;
mod validate;
mod webhooks;

pub use demo::demo_settings;
pub use document::{Document, is_tenant_name};
pub use effective::{effective, merge_patch};
pub use schema::schemas;
pub use validate::{MAX_DOCUMENT_BYTES, compile_pattern, validate};

use crate::aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input};
use kefu_events::{
    AggregateKind, Commit, Refusal, V,
    settings::{DocumentVersion, SettingsCommand, SettingsEvent},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::VecDeque;

/// Versions that a document remembers, to be rolled back to: the last ones. 100 is months of work for a person; older
/// ones are in the log.
pub const MAX_HISTORY: usize = 100;

/// Bytes of JSON that they may have together, so that a hundred large versions do not make every snapshot large.
pub const MAX_HISTORY_BYTES: usize = 1024 * 1024;

/// Characters of the remark that a change may carry.
const MAX_COMMENT_CHARS: usize = 1_000;

/// The aggregate.
#[derive(Debug)]
pub struct Settings;

/// What a document remembers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Its version now: counts changes, not refusals. 0: never set.
    pub document_version: u64,
    /// Its last contents, the present one being the last.
    pub history: VecDeque<DocumentVersion>,
}

impl State {
    /// What it says now; `None` before it is first set.
    pub fn value(&self) -> Option<&Value> {
        self.history.back().map(|version| &version.value)
    }
}

impl Aggregate for Settings {
    const KIND: AggregateKind = AggregateKind::Settings;
    const STATE_VERSION: u32 = 1;

    type State = State;
    type Event = SettingsEvent;
    type Command = SettingsCommand;

    crate::common_events!(SettingsEvent, SettingsCommand);

    fn founds_tenants(key: &str) -> bool {
        key == kefu_events::settings::TENANT_DOCUMENT
    }

    fn decide(state: &State, input: &Input<SettingsCommand>, context: &Context) -> Result<Vec<SettingsEvent>, Refusal> {
        let Input::Command(_, command) = input else {
            return Err(Refusal::new("invalid", "a settings document takes no messages"));
        };
        let (value, comment, rolled_back_to) = match command {
            SettingsCommand::Set { value, merge, comment, .. } => {
                let value = match state.value() {
                    Some(present) if *merge => merge_patch(present.clone(), value),
                    // Laid over nothing, so that the patch's nulls do not become content.
                    None if *merge => merge_patch(Value::Object(serde_json::Map::new()), value),
                    _ => value.clone(),
                };
                (value, comment, None)
            }
            SettingsCommand::Rollback { to, comment, .. } => (earlier(state, *to)?.value.clone(), comment, Some(*to)),
            SettingsCommand::LiftQuarantine { .. } => {
                return Err(Refusal::new("not_quarantined", "this document is not quarantined"));
            }
        };
        if !is_tenant_name(context.tenant) {
            let message = format!("{:?} cannot be a tenant: {}", context.tenant, document::TENANT_NAME_RULE);
            return Err(Refusal::new("invalid_tenant", message));
        }
        if comment.as_ref().is_some_and(|comment| comment.chars().count() > MAX_COMMENT_CHARS) {
            return Err(Refusal::new("invalid", format!("a comment has at most {MAX_COMMENT_CHARS} characters")));
        }
        validate(context.key, &value)?;
        if state.value() == Some(&value) {
            return Err(Refusal::new("unchanged", "the document says this already"));
        }
        Ok(vec![SettingsEvent::DocumentChanged {
            v: V,
            document_version: state.document_version + 1,
            value,
            comment: comment.clone(),
            rolled_back_to,
        }])
    }

    fn evolve(state: &mut State, commit: &CommitMeta, event: &SettingsEvent) {
        if let SettingsEvent::DocumentChanged { document_version, value, comment, .. } = event {
            state.document_version = *document_version;
            state.history.push_back(DocumentVersion {
                document_version: *document_version,
                at: commit.at,
                by: format!("{}:{}", commit.actor.kind.as_str(), commit.actor.id),
                comment: comment.clone(),
                value: value.clone(),
            });
            forget_oldest(&mut state.history);
        }
    }

    fn effects(_: &Commit<SettingsEvent>) -> Vec<Effect> {
        Vec::new()
    }

    fn deadlines(_: &State) -> Vec<Deadline> {
        Vec::new()
    }
}

fn earlier(state: &State, to: u64) -> Result<&DocumentVersion, Refusal> {
    state.history.iter().find(|version| version.document_version == to).ok_or_else(|| {
        let message = match (state.history.front(), state.history.back()) {
            (Some(first), Some(last)) => {
                format!(
                    "there is no version {to} to go back to, only {} to {}",
                    first.document_version, last.document_version
                )
            }
            _ => "this document has never been set".to_owned(),
        };
        Refusal::new("unknown_version", message)
    })
}

fn forget_oldest(history: &mut VecDeque<DocumentVersion>) {
    let size = |version: &DocumentVersion| version.value.to_string().len();
    let mut bytes = 0;
    // From the newest on; the present one stays whatever its size.
    let kept = history.iter().rev().take(MAX_HISTORY).take_while(|version| {
        let first = bytes == 0;
        bytes += size(version);
        first || bytes <= MAX_HISTORY_BYTES
    });
    let kept = kept.count();
    history.drain(..history.len() - kept);
}
