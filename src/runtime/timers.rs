//! Deadlines: tells aggregates of those that have passed.
//!
//! Deadlines live in the aggregates' states; the store keeps them by partition and due time. Whoever owns a partition
//! sends its due ones as commands and remembers them until the store no longer knows them; one that stays is sent
//! again. Late means now, and nothing is lost while no node runs. A command too many is refused as obsolete.

use super::{metrics::METRICS, owner::caught_up};
use crate::{
    aggregate::kind::Kinds,
    journal::{Journal, Outgoing},
    store::{DueTimer, Store},
};
use bytes::Bytes;
use kefu_events::{Actor, ActorKind, CommandHeader, Timestamp};
use std::{collections::BTreeMap, time::Duration};

/// Between two looks at what is due. Deadlines are seconds; a tenth more is not noticed.
const PERIOD: Duration = Duration::from_millis(100);
/// After this long without a change in the store, a deadline is told again: far more than a command takes, also when the
/// projector lags, and short enough that a lost one is not noticed for long.
const AGAIN_AFTER_MS: i64 = 15_000;
/// Deadlines told and not yet done, at most, per partition: after a long pause everything is due at once, and the
/// work queue must not be flooded with what cannot be handled sooner anyway.
const OUTSTANDING: usize = 1_000;

/// Runs until it is dropped, for one owned partition.
pub async fn run<J: Journal>(journal: J, store: Store, kinds: Kinds, partition: u16) {
    // A store that lags knows deadlines that were met long ago.
    if !caught_up(&journal, &store).await {
        return;
    }
    let mut told: BTreeMap<DueTimer, Timestamp> = BTreeMap::new();
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let now = Timestamp::from(chrono::Utc::now());
        told.retain(|timer, at| {
            now.millis_since(*at) < AGAIN_AFTER_MS && store.has_timer(partition, timer).unwrap_or(true)
        });
        if told.len() >= OUTSTANDING {
            continue;
        }
        let due = match store.due_timers(partition, now, OUTSTANDING) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, partition, "deadlines cannot be read");
                continue;
            }
        };
        for timer in due {
            if told.contains_key(&timer) {
                continue;
            }
            let Some(command) = command(&kinds, &timer, now) else { continue };
            match journal.publish(command).await {
                Ok(()) => {
                    METRICS.timers_sent.inc();
                    told.insert(timer, now);
                }
                Err(error) => {
                    tracing::debug!(%error, partition, "deadlines are told later");
                    break;
                }
            }
        }
    }
}

/// Every telling has an id of its own: one that was refused must not make the next one a duplicate.
fn command(kinds: &Kinds, timer: &DueTimer, now: Timestamp) -> Option<Outgoing> {
    let id = format!("timer-{}", uuid::Uuid::now_v7().simple());
    let header = CommandHeader {
        id: id.clone(),
        aggregate: timer.kind,
        key: timer.key.clone(),
        expected_version: None,
        actor: Actor::new(ActorKind::Timer, timer.timer.clone()),
        at: now,
        correlation: None,
    };
    let payload = kinds.get(timer.kind)?.timer_command(header, &timer.timer, timer.due)?;
    Some(Outgoing::Command {
        tenant: timer.tenant.clone(),
        source: ActorKind::Timer.as_str().to_owned(),
        key: timer.key.clone(),
        id,
        payload: Bytes::from(payload),
    })
}
