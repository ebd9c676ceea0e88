//! The machine itself: see the folder's text.

use super::{Action, AggregateId, Counters, Happened, Limits};
use crate::{
    aggregate::{
        Cause, Context, TenantConfig,
        kind::{self, Cell, Decision, Kinds, ParsedInput, Poison},
    },
    journal::{AppendError, Delivery, Outgoing, Queue},
    runtime::{
        Env,
        intake::{self, Rejection, reason},
        outgoing::{QUARANTINE, never_published, outgoing, result_of},
    },
};
use kefu_events::{CommandResult, Refusal, Timestamp};
use std::collections::{BTreeSet, HashMap, VecDeque};
use strangers::Strangers;

mod recovery;
mod strangers;
#[cfg(test)]
mod tests;

/// So many rejected inputs are remembered: more than can be delivered again while their acks are on the way.
const MAX_REJECTED: usize = 1_024;

struct Held {
    delivery: Delivery,
    input: ParsedInput,
    cause: Cause,
    /// The cause of the commit that set the aggregate aside because of this input, if there is one.
    set_aside: Cause,
    /// This is another copy than the one that the aggregate was set aside for: decide it.
    sent_again: bool,
    /// It was not decided: its rejection is on the way.
    rejected: bool,
    attempt: u32,
}

impl Held {
    fn new(delivery: Delivery, input: ParsedInput) -> Self {
        let cause = Cause::of(&input.cause);
        let set_aside = Cause::of(&format!("{QUARANTINE}{}", input.cause));
        Self { delivery, input, cause, set_aside, sent_again: false, rejected: false, attempt: 0 }
    }

    /// The commit that it led to, as far as the aggregate remembers by itself. That it was set aside once says nothing
    /// after the quarantine: even its sequence in the queue may be another copy's, if the queue lost its end.
    fn led_to(&self, cell: &dyn Cell) -> Option<u64> {
        let decided = cell.recent_seq_of(self.cause);
        let decide = self.sent_again || !cell.quarantined();
        decided.or_else(|| if decide { None } else { cell.recent_seq_of(self.set_aside) })
    }
}

/// Whose work the aggregate's last commit is, and so whether its effects are known to be out before anything else is
/// decided: an owner publishes one commit's effects before it appends the next, so only the last can lack some.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// This machine's, or the input that it came from was dealt with.
    Settled,
    /// Found in the store: if effects are missing, its input is among those that were delivered before readiness.
    Loaded,
    /// Appended by somebody else since: a former owner, from an input that this one holds too, or the next owner.
    Foreign,
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
    /// Its outcome is being found out; without a decision: a damaged snapshot is made again.
    ReadingLast(Option<Decision>),
    /// What is missing is being read: at least up to this sequence.
    CatchingUp { decision: Option<Decision>, at_least: u64 },
    /// The effects, or the rejection, are on their way.
    Publishing,
}

struct Slot {
    /// `None` until loaded.
    cell: Option<Box<dyn Cell>>,
    mailbox: VecDeque<Held>,
    phase: Phase,
    /// The log was seen to begin here: an aggregate whose last commit lies before has none there, and the next append
    /// expects none.
    log_begins: u64,
    last: Last,
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
    strangers: Strangers,
    /// The inputs that were rejected last, because their aggregate was set aside.
    rejected: VecDeque<(Queue, u64)>,
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
            strangers: Strangers::default(),
            rejected: VecDeque::new(),
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

    /// Inputs held, in mailboxes and before them.
    pub fn held(&self) -> usize {
        self.early.len() + self.strangers.len() + self.slots.values().map(|slot| slot.mailbox.len()).sum::<usize>()
    }

    /// The aggregates in memory that are loaded, for tests and for people who look for a fault.
    pub fn cells(&self) -> impl Iterator<Item = (&AggregateId, &dyn Cell)> {
        self.slots.iter().filter_map(|(id, slot)| slot.cell.as_deref().map(|cell| (id, cell)))
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
                    self.keep_early(delivery);
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
            Happened::EndRead(last) => self.end_read(last, env, actions),
            Happened::Tick => self.forget_idle(env.now),
            Happened::Drain => {
                self.draining = true;
                self.early.clear();
                self.strangers = Strangers::default();
                if self.busy == 0 {
                    actions.push(Action::Drained);
                }
            }
        }
    }

    fn keep_early(&mut self, delivery: Delivery) {
        match self.early.iter_mut().find(|held| is_same(held, &delivery)) {
            Some(held) => held.ack = delivery.ack,
            None => self.early.push_back(delivery),
        }
    }

    fn route(&mut self, delivery: Delivery, env: &Env, actions: &mut Vec<Action>) {
        if self.rejected.contains(&(delivery.queue, delivery.stream_seq)) {
            // Delivered once more while its ack was on the way. No commit remembers it, and after a quarantine it would
            // be decided though its message is gone from the queue.
            actions.push(Action::Ack(delivery.ack));
            return;
        }
        if self.strangers.have(&delivery.tenant) {
            self.strangers.hold(delivery, actions); // Not past those that came before it.
        } else {
            self.take_in(delivery, false, env, actions);
        }
    }

    /// `certain`: if the store does not know the tenant, there is none.
    fn take_in(&mut self, delivery: Delivery, certain: bool, env: &Env, actions: &mut Vec<Action>) {
        let input = match intake::parse(&delivery, &self.kinds, env) {
            Ok(input) => input,
            Err(rejection) if rejection.reason == reason::UNKNOWN_TENANT && !certain => {
                self.strangers.hold(delivery, actions);
                return;
            }
            Err(rejection) => {
                self.counters.rejected += 1;
                actions.push(Action::Reject { outgoing: rejection.outgoing(&delivery), ack: delivery.ack });
                return;
            }
        };
        let id = AggregateId { tenant: delivery.tenant.clone(), kind: input.kind, key: delivery.key.clone() };
        let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot {
            cell: None,
            mailbox: VecDeque::new(),
            phase: Phase::Idle { since: Timestamp::default() },
            log_begins: 0,
            last: Last::Settled,
        });
        // The same message again while it is still held: the server lost patience or an ack. One is enough, but the new
        // delivery's ack is the one that counts.
        if let Some(held) = slot.mailbox.iter_mut().find(|held| is_same(&held.delivery, &delivery)) {
            held.delivery.ack = delivery.ack;
            return;
        }
        slot.mailbox.push_back(Held::new(delivery, input));
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
            if slot.mailbox.is_empty() {
                // Room for four inputs would be a third of what an idle aggregate takes.
                slot.mailbox = VecDeque::new();
            }
            self.idle.insert((env.now, id.clone()));
            self.busy -= 1;
            if self.draining && self.busy == 0 {
                actions.push(Action::Drained);
            }
            return;
        }
        let Some(cell) = &slot.cell else {
            // What the log holds no more, the store must know.
            let needed = slot.log_begins.saturating_sub(1);
            if needed > self.projected {
                slot.phase = Phase::AwaitingProjection;
                self.awaiting.insert((needed, id.clone()));
                return;
            }
            slot.phase = Phase::Loading;
            actions.push(Action::Load(id.clone()));
            return;
        };
        let last = std::mem::replace(&mut slot.last, Last::Settled);
        if last != Last::Settled {
            let its_input = slot.mailbox.iter().position(|held| held.led_to(&**cell) == Some(cell.seq()));
            match its_input.and_then(|index| slot.mailbox.remove(index)) {
                // Before anything is decided on top of it, so that effects come out in the order of commits.
                Some(held) => slot.mailbox.push_front(held),
                None if last == Last::Foreign => {
                    let text = format!("{id}: another owner is at work: commit {} is not from here", cell.seq());
                    self.stop(text, actions);
                    return;
                }
                None => {}
            }
        }
        let Some(head) = slot.mailbox.front() else { return };
        if let Some(seq) = head.led_to(&**cell) {
            self.counters.duplicates += 1;
            slot.phase = Phase::Recalling;
            actions.push(Action::Recall { id: id.clone(), seq });
            return;
        }
        let cause = head.cause;
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
        let Some(slot) = self.slots.get_mut(id) else { return };
        if !matches!(slot.phase, Phase::Loading) {
            return;
        }
        let restored = snapshot.map(|bytes| kind.restore(bytes));
        let damaged = matches!(restored, Some(Err(_)));
        let cell = restored.and_then(Result::ok).unwrap_or_else(|| kind.fresh());
        slot.last = if cell.version() > 0 { Last::Loaded } else { Last::Settled };
        slot.cell = Some(cell);
        self.counters.activated += 1;
        if damaged {
            slot.phase = Phase::ReadingLast(None);
            actions.push(Action::ReadLast { id: id.clone(), attempt: 0 });
            return;
        }
        self.begin(id, env, actions);
    }

    fn projected(&mut self, seq: u64, env: &Env, actions: &mut Vec<Action>) {
        self.projected = self.projected.max(seq);
        while self.awaiting.first().is_some_and(|(needed, _)| *needed <= self.projected) {
            if let Some((_, id)) = self.awaiting.pop_first() {
                self.begin(&id, env, actions);
            }
        }
        self.take_in_strangers(env, actions);
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
            let result = head.input.command.as_ref().map(|command| refused_result(id, &command.id, detail));
            let mut all = vec![record];
            all.extend(result);
            if let Some(head) = slot.mailbox.front_mut() {
                head.rejected = true;
            }
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
        let decided = cell.decide(&head.input, &context).and_then(|decision| {
            let never = never_published(&decision.commit, decision.payload.len());
            never.map_or(Ok(decision), |why| Err(Poison(why)))
        });
        let decision = match decided {
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
            expected: if cell.seq() < slot.log_begins { 0 } else { cell.seq() },
            payload: decision.payload.clone(),
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
                slot.phase = Phase::ReadingLast(Some(decision));
                actions.push(Action::ReadLast { id: id.clone(), attempt });
            }
            Err(AppendError::Refused(error)) => self.refused_by_server(id, &decision, &error, env, actions),
        }
    }

    /// The server will never store this commit. If that is so for the commit that sets the aggregate aside, too, then
    /// something is wrong with more than this input.
    fn refused_by_server(
        &mut self,
        id: &AggregateId,
        refused: &Decision,
        error: &str,
        env: &Env,
        actions: &mut Vec<Action>,
    ) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let (Some(cell), Some(head)) = (&slot.cell, slot.mailbox.front()) else { return };
        if refused.commit.facts.cause.starts_with(QUARANTINE) {
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

    fn publish(&mut self, id: &AggregateId, commit: &kind::Recorded, seq: u64, env: &Env, actions: &mut Vec<Action>) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        // What was committed by code that did not look, or to set the aggregate aside, must not stop everything behind it.
        let never = never_published(commit, 0).is_some();
        let mut all = if never { Vec::new() } else { outgoing(commit, seq) };
        if commit.facts.cause.starts_with(QUARANTINE)
            && let Some(head) = slot.mailbox.front_mut()
        {
            head.rejected = true;
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
            if head.rejected {
                if self.rejected.len() == MAX_REJECTED {
                    self.rejected.pop_front();
                }
                self.rejected.push_back((head.delivery.queue, head.delivery.stream_seq));
            }
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
            self.counters.passivated += 1;
        }
    }

    fn stop(&mut self, why: String, actions: &mut Vec<Action>) {
        self.stopped = true;
        actions.push(Action::Stop(why));
    }
}

fn is_same(one: &Delivery, other: &Delivery) -> bool {
    one.stream_seq == other.stream_seq && one.queue == other.queue
}

fn quarantine_record(id: &AggregateId, delivery: &Delivery, detail: &str) -> Outgoing {
    let rejection = Rejection { aggregate: Some(id.kind.as_str()), ..Rejection::new(reason::QUARANTINED, detail) };
    rejection.record(delivery)
}

fn refused_result(id: &AggregateId, command: &str, detail: &str) -> Outgoing {
    let refusal = Refusal::new(reason::QUARANTINED, detail);
    let result = CommandResult { id: command.to_owned(), ok: false, version: None, seq: None, refusal: Some(refusal) };
    result_of(&id.tenant, &result)
}
