//! What a document may say.

use super::{Document, merge_patch};
use crate::{
    policy::Policies,
    routing::{self, Memory, hours},
    scheduler::Scheduling,
};
use kefu_events::{
    Refusal,
    access::AccessSettings,
    key::is_token,
    routing::RoutingSettings,
    settings::{OutOfHoursAction, OutOfHoursSettings, ReportingSettings, TenantSettings},
};
use regex::{Regex, RegexBuilder};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    ops::RangeInclusive,
};

/// Bytes of JSON that a document may have. The texts of a busy tenant are about 4 KiB.
pub const MAX_DOCUMENT_BYTES: usize = 64 * 1024;

/// Bytes that a compiled pattern may take. Patterns come from a tenant's administrator and run for every tenant on the
/// node: `\w{1000}{1000}` must not get in. An order number's takes under 10 KiB; `\w` counts, being Unicode's.
const MAX_PATTERN_BYTES: usize = 512 * 1024;
const MAX_PATTERN_CHARS: usize = 500;
/// What the strictest of the large messengers deliver in one message.
const MAX_TEXT_CHARS: usize = 4_000;
const MAX_NAME_CHARS: usize = 200;
/// Words and phrases are compared with every message of a customer.
const MAX_WORDS: usize = 200;
const MAX_WORD_CHARS: usize = 100;
const MAX_QUEUES: usize = 100;
const MAX_FIELDS: usize = 20;
const MAX_DISPOSITIONS: usize = 200;
const MAX_MERGE_ATTRIBUTES: usize = 10;
const DAY_S: u32 = 86_400;
const MONTH_S: u32 = 30 * DAY_S;

/// Whether the document of this name may say this.
///
/// # Errors
/// `unknown_document`, or `invalid` with the path to what is wrong.
pub fn validate(name: &str, value: &Value) -> Result<(), Refusal> {
    let Some(document) = Document::named(name) else {
        let message = format!(
            "there is no document {name:?}: there are \"tenant\", \"channel-<channel>\", \"scheduling\", \"routing\", \"access\", \"reporting\" and \"webhooks\""
        );
        return Err(Refusal::new("unknown_document", message));
    };
    if !value.is_object() {
        return Err(invalid("$", "a document is a JSON object"));
    }
    if value.to_string().len() > MAX_DOCUMENT_BYTES {
        return Err(invalid("$", format!("a document has at most {MAX_DOCUMENT_BYTES} bytes of JSON")));
    }
    match document {
        Document::Tenant => tenant_settings(value).map(drop),
        Document::Channel(_) => {
            let defaults = serde_json::to_value(TenantSettings::default()).unwrap_or_default();
            tenant_settings(&merge_patch(defaults, value)).map(drop)
        }
        Document::Scheduling => scheduling(value),
        Document::Routing => routing_rules(value),
        Document::Access => access(value),
        Document::Reporting => reporting(value),
        Document::Webhooks => super::webhooks::check(&deserialize(value)?).map_err(|(path, what)| invalid(&path, what)),
    }
}

fn scheduling(value: &Value) -> Result<(), Refusal> {
    let scheduling: Scheduling = deserialize(value)?;
    scheduling.check().map_err(|(path, message)| invalid(&path, message))
}

fn routing_rules(value: &Value) -> Result<(), Refusal> {
    let rules: RoutingSettings = deserialize(value)?;
    routing::check(&rules).map_err(|wrong| Refusal::new("invalid", wrong.to_string()))
}

fn access(value: &Value) -> Result<(), Refusal> {
    let settings: AccessSettings = deserialize(value)?;
    Policies::with(&settings).map(drop).map_err(|wrong| Refusal::new("invalid", wrong.to_string()))
}

fn reporting(value: &Value) -> Result<(), Refusal> {
    let settings: ReportingSettings = deserialize(value)?;
    let year_h = 366 * 24;
    let century = 36_500;
    within("service_level_s", settings.service_level_s, 0..=DAY_S)?;
    within("short_abandon_s", settings.short_abandon_s, 0..=DAY_S)?;
    within("first_response_s", settings.first_response_s, 0..=MONTH_S)?;
    within("reopen_within_h", settings.reopen_within_h, 0..=year_h)?;
    within("fcr_within_h", settings.fcr_within_h, 0..=year_h)?;
    within("keep_minutes_days", settings.keep_minutes_days, 1..=century)?;
    within("keep_hours_days", settings.keep_hours_days, 1..=century)?;
    if settings.keep_hours_days < settings.keep_minutes_days {
        let ReportingSettings { keep_hours_days: hours, keep_minutes_days: minutes, .. } = settings;
        let message = format!(
            "is {hours}, fewer than keep_minutes_days, which is {minutes}: whole hours are read by their own cells"
        );
        return Err(invalid("keep_hours_days", message));
    }
    within("keep_sessions_days", settings.keep_sessions_days, 1..=century)
}

fn deserialize<T: DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        invalid(if path == "." { "$" } else { &path }, error.inner())
    })
}

/// Compiled patterns that are kept, at most; beyond that all are forgotten. Most tenants have one or none, and most of them
/// take some kilobytes.
const MAX_COMPILED: usize = 256;

/// To compile a pattern takes a hundred times as long as all else that a message is decided by, and every answer of a customer
/// needs it.
static COMPILED: Memory<Regex> = Memory::new(MAX_COMPILED);

/// A pattern as it is matched: against the whole of an answer.
///
/// # Errors
/// It is no regular expression, or takes too much memory.
pub fn compile_pattern(pattern: &str) -> Result<Regex, regex::Error> {
    COMPILED.get(pattern, compile)
}

fn compile(pattern: &str) -> Result<Regex, regex::Error> {
    // Compiled alone first: `a)|(b` would be well-formed between the brackets and mean something else.
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build();
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
}

fn invalid(path: &str, what: impl Display) -> Refusal {
    Refusal::new("invalid", format!("{path}: {what}"))
}

fn tenant_settings(value: &Value) -> Result<TenantSettings, Refusal> {
    let settings: TenantSettings = deserialize(value)?;
    chars("name", &settings.name, 0..=MAX_NAME_CHARS)?;
    texts(&settings)?;
    numbers(&settings)?;
    lists(&settings)?;
    collected_fields(&settings)?;
    hours::check(&settings.time_zone, &settings.hours).map_err(|(path, message)| invalid(&path, message))?;
    out_of_hours(&settings)?;
    Ok(settings)
}

fn texts(settings: &TenantSettings) -> Result<(), Refusal> {
    let texts = &settings.texts;
    for (path, text) in [
        ("texts.welcome", &texts.welcome),
        ("texts.handoff", &texts.handoff),
        ("texts.accepted", &texts.accepted),
        ("texts.inactivity_prompt", &texts.inactivity_prompt),
        ("texts.inactivity_closed", &texts.inactivity_closed),
        ("texts.queue_position", &texts.queue_position),
        ("texts.queue_position_only", &texts.queue_position_only),
        ("texts.which_question", &texts.which_question),
        ("texts.callback", &texts.callback),
        ("texts.abandoned", &texts.abandoned),
        ("texts.satisfaction_request", &texts.satisfaction_request),
        ("texts.satisfaction_thanks", &texts.satisfaction_thanks),
    ] {
        chars(path, text, 0..=MAX_TEXT_CHARS)?;
    }
    Ok(())
}

fn out_of_hours(settings: &TenantSettings) -> Result<(), Refusal> {
    out_of_hours_of("out_of_hours", &settings.out_of_hours)?;
    for (queue, own) in &settings.queue_hours {
        let path = |of: &str| format!("queue_hours.{queue}.{of}");
        if !settings.queues.contains(queue) {
            return Err(invalid(&format!("queue_hours.{queue}"), "there is no such queue"));
        }
        let (zone, hours) = (own.time_zone.as_ref(), own.hours.as_ref());
        hours::check(zone.unwrap_or(&settings.time_zone), hours.unwrap_or(&settings.hours))
            .map_err(|(of, message)| invalid(&path(&of), message))?;
        own.out_of_hours.as_ref().map_or(Ok(()), |own| out_of_hours_of(&path("out_of_hours"), own))?;
    }
    Ok(())
}

fn out_of_hours_of(path: &str, settings: &OutOfHoursSettings) -> Result<(), Refusal> {
    let least = if settings.action == OutOfHoursAction::Queue { 0 } else { 1 };
    chars(&format!("{path}.text"), &settings.text, least..=MAX_TEXT_CHARS)
}

fn numbers(settings: &TenantSettings) -> Result<(), Refusal> {
    within("bot.answer_deadline_s", settings.bot.answer_deadline_s, 1..=600)?;
    within("bot.min_confidence", settings.bot.min_confidence, 0.0..=1.0)?;
    within("bot.min_choice_confidence", settings.bot.min_choice_confidence, 0.0..=1.0)?;
    within("bot.max_choice_rounds", settings.bot.max_choice_rounds, 0..=10)?;
    within("offer_timeout_s", settings.offer_timeout_s, 1..=DAY_S)?;
    within("wrap_up_s", settings.wrap_up_s, 0..=DAY_S)?;
    within("queue_abandon_s", settings.queue_abandon_s, 0..=MONTH_S)?;
    within("presence_grace_s", settings.presence_grace_s, 1..=DAY_S)?;
    within("slot_check_s", settings.slot_check_s, 0..=MONTH_S)?;
    within("inactivity.prompt_after_s", settings.inactivity.prompt_after_s, 0..=MONTH_S)?;
    within("inactivity.close_after_s", settings.inactivity.close_after_s, 0..=MONTH_S)?;
    within("after_close.courtesy_window_s", settings.after_close.courtesy_window_s, 0..=MONTH_S)?;
    within("satisfaction.window_s", settings.satisfaction.window_s, 1..=MONTH_S)
}

fn lists(settings: &TenantSettings) -> Result<(), Refusal> {
    list("queues", &settings.queues, 1..=MAX_QUEUES, token)?;
    let word = |path: &str, word: &str| {
        let blank = word.trim().is_empty();
        if blank { Err(invalid(path, "is blank")) } else { chars(path, word, 1..=MAX_WORD_CHARS) }
    };
    list("bot.handoff_words", &settings.bot.handoff_words, 0..=MAX_WORDS, word)?;
    list("after_close.courtesies", &settings.after_close.courtesies, 0..=MAX_WORDS, word)?;
    list("dispositions", &settings.dispositions, 0..=MAX_DISPOSITIONS, word)?;
    list("merge_contacts_by", &settings.merge_contacts_by, 0..=MAX_MERGE_ATTRIBUTES, word)
}

fn collected_fields(settings: &TenantSettings) -> Result<(), Refusal> {
    let names: Vec<String> = settings.collect.iter().map(|field| field.field.clone()).collect();
    list("collect", &names, 0..=MAX_FIELDS, |path, name| token(&format!("{path}.field"), name))?;
    for (index, field) in settings.collect.iter().enumerate() {
        let path = |of: &str| format!("collect[{index}].{of}");
        chars(&path("prompt"), &field.prompt, 1..=MAX_TEXT_CHARS)?;
        if let Some(text) = &field.retry_prompt {
            chars(&path("retry_prompt"), text, 1..=MAX_TEXT_CHARS)?;
        }
        within(&path("max_attempts"), field.max_attempts, 0..=100)?;
        if let Some(pattern) = &field.pattern {
            chars(&path("pattern"), pattern, 1..=MAX_PATTERN_CHARS)?;
            compile_pattern(pattern).map_err(|error| invalid(&path("pattern"), error))?;
        }
    }
    Ok(())
}

fn chars(path: &str, text: &str, allowed: RangeInclusive<usize>) -> Result<(), Refusal> {
    let count = text.chars().count();
    if allowed.contains(&count) {
        return Ok(());
    }
    Err(invalid(path, format!("has {count} characters where {} to {} are allowed", allowed.start(), allowed.end())))
}

fn within<N: PartialOrd + Debug>(path: &str, number: N, allowed: RangeInclusive<N>) -> Result<(), Refusal> {
    if allowed.contains(&number) {
        return Ok(());
    }
    Err(invalid(path, format!("is {number:?} where {:?} to {:?} is allowed", allowed.start(), allowed.end())))
}

fn token(path: &str, text: &str) -> Result<(), Refusal> {
    if is_token(text) {
        return Ok(());
    }
    Err(invalid(path, format!("{text:?} is not 1 to 64 of A-Z, a-z, 0-9, _ and -")))
}

/// A list of different texts, each of which `check` accepts.
fn list(
    path: &str,
    items: &[String],
    allowed: RangeInclusive<usize>,
    check: impl Fn(&str, &str) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    if !allowed.contains(&items.len()) {
        let message = format!("has {} entries where {} to {} are allowed", items.len(), allowed.start(), allowed.end());
        return Err(invalid(path, message));
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check(&path, item)?;
        if !seen.insert(item) {
            return Err(invalid(&path, format!("{item:?} is there twice")));
        }
    }
    Ok(())
}
