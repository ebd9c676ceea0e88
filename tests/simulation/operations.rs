//! What machines ask for, carried out in two steps with anything in between: the bus acts, the answer arrives.

use super::{profile::Defect, store::hash, world::World};
use kefu::{
    aggregate::Cause,
    journal::{
        AckToken, AppendError, Outgoing, Recorded,
        memory::{AckFault, AppendFault, PublishFault},
    },
    runtime::machine::{Action, AggregateId, Happened},
};
use kefu_events::AggregateKind;
use std::collections::VecDeque;

pub enum Task {
    Load(AggregateId),
    LookUp(AggregateId, Option<Cause>, usize),
    Append {
        id: AggregateId,
        expected: u64,
        payload: bytes::Bytes,
    },
    ReadLast(AggregateId),
    /// The second half of reading the last commit.
    ReadPosition(AggregateId, Option<Recorded>),
    ReadHistory(AggregateId, u64),
    Recall(AggregateId, u64),
    ReadEnd,
    Publish(AggregateId, VecDeque<Outgoing>),
    Reject(VecDeque<Outgoing>, AckToken),
    Ack(AckToken),
}

pub enum Phase {
    Asked(Task),
    Answered(Happened),
}

/// One action under way.
pub struct Op {
    pub node: usize,
    pub partition: u16,
    pub incarnation: u64,
    pub phase: Phase,
}

impl World {
    /// Begins an action.
    pub fn begin(&mut self, node: usize, partition: u16, incarnation: u64, action: Action) {
        let task = match action {
            Action::Load(id) => Task::Load(id),
            Action::LookUp { id, cause, questions } => Task::LookUp(id, cause, questions.len()),
            Action::Append { id, expected, payload, .. } => {
                if self.profile.defect == Defect::EffectsBeforeCommit {
                    let seq = self.ledger.history.len() as u64 + 1;
                    let recorded = Recorded { seq, subject: String::new(), payload: payload.clone() };
                    let commit = super::store::read(&self.kinds, &recorded);
                    for effect in kefu::runtime::outgoing::outgoing(&commit, seq) {
                        let _ = self.publish(effect, PublishFault::None, true);
                    }
                }
                Task::Append { id, expected, payload }
            }
            Action::ReadLast { id, .. } => Task::ReadLast(id),
            Action::ReadHistory { id, after, .. } => Task::ReadHistory(id, after),
            Action::Recall { id, seq } => Task::Recall(id, seq),
            Action::ReadEnd => Task::ReadEnd,
            Action::Publish { id, outgoing } => Task::Publish(id, outgoing.into()),
            Action::Reject { outgoing, ack } => Task::Reject(outgoing.into(), ack),
            Action::Ack(token) => Task::Ack(token),
            Action::Stop(why) => {
                self.stopped(&why);
                return self.drop_part(node, partition, &why);
            }
            Action::Drained => return self.drop_part(node, partition, "it is drained"),
        };
        self.ops.push(Op { node, partition, incarnation, phase: Phase::Asked(task) });
    }

    /// A machine stops where something must not go on. With the log as it was, nothing must not.
    fn stopped(&mut self, why: &str) {
        self.stats.stops += 1;
        let lawful = self.ledger.lost_power || why.contains("attempts") || why.contains("cannot be read");
        let lawful = lawful || why.contains("another owner");
        let lawful = lawful || self.bus.position().unwrap().first > 1;
        self.ledger.expect(lawful, || format!("a machine stopped without need: {why}"));
    }

    /// One step of one operation.
    pub fn advance(&mut self, index: usize) {
        let op = self.ops.swap_remove(index);
        let Op { node, partition, incarnation, phase } = op;
        let task = match phase {
            Phase::Asked(task) => task,
            Phase::Answered(happened) => return self.feed(node, partition, incarnation, happened),
        };
        let phase = match self.carry_out(node, task) {
            Outcome::Again(task) => Phase::Asked(task),
            Outcome::Answer(happened) => Phase::Answered(happened),
            Outcome::Done => return,
        };
        self.ops.push(Op { node, partition, incarnation, phase });
    }

    /// What a machine that is gone had sent arrives after all.
    pub fn haunt(&mut self, index: usize) {
        let op = self.ghosts.swap_remove(index);
        self.note(|| "what a former owner had sent arrives".to_owned());
        let Phase::Asked(task) = op.phase else { return };
        match task {
            Task::Append { id, expected, payload } => {
                let _ = self.append(&id, expected, payload, AppendFault::None);
            }
            Task::Publish(_, mut outgoing) | Task::Reject(mut outgoing, _) => {
                if let Some(first) = outgoing.pop_front() {
                    let _ = self.publish(first, PublishFault::None, true);
                }
            }
            Task::Ack(token) => self.ack(&token, AckFault::None),
            _ => {}
        }
    }

    fn carry_out(&mut self, node: usize, task: Task) -> Outcome {
        let defect = self.profile.defect;
        match task {
            Task::Load(id) => {
                let mut snapshot = self.nodes[node].store.snapshot(&id);
                if let Some(bytes) = &mut snapshot
                    && self.rng.chance(self.profile.corrupt_snapshot)
                {
                    self.note(|| format!("the snapshot of {id} is damaged"));
                    bytes.truncate(bytes.len() / 2);
                }
                Outcome::Answer(Happened::Loaded(id, snapshot))
            }
            Task::LookUp(id, cause, questions) => {
                let store = &self.nodes[node].store;
                let seen = cause.and_then(|cause| store.causes.get(&(id.clone(), cause)).copied());
                let seen = seen.filter(|_| defect != Defect::NoDedupLookUp);
                let contacts = store.cells.keys().filter(|other| other.kind == AggregateKind::Contact);
                let found = vec![contacts.map(|other| other.key.clone()).take(3).collect(); questions];
                Outcome::Answer(Happened::LookedUp { id, seen, found })
            }
            Task::Append { id, expected, payload } => {
                let fault = self.append_fault();
                let expected = if defect == Defect::IgnoresExpected { self.last_of(&id) } else { expected };
                let mut outcome = self.append(&id, expected, payload, fault);
                if defect == Defect::UnknownMeansStored && matches!(outcome, Err(AppendError::Unknown(_))) {
                    outcome = Ok(self.ledger.history.len() as u64);
                }
                Outcome::Answer(Happened::Appended(id, outcome))
            }
            Task::ReadLast(id) => {
                let subject = self.subject(&id);
                let last = self.bus.last(&subject).unwrap();
                let stale = defect == Defect::StaleReadBack && self.rng.chance(5000);
                let last = if stale { None } else { last };
                Outcome::Again(Task::ReadPosition(id, last))
            }
            Task::ReadPosition(id, last) => Outcome::Answer(Happened::LastRead(id, last, self.bus.position().unwrap())),
            Task::ReadHistory(id, after) => {
                let stale = if self.rng.chance(self.profile.stale_history) { self.rng.range(1, 5) } else { 0 };
                let commits = self.bus.history(&self.subject(&id), after, stale).unwrap();
                Outcome::Answer(Happened::HistoryRead(id, commits))
            }
            Task::Recall(id, seq) => {
                let commit = self.bus.read(seq).unwrap();
                Outcome::Answer(Happened::Recalled(id, commit))
            }
            Task::ReadEnd => Outcome::Answer(Happened::EndRead(self.bus.position().unwrap().last)),
            Task::Publish(id, mut outgoing) => {
                let Some(first) = outgoing.pop_front() else { return Outcome::Answer(Happened::Published(id)) };
                let fault = self.publish_fault();
                let stored = self.publish(first.clone(), fault, true).is_ok();
                if !stored && defect != Defect::PublishOnce {
                    outgoing.push_front(first);
                }
                Outcome::Again(Task::Publish(id, outgoing))
            }
            Task::Reject(mut outgoing, token) => {
                let Some(first) = outgoing.pop_front() else { return Outcome::Again(Task::Ack(token)) };
                let fault = self.publish_fault();
                if defect != Defect::DropsMalformed && self.publish(first.clone(), fault, true).is_err() {
                    outgoing.push_front(first);
                }
                Outcome::Again(Task::Reject(outgoing, token))
            }
            Task::Ack(token) => {
                let lost = self.rng.chance(self.profile.ack_lost);
                self.ack(&token, if lost { AckFault::Lost } else { AckFault::None });
                Outcome::Done
            }
        }
    }

    fn append_fault(&mut self) -> AppendFault {
        let (rng, profile) = (&mut self.rng, &self.profile);
        match () {
            () if rng.chance(profile.append_lost) => AppendFault::Lost,
            () if rng.chance(profile.append_ack_lost) => AppendFault::AckLost,
            () if rng.chance(profile.append_late) => AppendFault::Late,
            () => AppendFault::None,
        }
    }

    pub fn publish_fault(&mut self) -> PublishFault {
        let (rng, profile) = (&mut self.rng, &self.profile);
        match () {
            () if rng.chance(profile.publish_lost) => PublishFault::Lost,
            () if rng.chance(profile.publish_ack_lost) => PublishFault::AckLost,
            () if rng.chance(profile.publish_late) => PublishFault::Late,
            () => PublishFault::None,
        }
    }

    fn last_of(&self, id: &AggregateId) -> u64 {
        self.bus.last(&self.subject(id)).unwrap().map_or(0, |commit| commit.seq)
    }
}

enum Outcome {
    Again(Task),
    Answer(Happened),
    Done,
}

/// One line for the trace.
pub fn short(happened: &Happened) -> String {
    match happened {
        Happened::Delivered(delivery) => {
            let body = String::from_utf8_lossy(&delivery.payload);
            format!("delivered {:?} {}: {:.120}", delivery.queue, delivery.stream_seq, body)
        }
        Happened::Loaded(id, snapshot) => format!("loaded {id}: {:?} bytes", snapshot.as_ref().map(Vec::len)),
        Happened::HistoryRead(id, commits) => {
            format!("history of {id}: {:?}", commits.iter().map(|commit| commit.seq).collect::<Vec<_>>())
        }
        Happened::LastRead(id, last, position) => {
            let last = last.as_ref().map(|commit| commit.seq);
            format!("last of {id}: {last:?}; the log is {}..={}", position.first, position.last)
        }
        Happened::Recalled(id, commit) => {
            format!("recalled {id}: {:?}", commit.as_ref().map(|commit| (commit.seq, hash(&commit.payload))))
        }
        other => format!("{other:?}"),
    }
}
