//! Commits of real conversations, as the real thing decides them.

use super::*;
use crate::{
    aggregate::{
        TenantConfig,
        kind::{Kind, KindOf},
    },
    conversation::Conversation,
};
use kefu_events::{Content, Inbound, Sender, key::conversation_key};

/// Subjects and bodies of the commits of so many conversations, each with so many messages, taking turns.
pub(crate) fn traffic(conversations: usize, messages: usize) -> Vec<(String, Vec<u8>)> {
    let kind: Box<dyn Kind> = KindOf::<Conversation>::boxed();
    let settings = TenantConfig::default();
    let mut cells: Vec<_> = (0..conversations).map(|_| kind.fresh()).collect();
    let mut log = Vec::new();
    for message in 0..messages {
        for (number, cell) in cells.iter_mut().enumerate() {
            let thread = format!("thread-{number}");
            let key = conversation_key("web", &thread);
            let now = at(1_700_000_000_000 + (message * conversations + number) as i64);
            let inbound = Inbound {
                id: format!("m-{message}"),
                channel: "web".to_owned(),
                thread,
                sender: Sender { id: format!("customer-{number}"), name: Some("Ann".to_owned()) },
                sent_at: now,
                content: Content::text("Hello, where is my order? I have been waiting for it since Monday."),
                metadata: serde_json::Map::new(),
            };
            let actor = Actor::new(ActorKind::Customer, "customer");
            let input = kind.message(format!("acme/web/{key}/m-{message}"), log.len() as u64, actor, inbound);
            let commit_id = format!("{:032x}", log.len());
            let context = Context {
                tenant: "acme",
                key: &key,
                version: cell.version(),
                now,
                commit_id: &commit_id,
                settings: &settings,
                found: &[],
            };
            let decision = cell.decide(&input, &context).unwrap();
            log.push((format!("kefu.events.acme.conversation.{key}"), decision.payload.to_vec()));
            cell.apply(&decision.commit, log.len() as u64);
        }
    }
    log
}
