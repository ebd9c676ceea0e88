//! The demo's people: customers who write, and three agents who answer. They know what anybody knows who reads the log, and
//! do what anybody may do; nothing in kefu knows that they are not real.

use super::{AGENTS, Person};
use crate::cli::{
    client::{Ask, Client, new_id},
    error::CliError,
    send::Thread,
};
use crate::journal::Journal;
use futures::StreamExt;
use kefu_events::{
    Actor, ActorKind, AggregateKind, AuthorKind, Commit, Content, Sender, V,
    conversation::{ConversationCommand, ConversationEvent as Event},
    upcast::decode_commit,
};
use rand::{RngExt, seq::IndexedRandom};
use serde_json::Map;
use std::{
    collections::HashMap,
    sync::Arc,
    time::Duration,
};
use tokio::sync::Semaphore;

/// Things that people are about to do, at most: a demo that runs for a week does not grow.
const MAX_UNDER_WAY: usize = 256;
/// How long a command of theirs may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The channel that the customers write on.
const CHANNEL: &str = "web";
/// Replies of an agent, after which a conversation is written up.
const REPLIES: u32 = 2;

const CUSTOMERS: [&str; 12] = [
    "Emma", "王芳", "Liam", "李强", "Sofia", "张敏", "Noah", "刘洋", "Olivia", "陈静", "Lucas", "杨帆",
];
/// What they begin with. The first ones the knowledge base answers; the others need a person.
const QUESTIONS: [&str; 14] = [
    "How can I return something?",
    "where is my order",
    "I forgot my password",
    "怎么申请退款？",
    "我的快递到哪里了",
    "how long does delivery take?",
    "human please, my parcel arrived broken",
    "人工，我的订单被扣了两次款",
    "I want to talk to a person about an invoice",
    "转人工，发票开错了",
    "agent please: the app crashes when I pay",
    "human: can I change the address of my order?",
    "人工客服，赠品没有收到",
    "a person please, I was charged twice",
];
const FOLLOW_UPS: [&str; 8] = [
    "It is order 4711.",
    "Since yesterday.",
    "订单号是 20261122。",
    "Could you look again?",
    "好的，我等一下。",
    "The e-mail address is the one that I write from.",
    "是的，就是这个。",
    "And how long will that take?",
];
const ANSWERS: [&str; 6] = [
    "Thank you for telling us. I am looking into it.",
    "您好，我正在为您查询，请稍等。",
    "I can see it here. I have set it right; it takes until tomorrow.",
    "已经为您处理好了，请留意短信通知。",
    "I have sent you the label by e-mail.",
    "非常抱歉给您带来不便，我们会尽快退款。",
];

/// What is known of a conversation that is under way.
#[derive(Default)]
struct Talk {
    customer: Option<(String, Sender)>,
    agent: Option<String>,
    replies: u32,
    follow_ups: u32,
}

/// What somebody is about to do.
enum Deed {
    Say(Thread, String),
    Ask { key: String, agent: String, commands: Vec<ConversationCommand> },
}

/// Plays until it is dropped.
pub(super) async fn play(client: Arc<Client>, tenant: String, customers_per_minute: f64) -> Result<(), CliError> {
    let journal = client.journal.clone();
    let after = journal.position().await?.last;
    let mut log = journal.tail(after, Some(journal.subjects().events_of_tenant(&tenant))).await?;
    let pause = Duration::from_secs_f64(60.0 / customers_per_minute.clamp(0.1, 600.0));
    let mut arrivals = tokio::time::interval(pause);
    let room = Arc::new(Semaphore::new(MAX_UNDER_WAY));
    let mut talks: HashMap<String, Talk> = HashMap::new();
    loop {
        tokio::select! {
            _ = arrivals.tick() => {
                let (thread, text) = customer(&tenant);
                soon(&client, &room, Duration::ZERO, Deed::Say(thread, text));
            }
            commit = log.next() => {
                let Some(commit) = commit else { return Ok(()) };
                let commit = commit?;
                // Of another kind of aggregate.
                let Ok(commit) = decode_commit::<Event>(&commit.payload) else { continue };
                for (pause_s, deed) in deeds(&mut talks, &tenant, &commit) {
                    soon(&client, &room, Duration::from_secs_f64(pause_s), deed);
                }
            }
        }
    }
}

fn customer(tenant: &str) -> (Thread, String) {
    let mut rng = rand::rng();
    let name = CUSTOMERS.choose(&mut rng).copied().unwrap_or_default();
    let id = new_id();
    let sender = Sender { id: format!("demo-{id}"), name: Some(name.to_owned()) };
    let thread = Thread { tenant: tenant.to_owned(), channel: CHANNEL.to_owned(), thread: sender.id.clone(), sender };
    (thread, QUESTIONS.choose(&mut rng).copied().unwrap_or_default().to_owned())
}

/// What people do about a commit, and after how many seconds.
fn deeds(talks: &mut HashMap<String, Talk>, tenant: &str, commit: &Commit<Event>) -> Vec<(f64, Deed)> {
    let mut rng = rand::rng();
    let mut deeds = Vec::new();
    let is_played = |agent: &str| AGENTS.iter().any(|Person { id, played, .. }| *played && *id == agent);
    for event in &commit.events {
        // Only of conversations that the demo's customers began.
        if let Event::SessionOpened { thread, sender, .. } = event
            && thread.starts_with("demo-")
        {
            let talk = Talk { customer: Some((thread.clone(), sender.clone())), ..Talk::default() };
            talks.insert(commit.key.clone(), talk);
        }
        let Some(talk) = talks.get_mut(&commit.key) else { continue };
        let ask = |agent: &str, commands| Deed::Ask { key: commit.key.clone(), agent: agent.to_owned(), commands };
        let says = |talk: &Talk, text: &str| {
            let (thread, sender) = talk.customer.clone()?;
            let thread = Thread { tenant: tenant.to_owned(), channel: CHANNEL.to_owned(), thread, sender };
            Some(Deed::Say(thread, text.to_owned()))
        };
        match event {
            Event::OfferMade { agent, offer, .. } if is_played(agent) => {
                let name = AGENTS.iter().find(|person| person.id == agent).map(|person| person.name.to_owned());
                let command = match rng.random_bool(0.1) {
                    true => ConversationCommand::Reject { v: V, offer: Some(offer.clone()), reason: Some("busy".to_owned()) },
                    false => ConversationCommand::Accept { v: V, offer: Some(offer.clone()), name },
                };
                deeds.push((rng.random_range(1.0..5.0), ask(agent, vec![command])));
            }
            Event::OfferAccepted { agent, .. } | Event::TakenOver { agent, .. } => {
                (talk.agent, talk.replies) = (Some(agent.clone()), 0);
                if is_played(agent) {
                    deeds.push((rng.random_range(3.0..8.0), ask(agent, vec![reply()])));
                }
            }
            Event::MessageReceived { .. } => {
                let Some(agent) = talk.agent.clone().filter(|agent| is_played(agent)) else { continue };
                talk.replies += 1;
                let commands = match talk.replies > REPLIES {
                    false => vec![reply()],
                    true => {
                        talk.agent = None;
                        let code = if rng.random_bool(0.85) { "solved" } else { "not_solved" };
                        let disposition = ConversationCommand::SetDisposition { v: V, code: code.to_owned(), note: None };
                        vec![reply(), ConversationCommand::WrapUp { v: V }, disposition, ConversationCommand::Close { v: V }]
                    }
                };
                deeds.push((rng.random_range(3.0..9.0), ask(&agent, commands)));
            }
            Event::MessageSent { author, .. } if author.kind == AuthorKind::Agent && talk.follow_ups < 4 => {
                talk.follow_ups += 1;
                let text = FOLLOW_UPS.choose(&mut rng).copied().unwrap_or_default();
                deeds.extend(says(talk, text).map(|deed| (rng.random_range(4.0..12.0), deed)));
            }
            Event::AnswerGiven { .. } => {
                let text = if rng.random_bool(0.6) { "thanks" } else { "human" };
                deeds.extend(says(talk, text).map(|deed| (rng.random_range(4.0..10.0), deed)));
            }
            Event::ChoicesOffered { .. } => deeds.extend(says(talk, "1").map(|deed| (rng.random_range(3.0..8.0), deed))),
            Event::SatisfactionRequested { .. } => {
                let score = ["5", "5", "4", "4", "3"].choose(&mut rng).copied().unwrap_or("5");
                deeds.extend(says(talk, score).map(|deed| (rng.random_range(2.0..6.0), deed)));
            }
            Event::SatisfactionRated { .. } => {
                talks.remove(&commit.key);
            }
            _ => {}
        }
    }
    deeds
}

fn reply() -> ConversationCommand {
    let text = ANSWERS.choose(&mut rand::rng()).copied().unwrap_or_default();
    ConversationCommand::Reply { v: V, content: Content::text(text), reply_to: None }
}

/// Does something after a while. Where too much is under way, it is left out: nobody misses it.
fn soon(client: &Arc<Client>, room: &Arc<Semaphore>, after: Duration, deed: Deed) {
    let Ok(permit) = Arc::clone(room).try_acquire_owned() else { return };
    let client = Arc::clone(client);
    tokio::spawn(async move {
        tokio::time::sleep(after).await;
        if let Err(error) = act(&client, deed).await {
            // Somebody else was first, mostly: a conversation is over, or is with a person who plays along.
            tracing::debug!(%error, "a player could not do what it wanted");
        }
        drop(permit);
    });
}

async fn act(client: &Client, deed: Deed) -> Result<(), CliError> {
    match deed {
        Deed::Say(thread, text) => {
            let message = thread.message(new_id(), Content::text(text), Map::new());
            thread.publish(client, &message).await.map(drop)
        }
        Deed::Ask { key, agent, commands } => {
            for body in commands {
                let ask = Ask {
                    tenant: super::TENANT,
                    aggregate: AggregateKind::Conversation,
                    key: &key,
                    actor: Actor::new(ActorKind::Agent, &agent),
                    id: None,
                    expected_version: None,
                    body,
                };
                client.command(ask, PATIENCE).await?;
            }
            Ok(())
        }
    }
}
