//! Finding out what the log says, where it is not what this machine thought.

use super::{Last, Machine, Phase};
use crate::{
    journal::{LogPosition, Recorded},
    runtime::{
        Env,
        machine::{Action, AggregateId},
        outgoing::QUARANTINE,
    },
};

impl Machine {
    pub(super) fn last_read(
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
            return;
        }
        let Some(decision) = decision else {
            // Not a fresh aggregate: that would be a second history.
            self.stop(format!("{id}: its snapshot is damaged, and the log holds its commits no more"), actions);
            return;
        };
        if last == known {
            // Nothing new: the append is not there, or not yet. The same bytes under the same expectation can be
            // stored once only, whichever attempt arrives first.
            self.append(id, decision, actions);
        } else if last == 0 && position.first > known {
            // The log begins after what is known here. Whether that was the last one, the store knows: it has read all of
            // what the log has given away.
            slot.log_begins = position.first;
            slot.cell = None;
            slot.last = Last::Settled;
            self.begin(id, env, actions);
        } else {
            self.stop(format!("{id}: the log went back: its last commit was {known} and is {last} now"), actions);
        }
    }

    pub(super) fn history_read(
        &mut self,
        id: &AggregateId,
        commits: &[Recorded],
        env: &Env,
        actions: &mut Vec<Action>,
    ) {
        let Some(kind) = self.kinds.get(id.kind) else { return };
        let Some(slot) = self.slots.get_mut(id) else { return };
        let phase = std::mem::replace(&mut slot.phase, Phase::Publishing);
        let Phase::CatchingUp { decision, at_least } = phase else {
            slot.phase = phase;
            return;
        };
        let (Some(cell), Some(head)) = (&mut slot.cell, slot.mailbox.front_mut()) else { return };
        let mut ours = None;
        for recorded in commits {
            if recorded.seq <= cell.seq() {
                continue;
            }
            let commit = match kind.read(&recorded.payload) {
                Ok(commit) => commit,
                Err(error) => {
                    self.stop(format!("{id} at {}: {error}", recorded.seq), actions);
                    return;
                }
            };
            let (found, expected) = (commit.facts.version, cell.version() + 1);
            if found != expected {
                // Commits between are archived, or the log went back and grew again: what is here is no history of it.
                let text = format!("{id}: commit {} has version {found} where {expected} should follow", recorded.seq);
                self.stop(text, actions);
                return;
            }
            cell.apply(&commit, recorded.seq);
            slot.last = if decision.is_some() { Last::Foreign } else { Last::Loaded };
            if decision.as_ref().is_some_and(|decision| commit.facts.cause == decision.commit.facts.cause) {
                slot.last = Last::Settled;
                ours = Some((commit, recorded.seq));
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
        match ours {
            // It is in the log: by an append whose outcome was unknown, or because another owner was faster.
            Some((commit, seq)) => self.publish(id, &commit, seq, env, actions),
            None => self.begin(id, env, actions),
        }
    }

    pub(super) fn recalled(
        &mut self,
        id: &AggregateId,
        recorded: Option<&Recorded>,
        env: &Env,
        actions: &mut Vec<Action>,
    ) {
        let Some(kind) = self.kinds.get(id.kind) else { return };
        let Some(slot) = self.slots.get_mut(id) else { return };
        if !matches!(slot.phase, Phase::Recalling) {
            return;
        }
        let (Some(cell), Some(head)) = (&slot.cell, slot.mailbox.front_mut()) else { return };
        let commit = match recorded.map(|recorded| (kind.read(&recorded.payload), recorded.seq)) {
            Some((Ok(commit), seq)) => Some((commit, seq)),
            Some((Err(error), seq)) => {
                self.stop(format!("{id} at {seq}: {error}"), actions);
                return;
            }
            None => None,
        };
        let set_aside = match &commit {
            Some((commit, _)) => commit.facts.cause.starts_with(QUARANTINE),
            None => cell.recent_seq_of(head.cause).is_none() && cell.recent_seq_of(head.set_aside).is_some(),
        };
        let itself = commit.as_ref().is_some_and(|(commit, _)| commit.facts.cause_seq == head.input.cause_seq);
        // A redelivery may be one whose effects were never published. A customer's message that was sent a second time is
        // not: its first copy is still in the queue then, or its effects are out. A command's sender waits for the result.
        match commit {
            _ if set_aside && !itself => {
                // Sent again after the quarantine, to be decided.
                head.sent_again = true;
                self.begin(id, env, actions);
            }
            Some((commit, seq)) if itself || head.input.command.is_some() => {
                self.publish(id, &commit, seq, env, actions);
            }
            _ => self.finish(id, env, actions),
        }
    }
}
