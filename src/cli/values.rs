//! What people type: conversations, contacts, moments, actors.

use super::error::CliError;
use crate::{config::units, journal::NatsJournal, runtime::places::first_not_before};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use kefu_events::{
    Actor, ActorKind, Timestamp,
    key::{contact_key, conversation_key, is_token},
};
use std::str::FromStr;

/// A conversation: its key, or `channel:thread`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationArg {
    /// Its key.
    pub key: String,
}

impl FromStr for ConversationArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = key_of(text, conversation_key)
            .ok_or("a conversation's key (32 hex digits) or CHANNEL:THREAD is needed, such as web:alice")?;
        Ok(Self { key })
    }
}

/// A contact: its key, or `channel:sender`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactArg {
    /// Its key.
    pub key: String,
}

impl FromStr for ContactArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = key_of(text, contact_key)
            .ok_or("a contact's key (32 hex digits) or CHANNEL:SENDER is needed, such as web:alice")?;
        Ok(Self { key })
    }
}

fn key_of(text: &str, derive: impl Fn(&str, &str) -> String) -> Option<String> {
    if text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Some(text.to_owned());
    }
    let (channel, rest) = text.split_once(':')?;
    (is_token(channel) && !rest.is_empty()).then(|| derive(channel, rest))
}

/// An actor: `agent:anna`.
pub fn actor(text: &str) -> Result<Actor, String> {
    let wrong = || "KIND:ID is needed, where KIND is agent, bot, scheduler, timer or system".to_owned();
    let (kind, id) = text.split_once(':').filter(|(_, id)| !id.is_empty()).ok_or_else(wrong)?;
    let kind = match kind {
        "agent" => ActorKind::Agent,
        "bot" => ActorKind::Bot,
        "scheduler" => ActorKind::Scheduler,
        "timer" => ActorKind::Timer,
        "system" => ActorKind::System,
        _ => return Err(wrong()),
    };
    Ok(Actor::new(kind, id))
}

/// `name=value`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=VALUE is needed")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A time: RFC 3339, `2026-11-22`, `2026-11-22 13:14[:35]` (UTC), or how long ago: `15m`, `2h`, `1d`.
pub fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(date.and_time(NaiveTime::MIN).and_utc().into());
    }
    for format in ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, format) {
            return Ok(time.and_utc().into());
        }
    }
    if text.ends_with(char::is_alphabetic)
        && let Ok(ago) = units::duration(text)
        && let Ok(millis) = i64::try_from(ago.as_millis())
    {
        return Ok(Timestamp::from_millis(super::client::now().as_millis() - millis));
    }
    Err("a time is needed: 2026-11-22T13:14:35Z, 2026-11-22, 2026-11-22 13:14 (UTC), or how long ago: 15m, 2h, 1d"
        .to_owned())
}

/// A place in the log: a sequence, or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The commit of this sequence.
    Seq(u64),
    /// This moment.
    Time(Timestamp),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(seq));
        }
        time(text).map(Self::Time).map_err(|error| format!("a sequence in the log, or {error}"))
    }
}

impl Place {
    /// The sequence of the first commit that is not before this place.
    pub async fn first_seq(self, journal: &NatsJournal) -> Result<u64, CliError> {
        let time = match self {
            Self::Seq(seq) => return Ok(seq),
            Self::Time(time) => time,
        };
        Ok(first_not_before(journal, time).await?)
    }

    /// The sequence of the last commit that is not after this place.
    pub async fn last_seq(self, journal: &NatsJournal) -> Result<u64, CliError> {
        match self {
            Self::Seq(seq) => Ok(seq),
            Self::Time(time) => {
                let after = Self::Time(Timestamp::from_millis(time.as_millis() + 1));
                Ok(Box::pin(after.first_seq(journal)).await?.saturating_sub(1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_a_key_or_a_channel_and_a_thread() {
        let by_thread: ConversationArg = "web:alice".parse().unwrap();
        assert_eq!(by_thread.key, "7529325190d3f376a92dc8c580bdebe8");
        assert_eq!(by_thread.key.parse::<ConversationArg>().unwrap(), by_thread);
        let with_colons: ConversationArg = "web:a:b".parse().unwrap();
        assert_eq!(with_colons.key, conversation_key("web", "a:b"));
        for bad in ["alice", "web:", ":alice", "we b:alice", ""] {
            assert!(bad.parse::<ConversationArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_actor_is_a_kind_and_an_id_and_never_a_customer() {
        assert_eq!(actor("agent:anna"), Ok(Actor::new(ActorKind::Agent, "anna")));
        for bad in ["anna", "agent:", "customer:x", "boss:x"] {
            assert!(actor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        assert_eq!(time("2026-11-22").unwrap().to_string(), "2026-11-22T00:00:00.000Z");
        assert_eq!(time("2026-11-22 13:14").unwrap().to_string(), "2026-11-22T13:14:00.000Z");
        assert!(time("15m").unwrap() < super::super::client::now());
        assert!(time("soon").is_err());
        assert_eq!("17".parse::<Place>(), Ok(Place::Seq(17)));
    }
}
