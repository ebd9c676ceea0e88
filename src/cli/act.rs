//! `kefu act`: what the scheduler, an agent or an operator does to a conversation, from a shell.

use super::{
    Session, TenantArg,
    client::{Ask, operator},
    error::CliError,
    values::{self, ConversationArg},
};
use crate::config::units;
use clap::{Args, Subcommand, ValueEnum};
use kefu_events::{
    Actor, AggregateKind, Content, Timestamp, V,
    conversation::{AnswerSource, ConversationCommand, NoAnswerReason, RescindReason, Target},
};
use serde_json::Value;
use std::time::Duration;

/// Do something to a conversation as an agent, the scheduler or an operator; the result or the refusal is printed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kefu act web:alice offer --agent anna
  kefu act web:alice accept --as agent:anna
  kefu act web:alice reply \"Your order left this morning.\" --as agent:anna
  kefu act web:alice transfer --queue sales --note \"wants a discount\" --as agent:anna
  kefu act web:alice snooze --for 2h --as agent:anna
  kefu act web:alice raw '{\"type\": \"hold\", \"v\": 1}'

A command that may not have arrived can be sent again under the same --id: it is carried out once.")]
pub struct Act {
    /// The conversation: its key, or CHANNEL:THREAD
    conversation: ConversationArg,
    #[command(flatten)]
    tenant: TenantArg,
    /// Who does it: agent:ID, bot:ID, scheduler:ID, timer:ID or system:ID [default: system:operator]
    #[arg(long = "as", global = true, value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// Only if the conversation is at this version; refused as `stale` otherwise
    #[arg(long, global = true, value_name = "VERSION")]
    expected_version: Option<u64>,
    /// Id of the command, for retries [default: a new one]
    #[arg(long, global = true, value_name = "ID")]
    id: Option<String>,
    /// How long to wait for the result
    #[arg(long, global = true, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Offer it to an agent, as the scheduler does
    Offer {
        /// To whom
        #[arg(long)]
        agent: String,
        /// The reservation that holds the agent's slot
        #[arg(long)]
        reservation: Option<String>,
        /// Only if this session is the open one
        #[arg(long)]
        session: Option<u32>,
    },
    /// Take the offer
    Accept {
        /// Which offer [default: the open one]
        #[arg(long)]
        offer: Option<String>,
        /// The agent's name, as customers are to see it
        #[arg(long)]
        name: Option<String>,
    },
    /// Do not take the offer
    Reject {
        /// Which offer [default: the open one]
        #[arg(long)]
        offer: Option<String>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Take the open offer back
    Rescind {
        /// Which offer [default: the open one]
        #[arg(long)]
        offer: Option<String>,
        /// Why
        #[arg(long, default_value = "reassigned")]
        reason: Rescind,
    },
    /// Write to the customer
    Reply {
        /// What to say
        text: String,
        /// Id of the customer's message that it answers
        #[arg(long, value_name = "MESSAGE")]
        reply_to: Option<String>,
    },
    /// Write a remark that the customer never sees
    Note {
        /// The remark
        text: String,
    },
    /// Put the customer on hold
    Hold,
    /// End the hold
    Resume,
    /// Give it to another agent or queue
    #[command(group = clap::ArgGroup::new("target").required(true))]
    Transfer {
        /// To this agent
        #[arg(long, group = "target")]
        agent: Option<String>,
        /// To whoever serves this queue
        #[arg(long, group = "target")]
        queue: Option<String>,
        /// For whoever takes it
        #[arg(long)]
        note: Option<String>,
    },
    /// Give it back to the bot
    ReturnToBot,
    /// Ask for a person
    #[command(alias = "request-handoff")]
    Handoff {
        /// Queue to wait in [default: the tenant's first one]
        #[arg(long)]
        queue: Option<String>,
        /// For whoever takes it
        #[arg(long)]
        note: Option<String>,
    },
    /// Ask a colleague, who may then read along
    Consult {
        /// The colleague
        #[arg(long)]
        with: String,
        /// What to ask
        #[arg(long)]
        note: Option<String>,
    },
    /// The colleague is not needed any more
    EndConsult,
    /// Add tags
    Tag {
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Remove tags
    Untag {
        /// The tags
        #[arg(required = true)]
        tags: Vec<String>,
    },
    /// Put it aside until then, or until the customer writes
    #[command(group = clap::ArgGroup::new("when").required(true))]
    Snooze {
        /// Until this time
        #[arg(long, group = "when", value_name = "TIME", value_parser = values::time)]
        until: Option<Timestamp>,
        /// For this long
        #[arg(long = "for", group = "when", value_name = "DURATION", value_parser = units::duration)]
        length: Option<Duration>,
    },
    /// Take it up again now
    Unsnooze,
    /// The talk is over: begin wrap-up
    WrapUp,
    /// Say what it was about and how it ended
    #[command(alias = "set-disposition")]
    Disposition {
        /// One of the tenant's codes
        code: String,
        /// A remark
        #[arg(long)]
        note: Option<String>,
    },
    /// End the session
    Close,
    /// Rate the session in the customer's place
    #[command(alias = "rate-satisfaction")]
    Rate {
        /// 1 (bad) to 5 (good)
        score: u8,
        /// In the customer's words
        #[arg(long)]
        comment: Option<String>,
    },
    /// Give the answer that was asked for, as the answerer does
    #[command(alias = "give-answer")]
    Answer {
        /// The answer
        text: String,
        /// The request, from `answer_requested`
        #[arg(long)]
        request: String,
        /// Probability that it is right, 0 to 1
        #[arg(long, default_value_t = 1.0)]
        confidence: f64,
        /// Knowledge-base entries that it rests on
        #[arg(long, value_name = "ENTRY")]
        source: Vec<String>,
    },
    /// Say that there will be no answer
    #[command(alias = "decline-answer")]
    Decline {
        /// The request, from `answer_requested`
        #[arg(long)]
        request: String,
        /// Why
        #[arg(long, default_value = "not-confident")]
        reason: NoAnswer,
        /// Probability of the best candidate
        #[arg(long)]
        confidence: Option<f64>,
    },
    /// Say in the customer's place whether an answer helped
    #[command(group = clap::ArgGroup::new("helped").required(true))]
    RateAnswer {
        /// The request whose answer is rated
        #[arg(long)]
        request: String,
        /// It helped
        #[arg(long, group = "helped")]
        helpful: bool,
        /// It did not
        #[arg(long, group = "helped")]
        unhelpful: bool,
    },
    /// Decide inputs again after a quarantine (`kefu rejected retry` does this, and replays what was set aside)
    LiftQuarantine,
    /// Any command, as JSON: {"type": …, "v": 1, …}
    Raw {
        /// The command's own fields, without id, key and actor
        #[arg(value_name = "JSON")]
        fields: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Rescind {
    Reassigned,
    AgentGone,
    SessionEnded,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NoAnswer {
    TimedOut,
    NotConfident,
    OutOfScope,
    Failed,
}

impl Act {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let body = self.verb.body()?;
        let client = session.connect().await?;
        let tenant = self.tenant.of(&client.config);
        let ask = Ask {
            tenant: &tenant,
            aggregate: AggregateKind::Conversation,
            key: &self.conversation.key,
            actor: self.actor.unwrap_or_else(operator),
            id: self.id,
            expected_version: self.expected_version,
            body,
        };
        let result = client.command(ask, self.timeout).await?;
        let value = serde_json::to_value(&result)?;
        session.out.result(&value, || {
            let number = |value: Option<u64>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
            format!("done: version {}, commit {}", number(result.version), number(result.seq))
        })
    }
}

impl Verb {
    /// The command's own fields.
    fn body(self) -> Result<Value, CliError> {
        use ConversationCommand as C;
        let command = match self {
            Self::Raw { fields } => return raw(&fields),
            Self::Offer { agent, reservation, session } => {
                C::Offer { v: V, agent, reservation, session, decision: None, practice: None }
            }
            Self::Accept { offer, name } => C::Accept { v: V, offer, name },
            Self::Reject { offer, reason } => C::Reject { v: V, offer, reason },
            Self::Rescind { offer, reason } => C::Rescind { v: V, offer, reservation: None, reason: reason.into() },
            Self::Reply { text, reply_to } => C::Reply { v: V, content: Content::text(text), reply_to },
            Self::Note { text } => C::Note { v: V, text },
            Self::Hold => C::Hold { v: V },
            Self::Resume => C::Resume { v: V },
            Self::Transfer { agent: Some(agent), note, .. } => C::Transfer { v: V, to: Target::Agent(agent), note },
            Self::Transfer { queue, note, .. } => {
                C::Transfer { v: V, to: Target::Queue(queue.unwrap_or_default()), note }
            }
            Self::ReturnToBot => C::ReturnToBot { v: V },
            Self::Handoff { queue, note } => C::RequestHandoff { v: V, queue, note },
            Self::Consult { with, note } => C::Consult { v: V, with, note },
            Self::EndConsult => C::EndConsult { v: V },
            Self::Tag { tags } => C::Tag { v: V, tags },
            Self::Untag { tags } => C::Untag { v: V, tags },
            Self::Snooze { until, length } => {
                let millis = i64::try_from(length.unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
                let later = Timestamp::from_millis(super::client::now().as_millis().saturating_add(millis));
                C::Snooze { v: V, until: until.unwrap_or(later) }
            }
            Self::Unsnooze => C::Unsnooze { v: V },
            Self::WrapUp => C::WrapUp { v: V },
            Self::Disposition { code, note } => C::SetDisposition { v: V, code, note },
            Self::Close => C::Close { v: V },
            Self::Rate { score, comment } => C::RateSatisfaction { v: V, score, comment },
            Self::Answer { text, request, confidence, source } => {
                let sources = source.into_iter().map(|entry| AnswerSource { entry, entry_version: None, score: None });
                C::GiveAnswer { v: V, request, content: Content::text(text), confidence, sources: sources.collect() }
            }
            Self::Decline { request, reason, confidence } => {
                C::DeclineAnswer { v: V, request, reason: reason.into(), confidence }
            }
            Self::RateAnswer { request, helpful, .. } => C::RateAnswer { v: V, request, helpful },
            Self::LiftQuarantine => C::LiftQuarantine { v: V },
        };
        Ok(serde_json::to_value(command)?)
    }
}

/// Sent as it is, so that commands that this program does not know can be tried; the engine checks it.
fn raw(json: &str) -> Result<Value, CliError> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| CliError::usage(format!("this is no JSON: {error}")))?;
    if !value["type"].is_string() {
        return Err(CliError::usage(
            "a command is a JSON object with a \"type\": see `kefu schema command-conversation`",
        ));
    }
    for name in ["id", "aggregate", "key", "expected_version", "actor", "at", "correlation"] {
        if value.get(name).is_some() {
            return Err(CliError::usage(format!("{name:?} is set by the options, and cannot stand in the JSON")));
        }
    }
    Ok(value)
}

impl From<Rescind> for RescindReason {
    fn from(reason: Rescind) -> Self {
        match reason {
            Rescind::Reassigned => Self::Reassigned,
            Rescind::AgentGone => Self::AgentGone,
            Rescind::SessionEnded => Self::SessionEnded,
        }
    }
}

impl From<NoAnswer> for NoAnswerReason {
    fn from(reason: NoAnswer) -> Self {
        match reason {
            NoAnswer::TimedOut => Self::TimedOut,
            NoAnswer::NotConfident => Self::NotConfident,
            NoAnswer::OutOfScope => Self::OutOfScope,
            NoAnswer::Failed => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_command_cannot_forge_its_header() {
        assert!(raw(r#"{"type": "hold", "v": 1}"#).is_ok());
        for bad in ["", "[]", "{}", r#"{"type": "hold", "actor": {"kind": "agent", "id": "anna"}}"#] {
            assert!(raw(bad).is_err(), "{bad}");
        }
    }
}
