//! Two aggregates whose events let everything be checked: a thread, which takes messages and pays into accounts, and an
//! account, which confirms. What they hold together is always nothing.

use kefu::{
    aggregate::{Aggregate, CommitMeta, Context, Deadline, Effect, Input, LookUp, TenantConfig},
    common_events,
};
use kefu_events::{
    AggregateKind, Author, CommandRefused, Commit, Content, Outbound, QuarantineLifted, Quarantined, Refusal,
    Timestamp, V,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// A channel of this name in a tenant's settings says that what was poison can be decided now.
pub const MENDED: &str = "mended";

/// A message or note with this text is poison until then, as are payments of this amount.
pub const POISONS: [&str; 4] = ["panic", "empty", "refuse", "huge"];
pub const POISONED_AMOUNT: i64 = 666;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Ask {
    Note { v: V<1>, text: String },
    Add { v: V<1>, amount: i64, payment: String, from: String },
    Confirm { v: V<1>, payment: String },
    TimerFired { v: V<1>, due: Timestamp },
    LiftQuarantine { v: V<1> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// `before` is the digest of the state that the decision saw.
    Received {
        v: V<1>,
        before: u64,
        channel: String,
        thread: String,
        text: String,
        found: usize,
    },
    Noted {
        v: V<1>,
        before: u64,
        channel: String,
        thread: String,
        text: String,
    },
    Paid {
        v: V<1>,
        to: String,
        amount: i64,
        payment: String,
    },
    Added {
        v: V<1>,
        before: u64,
        amount: i64,
        payment: String,
        from: String,
    },
    Confirmed {
        v: V<1>,
        before: u64,
        payment: String,
    },
    TimerSet {
        v: V<1>,
        due: Timestamp,
    },
    TimerPassed {
        v: V<1>,
        before: u64,
        channel: String,
        thread: String,
    },
    CommandRefused(CommandRefused),
    Quarantined(Quarantined),
    QuarantineLifted(QuarantineLifted),
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Chains the ids of all commits: two histories that differ have different ones.
    pub digest: u64,
    pub balance: i64,
    /// Payments that were sent and not confirmed.
    pub unconfirmed: BTreeSet<String>,
    /// Payments that were taken in.
    pub taken: BTreeSet<String>,
    /// Something was done twice that may be done once only.
    pub twice: u32,
    pub deadline: Option<Timestamp>,
    pub channel: String,
    pub thread: String,
}

fn chain(digest: u64, text: &str) -> u64 {
    text.bytes()
        .fold(digest ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn evolve(state: &mut State, commit: &CommitMeta, event: &Happening) {
    state.digest = chain(state.digest, &commit.commit_id);
    match event {
        Happening::Received { channel, thread, .. } => {
            state.channel.clone_from(channel);
            state.thread.clone_from(thread);
        }
        Happening::Paid { amount, payment, .. } => {
            state.balance -= amount;
            state.unconfirmed.insert(payment.clone());
        }
        Happening::Added { amount, payment, .. } => {
            state.balance += amount;
            state.twice += u32::from(!state.taken.insert(payment.clone()));
        }
        Happening::Confirmed { payment, .. } => state.twice += u32::from(!state.unconfirmed.remove(payment)),
        Happening::TimerSet { due, .. } => state.deadline = Some(*due),
        Happening::TimerPassed { .. } => state.deadline = None,
        _ => {}
    }
}

fn effects(commit: &Commit<Happening>) -> Vec<Effect> {
    let mut all = Vec::new();
    let reply = |all: &mut Vec<Effect>, channel: &str, thread: &str, text: String| {
        all.push(Effect::Reply(Outbound {
            id: format!("{}-r{}", commit.commit_id, all.len()),
            tenant: commit.tenant.clone(),
            channel: channel.to_owned(),
            thread: thread.to_owned(),
            key: commit.key.clone(),
            session: 1,
            at: commit.at,
            author: Author::system(),
            content: Content::text(text),
            reply_to: None,
        }));
    };
    for event in &commit.events {
        match event {
            Happening::Received { channel, thread, text, .. } if text != "quiet" => {
                reply(&mut all, channel, thread, format!("re: {text}"));
                if text == "twice" {
                    reply(&mut all, channel, thread, "and again".to_owned());
                }
            }
            Happening::Noted { channel, thread, text, .. } if !channel.is_empty() => {
                reply(&mut all, channel, thread, format!("noted: {text}"));
            }
            Happening::TimerPassed { channel, thread, .. } => reply(&mut all, channel, thread, "still there?".into()),
            Happening::Paid { to, amount, payment, .. } => all.push(Effect::Command {
                aggregate: AggregateKind::Contact,
                key: to.clone(),
                body: json!({"type": "add", "v": 1, "amount": amount, "payment": payment, "from": commit.key}).into(),
            }),
            Happening::Added { payment, from, .. } => all.push(Effect::Command {
                aggregate: AggregateKind::Conversation,
                key: from.clone(),
                body: json!({"type": "confirm", "v": 1, "payment": payment}).into(),
            }),
            _ => {}
        }
    }
    all
}

/// What a defective decision does. `Some`: it is defective.
fn poisoned(text: &str, context: &Context) -> Option<Result<Vec<Happening>, Refusal>> {
    if context.settings.channels.contains_key(MENDED) {
        return None;
    }
    match text {
        "panic" => panic!("{}", super::SIMULATED),
        "empty" => Some(Ok(Vec::new())),
        "refuse" => Some(Err(Refusal::new("invalid", "a message that is refused"))),
        _ => None,
    }
}

fn decide(state: &State, input: &Input<Ask>, context: &Context) -> Result<Vec<Happening>, Refusal> {
    let before = state.digest;
    let words = |text: &str| {
        let mended = context.settings.channels.contains_key(MENDED);
        // More than the server stores in one message.
        if text == "huge" && !mended { "x".repeat(10 << 10) } else { text.to_owned() }
    };
    match input {
        Input::Message(message) => {
            let Content::Text { text } = &message.content else { return Ok(Vec::new()) };
            if let Some(defective) = poisoned(text, context) {
                return defective;
            }
            let mut events = vec![Happening::Received {
                v: V,
                before,
                channel: message.channel.clone(),
                thread: message.thread.clone(),
                text: words(text),
                found: context.found.iter().map(Vec::len).sum(),
            }];
            if let Some((to, amount)) = text.strip_prefix("pay ").and_then(|rest| rest.split_once(' ')) {
                events.push(Happening::Paid {
                    v: V,
                    to: to.to_owned(),
                    amount: amount.parse().unwrap(),
                    payment: context.commit_id.to_owned(),
                });
            }
            if let Some(ms) = text.strip_prefix("wait ") {
                let due = Timestamp::from_millis(context.now.as_millis() + ms.parse::<i64>().unwrap());
                events.push(Happening::TimerSet { v: V, due });
            }
            Ok(events)
        }
        Input::Command(_, Ask::Note { text, .. }) => {
            if let Some(defective) = poisoned(text, context) {
                return defective;
            }
            if text == "no" {
                return Err(Refusal::new("invalid", "no"));
            }
            let (channel, thread) = (state.channel.clone(), state.thread.clone());
            Ok(vec![Happening::Noted { v: V, before, channel, thread, text: words(text) }])
        }
        Input::Command(_, Ask::Add { amount, payment, from, .. }) => {
            if *amount == POISONED_AMOUNT {
                poisoned("panic", context);
            }
            let (payment, from) = (payment.clone(), from.clone());
            Ok(vec![Happening::Added { v: V, before, amount: *amount, payment, from }])
        }
        Input::Command(_, Ask::Confirm { payment, .. }) => {
            Ok(vec![Happening::Confirmed { v: V, before, payment: payment.clone() }])
        }
        Input::Command(_, Ask::TimerFired { due, .. }) if state.deadline == Some(*due) => {
            let (channel, thread) = (state.channel.clone(), state.thread.clone());
            Ok(vec![Happening::TimerPassed { v: V, before, channel, thread }])
        }
        Input::Command(_, Ask::TimerFired { .. }) => Err(Refusal::new("stale", "this deadline is no more")),
        Input::Command(_, Ask::LiftQuarantine { .. }) => Err(Refusal::new("wrong_state", "nothing to lift")),
    }
}

macro_rules! aggregate {
    ($name:ident, $kind:ident, $messages:literal) => {
        pub struct $name;

        impl Aggregate for $name {
            const KIND: AggregateKind = AggregateKind::$kind;
            const STATE_VERSION: u32 = 1;
            const TAKES_MESSAGES: bool = $messages;
            type State = State;
            type Event = Happening;
            type Command = Ask;

            fn decide(state: &State, input: &Input<Ask>, context: &Context) -> Result<Vec<Happening>, Refusal> {
                decide(state, input, context)
            }

            fn evolve(state: &mut State, commit: &CommitMeta, event: &Happening) {
                evolve(state, commit, event);
            }

            fn effects(commit: &Commit<Happening>) -> Vec<Effect> {
                effects(commit)
            }

            fn deadlines(state: &State) -> Vec<Deadline> {
                state.deadline.map(|due| Deadline { timer: "wait", due }).into_iter().collect()
            }

            fn timer_fired(_: &str, due: Timestamp) -> Option<Ask> {
                Some(Ask::TimerFired { v: V, due })
            }

            fn look_ups(_: &State, input: &Input<Ask>, _: &TenantConfig) -> Vec<LookUp> {
                let asks = matches!(input, Input::Message(message) if message.content.as_text() == Some("who"));
                let who = LookUp::ContactsByAttribute { name: "phone".to_owned(), value: "1".to_owned() };
                if asks { vec![who] } else { Vec::new() }
            }

            common_events!(Happening, Ask);
        }
    };
}

aggregate!(Thread, Conversation, true);
aggregate!(Account, Contact, false);
