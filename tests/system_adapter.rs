//! An adapter that knows nothing but the public contract replays thousands of messages of real dialogues through a real
//! `kefu serve`.

mod support;

use std::collections::BTreeMap;
use support::{
    adapter::{self, Adapter, Replay},
    kefu::Kefu,
    log, skip,
};

/// Customers' turns of the English dialogues, repeated to this number, and all of the Chinese ones.
const ENGLISH: usize = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_of_a_foreign_adapter_is_in_exactly_one_commit_in_order() {
    let python = match adapter::find() {
        Ok(python) => python,
        Err(reason) => return skip("the adapter's replay", &reason),
    };
    let kefu = Kefu::start().await;
    let adapter = Adapter::new(python, &kefu);
    // The last hand-over follows three seconds after the last message; on a busy machine later.
    let replayed = adapter.replay(&Replay { messages: ENGLISH, chinese: true, rate: 0.0, quiet_s: 15 }).await;
    assert!(replayed.published.len() > ENGLISH, "only {} messages were published", replayed.published.len());

    let journal = kefu.journal().await;
    let (all, figures) = log::settle_and_check(&journal, &replayed.published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    // What the adapter read is what the outbox holds, whatever it was delivered twice.
    let stored: BTreeMap<_, _> = all.outbox.iter().map(|(id, copies)| (id, &copies[0].1)).collect();
    let read: BTreeMap<_, _> = replayed.received.iter().map(|(id, (body, _))| (id, body)).collect();
    assert!(read == stored, "{} replies are in the outbox, the adapter read {}", stored.len(), read.len());
    println!("adapter: {figures}; the adapter says {}", replayed.summary);
}
