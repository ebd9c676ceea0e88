//! How full the bus is: asked of the server now and then, so that whoever asks for metrics does not wait for it.

use crate::journal::NatsJournal;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{task::JoinHandle, time::MissedTickBehavior};

/// Five small requests; a backlog that is to be noticed lasts longer.
const PERIOD: Duration = Duration::from_secs(10);

/// Messages and bytes of each stream, by the name that metrics have for it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StreamSizes(Arc<Mutex<BTreeMap<&'static str, (u64, u64)>>>);

impl StreamSizes {
    /// As they were when they were last asked for; a stream about which the server did not answer is missing.
    pub fn all(&self) -> BTreeMap<&'static str, (u64, u64)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Keeps the sizes up to date until the task is aborted.
pub fn watch_streams(journal: NatsJournal) -> (StreamSizes, JoinHandle<()>) {
    let sizes = StreamSizes::default();
    let shown = sizes.clone();
    let task = tokio::spawn(async move {
        let subjects = journal.subjects().clone();
        let streams = [
            ("inbox", subjects.inbox_stream()),
            ("commands", subjects.commands_stream()),
            ("events", subjects.events_stream()),
            ("outbox", subjects.outbox_stream()),
            ("rejected", subjects.rejected_stream()),
        ];
        let mut period = tokio::time::interval(PERIOD);
        period.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            period.tick().await;
            let mut found = BTreeMap::new();
            for (name, stream) in &streams {
                match journal.stream_info(stream).await {
                    Ok(info) => {
                        let number = |field: &str| info["state"][field].as_u64().unwrap_or_default();
                        found.insert(*name, (number("messages"), number("bytes")));
                    }
                    Err(error) => tracing::debug!(%error, stream, "its size is not known"),
                }
            }
            *shown.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    });
    (sizes, task)
}
