//! Decisions.
//!
//! Codes of refusals are stable: `unknown_entry`, `not_allowed`, `invalid`, `unchanged`, `stale`, `unknown_version`,
//! `not_quarantined`.

use super::{
    content::{check, tidied},
    state::State,
};
use crate::aggregate::{Context, Input};
use kefu_events::{
    ActorKind, Refusal, V,
    faq::{EntryContent, FaqCommand, FaqEvent},
};

/// Characters of the remark that a change may carry.
const MAX_COMMENT_CHARS: usize = 1_000;

pub(super) fn decide(state: &State, input: &Input<FaqCommand>, context: &Context) -> Result<Vec<FaqEvent>, Refusal> {
    let Input::Command(header, command) = input else {
        return Err(invalid("an entry takes no messages"));
    };
    let asker = header.actor.kind;
    if !may_ask(asker, command) {
        return Err(Refusal::new("not_allowed", format!("this is not for a {} to ask", asker.as_str())));
    }
    if !state.exists() && !matches!(command, FaqCommand::Draft { .. }) {
        return Err(Refusal::new("unknown_entry", format!("there is no entry {:?}", context.key)));
    }
    let event = match command {
        FaqCommand::Draft { content, comment, .. } => draft(state, content, comment.as_deref())?,
        FaqCommand::Approve { entry_version, .. } => approve(state, *entry_version, &header.actor.id)?,
        FaqCommand::Retire { reason, .. } => retire(state, reason.as_deref())?,
        FaqCommand::Rollback { to, comment, .. } => rollback(state, *to, comment.as_deref())?,
        FaqCommand::GiveFeedback { feedback, conversation, entry_version, .. } => {
            let entry_version = entry_version.or(state.approved);
            if entry_version.is_some_and(|version| version == 0 || version > state.entry_version) {
                return Err(Refusal::new("unknown_version", "the entry has no such version"));
            }
            let (feedback, conversation) = (*feedback, conversation.clone());
            FaqEvent::FeedbackGiven { v: V, feedback, conversation, entry_version }
        }
        // The runtime lifts a quarantine without asking; so there is none.
        FaqCommand::LiftQuarantine { .. } => {
            return Err(Refusal::new("not_quarantined", "this entry is not quarantined"));
        }
    };
    Ok(vec![event])
}

/// Which kinds of actors may ask for what. What a person's role permits is not decided here.
fn may_ask(asker: ActorKind, command: &FaqCommand) -> bool {
    use ActorKind::{Agent, Bot, Scheduler, System};
    let askers: &[ActorKind] = match command {
        // A bot may collect questions from conversations; that they become answers is for people to say.
        FaqCommand::Draft { .. } | FaqCommand::GiveFeedback { .. } => &[Agent, Bot],
        FaqCommand::Approve { .. } | FaqCommand::Retire { .. } | FaqCommand::Rollback { .. } => &[Agent],
        FaqCommand::LiftQuarantine { .. } => &[Agent, Bot, Scheduler],
    };
    asker == System || askers.contains(&asker)
}

fn draft(state: &State, content: &EntryContent, comment: Option<&str>) -> Result<FaqEvent, Refusal> {
    check_comment(comment)?;
    let content = tidied(content.clone());
    check(&content)?;
    match state.newest() {
        None => Ok(FaqEvent::EntryDrafted { v: V, content }),
        Some(newest) if newest.content == content && !state.retired => {
            Err(Refusal::new("unchanged", "the entry says this already"))
        }
        Some(_) => {
            let comment = comment.map(str::to_owned);
            Ok(FaqEvent::EntryEdited { v: V, content, comment, rolled_back_to: None })
        }
    }
}

fn approve(state: &State, looked_at: Option<u64>, reviewer: &str) -> Result<FaqEvent, Refusal> {
    let newest = state.entry_version;
    if let Some(looked_at) = looked_at.filter(|looked_at| *looked_at != newest) {
        let message = format!("version {looked_at} was looked at, but the newest is {newest} by now");
        return Err(Refusal::new("stale", message));
    }
    if state.approved == Some(newest) {
        return Err(Refusal::new("unchanged", format!("version {newest} is approved already")));
    }
    Ok(FaqEvent::EntryApproved { v: V, reviewer: reviewer.to_owned(), entry_version: Some(newest) })
}

fn retire(state: &State, reason: Option<&str>) -> Result<FaqEvent, Refusal> {
    check_comment(reason)?;
    if state.retired {
        return Err(Refusal::new("unchanged", "the entry is retired already"));
    }
    Ok(FaqEvent::EntryRetired { v: V, reason: reason.map(str::to_owned) })
}

fn rollback(state: &State, to: u64, comment: Option<&str>) -> Result<FaqEvent, Refusal> {
    check_comment(comment)?;
    let Some(earlier) = state.version(to) else {
        let known: Vec<String> = state.history.iter().map(|version| version.entry_version.to_string()).collect();
        let message = format!("there is no version {to} to go back to; remembered are {}", known.join(", "));
        return Err(Refusal::new("unknown_version", message));
    };
    if !state.retired && state.newest().is_some_and(|newest| newest.content == earlier.content) {
        return Err(Refusal::new("unchanged", "the entry says this already"));
    }
    let (content, comment) = (earlier.content.clone(), comment.map(str::to_owned));
    Ok(FaqEvent::EntryEdited { v: V, content, comment, rolled_back_to: Some(to) })
}

fn check_comment(comment: Option<&str>) -> Result<(), Refusal> {
    if comment.is_some_and(|comment| comment.chars().count() > MAX_COMMENT_CHARS) {
        return Err(invalid(format!("a comment has at most {MAX_COMMENT_CHARS} characters")));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("invalid", message)
}
