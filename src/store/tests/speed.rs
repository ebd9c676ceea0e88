//! How fast commits of real conversations are decoded, folded and written. Not a test: a figure to look at.
//!
//! `cargo nextest run --release --lib --run-ignored only --no-capture store::tests::speed`

use super::*;
use crate::{
    aggregate::kind::{Kind, KindOf},
    conversation::Conversation,
};
use kefu_events::{Content, Inbound, Sender, key::conversation_key};
use std::time::Instant;

/// Commits of `count` conversations, each with some messages and the bot's deadlines, as decided by the real thing.
fn traffic(conversations: usize, messages: usize) -> Vec<(String, Vec<u8>)> {
    let kind: Box<dyn Kind> = KindOf::<Conversation>::boxed();
    let settings = crate::aggregate::TenantConfig::default();
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
            let commit_id = uuid::Uuid::now_v7().simple().to_string();
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

/// Nanoseconds that this thread has had of a core: other work on the machine does not count.
fn cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn of_decoding_folding_and_writing() {
    for (conversations, messages) in [(20_000, 10), (200_000, 1)] {
        let log = traffic(conversations, messages);
        let bytes: usize = log.iter().map(|(_, payload)| payload.len()).sum();
        println!("{} commits of {} bytes, {conversations} conversations", log.len(), bytes / log.len());
        let dir = TempDir::new().unwrap();
        let (store, mut writer) = Store::open(&dir.path().join("store"), &options(), Folds::all(), vec![]).unwrap();
        let folds = writer.folds();
        writer.follow("log", log.len() as u64).unwrap();
        let (mut decoding, mut folding, mut writing) = (0, 0, 0);
        let began_at = Instant::now();
        let mut seq = 0;
        for batch in log.chunks(8_192) {
            for chunk in batch.chunks(512) {
                let began = cpu();
                let commits: Vec<_> = chunk
                    .iter()
                    .map(|(subject, payload)| {
                        seq += 1;
                        DecodedCommit::decode(&folds, seq, subject, payload).unwrap()
                    })
                    .collect();
                decoding += cpu() - began;
                let began = cpu();
                writer.fold(&commits).unwrap();
                drop(commits);
                folding += cpu() - began;
            }
            let began = cpu();
            writer.write().unwrap();
            writing += cpu() - began;
        }
        let each = |nanos: u64| nanos as f64 / 1e3 / log.len() as f64;
        println!(
            "µs per commit: decode {:.2}, fold {:.2}, write {:.2}; together {:.0}/s of CPU; {:.1} s by the clock; {:?}",
            each(decoding),
            each(folding),
            each(writing),
            1e6 / (each(decoding) + each(folding) + each(writing)),
            began_at.elapsed().as_secs_f64(),
            store.figures()
        );
    }
}
