//! Decisions about what is known of a person. Merges are decided in `merge.rs`.

use super::{
    merge,
    state::{MAX_ATTRIBUTE_BYTES, MAX_ATTRIBUTE_NAME_CHARS, MAX_ATTRIBUTES, MAX_NAME_CHARS, MAX_TAGS, State},
};
use crate::aggregate::{CommitMeta, Context, Input};
use kefu_events::{
    Actor, ActorKind, Refusal, V,
    contact::{ContactCommand, ContactEvent, Identity},
    key::{contact_key, is_token},
};
use serde_json::{Map, Value};

const MAX_TAG_CHARS: usize = 100;

/// A decision under way: the state as it is after the events made so far, and those events.
pub(super) struct Step<'a> {
    pub state: State,
    pub context: &'a Context<'a>,
    meta: CommitMeta,
    events: Vec<ContactEvent>,
}

impl Step<'_> {
    /// Makes an event and takes it in.
    pub fn emit(&mut self, event: ContactEvent) {
        super::evolve::evolve(&mut self.state, &self.meta, &event);
        self.events.push(event);
    }
}

pub(super) fn decide(
    state: &State,
    input: &Input<ContactCommand>,
    context: &Context,
) -> Result<Vec<ContactEvent>, Refusal> {
    let Input::Command(header, command) = input else {
        return Err(invalid("a contact takes no messages"));
    };
    if !may_ask(header.actor.kind, command) {
        return Err(Refusal::new("not_allowed", format!("this is not for a {} to ask", header.actor.kind.as_str())));
    }
    let meta = CommitMeta {
        at: context.now,
        actor: Actor::clone(&header.actor),
        version: context.version + 1,
        key: context.key.to_owned(),
        commit_id: context.commit_id.to_owned(),
    };
    let asked = merge::look_ups(state, input, context.settings);
    let mut step = Step { state: state.clone(), context, meta, events: Vec::new() };
    carry_out(&mut step, command)?;
    merge::propose(&mut step, &asked);
    Ok(step.events)
}

fn may_ask(asker: ActorKind, command: &ContactCommand) -> bool {
    use ActorKind::{Agent, Bot, Scheduler, System, Timer};
    use ContactCommand as Command;
    let askers: &[ActorKind] = match command {
        Command::SetAttributes { .. } | Command::Tag { .. } | Command::Untag { .. } => &[Agent, Bot, Scheduler],
        Command::Merge { .. } | Command::Unmerge { .. } => &[Agent],
        Command::TimerFired { .. } => &[Timer],
        Command::LiftQuarantine { .. } => &[Agent, Bot, Scheduler],
        // Aggregates ask each other.
        Command::See { .. }
        | Command::ProposeMerge { .. }
        | Command::Absorb { .. }
        | Command::Release { .. }
        | Command::ConfirmMerge { .. }
        | Command::DeclineMerge { .. } => &[],
    };
    asker == System || askers.contains(&asker)
}

/// The keys of other aggregates that a command names: effects go there, so they must be keys.
fn named(command: &ContactCommand) -> Vec<&str> {
    use ContactCommand as Command;
    match command {
        Command::See { conversation, via, .. } => via.iter().chain([conversation]).map(String::as_str).collect(),
        Command::Merge { into: other, .. }
        | Command::ProposeMerge { from: other, .. }
        | Command::Absorb { from: other, .. }
        | Command::Release { from: other, .. }
        | Command::ConfirmMerge { with: other, .. } => vec![other],
        Command::DeclineMerge { with, part_of, .. } => part_of.iter().chain([with]).map(String::as_str).collect(),
        Command::SetAttributes { .. }
        | Command::Tag { .. }
        | Command::Untag { .. }
        | Command::Unmerge { .. }
        | Command::TimerFired { .. }
        | Command::LiftQuarantine { .. } => Vec::new(),
    }
}

fn carry_out(step: &mut Step, command: &ContactCommand) -> Result<(), Refusal> {
    use ContactCommand as Command;
    if let Some(wrong) = named(command).into_iter().find(|key| !is_token(key)) {
        return Err(invalid(format!("{wrong:?} is no key")));
    }
    match command {
        Command::See { identity, name, attributes, conversation, via, .. } => {
            see(step, identity, name.as_deref(), attributes, conversation, via.as_deref())
        }
        Command::SetAttributes { attributes, .. } => set_attributes(step, attributes),
        Command::Tag { tags, .. } => tag(step, tags),
        Command::Untag { tags, .. } => untag(step, tags),
        Command::Merge { into, rule, .. } => merge::merge(step, into, rule.as_deref()),
        Command::Unmerge { .. } => merge::unmerge(step),
        Command::ProposeMerge { from, first_seen, attribute, value, .. } => {
            merge::proposed(step, from, *first_seen, attribute, value)
        }
        Command::Absorb { merge, from, details, attempt, again, .. } => {
            merge::absorb(step, merge, from, details, *attempt, *again)
        }
        Command::Release { merge, from, .. } => {
            merge::release(step, merge, from);
            Ok(())
        }
        Command::ConfirmMerge { merge, with, merged, .. } => merge::confirmed(step, merge, with, *merged),
        Command::DeclineMerge { merge, with, attempt, reason, part_of, .. } => {
            merge::declined(step, merge, with, *attempt, reason, part_of.as_deref())
        }
        Command::TimerFired { timer, due, .. } => merge::timer_fired(step, timer, *due),
        // The runtime lifts a quarantine without asking; so there is none.
        Command::LiftQuarantine { .. } => Err(Refusal::new("not_quarantined", "this contact is not quarantined")),
    }
}

/// The person wrote. What a channel says is never refused for its size: what does not fit is passed over.
fn see(
    step: &mut Step,
    identity: &Identity,
    name: Option<&str>,
    attributes: &Map<String, Value>,
    conversation: &str,
    via: Option<&str>,
) -> Result<(), Refusal> {
    if via.is_none() && contact_key(&identity.channel, &identity.id) != step.context.key {
        return Err(invalid("this identity belongs to another contact"));
    }
    let Some(known) = step.state.known_by(via) else {
        return Err(Refusal::new("obsolete", "that contact is not part of this one any more"));
    };
    let mut room = MAX_ATTRIBUTES.saturating_sub(known.attributes.len());
    let mut news = Map::new();
    for (attribute, value) in attributes {
        let known = known.attributes.get(attribute);
        let is_news = !value.is_null() && known != Some(value) && check_attribute(attribute, value).is_ok();
        if is_news && (known.is_some() || room > 0) {
            room -= usize::from(known.is_none());
            news.insert(attribute.clone(), value.clone());
        }
    }
    let via = via.map(str::to_owned);
    step.emit(ContactEvent::ContactSeen {
        v: V,
        identity: identity.clone(),
        name: name.map(|name| name.chars().take(MAX_NAME_CHARS).collect()),
        conversation: conversation.to_owned(),
        via: via.clone(),
        passed_to: step.state.part_of.as_ref().map(|part_of| part_of.into.clone()),
    });
    if !step.state.knows(identity, via.as_deref()) {
        step.emit(ContactEvent::IdentityLinked { v: V, identity: identity.clone(), via: via.clone() });
    }
    if !news.is_empty() {
        step.emit(ContactEvent::AttributesChanged { v: V, attributes: news, via });
    }
    Ok(())
}

fn set_attributes(step: &mut Step, attributes: &Map<String, Value>) -> Result<(), Refusal> {
    only_a_survivor(step)?;
    let mut changes = Map::new();
    for (name, value) in attributes {
        check_attribute(name, value)?;
        let known = step.state.attribute(name);
        let changed = if value.is_null() { known.is_some() } else { known != Some(value) };
        if changed {
            changes.insert(name.clone(), value.clone());
        }
    }
    if changes.is_empty() {
        return Err(Refusal::new("unchanged", "the contact has these attributes already"));
    }
    let own = &step.state.own.attributes;
    let added = changes.iter().filter(|(name, value)| !value.is_null() && !own.contains_key(*name)).count();
    if own.len() + added > MAX_ATTRIBUTES {
        return Err(invalid(format!("a contact has at most {MAX_ATTRIBUTES} attributes")));
    }
    step.emit(ContactEvent::AttributesChanged { v: V, attributes: changes, via: None });
    Ok(())
}

fn tag(step: &mut Step, tags: &[String]) -> Result<(), Refusal> {
    only_a_survivor(step)?;
    let mut new: Vec<String> = Vec::new();
    for tag in tags {
        if tag.trim().is_empty() || tag.chars().count() > MAX_TAG_CHARS {
            return Err(invalid(format!("a tag has 1 to {MAX_TAG_CHARS} characters")));
        }
        if !step.state.has_tag(tag) && !new.contains(tag) {
            new.push(tag.clone());
        }
    }
    if new.is_empty() {
        return Err(Refusal::new("unchanged", "the contact has these tags already"));
    }
    if step.state.own.tags.len() + new.len() > MAX_TAGS {
        return Err(invalid(format!("a contact has at most {MAX_TAGS} tags")));
    }
    step.emit(ContactEvent::Tagged { v: V, tags: new });
    Ok(())
}

fn untag(step: &mut Step, tags: &[String]) -> Result<(), Refusal> {
    only_a_survivor(step)?;
    let mut gone: Vec<String> = Vec::new();
    for tag in tags {
        if step.state.has_tag(tag) && !gone.contains(tag) {
            gone.push(tag.clone());
        }
    }
    if gone.is_empty() {
        return Err(Refusal::new("unchanged", "the contact has none of these tags"));
    }
    step.emit(ContactEvent::Untagged { v: V, tags: gone });
    Ok(())
}

/// What people write about a person is written where it is read: at the contact that the others are part of.
fn only_a_survivor(step: &Step) -> Result<(), Refusal> {
    if !step.state.exists() {
        return Err(Refusal::new("not_found", "nobody has seen this contact yet"));
    }
    match &step.state.part_of {
        Some(part_of) => Err(Refusal::new("merged", format!("this contact is part of {}: ask that one", part_of.into))),
        None => Ok(()),
    }
}

fn check_attribute(name: &str, value: &Value) -> Result<(), Refusal> {
    if name.trim().is_empty() || name.chars().count() > MAX_ATTRIBUTE_NAME_CHARS {
        return Err(invalid(format!("an attribute's name has 1 to {MAX_ATTRIBUTE_NAME_CHARS} characters")));
    }
    if value.to_string().len() > MAX_ATTRIBUTE_BYTES {
        return Err(invalid(format!("{name}: a value has at most {MAX_ATTRIBUTE_BYTES} bytes of JSON")));
    }
    Ok(())
}

pub(super) fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new("invalid", message)
}
