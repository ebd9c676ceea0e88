//! The machine itself: see the folder's text.

use super::{Action, AggregateId, Counters, Happened, Limits};
use crate::{
    aggregate::{
        Cause, Context, TenantConfig,
        kind::{self, Cell, Decision, Kinds, ParsedInput},
    },
    journal::{AppendError, Delivery, LogPosition, Outgoing, Recorded},
    runtime::{
        Env,
        intake::{self, Rejection, reason},
        outgoing::{outgoing, result_of},
    },
};
use bytes::Bytes;
use kefu_events::{CommandResult, Refusal, Timestamp};
use std::collections::{BTreeSet, HashMap, VecDeque};

struct Held {
    delivery: Delivery,
    input: ParsedInput,
    attempt: u32,
}

enum Phase {
    /// The snapshot is being read.
    Loading,
    /// Nothing to do, since then.
    Idle { since: Timestamp },
    /// A look-up is only conclusive once the store knows the commits up to here.
    AwaitingProjection,
    /// The store is being asked.
    LookingUp,
    /// An old commit is being read, to publish its effects again.
    Recalling,
    /// The commit is on its way to the log.
    Appending(Decision),
    /// Its outcome is being found out.
    ReadingLast(Decision),
    /// What is missing is being read: at least up to this sequence.
    CatchingUp { decision: Decision, at_least: u64 },
    /// The effects, or the rejection, are on their way.
    Publishing,
}

struct Slot {
    /// `None` until loaded.
    cell: Option<Box<dyn Cell>>,
    mailbox: VecDeque<Held>,
    phase: Phase,
    /// What the next append expects, where it is not the cell's own sequence: 0 after the log was truncated past it.
    truncated: bool,
}

/// One partition. See the module's text.
pub struct Machine {
    kinds: Kinds,
    limits: Limits,
    slots: HashMap<AggregateId, Slot>,
    /// Idle aggregates by the time since which they are, and a number that makes the order unique.
    idle: BTreeSet<(Timestamp, AggregateId)>,
    /// Slots that wait for the projector, by what they wait for.
    awaiting: BTreeSet<(u64, AggregateId)>,
    /// Deliveries from before [`Happened::Ready`].
    early: VecDeque<Delivery>,
    ready: bool,
    projected: u64,
    busy: usize,
    draining: bool,
    stopped: bool,
    counters: Counters,
}

impl Machine {
    /// A partition that was just taken over.
    pub fn new(kinds: Kinds, limits: Limits) -> Self {
        Self {
            kinds,
            limits,
            slots: HashMap::new(),
            idle: BTreeSet::new(),
            awaiting: BTreeSet::new(),
            early: VecDeque::new(),
            ready: false,
            projected: 0,
            busy: 0,
            draining: false,
            stopped: false,
            counters: Counters::default(),
        }
    }

    /// What has happened so far, for monitoring.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Aggregates in memory.
    pub fn active(&self) -> usize {
        self.slots.len()
    }

    /// Inputs held, in mailboxes and before readiness.
    pub fn held(&self) -> usize {
        self.early.len() + self.slots.values().map(|slot| slot.mailbox.len()).sum::<usize>()
    }

    /// Takes in what happened and says what to do.
    pub fn step(&mut self, happened: Happened, env: &Env, actions: &mut Vec<Action>) {
        if self.stopped {
            return;
        }
        match happened {
            Happened::Delivered(delivery) => {
                if self.draining {
                    return; // It stays unacked, and the next owner gets it.
                }
                if self.ready {
                    self.route(delivery, env, actions);
                } else {
                    self.early.push_back(delivery);
                }
            }
            Happened::Ready => {
                self.ready = true;
                for delivery in std::mem::take(&mut self.early) {
                    self.route(delivery, env, actions);
                }
            }
            Happened::Projected(seq) => self.projected(seq, env, actions),
            Happened::Loaded(id, snapshot) => self.loaded(&id, snapshot.as_deref(), env, actions),
            Happened::LookedUp { id, seen, found } => self.looked_up(&id, seen, &found, env, actions),
            Happened::Appended(id, outcome) => self.appended(&id, outcome, env, actions),
            Happened::LastRead(id, last, position) => self.last_read(&id, last.as_ref(), &position, env, actions),
            Happened::HistoryRead(id, commits) => self.history_read(&id, &commits, env, actions),
            Happened::Recalled(id, commit) => self.recalled(&id, commit.as_ref(), env, actions),
            Happened::Published(id) => self.published(&id, env, actions),
            Happened::Tick => self.forget_idle(env.now),
            Happened::Drain => {
                self.draining = true;
                self.early.clear();
                if self.busy == 0 {
                    actions.push(Action::Drained);
                }
            }
        }
    }

    fn route(&mut self, delivery: Delivery, env: &Env, actions: &mut Vec<Action>) {
        let input = match intake::parse(&delivery, &self.kinds, env) {
            Ok(input) => input,
            Err(rejection) => {
                self.counters.rejected += 1;
                actions.push(Action::Reject { outgoing: rejection.record(&delivery), ack: delivery.ack });
                return;
            }
        };
        let id = AggregateId { tenant: delivery.tenant.clone(), kind: input.kind, key: delivery.key.clone() };
        let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot {
            cell: None,
            mailbox: VecDeque::new(),
            phase: Phase::Idle { since: Timestamp::default() },
            truncated: false,
        });
        // The same message again while it is still held: the server lost patience or an ack. One is enough, but the new
        // delivery's ack is the one that counts.
        let again =
            |held: &&mut Held| held.delivery.stream_seq == delivery.stream_seq && held.delivery.queue == delivery.queue;
        if let Some(held) = slot.mailbox.iter_mut().find(again) {
            held.delivery.ack = delivery.ack;
            return;
        }
        slot.mailbox.push_back(Held { delivery, input, attempt: 0 });
        if let Phase::Idle { since } = slot.phase {
            self.idle.remove(&(since, id.clone()));
            self.busy += 1;
            self.begin(&id, env, actions);
        }
    }

    /// Begins with the head of the mailbox, or goes idle. The slot counts as busy when this is called.
    fn begin(&mut self, id: &AggregateId, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if slot.mailbox.is_empty() || self.draining {
            slot.phase = Phase::Idle { since: env.now };
            self.idle.insert((env.now, id.clone()));
            self.busy -= 1;
            if self.draining && self.busy == 0 {
                actions.push(Action::Drained);
            }
            return;
        }
        let Some(cell) = &slot.cell else {
            slot.phase = Phase::Loading;
            actions.push(Action::Load(id.clone()));
            return;
        };
        let Some(head) = slot.mailbox.front() else { return };
        let cause = Cause::of(&head.input.cause);
        if let Some(seq) = cell.recent_seq_of(cause) {
            self.counters.duplicates += 1;
            slot.phase = Phase::Recalling;
            actions.push(Action::Recall { id: id.clone(), seq });
            return;
        }
        let forgotten = cell.forgotten_before();
        if let Some(needed) = forgotten.filter(|needed| *needed > self.projected) {
            slot.phase = Phase::AwaitingProjection;
            self.awaiting.insert((needed, id.clone()));
            return;
        }
        let questions = match env.tenants.config(&id.tenant) {
            Some(config) => cell.look_ups(&head.input, config),
            None => Vec::new(),
        };
        if forgotten.is_some() || !questions.is_empty() {
            slot.phase = Phase::LookingUp;
            actions.push(Action::LookUp { id: id.clone(), cause: forgotten.map(|_| cause), questions });
            return;
        }
        self.decide(id, &[], env, actions);
    }

    fn loaded(&mut self, id: &AggregateId, snapshot: Option<&[u8]>, env: &Env, actions: &mut Vec<Action>) {
        let Some(kind) = self.kinds.get(id.kind) else { return };
        // A snapshot that cannot be read is as good as none: the append conflicts, and the whole history is loaded.
        let cell = snapshot.and_then(|bytes| kind.restore(bytes).ok()).unwrap_or_else(|| kind.fresh());
        let Some(slot) = self.slots.get_mut(id) else { return };
        if !matches!(slot.phase, Phase::Loading) {
            return;
        }
        slot.cell = Some(cell);
        self.begin(id, env, actions);
    }

    fn projected(&mut self, seq: u64, env: &Env, actions: &mut Vec<Action>) {
        self.projected = self.projected.max(seq);
        while self.awaiting.first().is_some_and(|(needed, _)| *needed <= self.projected) {
            if let Some((_, id)) = self.awaiting.pop_first() {
                self.begin(&id, env, actions);
            }
        }
    }

    fn looked_up(
        &mut self,
        id: &AggregateId,
        seen: Option<u64>,
        found: &[Vec<String>],
        env: &Env,
        actions: &mut Vec<Action>,
    ) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if !matches!(slot.phase, Phase::LookingUp) {
            return;
        }
        match seen {
            Some(seq) => {
                self.counters.duplicates += 1;
                slot.phase = Phase::Recalling;
                actions.push(Action::Recall { id: id.clone(), seq });
            }
            None => self.decide(id, found, env, actions),
        }
    }

    fn decide(&mut self, id: &AggregateId, found: &[Vec<String>], env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(cell), Some(head)) = (&slot.cell, slot.mailbox.front()) else { return };
        let lifts = head.input.command.as_ref().is_some_and(|command| command.lifts_quarantine);
        if cell.quarantined() && !lifts {
            let detail =
                "the aggregate is set aside after a failed decision; mend the cause, then `kefu rejected retry`";
            let record = quarantine_record(id, &head.delivery, detail);
            self.counters.rejected += 1;
            let mut all = vec![record];
            all.extend(head.input.command.as_ref().map(|command| refused_result(id, &command.id, detail)));
            slot.phase = Phase::Publishing;
            actions.push(Action::Publish { id: id.clone(), outgoing: all });
            return;
        }
        let none = TenantConfig::default();
        let commit_id = (env.new_id)();
        let context = Context {
            tenant: &id.tenant,
            key: &id.key,
            version: cell.version(),
            now: env.now.max(cell.at()),
            commit_id: &commit_id,
            settings: env.tenants.config(&id.tenant).map_or(&none, |config| config),
            found,
        };
        let decision = match cell.decide(&head.input, &context) {
            Ok(decision) => decision,
            Err(poison) => {
                self.counters.quarantined += 1;
                cell.quarantine(&head.input, &context, &poison.0)
            }
        };
        self.append(id, decision, actions);
    }

    fn append(&mut self, id: &AggregateId, decision: Decision, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(cell), Some(head)) = (&slot.cell, slot.mailbox.front_mut()) else { return };
        if head.attempt > self.limits.max_attempts {
            let text = format!("{id}: no append succeeded in {} attempts", head.attempt);
            self.stop(text, actions);
            return;
        }
        actions.push(Action::Append {
            id: id.clone(),
            expected: if slot.truncated { 0 } else { cell.seq() },
            payload: Bytes::from(decision.payload.clone()),
            attempt: head.attempt,
        });
        head.attempt += 1;
        slot.phase = Phase::Appending(decision);
    }

    fn appended(&mut self, id: &AggregateId, outcome: Result<u64, AppendError>, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let phase = std::mem::replace(&mut slot.phase, Phase::Publishing);
        let Phase::Appending(decision) = phase else {
            slot.phase = phase;
            return;
        };
        match outcome {
            Ok(seq) => {
                self.counters.commits += 1;
                self.counters.refusals += u64::from(decision.commit.facts.refusal.is_some());
                slot.truncated = false;
                if let Some(cell) = &mut slot.cell {
                    cell.apply(&decision.commit, seq);
                }
                self.publish(id, &decision.commit, seq, env, actions);
            }
            Err(error @ (AppendError::Conflict | AppendError::Unknown(_))) => {
                match error {
                    AppendError::Conflict => self.counters.conflicts += 1,
                    _ => self.counters.unknown_outcomes += 1,
                }
                let attempt = slot.mailbox.front().map_or(0, |head| head.attempt);
                slot.phase = Phase::ReadingLast(decision);
                actions.push(Action::ReadLast { id: id.clone(), attempt });
            }
            Err(AppendError::Refused(error)) => self.refused_by_server(id, &error, env, actions),
        }
    }

    /// The server will never store this commit. If that is so for the commit that sets the aggregate aside, too, then
    /// something is wrong with more than this input.
    fn refused_by_server(&mut self, id: &AggregateId, error: &str, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(cell), Some(head)) = (&slot.cell, slot.mailbox.front()) else { return };
        if head.attempt > 1 {
            self.stop(format!("{id}: the server refuses commits: {error}"), actions);
            return;
        }
        self.counters.quarantined += 1;
        let none = TenantConfig::default();
        let commit_id = (env.new_id)();
        let context = Context {
            tenant: &id.tenant,
            key: &id.key,
            version: cell.version(),
            now: env.now.max(cell.at()),
            commit_id: &commit_id,
            settings: &none,
            found: &[],
        };
        let decision = cell.quarantine(&head.input, &context, error);
        self.append(id, decision, actions);
    }

    fn last_read(
        &mut self,
        id: &AggregateId,
        last: Option<&Recorded>,
        position: &LogPosition,
        env: &Env,
        actions: &mut Vec<Action>,
    ) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let phase = std::mem::replace(&mut slot.phase, Phase::Publishing);
        let Phase::ReadingLast(decision) = phase else {
            slot.phase = phase;
            return;
        };
        let known = slot.cell.as_ref().map_or(0, |cell| cell.seq());
        let last = last.map_or(0, |commit| commit.seq);
        if last > known {
            let attempt = slot.mailbox.front().map_or(0, |head| head.attempt);
            slot.phase = Phase::CatchingUp { decision, at_least: last };
            actions.push(Action::ReadHistory { id: id.clone(), after: known, attempt });
        } else if last == known {
            // Nothing new: the append is not there, or not yet. The same bytes under the same expectation can be
            // stored once only, whichever attempt arrives first.
            self.append(id, decision, actions);
        } else if last == 0 && position.first > known {
            slot.truncated = true;
            self.append(id, decision, actions);
        } else {
            let text = format!("{id}: the log went back: its last commit was {known} and is {last} now");
            let _ = env;
            self.stop(text, actions);
        }
    }

    fn history_read(&mut self, id: &AggregateId, commits: &[Recorded], env: &Env, actions: &mut Vec<Action>) {
        let Some(kind) = self.kinds.get(id.kind) else { return };
        let Some(slot) = self.slots.get_mut(id) else { return };
        let phase = std::mem::replace(&mut slot.phase, Phase::Publishing);
        let Phase::CatchingUp { decision, at_least } = phase else {
            slot.phase = phase;
            return;
        };
        let (Some(cell), Some(head)) = (&mut slot.cell, slot.mailbox.front_mut()) else { return };
        let mut ours = None;
        for recorded in commits.iter().filter(|recorded| recorded.seq > cell.seq()).collect::<Vec<_>>() {
            match kind.read(&recorded.payload) {
                Ok(commit) => {
                    cell.apply(&commit, recorded.seq);
                    if commit.facts.cause == decision.commit.facts.cause {
                        ours = Some((commit, recorded.seq));
                    }
                }
                Err(error) => {
                    self.stop(format!("{id} at {}: {error}", recorded.seq), actions);
                    return;
                }
            }
        }
        if cell.seq() < at_least {
            // A follower that lags answered: ask again, a bounded number of times.
            head.attempt += 1;
            if head.attempt > self.limits.max_attempts {
                self.stop(format!("{id}: commit {at_least} cannot be read"), actions);
                return;
            }
            actions.push(Action::ReadHistory { id: id.clone(), after: cell.seq(), attempt: head.attempt });
            slot.phase = Phase::CatchingUp { decision, at_least };
            return;
        }
        slot.truncated = false;
        match ours {
            // It is in the log: by an append whose outcome was unknown, or because another owner was faster.
            Some((commit, seq)) => self.publish(id, &commit, seq, env, actions),
            None => self.begin(id, env, actions),
        }
    }

    fn recalled(&mut self, id: &AggregateId, recorded: Option<&Recorded>, env: &Env, actions: &mut Vec<Action>) {
        let Some(kind) = self.kinds.get(id.kind) else { return };
        let Some(slot) = self.slots.get_mut(id) else { return };
        let Some(head) = slot.mailbox.front() else { return };
        if !matches!(slot.phase, Phase::Recalling) {
            return;
        }
        let commit = match recorded.map(|recorded| (kind.read(&recorded.payload), recorded.seq)) {
            Some((Ok(commit), seq)) => Some((commit, seq)),
            Some((Err(error), seq)) => {
                self.stop(format!("{id} at {seq}: {error}"), actions);
                return;
            }
            None => None,
        };
        // A redelivery may be one whose effects were never published. A customer's message that was sent a second time is
        // not: its first copy is still in the queue then, or its effects are out. A command's sender waits for the result.
        match commit {
            Some((commit, seq)) if head.input.command.is_some() || commit.facts.cause_seq == head.input.cause_seq => {
                self.publish(id, &commit, seq, env, actions);
            }
            _ => self.finish(id, env, actions),
        }
    }

    fn publish(&mut self, id: &AggregateId, commit: &kind::Recorded, seq: u64, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let mut all = outgoing(commit, seq);
        if commit.facts.cause.starts_with("quarantine:")
            && let Some(head) = slot.mailbox.front()
        {
            self.counters.rejected += 1;
            let detail = "this input could not be decided; its aggregate is set aside (see the commit for the error)";
            all.push(quarantine_record(id, &head.delivery, detail));
            all.extend(head.input.command.as_ref().map(|command| refused_result(id, &command.id, detail)));
        }
        if all.is_empty() {
            self.finish(id, env, actions);
            return;
        }
        slot.phase = Phase::Publishing;
        actions.push(Action::Publish { id: id.clone(), outgoing: all });
    }

    fn published(&mut self, id: &AggregateId, env: &Env, actions: &mut Vec<Action>) {
        if self.slots.get(id).is_some_and(|slot| matches!(slot.phase, Phase::Publishing)) {
            self.finish(id, env, actions);
        }
    }

    /// Everything about the head of the mailbox is done.
    fn finish(&mut self, id: &AggregateId, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        if let Some(head) = slot.mailbox.pop_front() {
            actions.push(Action::Ack(head.delivery.ack));
        }
        self.begin(id, env, actions);
    }

    fn forget_idle(&mut self, now: Timestamp) {
        let projected = self.projected;
        let excess = self.idle.len().saturating_sub(self.limits.max_active);
        let due = self
            .idle
            .iter()
            .enumerate()
            .take_while(|(index, (since, _))| *index < excess || now.millis_since(*since) >= self.limits.idle_ms);
        let known = |id: &AggregateId| {
            self.slots.get(id).is_some_and(|slot| slot.cell.as_ref().is_none_or(|cell| cell.seq() <= projected))
        };
        let due: Vec<_> = due.map(|(_, entry)| entry.clone()).filter(|(_, id)| known(id)).collect();
        for entry in due {
            self.slots.remove(&entry.1);
            self.idle.remove(&entry);
        }
    }

    fn stop(&mut self, why: String, actions: &mut Vec<Action>) {
        self.stopped = true;
        actions.push(Action::Stop(why));
    }
}

fn quarantine_record(id: &AggregateId, delivery: &Delivery, detail: &str) -> Outgoing {
    let rejection =
        Rejection { reason: reason::QUARANTINED, detail: detail.to_owned(), aggregate: Some(id.kind.as_str()) };
    rejection.record(delivery)
}

fn refused_result(id: &AggregateId, command: &str, detail: &str) -> Outgoing {
    let refusal = Refusal::new(reason::QUARANTINED, detail);
    let result = CommandResult { id: command.to_owned(), ok: false, version: None, seq: None, refusal: Some(refusal) };
    result_of(&id.tenant, &result)
}
