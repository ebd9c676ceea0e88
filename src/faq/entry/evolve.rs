//! The state after an event. Never fails and never judges: what is in the log has happened.

use super::state::{Approval, EntryVersion, MAX_HISTORY, MAX_HISTORY_BYTES, State};
use crate::aggregate::CommitMeta;
use kefu_events::faq::{EntryContent, FaqEvent};

pub(super) fn evolve(state: &mut State, commit: &CommitMeta, event: &FaqEvent) {
    match event {
        FaqEvent::EntryDrafted { content, .. } => write(state, commit, content, None, None),
        FaqEvent::EntryEdited { content, comment, rolled_back_to, .. } => {
            write(state, commit, content, comment.as_deref(), *rolled_back_to);
        }
        FaqEvent::EntryApproved { reviewer, entry_version, .. } => {
            let approved = entry_version.unwrap_or(state.entry_version);
            state.approved = Some(approved);
            state.retired = false;
            let approval = Approval { at: commit.at, reviewer: reviewer.clone() };
            if let Some(version) = state.history.iter_mut().find(|version| version.entry_version == approved) {
                version.approval = Some(approval);
            }
        }
        FaqEvent::EntryRetired { .. } => {
            state.approved = None;
            state.retired = true;
        }
        FaqEvent::FeedbackGiven { feedback, entry_version, .. } => {
            if let Some(version) = entry_version.or(state.approved) {
                state.feedback.entry(version).or_default().count(*feedback);
                forget(state);
            }
        }
        FaqEvent::CommandRefused(_) | FaqEvent::Quarantined(_) | FaqEvent::QuarantineLifted(_) => {}
    }
}

fn write(
    state: &mut State,
    commit: &CommitMeta,
    content: &EntryContent,
    comment: Option<&str>,
    rolled_back_to: Option<u64>,
) {
    state.entry_version += 1;
    state.retired = false;
    state.history.push_back(EntryVersion {
        entry_version: state.entry_version,
        at: commit.at,
        by: format!("{}:{}", commit.actor.kind.as_str(), commit.actor.id),
        comment: comment.map(str::to_owned),
        rolled_back_to,
        approval: None,
        content: content.clone(),
    });
    forget(state);
}

/// Forgets the oldest versions beyond the limits, but not the one that answers, and what was said of forgotten ones.
fn forget(state: &mut State) {
    let (approved, newest) = (state.approved, state.entry_version);
    // Cannot fail: no map in it has keys other than strings.
    let size = |version: &EntryVersion| serde_json::to_string(&version.content).map_or(0, |json| json.len());
    let (mut kept, mut bytes) = (0, 0);
    let mut keep: Vec<bool> = Vec::with_capacity(state.history.len());
    for version in state.history.iter().rev() {
        bytes += size(version);
        let fits = kept < MAX_HISTORY && bytes <= MAX_HISTORY_BYTES;
        kept += usize::from(fits);
        keep.push(fits || version.entry_version == newest || Some(version.entry_version) == approved);
    }
    let mut keep = keep.into_iter().rev();
    state.history.retain(|_| keep.next().unwrap_or(true));
    let oldest = state.history.front().map_or(0, |version| version.entry_version);
    state.feedback.retain(|version, _| *version >= oldest);
}
