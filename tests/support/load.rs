//! Load that needs nothing but the bus: many threads at once, each in order, each message until it is acknowledged.

use super::{PATIENCE, log::Published, pause};
use futures::{StreamExt, stream};
use kefu::journal::NatsJournal;
use kefu_events::key::conversation_key;
use serde_json::json;
use std::time::Instant;
use tokio::sync::watch;

/// Threads of customers on one channel.
pub struct Load {
    pub channel: &'static str,
    pub threads: usize,
    /// Threads that write at once.
    pub at_once: usize,
    progress: watch::Sender<usize>,
}

impl Load {
    pub fn new(channel: &'static str, threads: usize, at_once: usize) -> Self {
        Self { channel, threads, at_once, progress: watch::Sender::new(0) }
    }

    /// Waits until so many messages were acknowledged.
    pub async fn reached(&self, messages: usize) {
        let mut progress = self.progress.subscribe();
        let reached = tokio::time::timeout(PATIENCE, progress.wait_for(|count| *count >= messages)).await;
        reached.expect("the load goes on").expect("the load lives");
    }

    /// Writes the messages number `from` to `to` of each thread; what was acknowledged.
    pub async fn publish(&self, journal: &NatsJournal, from: usize, to: usize) -> Vec<Published> {
        let threads = stream::iter(0..self.threads).map(|thread| async move {
            let mut published = Vec::new();
            for number in from..to {
                let message = Published {
                    tenant: "demo".to_owned(),
                    channel: self.channel.to_owned(),
                    thread: format!("t{thread}"),
                    id: format!("m{number}"),
                    text: format!("message {number} of thread {thread}: 您好"),
                };
                publish(journal, &message).await;
                self.progress.send_modify(|count| *count += 1);
                published.push(message);
            }
            published
        });
        threads.buffer_unordered(self.at_once).concat().await
    }
}

/// Publishes one message until it is acknowledged.
pub async fn publish(journal: &NatsJournal, message: &Published) {
    let Published { tenant, channel, thread, id, text } = message;
    let body = json!({
        "id": id, "channel": channel, "thread": thread, "sender": {"id": thread},
        "sent_at": "2026-01-05T10:00:00.000Z", "content": {"kind": "text", "text": text},
    });
    let key = conversation_key(channel, thread);
    let began = Instant::now();
    loop {
        match journal.publish_inbound(tenant, channel, &key, id, body.to_string().into()).await {
            Ok(_) => return,
            Err(error) => assert!(began.elapsed() < PATIENCE, "{thread}/{id} cannot be published: {error}"),
        }
        // What is not acknowledged may be stored all the same, or the server may be on its way back.
        pause().await;
    }
}
