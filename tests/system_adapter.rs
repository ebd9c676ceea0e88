//! An adapter that knows nothing but the public contract replays thousands of messages of real dialogues through a real
//! `kefu serve`.

#![allow(clippy::unwrap_used)] // A test may panic.

mod support;

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
    let mut replaying = adapter.replay(&Replay { messages: ENGLISH, chinese: true, rate: 0.0 });
    let published = replaying.published().await;
    assert!(published.len() > ENGLISH, "only {} messages were published", published.len());

    let journal = kefu.journal().await;
    let (all, figures) = log::settle_and_check(&journal, &published).await;
    assert!(all.rejected.is_empty(), "{:?}", all.rejected.first());
    let received = replaying.received(all.outbox.len()).await;
    assert!(received.replies == all.replies(), "the adapter read other replies than the outbox holds");
    println!("adapter: {figures}; the adapter says {}", received.summary);
}
