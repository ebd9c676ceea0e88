//! Merging and separating. How it works, and why it cannot go in circles, is in the folder's text.

use super::{
    decide::{Step, invalid},
    state::{MAX_ABSORBED, Pending, State, as_text},
    timer,
};
use crate::aggregate::{Input, LookUp, TenantConfig};
use kefu_events::{
    Refusal, Timestamp, V,
    contact::{ContactCommand, ContactDetails, ContactEvent},
};

/// Seconds after which an unconfirmed merge is asked for again the first time. A confirmation takes milliseconds while
/// everything is up; this is for when it is not.
const RETRY_AFTER_S: i64 = 30;
/// The interval doubles up to this.
const MAX_RETRY_AFTER_S: i64 = 3_600;
/// Redirections of one merge. Each needs a contact that was merged a moment ago.
const MAX_HOPS: u32 = 8;
/// Contacts that one change of an attribute is compared with. More than a few mean that the attribute names nobody
/// (`phone: unknown`), and the rest is found when they change.
const MAX_PROPOSALS: usize = 5;

/// What a rule needs to know: who else has the attribute's new value?
pub(super) fn look_ups(state: &State, input: &Input<ContactCommand>, settings: &TenantConfig) -> Vec<LookUp> {
    let rules = &settings.tenant.merge_contacts_by;
    if rules.is_empty() || state.part_of.is_some() || state.undoing.is_some() {
        return Vec::new();
    }
    let attributes = match input {
        Input::Command(
            _,
            ContactCommand::See { attributes, .. } | ContactCommand::SetAttributes { attributes, .. },
        ) => attributes,
        _ => return Vec::new(),
    };
    let changed = rules.iter().filter_map(|rule| {
        let value = attributes.get(rule)?;
        let is_news = state.attribute(rule) != Some(value);
        as_text(value).filter(|_| is_news).map(|value| LookUp::ContactsByAttribute { name: rule.clone(), value })
    });
    changed.collect()
}

/// Proposes a merge to whom the rules found.
pub(super) fn propose(step: &mut Step, asked: &[LookUp]) {
    let Some(first_seen) = step.state.first_seen.filter(|_| step.state.part_of.is_none()) else { return };
    let mut proposals: Vec<(String, String, String)> = Vec::new();
    for (look_up, found) in asked.iter().zip(step.context.found) {
        let LookUp::ContactsByAttribute { name, value } = look_up else { continue };
        for other in found {
            let known = step.state.absorbed.iter().any(|absorbed| absorbed.from == *other)
                || step.state.apart.contains(other)
                || proposals.iter().any(|(to, ..)| to == other);
            // As the contact has it after this decision: a value that did not fit was passed over.
            let has = step.state.attribute(name).and_then(as_text).as_ref() == Some(value);
            if other != step.context.key && !known && has && proposals.len() < MAX_PROPOSALS {
                proposals.push((other.clone(), name.clone(), value.clone()));
            }
        }
    }
    for (to, attribute, value) in proposals {
        step.emit(ContactEvent::MergeProposed { v: V, to, first_seen, attribute, value });
    }
}

/// Another contact found this one by a rule: the newer of the two becomes part of the older.
pub(super) fn proposed(
    step: &mut Step,
    from: &str,
    first_seen: Timestamp,
    attribute: &str,
    value: &str,
) -> Result<(), Refusal> {
    let mine = free_to_merge(step, from)?;
    if !step.context.settings.tenant.merge_contacts_by.iter().any(|rule| rule == attribute) {
        return Err(Refusal::new("obsolete", format!("no rule merges contacts by {attribute} any more")));
    }
    if step.state.attribute(attribute).and_then(as_text).as_deref() != Some(value) {
        return Err(Refusal::new("obsolete", format!("this contact's {attribute} is another one")));
    }
    check_apart(step, from, Some(attribute))?;
    if (mine, step.context.key) < (first_seen, from) {
        step.emit(ContactEvent::MergeInvited { v: V, from: from.to_owned(), rule: attribute.to_owned() });
    } else {
        begin(step, from, Some(attribute));
    }
    Ok(())
}

pub(super) fn merge(step: &mut Step, into: &str, rule: Option<&str>) -> Result<(), Refusal> {
    free_to_merge(step, into)?;
    check_apart(step, into, rule)?;
    begin(step, into, rule);
    Ok(())
}

/// Refuses what cannot be merged with `other`; since when this contact has been known.
fn free_to_merge(step: &Step, other: &str) -> Result<Timestamp, Refusal> {
    if other == step.context.key {
        return Err(invalid("a contact is merged with another contact, named by its key"));
    }
    let Some(first_seen) = step.state.first_seen else {
        return Err(Refusal::new("not_found", "nobody has seen this contact yet"));
    };
    if let Some(part_of) = &step.state.part_of {
        return Err(Refusal::new("already_merged", format!("this contact is part of {}", part_of.into)));
    }
    if let Some(undoing) = &step.state.undoing {
        return Err(Refusal::new("busy", format!("this contact is just being separated from {}", undoing.from)));
    }
    if step.state.absorbed.iter().any(|absorbed| absorbed.from == other) {
        return Err(Refusal::new("already_merged", format!("{other} is part of this contact")));
    }
    Ok(first_seen)
}

fn check_apart(step: &Step, other: &str, rule: Option<&str>) -> Result<(), Refusal> {
    if rule.is_some() && step.state.apart.iter().any(|apart| apart == other) {
        return Err(Refusal::new("kept_apart", "a person separated these contacts, so no rule merges them"));
    }
    Ok(())
}

fn begin(step: &mut Step, into: &str, rule: Option<&str>) {
    step.emit(ContactEvent::Merged {
        v: V,
        merge: format!("{}-1", step.context.commit_id),
        into: into.to_owned(),
        details: step.state.details(),
        rule: rule.map(str::to_owned),
        deadline: retry_at(step, 0),
    });
}

pub(super) fn unmerge(step: &mut Step) -> Result<(), Refusal> {
    let Some(part_of) = &step.state.part_of else {
        return Err(Refusal::new("wrong_state", "this contact is not part of another"));
    };
    let (merge, from) = (part_of.merge.clone(), part_of.into.clone());
    step.emit(ContactEvent::MergeUndone { v: V, merge, from, deadline: retry_at(step, 0) });
    Ok(())
}

pub(super) fn absorb(
    step: &mut Step,
    merge: &str,
    from: &str,
    details: &ContactDetails,
    attempt: u32,
    again: bool,
) -> Result<(), Refusal> {
    let has = step.state.absorbed.iter().any(|absorbed| absorbed.from == from && absorbed.merge == merge);
    if again && !has {
        return Err(Refusal::new("obsolete", "that contact is not part of this one any more"));
    }
    let obstacle = match &step.state.part_of {
        _ if has => None,
        _ if !step.state.exists() => Some(("not_found", None)),
        Some(part_of) => Some(("part_of", Some(part_of.into.clone()))),
        None if step.state.absorbed.len() >= MAX_ABSORBED => Some(("too_many", None)),
        None => None,
    };
    let (merge, from) = (merge.to_owned(), from.to_owned());
    match obstacle {
        Some((reason, part_of)) => {
            let reason = reason.to_owned();
            step.emit(ContactEvent::AbsorptionDeclined { v: V, merge, from, attempt, reason, part_of });
        }
        None => {
            step.emit(ContactEvent::Absorbed { v: V, merge, from, details: details.clone(), again });
            pass_on(step);
        }
    }
    Ok(())
}

/// Gives back what `from` brought. If it has brought nothing, it still wants to hear so.
pub(super) fn release(step: &mut Step, merge: &str, from: &str) {
    let has = step.state.absorbed.iter().any(|absorbed| absorbed.from == from && absorbed.merge == merge);
    step.emit(ContactEvent::Released { v: V, merge: merge.to_owned(), from: from.to_owned() });
    if has {
        pass_on(step);
    }
}

/// What this contact brings has changed: the one that it is part of must know.
fn pass_on(step: &mut Step) {
    if let Some(part_of) = &step.state.part_of {
        let (merge, to) = (part_of.merge.clone(), part_of.into.clone());
        step.emit(ContactEvent::DetailsPassedOn { v: V, merge, to, details: step.state.details() });
    }
}

pub(super) fn confirmed(step: &mut Step, merge: &str, with: &str, merged: bool) -> Result<(), Refusal> {
    let waits = if merged {
        awaited(&step.state, merge, with)
    } else {
        step.state.undoing.as_ref().is_some_and(|undoing| undoing.merge == merge && undoing.from == with)
    };
    if !waits {
        return Err(Refusal::new("obsolete", "nothing waits for this confirmation"));
    }
    step.emit(ContactEvent::MergeConfirmed { v: V, merge: merge.to_owned(), with: with.to_owned(), merged });
    Ok(())
}

pub(super) fn declined(
    step: &mut Step,
    merge: &str,
    with: &str,
    attempt: u32,
    reason: &str,
    part_of: Option<&str>,
) -> Result<(), Refusal> {
    // A yes is for good, so that any will do; a no may have been followed by a yes to a later request.
    let pending = step.state.part_of.as_ref().and_then(|part_of| part_of.pending);
    if !awaited(&step.state, merge, with) || pending.is_none_or(|pending| pending.attempt != attempt) {
        return Err(Refusal::new("obsolete", "nothing waits for this answer"));
    }
    let (hops, rule) = step.state.part_of.as_ref().map_or((0, None), |part_of| (part_of.hops, part_of.rule.clone()));
    let attempt = attempt.saturating_add(1);
    let fails = match part_of {
        None => Some(reason),
        Some(into) if into == step.context.key => Some("circular"),
        Some(_) if hops >= MAX_HOPS => Some("too_far"),
        Some(into) => check_apart(step, into, rule.as_deref()).is_err().then_some("kept_apart"),
    };
    let merge = merge.to_owned();
    match (fails, part_of) {
        (None, Some(into)) => step.emit(ContactEvent::MergeRedirected {
            v: V,
            merge,
            into: into.to_owned(),
            hops: hops + 1,
            attempt,
            details: step.state.details(),
            deadline: retry_at(step, attempt),
        }),
        (reason, _) => step.emit(ContactEvent::MergeFailed {
            v: V,
            merge,
            with: with.to_owned(),
            reason: reason.unwrap_or_default().to_owned(),
        }),
    }
    Ok(())
}

pub(super) fn timer_fired(step: &mut Step, named: &str, due: Timestamp) -> Result<(), Refusal> {
    let obsolete = || Refusal::new("obsolete", format!("nothing waits for {named} at {due}"));
    let merging = step.state.part_of.as_ref().and_then(|part_of| {
        part_of.pending.map(|pending| (part_of.merge.clone(), part_of.into.clone(), pending, true))
    });
    let undoing = step
        .state
        .undoing
        .as_ref()
        .map(|undoing| (undoing.merge.clone(), undoing.from.clone(), undoing.pending, false));
    let Some((merge, with, Pending { deadline, attempt }, merged)) = merging.or(undoing) else {
        return Err(obsolete());
    };
    if named != timer::MERGE || deadline != due {
        return Err(obsolete());
    }
    let attempt = attempt.saturating_add(1);
    step.emit(ContactEvent::MergeRetried {
        v: V,
        merge,
        with,
        details: merged.then(|| step.state.details()),
        attempt,
        deadline: retry_at(step, attempt),
    });
    Ok(())
}

fn awaited(state: &State, merge: &str, with: &str) -> bool {
    state
        .part_of
        .as_ref()
        .is_some_and(|part_of| part_of.pending.is_some() && part_of.merge == merge && part_of.into == with)
}

fn retry_at(step: &Step, attempt: u32) -> Timestamp {
    let doubled = RETRY_AFTER_S.saturating_mul(1 << attempt.min(16));
    step.context.now.plus_seconds(doubled.min(MAX_RETRY_AFTER_S))
}
