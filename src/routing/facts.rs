//! What conditions may ask about.

use super::hours::LocalTime;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The names that a condition may use.
pub const VARIABLES: [&str; 14] = [
    "channel",
    "language",
    "text",
    "tags",
    "collected",
    "sender",
    "metadata",
    "session",
    "returning",
    "wants_person",
    "hour",
    "weekday",
    "date",
    "open",
];

/// One conversation, as conditions see it. What is not known is an empty text.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts<'a> {
    /// The channel's name.
    pub channel: &'a str,
    /// The customer's language, where the channel says it.
    pub language: &'a str,
    /// What the customer wrote since the session began, or since the last answer.
    pub text: &'a str,
    /// Tags of the thread.
    pub tags: &'a [String],
    /// What the customer was asked for and gave.
    pub collected: BTreeMap<&'a str, &'a str>,
    /// The channel's id of who writes.
    pub sender_id: &'a str,
    /// Their name.
    pub sender_name: &'a str,
    /// What the channel knew last beside a message.
    pub metadata: &'a Map<String, Value>,
    /// The session's number, from 1.
    pub session: u32,
    /// Whether an agent has served this customer before.
    pub returning: bool,
    /// Whether the customer asked for a person.
    pub wants_person: bool,
    /// The time where the tenant is.
    pub now: LocalTime,
}
