//! What commits say of waits and replies. Pure.
//!
//! Of each conversation that waits for an agent or has one, it remembers what is measured when the next thing happens: since
//! when it is queued, and since when the agent owes a reply.

use crate::scheduler::ConversationKey;
use kefu_events::{
    AuthorKind, Commit, Content, Timestamp,
    conversation::{CloseReason, ConversationEvent, HandoffReason},
};
use std::{collections::HashMap, sync::Arc};

/// Something that is counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Measured<'a> {
    /// A message, by `customer`, `bot`, `agent` or `system`.
    Message {
        /// The channel.
        channel: &'a str,
        /// Whose.
        author: &'static str,
    },
    /// A session began on this channel.
    Opened(&'a str),
    /// A session ended, for this reason.
    Closed(&'static str),
    /// A person was asked for, for this reason.
    HandedOff(&'static str),
    /// A conversation waits in this queue.
    Queued(&'a str),
    /// An offer, by what happened to it.
    Offer(&'static str),
    /// From being queued here to the first offer, in seconds.
    HandoffToOffer(&'a str, f64),
    /// From being queued here to an agent's first reply, in seconds.
    FirstResponse(&'a str, f64),
    /// An agent's reply in a conversation of this queue, so many seconds after it was owed.
    AgentResponse(&'a str, f64),
    /// Probability of an answer, and what came of it.
    Confidence(&'static str, f64),
}

/// One conversation that waits for an agent or has one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Talk {
    /// The queue that it waits in, or was in last.
    pub queue: Arc<str>,
    /// Since when it waits for its first offer.
    pub queued: Option<Timestamp>,
    /// Since when it waits for the first reply of an agent.
    pub unanswered: Option<Timestamp>,
    /// An agent has it.
    pub active: bool,
    /// Since when that agent owes a reply.
    pub owed: Option<Timestamp>,
}

type OfTenant = HashMap<ConversationKey, Talk>;

/// All conversations that wait for an agent or have one.
#[derive(Debug, Default)]
pub struct Talks(HashMap<String, OfTenant>);

impl Talks {
    /// Puts a conversation in as it was found.
    pub fn put(&mut self, tenant: &str, key: ConversationKey, talk: Talk) {
        self.of(tenant).insert(key, talk);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Conversations in which an agent owes a reply: tenant, key, and since when.
    pub fn owed(&self) -> impl Iterator<Item = (&str, ConversationKey, Timestamp)> {
        self.0.iter().flat_map(|(tenant, talks)| {
            talks.iter().filter_map(|(key, talk)| Some((tenant.as_str(), *key, talk.owed?)))
        })
    }

    fn of(&mut self, tenant: &str) -> &mut OfTenant {
        if !self.0.contains_key(tenant) {
            self.0.insert(tenant.to_owned(), OfTenant::default());
        }
        self.0.entry(tenant.to_owned()).or_default()
    }

    /// Takes a commit in, and tells what it measures.
    pub fn take_in(&mut self, commit: &Commit<ConversationEvent>, tell: &mut dyn FnMut(Measured<'_>)) {
        let Ok(key) = commit.key.parse::<ConversationKey>() else { return };
        for event in &commit.events {
            count(event, commit, tell);
            self.follow(event, commit, key, tell);
        }
    }

    fn follow(
        &mut self,
        event: &ConversationEvent,
        commit: &Commit<ConversationEvent>,
        key: ConversationKey,
        tell: &mut dyn FnMut(Measured<'_>),
    ) {
        use ConversationEvent as Event;
        let at = commit.at;
        match event {
            Event::Queued { queue, not_before, .. } => {
                // Who is put off until the queue opens waits from then on.
                let from = not_before.is_none().then_some(at);
                let talks = self.of(&commit.tenant);
                // After a transfer it is the next agent's first reply that counts, too.
                let talk = Talk { queue: queue.as_str().into(), queued: from, unanswered: from, ..Talk::default() };
                talks.insert(key, talk);
                return;
            }
            Event::SessionOpened { .. } | Event::SessionClosed { .. } | Event::ReturnedToBot { .. } => {
                if let Some(talks) = self.0.get_mut(&commit.tenant) {
                    talks.remove(&key);
                }
                return;
            }
            // Nobody can be reached whose conversation was not queued, but by hand.
            Event::OfferMade { .. } | Event::TakenOver { .. } | Event::Reactivated { .. } => {
                self.of(&commit.tenant).entry(key).or_default();
            }
            _ => {}
        }
        let Some(talk) = self.0.get_mut(&commit.tenant).and_then(|talks| talks.get_mut(&key)) else { return };
        let queue = Arc::clone(&talk.queue);
        let seconds = |since: Timestamp| at.millis_since(since).max(0) as f64 / 1e3;
        match event {
            Event::CallbackDue { .. } => (talk.queued, talk.unanswered) = (Some(at), Some(at)),
            Event::OfferMade { .. } => {
                if let Some(since) = talk.queued.take() {
                    tell(Measured::HandoffToOffer(&queue, seconds(since)));
                }
            }
            Event::OfferAccepted { .. } | Event::Reactivated { .. } => {
                talk.queued = None;
                (talk.active, talk.owed) = (true, Some(at));
            }
            Event::TakenOver { .. } => {
                if !talk.active {
                    talk.owed = Some(at);
                }
                (talk.active, talk.queued) = (true, None);
            }
            Event::MessageReceived { message, .. } => {
                let said = !matches!(message.content, Content::Event { .. });
                if talk.active && said {
                    talk.owed.get_or_insert(at);
                }
            }
            Event::MessageSent { author, .. } if author.kind == AuthorKind::Agent => {
                if let Some(since) = talk.unanswered.take() {
                    tell(Measured::FirstResponse(&queue, seconds(since)));
                }
                if let Some(since) = talk.owed.take() {
                    tell(Measured::AgentResponse(&queue, seconds(since)));
                }
            }
            Event::WrapUpStarted { .. } | Event::Transferred { .. } => (talk.active, talk.owed) = (false, None),
            // Put aside, or nobody is there to read a reply.
            Event::Snoozed { .. } | Event::CustomerLeft { .. } => talk.owed = None,
            _ => {}
        }
    }
}

/// What is counted whatever was before.
fn count(event: &ConversationEvent, commit: &Commit<ConversationEvent>, tell: &mut dyn FnMut(Measured<'_>)) {
    use ConversationEvent as Event;
    match event {
        Event::MessageReceived { .. } => {
            // A customer's message names its channel in its cause: `<tenant>/<channel>/<key>/<id>`.
            let channel = commit.cause.split('/').nth(1).unwrap_or_default();
            tell(Measured::Message { channel, author: "customer" });
        }
        Event::MessageSent { channel, author, .. } => {
            let author = match author.kind {
                AuthorKind::Bot => "bot",
                AuthorKind::Agent => "agent",
                AuthorKind::System => "system",
            };
            tell(Measured::Message { channel, author });
        }
        Event::SessionOpened { channel, .. } => tell(Measured::Opened(channel)),
        Event::SessionClosed { reason, .. } => tell(Measured::Closed(closed(*reason))),
        Event::HandoffRequested { reason, .. } => tell(Measured::HandedOff(handed_off(*reason))),
        Event::Queued { queue, .. } => tell(Measured::Queued(queue)),
        Event::OfferMade { .. } => tell(Measured::Offer("made")),
        Event::OfferAccepted { .. } => tell(Measured::Offer("accepted")),
        Event::OfferRejected { .. } => tell(Measured::Offer("rejected")),
        Event::OfferTimedOut { .. } => tell(Measured::Offer("timed_out")),
        Event::OfferRescinded { .. } => tell(Measured::Offer("rescinded")),
        Event::OfferRefused { .. } => tell(Measured::Offer("refused")),
        Event::AnswerGiven { confidence, .. } => tell(Measured::Confidence("answered", *confidence)),
        Event::ChoicesOffered { confidence, .. } => tell(Measured::Confidence("asked_back", *confidence)),
        Event::AnswerDeclined { confidence: Some(confidence), .. } => {
            tell(Measured::Confidence("declined", *confidence));
        }
        _ => {}
    }
}

fn closed(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::WrappedUp => "wrapped_up",
        CloseReason::ClosedByAgent => "closed_by_agent",
        CloseReason::Inactivity => "inactivity",
        CloseReason::CustomerLeft => "customer_left",
        CloseReason::Abandoned => "abandoned",
        CloseReason::OutOfHours => "out_of_hours",
    }
}

fn handed_off(reason: HandoffReason) -> &'static str {
    match reason {
        HandoffReason::CustomerAsked => "customer_asked",
        HandoffReason::AnswerTimedOut => "answer_timed_out",
        HandoffReason::NotConfident => "not_confident",
        HandoffReason::BotAsked => "bot_asked",
        HandoffReason::NoBot => "no_bot",
        HandoffReason::AgentAsked => "agent_asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const KEY: &str = "3c0ab67316c4c98e894c3762fa7a8e16";

    /// Takes a commit at this second in; what it measures, as text.
    fn at(talks: &mut Talks, second: i64, events: Value) -> Vec<String> {
        let commit = json!({
            "commit_id": "c", "tenant": "demo", "aggregate": "conversation", "key": KEY, "version": 1,
            "at": Timestamp::from_millis(1_000 * second), "actor": {"kind": "system", "id": "test"},
            "cause": format!("demo/web/{KEY}/m1"), "cause_seq": 1, "correlation": "m1", "events": events,
        });
        let commit: Commit<ConversationEvent> = serde_json::from_value(commit).unwrap();
        let mut told = Vec::new();
        talks.take_in(&commit, &mut |measured| told.push(format!("{measured:?}")));
        told
    }

    fn said(text: &str) -> Value {
        let message =
            json!({"id": "m", "sent_at": "2026-11-22T00:00:00.000Z", "content": {"kind": "text", "text": text}});
        json!([{"type": "message_received", "v": 1, "session": 1, "message": message}])
    }

    fn replied(by: &str) -> Value {
        json!([{"type": "message_sent", "v": 1, "session": 1, "id": "r", "channel": "web", "thread": "t",
            "author": {"kind": by, "id": "ann"}, "content": {"kind": "text", "text": "hi"}}])
    }

    fn queued() -> Value {
        json!([{"type": "queued", "v": 1, "queue": "sales", "priority": 0}])
    }

    fn offered() -> Value {
        json!([{"type": "offer_made", "v": 1, "offer": "o", "agent": "ann", "deadline": "2026-11-22T00:00:00.000Z"}])
    }

    fn accepted() -> Value {
        json!([{"type": "offer_accepted", "v": 1, "offer": "o", "agent": "ann"}])
    }

    #[test]
    fn a_wait_is_measured_once_and_a_reply_from_the_first_message_that_it_answers() {
        let mut talks = Talks::default();
        let customer = "Message { channel: \"web\", author: \"customer\" }";
        assert_eq!(at(&mut talks, 0, said("hello")), [customer]);
        assert_eq!(at(&mut talks, 10, queued()), ["Queued(\"sales\")"]);
        assert_eq!(at(&mut talks, 12, offered()), ["Offer(\"made\")", "HandoffToOffer(\"sales\", 2.0)"]);
        // Rejected and offered again: the wait for the first offer is over.
        assert_eq!(at(&mut talks, 15, offered()), ["Offer(\"made\")"]);
        assert_eq!(at(&mut talks, 20, accepted()), ["Offer(\"accepted\")"]);
        assert_eq!(talks.owed().count(), 1);
        let agent = "Message { channel: \"web\", author: \"agent\" }";
        let first = [agent, "FirstResponse(\"sales\", 13.0)", "AgentResponse(\"sales\", 3.0)"];
        assert_eq!(at(&mut talks, 23, replied("agent")), first);
        assert_eq!(talks.owed().count(), 0);
        at(&mut talks, 30, said("and"));
        at(&mut talks, 33, said("what about this?"));
        // What the machine says is no reply of the agent's.
        assert_eq!(at(&mut talks, 34, replied("system")).len(), 1);
        assert_eq!(at(&mut talks, 37, replied("agent")), [agent, "AgentResponse(\"sales\", 7.0)"]);
        assert_eq!(at(&mut talks, 38, replied("agent")), [agent]);
        let closed = json!([{"type": "session_closed", "v": 1, "session": 1, "reason": "closed_by_agent"}]);
        assert_eq!(at(&mut talks, 40, closed), ["Closed(\"closed_by_agent\")"]);
        assert!(talks.0["demo"].is_empty(), "nothing is kept of what is over");
    }

    #[test]
    fn who_is_put_off_waits_from_when_the_queue_opens() {
        let mut talks = Talks::default();
        let later = json!([{"type": "queued", "v": 1, "queue": "sales", "priority": 0,
            "not_before": "2026-11-23T00:00:00.000Z"}]);
        at(&mut talks, 0, later);
        at(&mut talks, 3_600, json!([{"type": "callback_due", "v": 1}]));
        assert_eq!(at(&mut talks, 3_605, offered())[1], "HandoffToOffer(\"sales\", 5.0)");
    }
}
