//! How hostile one seed's world is.

use super::rng::Rng;
use kefu::runtime::machine::Limits;

/// Something that the driver does wrong on purpose, to prove that the simulation notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Defect {
    None,
    /// Acks what is delivered at once.
    AckBeforeCommit,
    /// The store never knows an input.
    NoDedupLookUp,
    /// Appends under whatever the last sequence is.
    IgnoresExpected,
    /// Publishes a commit's effects before it is stored.
    EffectsBeforeCommit,
    /// Reports an append without an answer as stored.
    UnknownMeansStored,
    /// Takes a publish that failed for done.
    PublishOnce,
    /// Reads the last commit from a follower that lags.
    StaleReadBack,
    /// Loads aggregates before the projector has passed the end that was seen at take-over, and before the queues have
    /// delivered what the former owner held.
    ReadyTooEarly,
    /// After a power loss, goes on with a store that knows more than the log.
    KeepsStoreAfterRollback,
    /// The store forgets inputs, but not its checkpoint.
    StoreForgetsInputs,
    /// Does not reject, but acks, what is malformed.
    DropsMalformed,
}

/// Chances are in 10,000 per opportunity.
#[derive(Debug, Clone)]
pub struct Profile {
    pub nodes: usize,
    pub partitions: u16,
    pub limits: Limits,
    pub max_pending: usize,
    pub ms_per_step: u64,
    pub max_payload: usize,
    // Per operation.
    pub append_lost: u64,
    pub append_ack_lost: u64,
    pub append_late: u64,
    pub publish_lost: u64,
    pub publish_ack_lost: u64,
    pub publish_late: u64,
    pub ack_lost: u64,
    pub stale_history: u64,
    pub corrupt_snapshot: u64,
    pub result_unheard: u64,
    // Per step.
    pub crash: u64,
    pub disconnect: u64,
    pub restart: u64,
    pub usurp: u64,
    pub linger: u64,
    pub redeliver: u64,
    pub drain: u64,
    pub land: u64,
    pub ghost: u64,
    pub truncate: u64,
    pub rollback: u64,
    pub recreate: u64,
    pub time_jump: u64,
    pub early_retry: u64,
    // Per input.
    pub again: u64,
    pub malformed: u64,
    pub poison: u64,
    pub timer_twice: u64,
    pub hot: bool,
    pub defect: Defect,
}

impl Profile {
    pub fn of(rng: &mut Rng, defect: Defect) -> Self {
        // A quiet world, a usual one, or a hostile one; and each fault may be off, so that others are seen alone.
        let hostility = [0, 1, 1, 3][rng.index(4)];
        let mut some = |rate: u64| match rng.below(3) {
            0 => 0,
            _ => rate * hostility,
        };
        let append_lost = some(300);
        let append_ack_lost = some(300);
        let append_late = some(300);
        let publish_lost = some(300);
        let publish_ack_lost = some(300);
        let publish_late = some(200);
        let ack_lost = some(500);
        let stale_history = some(1500);
        let corrupt_snapshot = some(200);
        let result_unheard = some(1000);
        let crash = some(25);
        let disconnect = some(8);
        let restart = some(8);
        let usurp = some(80);
        let redeliver = some(40);
        let drain = some(15);
        let time_jump = some(8);
        let again = some(500);
        let malformed = some(400);
        let poison = some(300);
        let timer_twice = some(500);
        let truncate = if rng.chance(2500) { 40 } else { 0 };
        let rollback = if rng.chance(1500) { 15 } else { 0 };
        let recreate = if rng.chance(400) { 8 } else { 0 };
        Self {
            nodes: rng.range(1, 3) as usize,
            partitions: rng.range(2, 4) as u16,
            limits: Limits {
                idle_ms: rng.range(50, 2000) as i64,
                max_active: rng.range(1, 6) as usize,
                max_attempts: 30,
            },
            max_pending: rng.range(2, 12) as usize,
            ms_per_step: rng.range(1, 12),
            max_payload: 8 << 10,
            append_lost,
            append_ack_lost,
            append_late,
            publish_lost,
            publish_ack_lost,
            publish_late,
            ack_lost,
            stale_history,
            corrupt_snapshot,
            result_unheard,
            crash,
            disconnect,
            restart,
            usurp,
            linger: 8000,
            redeliver,
            drain,
            land: 200,
            ghost: 5000,
            truncate,
            rollback,
            recreate,
            time_jump,
            early_retry: 10,
            again,
            malformed,
            poison,
            timer_twice,
            hot: rng.chance(1500),
            defect,
        }
    }

    /// Nothing goes wrong any more: what is left must come to an end.
    pub fn calm(&mut self) {
        let quiet = Self {
            append_lost: 0,
            append_ack_lost: 0,
            append_late: 0,
            publish_lost: 0,
            publish_ack_lost: 0,
            publish_late: 0,
            ack_lost: 0,
            stale_history: 0,
            corrupt_snapshot: 0,
            result_unheard: 0,
            crash: 0,
            disconnect: 0,
            restart: 0,
            usurp: 0,
            redeliver: 0,
            drain: 0,
            truncate: 0,
            rollback: 0,
            recreate: 0,
            time_jump: 0,
            timer_twice: 0,
            again: 0,
            ..self.clone()
        };
        *self = quiet;
    }
}
