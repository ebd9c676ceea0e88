//! What is measured when somebody asks: it looks at what is there, and never waits for it.

use super::{Observed, StreamSizes};
use crate::{
    dispatch::leader::Leader,
    engine::Engine,
    journal::Connection,
    runtime::{metrics::METRICS, node::NodeStatus, projector::Progress},
    store::StoreFigures,
    telemetry::{Figures, catalogue as metric},
};
use kefu_events::Timestamp;
use std::{path::Path, sync::LazyLock};

/// All figures of a node; `engine` is absent while it starts.
pub fn figures(
    ready: bool,
    connection: Connection,
    engine: Option<&Engine>,
    streams: &StreamSizes,
    data: &Path,
) -> Figures {
    // Shown from the first time on, with nothing in it.
    LazyLock::force(&METRICS);
    let mut figures = Figures::default();
    figures.set(&metric::READY, [], ready);
    figures.set(&metric::NATS_CONNECTED, [], connection.connected);
    figures.set(&metric::NATS_LOST, [], connection.lost);
    for (stream, (messages, bytes)) in streams.all() {
        figures.set(&metric::STREAM_MESSAGES, [stream], messages);
        figures.set(&metric::STREAM_BYTES, [stream], bytes);
    }
    disk(&mut figures, data);
    let Some(engine) = engine else { return figures };
    node(&mut figures, &engine.status());
    let observed = engine.observed();
    projector(&mut figures, &engine.projector().progress().borrow(), &observed);
    store(&mut figures, &engine.store().figures());
    replies(&mut figures, &observed);
    let led = engine.led();
    engine.floors().each(|tenant, leader| scheduling(&mut figures, tenant, leader, led.has(tenant)));
    search(&mut figures, engine);
    figures
}

fn disk(figures: &mut Figures, data: &Path) {
    let Ok(disk) = nix::sys::statvfs::statvfs(data) else { return };
    let block = disk.fragment_size() as f64;
    figures.set(&metric::DISK_FREE, [], disk.blocks_available() as f64 * block);
    figures.set(&metric::DISK_SIZE, [], disk.blocks() as f64 * block);
}

fn node(figures: &mut Figures, node: &NodeStatus) {
    figures.set(&metric::PARTITIONS, [], u64::from(node.partitions));
    figures.set(&metric::PARTITIONS_OWNED, [], node.owned.len());
    figures.set(&metric::ACTIVE_AGGREGATES, [], node.owned.values().map(|owner| owner.active).sum::<usize>());
    figures.set(&metric::MAILBOX_HELD, [], node.owned.values().map(|owner| owner.held).sum::<usize>());
}

fn projector(figures: &mut Figures, progress: &Progress, observed: &Observed) {
    let (seq, end) = (progress.projected, progress.end.max(progress.projected));
    figures.set(&metric::PROJECTOR_SEQ, [], seq);
    figures.set(&metric::LOG_SEQ, [], end);
    figures.set(&metric::PROJECTOR_LAG, [], end - seq);
    let behind = observed.last_commit().filter(|_| end > seq);
    let seconds = behind.map_or(0.0, |at| now().millis_since(at).max(0) as f64 / 1e3);
    figures.set(&metric::PROJECTOR_LAG_SECONDS, [], seconds);
}

fn store(figures: &mut Figures, store: &StoreFigures) {
    figures.set(&metric::STORE_MEMORY, [], store.memory_bytes);
    figures.set(&metric::STORE_DISK, [], store.disk_bytes);
    figures.set(&metric::STORE_AGGREGATES, [], store.aggregates);
    figures.set(&metric::STORE_COMPACTION_PENDING, [], store.compaction_pending_bytes);
    figures.set(&metric::STORE_COMPACTIONS, [], store.compactions);
    figures.set(&metric::STORE_WRITES_STOPPED, [], store.writes_stopped);
    figures.set(&metric::LOG_ODDITIES, ["gap"], store.gaps);
    figures.set(&metric::LOG_ODDITIES, ["foreign"], store.foreign_messages);
    figures.set(&metric::LOG_ODDITIES, ["unknown_kind"], store.commits_of_unknown_kinds);
}

fn replies(figures: &mut Figures, observed: &Observed) {
    let now = now();
    for (tenant, (count, oldest)) in observed.owed() {
        figures.set(&metric::AGENT_RESPONSE_PENDING, [&tenant], count);
        let seconds = now.millis_since(oldest).max(0) as f64 / 1e3;
        figures.set(&metric::AGENT_RESPONSE_OLDEST, [&tenant], seconds);
    }
}

fn scheduling(figures: &mut Figures, tenant: &str, leader: &Leader, leads: bool) {
    let now_ms = now().as_millis();
    figures.set(&metric::SCHEDULER_LEADS, [tenant], leads);
    // Where nobody owes a reply, that is 0 and not unknown.
    for metric in [&metric::AGENT_RESPONSE_PENDING, &metric::AGENT_RESPONSE_OLDEST] {
        if figures.get(metric, [tenant]).is_none() {
            figures.set(metric, [tenant], 0.0);
        }
    }
    let waits = leader.waits(now_ms);
    for (queue, state) in leader.queues(now_ms) {
        let (waiting, oldest_ms) = waits.get(queue.as_str()).copied().unwrap_or_default();
        figures.set(&metric::QUEUE_WAITING, [tenant, &queue], waiting);
        figures.set(&metric::QUEUE_OLDEST, [tenant, &queue], oldest_ms.max(0) as f64 / 1e3);
        if let Some(target) = leader.settings().rules(&queue).target {
            figures.set(&metric::QUEUE_TARGET_SECONDS, [tenant, &queue], target.within_s);
            figures.set(&metric::QUEUE_TARGET_RATIO, [tenant, &queue], target.percent / 100.0);
        }
        // Only the leader sees who is assigned when.
        if let Some(level) = state.service_level.filter(|_| leads) {
            figures.set(&metric::QUEUE_SERVICE_LEVEL, [tenant, &queue], level / 100.0);
        }
        if let Some(seconds) = state.estimated_wait_s.filter(|_| leads) {
            figures.set(&metric::QUEUE_ESTIMATED_WAIT, [tenant, &queue], seconds);
        }
    }
    let staff = leader.staff();
    for status in ["available", "away", "transfers_only", "offline"] {
        figures.set(&metric::AGENTS, [tenant, status], staff.by_status.get(status).copied().unwrap_or(0));
    }
    figures.set(&metric::AGENT_SLOTS, [tenant, "free"], staff.free);
    figures.set(&metric::AGENT_SLOTS, [tenant, "used"], staff.used);
}

fn search(figures: &mut Figures, engine: &Engine) {
    let desk = engine.desk();
    let bases = desk.library().status();
    figures.set(&metric::SEARCH_ENTRIES, [], bases.values().map(|base| base.entries).sum::<usize>());
    figures.set(&metric::SEARCH_PENDING, [], bases.values().map(|base| base.pending).sum::<usize>());
    figures.set(&metric::ARCHIVE_SEQ, [], engine.archive().status().seq);
    let counts = desk.library().models().counts();
    figures.set(&metric::EMBEDDINGS_WAITING, [], counts.waiting);
    for (outcome, count) in [
        ("computed", counts.computed),
        ("cached", counts.cached),
        ("refused", counts.refused),
        ("failed", counts.failed),
    ] {
        figures.set(&metric::EMBEDDINGS, [outcome], count);
    }
    figures.set(&metric::EMBEDDING_SECONDS, [], counts.busy_us as f64 / 1e6);
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}
