//! The state after an event. Never fails: what is in the log has happened.

use super::state::{Absorbed, MAX_APART, PartOf, Pending, State, Undoing};
use crate::aggregate::CommitMeta;
use kefu_events::contact::{ContactDetails, ContactEvent};
use serde_json::{Map, Value};

pub(super) fn evolve(state: &mut State, commit: &CommitMeta, event: &ContactEvent) {
    use ContactEvent as Event;
    match event {
        Event::ContactSeen { name, via, .. } => {
            state.first_seen.get_or_insert(commit.at);
            state.last_seen = Some(commit.at);
            if let (Some(details), Some(name)) = (state.known_by_mut(via.as_deref()), name) {
                details.name = Some(name.clone());
            }
        }
        Event::IdentityLinked { identity, via, .. } => {
            if let Some(details) = state.known_by_mut(via.as_deref()) {
                details.identities.push(identity.clone());
            }
        }
        Event::AttributesChanged { attributes, via, .. } => change(state, attributes, via.as_deref()),
        Event::Tagged { tags, .. } => state.own.tags.extend(tags.iter().cloned()),
        Event::Untagged { tags, .. } => {
            each_mut(state).for_each(|details| details.tags.retain(|tag| !tags.contains(tag)))
        }
        Event::Merged { merge, into, rule, deadline, .. } => {
            let pending = Some(Pending { deadline: *deadline, attempt: 0 });
            let (merge, into, rule) = (merge.clone(), into.clone(), rule.clone());
            state.apart.retain(|apart| *apart != into);
            state.part_of = Some(PartOf { merge, into, hops: 0, rule, pending });
        }
        Event::MergeRedirected { into, hops, attempt, deadline, .. } => {
            if let Some(part_of) = &mut state.part_of {
                part_of.into.clone_from(into);
                part_of.hops = *hops;
                part_of.pending = Some(Pending { deadline: *deadline, attempt: *attempt });
            }
        }
        Event::MergeFailed { .. } => state.part_of = None,
        Event::MergeUndone { merge, from, deadline, .. } => {
            let pending = Pending { deadline: *deadline, attempt: 0 };
            state.part_of = None;
            state.undoing = Some(Undoing { merge: merge.clone(), from: from.clone(), pending });
            keep_apart(state, from);
        }
        Event::MergeConfirmed { merged: true, .. } => {
            if let Some(part_of) = &mut state.part_of {
                part_of.pending = None;
            }
        }
        Event::MergeConfirmed { merged: false, .. } => state.undoing = None,
        Event::MergeRetried { attempt, deadline, .. } => {
            let merging = state.part_of.as_mut().and_then(|part_of| part_of.pending.as_mut());
            let undoing = state.undoing.as_mut().map(|undoing| &mut undoing.pending);
            if let Some(pending) = merging.or(undoing) {
                *pending = Pending { deadline: *deadline, attempt: *attempt };
            }
        }
        Event::Absorbed { merge, from, details, again, .. } => absorb(state, merge, from, details, *again),
        Event::Released { merge, from, .. } => {
            state.absorbed.retain(|absorbed| absorbed.from != *from || absorbed.merge != *merge);
            keep_apart(state, from);
        }
        Event::MergeProposed { .. }
        | Event::MergeInvited { .. }
        | Event::AbsorptionDeclined { .. }
        | Event::DetailsPassedOn { .. }
        | Event::CommandRefused(_)
        | Event::Quarantined(_)
        | Event::QuarantineLifted(_) => {}
    }
}

fn change(state: &mut State, attributes: &Map<String, Value>, via: Option<&str>) {
    for (name, value) in attributes {
        if value.is_null() && via.is_none() {
            // Removed is removed, whoever brought it.
            each_mut(state).for_each(|details| {
                details.attributes.remove(name);
            });
        } else if let Some(details) = state.known_by_mut(via) {
            details.attributes.insert(name.clone(), value.clone());
        }
    }
}

fn absorb(state: &mut State, merge: &str, from: &str, details: &ContactDetails, again: bool) {
    state.apart.retain(|apart| apart != from);
    match state.absorbed.iter_mut().find(|absorbed| absorbed.from == from) {
        // A repetition brings nothing that was not there, and must not bring back what was removed since.
        Some(known) if known.merge == merge && !again => {}
        Some(known) => *known = Absorbed { from: from.to_owned(), merge: merge.to_owned(), details: details.clone() },
        None => {
            let (from, merge) = (from.to_owned(), merge.to_owned());
            state.absorbed.push(Absorbed { from, merge, details: details.clone() });
        }
    }
}

fn keep_apart(state: &mut State, from: &str) {
    state.apart.retain(|apart| apart != from);
    if state.apart.len() == MAX_APART {
        state.apart.pop_front();
    }
    state.apart.push_back(from.to_owned());
}

fn each_mut(state: &mut State) -> impl Iterator<Item = &mut ContactDetails> {
    std::iter::once(&mut state.own).chain(state.absorbed.iter_mut().map(|absorbed| &mut absorbed.details))
}
