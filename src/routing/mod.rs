//! Routing rules: where a conversation goes that names no queue, and what is asked of whoever takes it.
//!
//! - [`route`]: the rules of a tenant, read in order, for one conversation as its [`Facts`] show it;
//! - [`expression`]: conditions, in the Common Expression Language; [`bounds`]: what a condition may contain, so that what
//!   reading it costs is known before it is accepted;
//! - [`check`]: whether a document of rules may be set, with the place of what is wrong;
//! - [`hours`]: the tenant's time zone and business hours;
//! - [`memory`]: what was compiled, kept.
//!
//! Pure: the time is an argument. Nothing here knows what a conversation is, who is free, or where settings are stored. The
//! library behind the expressions is named in this folder only.

mod bounds;
mod check;
mod expression;
mod facts;
pub mod hours;
mod memory;
#[cfg(test)]
mod tests;

pub use check::{Wrong, check};
pub use facts::{Facts, VARIABLES};
pub(crate) use memory::Memory;

use kefu_events::{
    conversation::RuleError,
    routing::{RoutingRule, RoutingSettings},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is said about rules that could not be read, at most: the others are wrong in the same way.
const MAX_ERRORS: usize = 5;

/// What the rules say of one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routed {
    /// Names of the rules that decided, in their order; empty if none held.
    pub rules: Vec<String>,
    /// Into which queue, if a rule says so.
    pub queue: Option<String>,
    /// With which priority, if a rule says so.
    pub priority: Option<i32>,
    /// Skill → least proficiency.
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited.
    pub wished: BTreeSet<String>,
    /// Tags that the conversation gets.
    pub tags: BTreeSet<String>,
    /// Fields that are asked for as well.
    pub collect: Vec<String>,
    /// Rules that count as not holding because something was wrong with them.
    pub errors: Vec<RuleError>,
}

impl Routed {
    /// Notes that something was wrong with a rule.
    pub fn wrong(&mut self, rule: &str, error: impl Into<String>) {
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(RuleError { rule: rule.to_owned(), error: error.into() });
        }
    }

    /// Takes in a rule that holds: what an earlier one said stands; requirements add up.
    fn add(&mut self, rule: &RoutingRule) {
        let then = &rule.then;
        self.rules.push(rule.name.clone());
        if self.queue.is_none() {
            self.queue.clone_from(&then.queue);
        }
        self.priority = self.priority.or(then.priority);
        require(&mut self.required, &then.required);
        self.wished.extend(then.wished.iter().cloned());
        self.tags.extend(then.tags.iter().cloned());
        for field in &then.collect {
            if !self.collect.contains(field) {
                self.collect.push(field.clone());
            }
        }
    }
}

/// Adds requirements to others: the higher proficiency holds.
pub fn require(required: &mut BTreeMap<String, u8>, more: &BTreeMap<String, u8>) {
    for (skill, least) in more {
        let known = required.entry(skill.clone()).or_insert(*least);
        *known = (*known).max(*least);
    }
}

/// What the rules say of a conversation.
pub fn route(settings: &RoutingSettings, facts: &Facts) -> Routed {
    let mut routed = Routed::default();
    if settings.rules.is_empty() {
        return routed;
    }
    let variables = expression::Variables::of(facts);
    for rule in &settings.rules {
        match expression::compile(&rule.when).map_err(|wrong| wrong.message).and_then(|when| when.holds(&variables)) {
            Ok(true) => {
                routed.add(rule);
                if !rule.go_on {
                    break;
                }
            }
            Ok(false) => {}
            Err(error) => routed.wrong(&rule.name, error),
        }
    }
    routed
}
