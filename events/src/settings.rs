//! A tenant's configuration: documents, each an aggregate, so that every change has an author and can be undone.
//!
//! The document `tenant` holds [`TenantSettings`]; `channel-<channel>` holds a JSON merge patch (RFC 7396) that is laid
//! over it for one channel; `routing` holds [`RoutingSettings`](crate::routing::RoutingSettings), `reporting` holds
//! [`ReportingSettings`].

use crate::{CommandRefused, QuarantineLifted, Quarantined, Timestamp, V, tagged::tagged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Name of the document that makes a tenant exist.
pub const TENANT_DOCUMENT: &str = "tenant";
/// Start of the name of a channel's document.
pub const CHANNEL_DOCUMENT_PREFIX: &str = "channel-";

/// Name of the document that says how conversations find their agents.
pub const SCHEDULING_DOCUMENT: &str = "scheduling";

/// Name of the document that says what figures are measured by.
pub const REPORTING_DOCUMENT: &str = "reporting";

/// What may be asked of a settings document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "SettingsCommand", tag = "type")]
pub enum SettingsCommand {
    /// Replace the document, or with `merge` only what `value` names (RFC 7396: `null` removes).
    Set {
        /// Version of this command.
        v: V<1>,
        /// The new content.
        value: Value,
        /// Lay `value` over what is there.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        merge: bool,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Make it as it was at an earlier version.
    Rollback {
        /// Version of this command.
        v: V<1>,
        /// The document's version to go back to.
        to: u64,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
    },
    /// Decide inputs again after a quarantine.
    LiftQuarantine {
        /// Version of this command.
        v: V<1>,
    },
}

tagged!(SettingsCommand);

/// What can have happened to a settings document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", remote = "Self")]
#[schemars(rename = "SettingsEvent", tag = "type")]
pub enum SettingsEvent {
    /// It has new content.
    DocumentChanged {
        /// Version of this event.
        v: V<1>,
        /// The document's own version: counts changes, not refusals.
        document_version: u64,
        /// All of the new content.
        value: Value,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        comment: Option<String>,
        /// The version that it was taken back to, if it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rolled_back_to: Option<u64>,
    },
    /// A command was not carried out.
    CommandRefused(CommandRefused),
    /// Deciding an input failed.
    Quarantined(Quarantined),
    /// Inputs are decided again.
    QuarantineLifted(QuarantineLifted),
}

tagged!(SettingsEvent);

/// One earlier content of a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentVersion {
    /// The document's version.
    pub document_version: u64,
    /// When it was set.
    pub at: Timestamp,
    /// By whom: `<kind>:<id>`.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Its content.
    pub value: Value,
}

/// How a tenant's conversations run. Every field has a default, so that a document says only what differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// The tenant's name, for people.
    pub name: String,
    /// What customers are told.
    pub texts: Texts,
    /// The automatic part.
    pub bot: BotSettings,
    /// What is asked of customers before a person takes over, in this order.
    #[schemars(length(max = 20))]
    pub collect: Vec<CollectField>,
    /// Queues, the first being where conversations go that name none.
    pub queues: Vec<String>,
    /// Seconds that an agent has to answer an offer.
    #[schemars(range(min = 1, max = 86400))]
    pub offer_timeout_s: u32,
    /// Seconds of wrap-up before a session closes by itself.
    #[schemars(range(min = 0, max = 86400))]
    pub wrap_up_s: u32,
    /// Seconds in a queue after which a session is given up (0: never).
    #[schemars(range(min = 0, max = 2592000))]
    pub queue_abandon_s: u32,
    /// Seconds that an agent without a connection has to come back, before offers are taken back and the status is `away`.
    #[schemars(range(min = 1, max = 86400))]
    pub presence_grace_s: u32,
    /// Seconds after which an agent's occupied slot is compared with what the conversation says (0: never). A repair of
    /// what should not happen, so it may be rare.
    #[schemars(range(min = 0, max = 2592000))]
    pub slot_check_s: u32,
    /// What happens to silent customers.
    pub inactivity: InactivitySettings,
    /// What a message after the end of a session does.
    pub after_close: AfterCloseSettings,
    /// Whether customers are asked for a rating.
    pub satisfaction: SatisfactionSettings,
    /// Codes that a disposition may have; any, if empty.
    pub dispositions: Vec<String>,
    /// IANA name of the tenant's time zone, such as `Asia/Shanghai`.
    pub time_zone: String,
    /// When somebody is there, in the tenant's time zone.
    pub hours: BusinessHours,
    /// What customers who ask for a person meet outside of these.
    pub out_of_hours: OutOfHoursSettings,
    /// Queue → hours of its own.
    pub queue_hours: BTreeMap<String, QueueHours>,
    /// Attributes of contacts by which two contacts are taken for one person, such as `email`.
    pub merge_contacts_by: Vec<String>,
}

/// What customers are told. An empty text is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Texts {
    /// At the start of a session.
    pub welcome: String,
    /// When a person is asked for.
    pub handoff: String,
    /// When an agent has taken the conversation. `{agent}` stands for the name.
    pub accepted: String,
    /// After a silence, before the session is closed.
    pub inactivity_prompt: String,
    /// When a session is closed after a silence.
    pub inactivity_closed: String,
    /// While the customer waits for a person, whenever the place in the line has changed. `{position}` stands for the place,
    /// `{minutes}` for the estimated wait.
    pub queue_position: String,
    /// In its place while there is nothing to estimate the wait by. `{position}` stands for the place.
    pub queue_position_only: String,
    /// Before the questions of which one may have been meant, which are numbered from 1.
    pub which_question: String,
    /// When the queue has opened, to those who were put off until then (`callback`).
    pub callback: String,
    /// When nobody had time.
    pub abandoned: String,
    /// Asks for a rating of 1 to 5.
    pub satisfaction_request: String,
    /// After a rating.
    pub satisfaction_thanks: String,
}

/// The automatic part of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BotSettings {
    /// Whether sessions start with the bot.
    pub enabled: bool,
    /// Seconds that an answer may take.
    #[schemars(range(min = 1, max = 600))]
    pub answer_deadline_s: u32,
    /// Answers below this probability are not given, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_confidence: f64,
    /// Between this probability and `min_confidence` the customer is asked which of the likeliest questions was meant;
    /// below it a person takes over, 0 to 1. From `min_confidence` on: nobody is ever asked.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_choice_confidence: f64,
    /// How often in a row a customer is asked that, before a person takes over.
    #[schemars(range(min = 0, max = 10))]
    pub max_choice_rounds: u32,
    /// Whether answers are worded by the language model of this installation, if it has one: from the entries that were found,
    /// checked against them, and the plain entry where the model fails. What customers ask then leaves for that model.
    pub generated_answers: bool,
    /// A message that contains one of these asks for a person.
    pub handoff_words: Vec<String>,
}

/// One piece of information that customers are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectField {
    /// Its name, such as `order_number`.
    pub field: String,
    /// The question.
    pub prompt: String,
    /// Regular expression that the whole answer must match; anything, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What to say when it does not match; the question again, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_prompt: Option<String>,
    /// How often to ask before going on without it (0: without end).
    #[serde(default = "default_attempts")]
    pub max_attempts: u32,
    /// When to ask.
    #[serde(default)]
    pub when: CollectWhen,
}

fn default_attempts() -> u32 {
    3
}

/// When a piece of information is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectWhen {
    /// At the start of a session, before anything else.
    Opening,
    /// Before a person takes over.
    #[default]
    Handoff,
    /// Before a person takes over, and only where a routing rule says so.
    Rule,
}

/// What happens to silent customers, with the bot or with an agent who waits for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InactivitySettings {
    /// Seconds of silence before the customer is asked whether that was all (0: never).
    #[schemars(range(min = 0, max = 2592000))]
    pub prompt_after_s: u32,
    /// Seconds from then until the session is closed (0: never).
    #[schemars(range(min = 0, max = 2592000))]
    pub close_after_s: u32,
}

/// What a message after the end of a session does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AfterCloseSettings {
    /// Seconds during which a mere courtesy opens no session (0: every message opens one).
    #[schemars(range(min = 0, max = 2592000))]
    pub courtesy_window_s: u32,
    /// Courtesies: a message that is one of these, but for case, punctuation and spaces.
    pub courtesies: Vec<String>,
}

/// Whether customers are asked for a rating.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SatisfactionSettings {
    /// Whether to ask after sessions in which an agent took part.
    pub enabled: bool,
    /// Seconds during which a rating counts.
    #[schemars(range(min = 1, max = 2592000))]
    pub window_s: u32,
}

/// When somebody is there: per weekday, times from and to, such as `09:00-17:30`; `24:00` ends a day. With none on any
/// weekday it is open always, but on holidays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BusinessHours {
    /// On Mondays.
    pub monday: Vec<String>,
    /// On Tuesdays.
    pub tuesday: Vec<String>,
    /// On Wednesdays.
    pub wednesday: Vec<String>,
    /// On Thursdays.
    pub thursday: Vec<String>,
    /// On Fridays.
    pub friday: Vec<String>,
    /// On Saturdays.
    pub saturday: Vec<String>,
    /// On Sundays.
    pub sunday: Vec<String>,
    /// Dates, such as `2026-12-25`, on which nobody is there.
    pub holidays: Vec<String>,
}

/// One queue's hours. What is absent is the tenant's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueHours {
    /// IANA name of the time zone in which the hours are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// When somebody is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<BusinessHours>,
    /// What customers who ask for a person meet outside of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_hours: Option<OutOfHoursSettings>,
}

/// What customers who ask for a person meet outside of business hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutOfHoursSettings {
    /// What happens.
    pub action: OutOfHoursAction,
    /// What they are told, by `message`, `callback` and `close`.
    pub text: String,
}

/// What happens to those who ask for a person outside of business hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutOfHoursAction {
    /// They wait in the queue, as within business hours.
    #[default]
    Queue,
    /// They are told the text in the place of `texts.handoff`, and wait in the queue.
    Message,
    /// They are told the text in the place of `texts.handoff`, and keep their place in the queue, which nobody is asked to
    /// take before it opens.
    Callback,
    /// They are told the text, and the session is closed.
    Close,
}

/// What figures are measured by, and how long they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReportingSettings {
    /// Seconds within which a wait is to end, in queues without a target in the document `scheduling`.
    #[schemars(range(min = 0, max = 86400))]
    pub service_level_s: u32,
    /// Seconds within which a wait that is given up does not count as abandoned.
    #[schemars(range(min = 0, max = 86400))]
    pub short_abandon_s: u32,
    /// Seconds of business hours within which an agent's first reply is to come.
    #[schemars(range(min = 0, max = 2592000))]
    pub first_response_s: u32,
    /// Hours after the end of a session within which the next one counts as reopened.
    #[schemars(range(min = 0, max = 8760))]
    pub reopen_within_h: u32,
    /// Hours after the end of a session within which a return says that it was not resolved.
    #[schemars(range(min = 0, max = 8760))]
    pub fcr_within_h: u32,
    /// Days for which figures of single minutes are kept.
    #[schemars(range(min = 1, max = 36500))]
    pub keep_minutes_days: u32,
    /// Days for which figures of single hours are kept, not fewer than `keep_minutes_days`. Those of days are kept for ever.
    #[schemars(range(min = 1, max = 36500))]
    pub keep_hours_days: u32,
    /// Days for which the sessions behind figures can be listed.
    #[schemars(range(min = 1, max = 36500))]
    pub keep_sessions_days: u32,
}

impl Default for ReportingSettings {
    fn default() -> Self {
        Self {
            service_level_s: 20,
            short_abandon_s: 5,
            first_response_s: 60,
            reopen_within_h: 24,
            fcr_within_h: 72,
            keep_minutes_days: 14,
            keep_hours_days: 400,
            keep_sessions_days: 400,
        }
    }
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            texts: Texts::default(),
            bot: BotSettings::default(),
            collect: Vec::new(),
            queues: vec!["default".to_owned()],
            offer_timeout_s: 30,
            wrap_up_s: 60,
            queue_abandon_s: 0,
            presence_grace_s: 30,
            slot_check_s: 86_400,
            inactivity: InactivitySettings::default(),
            after_close: AfterCloseSettings::default(),
            satisfaction: SatisfactionSettings::default(),
            dispositions: Vec::new(),
            time_zone: "UTC".to_owned(),
            hours: BusinessHours::default(),
            out_of_hours: OutOfHoursSettings::default(),
            queue_hours: BTreeMap::new(),
            merge_contacts_by: Vec::new(),
        }
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            welcome: "Hello! How can we help you?".to_owned(),
            handoff: "I am passing you on to a colleague. One moment, please.".to_owned(),
            accepted: String::new(),
            inactivity_prompt: "Are you still there? Was that all?".to_owned(),
            inactivity_closed: "We close this conversation for now. Write again whenever you like.".to_owned(),
            queue_position: String::new(),
            queue_position_only: String::new(),
            which_question: "Which of these do you mean? Please answer with its number, or 0 for none of them."
                .to_owned(),
            callback: String::new(),
            abandoned: "We are sorry: nobody is free at the moment. Please try again later.".to_owned(),
            satisfaction_request: "How did we do? Please answer with a number from 1 (bad) to 5 (very good)."
                .to_owned(),
            satisfaction_thanks: "Thank you for your rating!".to_owned(),
        }
    }
}

impl Default for BotSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            answer_deadline_s: 3,
            min_confidence: 0.5,
            min_choice_confidence: 0.2,
            max_choice_rounds: 2,
            generated_answers: false,
            handoff_words: ["human", "real person", "agent", "representative", "人工", "转人工", "真人"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl Default for InactivitySettings {
    fn default() -> Self {
        Self { prompt_after_s: 600, close_after_s: 300 }
    }
}

impl Default for AfterCloseSettings {
    fn default() -> Self {
        Self {
            courtesy_window_s: 600,
            courtesies: ["thanks", "thank you", "thx", "ok", "okay", "bye", "谢谢", "感谢", "好的", "再见"]
                .map(str::to_owned)
                .to_vec(),
        }
    }
}

impl Default for SatisfactionSettings {
    fn default() -> Self {
        Self { enabled: true, window_s: 86_400 }
    }
}
