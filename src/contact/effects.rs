//! What follows from a contact's commit: word to other contacts.

use crate::aggregate::Effect;
use kefu_events::{
    AggregateKind, Commit, Json, V,
    contact::{ContactCommand, ContactDetails, ContactEvent},
};

pub(super) fn effects(commit: &Commit<ContactEvent>) -> Vec<Effect> {
    commit.events.iter().filter_map(|event| effect(commit, event)).collect()
}

fn effect(commit: &Commit<ContactEvent>, event: &ContactEvent) -> Option<Effect> {
    use ContactCommand as Command;
    use ContactEvent as Event;
    let here = || commit.key.clone();
    let (key, command) = match event {
        Event::ContactSeen { identity, name, conversation, passed_to: Some(to), .. } => {
            let attributes = commit.events.iter().find_map(|event| match event {
                Event::AttributesChanged { attributes, .. } => Some(attributes.clone()),
                _ => None,
            });
            let command = Command::See {
                v: V,
                identity: identity.clone(),
                name: name.clone(),
                attributes: attributes.unwrap_or_default(),
                conversation: conversation.clone(),
                via: Some(here()),
            };
            (to, command)
        }
        Event::MergeProposed { to, first_seen, attribute, value, .. } => {
            let (attribute, value) = (attribute.clone(), value.clone());
            (to, Command::ProposeMerge { v: V, from: here(), first_seen: *first_seen, attribute, value })
        }
        Event::MergeInvited { from, rule, .. } => {
            (from, Command::Merge { v: V, into: here(), rule: Some(rule.clone()) })
        }
        Event::Merged { merge, into, details, .. } => (into, absorb(commit, merge, details, 0, false)),
        Event::MergeRedirected { merge, into: to, details, attempt, .. }
        | Event::MergeRetried { merge, with: to, details: Some(details), attempt, .. } => {
            (to, absorb(commit, merge, details, *attempt, false))
        }
        Event::DetailsPassedOn { merge, to, details, .. } => (to, absorb(commit, merge, details, 0, true)),
        Event::MergeUndone { merge, from: to, .. } | Event::MergeRetried { merge, with: to, details: None, .. } => {
            (to, Command::Release { v: V, merge: merge.clone(), from: here() })
        }
        Event::Absorbed { merge, from, again: false, .. } => {
            (from, Command::ConfirmMerge { v: V, merge: merge.clone(), with: here(), merged: true })
        }
        Event::Released { merge, from, .. } => {
            (from, Command::ConfirmMerge { v: V, merge: merge.clone(), with: here(), merged: false })
        }
        Event::AbsorptionDeclined { merge, from, attempt, reason, part_of, .. } => {
            let (merge, reason, part_of) = (merge.clone(), reason.clone(), part_of.clone());
            (from, Command::DeclineMerge { v: V, merge, with: here(), attempt: *attempt, reason, part_of })
        }
        _ => return None,
    };
    Some(Effect::Command { aggregate: AggregateKind::Contact, key: key.clone(), body: Json::of(&command) })
}

fn absorb(
    commit: &Commit<ContactEvent>,
    merge: &str,
    details: &ContactDetails,
    attempt: u32,
    again: bool,
) -> ContactCommand {
    let (merge, from, details) = (merge.to_owned(), commit.key.clone(), details.clone());
    ContactCommand::Absorb { v: V, merge, from, details, attempt, again }
}
