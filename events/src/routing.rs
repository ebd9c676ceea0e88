//! Where conversations go that name no queue, and what is asked of whoever takes them: the settings document `routing`.
//!
//! Rules are read in order; the first whose condition holds decides, unless it says `go_on`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the document that says where conversations go.
pub const ROUTING_DOCUMENT: &str = "routing";

/// Rules that send a conversation to a queue. Without any it goes to the tenant's first queue, with priority 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingSettings {
    /// In the order in which they are read.
    #[schemars(length(max = 100))]
    pub rules: Vec<RoutingRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    /// Its name, for people; no two rules have the same.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// A condition: an expression of the Common Expression Language (CEL) that is true or false. It may use `channel`,
    /// `language`, `text` (what the customer wrote since the session or the last answer), `tags`, `collected`, `sender.id`,
    /// `sender.name`, `metadata`, `session` (its number), `returning` (an agent has served this customer before),
    /// `wants_person` (the customer asked for one), and in the tenant's time zone `hour` (0 to 23), `weekday` (1 to 7,
    /// from Monday), `date` (such as `2026-11-22`) and `open` (whether it is within business hours).
    #[schemars(length(min = 1, max = 1000))]
    pub when: String,
    /// What follows where it holds.
    pub then: RoutingTarget,
    /// Read on: later rules whose conditions hold add what this one leaves open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub go_on: bool,
}

/// What follows where a rule's condition holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingTarget {
    /// Into which queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub queue: Option<String>,
    /// With which priority: larger is served first, 0 is ordinary.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub priority: Option<i32>,
    /// Skill → least proficiency (0 to 5) that an agent must have, beside what the queue requires.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 20))]
    pub required: BTreeMap<String, u8>,
    /// Skills that make an agent better suited, without excluding others.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 20))]
    pub wished: BTreeSet<String>,
    /// Tags that the conversation gets.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 20))]
    pub tags: BTreeSet<String>,
    /// Names of the tenant's `collect` fields that are asked for as well, whenever these say that they are asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub collect: Vec<String>,
}
