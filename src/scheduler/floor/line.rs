//! Conversations coming, going, and standing elsewhere as time passes.

use super::{AgentIx, ConversationKey, DemandIx, Floor, Place, Standing, WaitIx, Waiting, hash};
use crate::scheduler::{
    demand::{self, Demand},
    service::QueueState,
    views::WaitingView,
};

/// A waiting conversation with its names as numbers: what a [`WaitingView`] becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub conversation: ConversationKey,
    /// The session that waits.
    pub session: u32,
    /// What it asks for, before any relaxation.
    pub demand: DemandIx,
    /// 0 to 10, most urgent last.
    pub priority: u8,
    /// Since when it waits, in ms.
    pub since_ms: i64,
    /// An agent who is hoped for, and until when, in ms.
    pub preferred: Option<(AgentIx, i64)>,
    /// The only agent who may get it.
    pub wanted: Option<AgentIx>,
    /// Agents who are not asked, and until when, in ms.
    pub excluded: Vec<(AgentIx, i64)>,
}

impl Floor {
    /// A conversation waits, or what it asks for has changed. One that is asked for stays so.
    pub fn put_waiting(&mut self, view: &WaitingView, now_ms: i64) {
        let entry = self.entry(view);
        self.put(entry, now_ms);
    }

    /// A view with its names as numbers.
    pub fn entry(&mut self, view: &WaitingView) -> Entry {
        let mut demand = Demand::of(view, &mut self.skills, &mut self.queues, &mut self.languages);
        if let Some(overflow) = &self.settings.rules(&view.queue).overflow {
            // Decided on arrival, once.
            let is_new = !self.overflow_known && self.number(view.conversation).is_none();
            if is_new && self.line_lengths(demand.queue) >= overflow.from as usize {
                self.overflowing.insert(view.conversation.0);
            }
            if self.overflowing.contains(&view.conversation.0) {
                demand.widen(overflow.also.iter().map(|queue| self.queues.number(queue)));
            }
        }
        Entry {
            conversation: view.conversation,
            session: view.session,
            demand: self.demand_ix(demand),
            priority: view.priority,
            since_ms: view.since_ms,
            preferred: view.preferred.as_ref().map(|known| (self.agent_ix(&known.agent), known.until_ms)),
            wanted: view.wanted.as_ref().map(|agent| self.agent_ix(agent)),
            excluded: view.excluded.iter().map(|(agent, until)| (self.agent_ix(agent), *until)).collect(),
        }
    }

    /// As [`put_waiting`](Self::put_waiting), for callers that have the numbers.
    pub fn put(&mut self, entry: Entry, now_ms: i64) {
        let key = entry.conversation.0;
        let known = self.number(entry.conversation);
        let (ix, asked, expected_ms) = match known {
            Some(ix) => {
                self.stand_nowhere(ix);
                self.unname(ix);
                let old = self.waiting[ix as usize].as_ref();
                (ix, old.and_then(|old| old.asked), old.and_then(|old| old.expected_ms))
            }
            None => {
                self.count_arrival(entry.demand, now_ms);
                let ix = self.vacant.pop().unwrap_or_else(|| {
                    self.waiting.push(None);
                    (self.waiting.len() - 1) as WaitIx
                });
                // Looked up again only after it was filled below.
                let waiting = &self.waiting;
                let hash_of = |ix: &WaitIx| hash(waiting[*ix as usize].as_ref().map_or(0, |waiting| waiting.key));
                self.by_key.insert_unique(hash(key), ix, hash_of);
                (ix, None, self.expected_ms(entry.demand, now_ms))
            }
        };
        let was_marked = self.waiting[ix as usize].as_ref().is_some_and(|old| old.marked);
        let due_ms = self.waiting[ix as usize].as_ref().and_then(|old| old.due_ms);
        for agent in entry.wanted.iter().chain(entry.preferred.iter().map(|(agent, _)| agent)) {
            self.agents[*agent as usize].naming.insert(ix);
        }
        self.waiting[ix as usize] = Some(Waiting {
            key,
            session: entry.session,
            base: entry.demand,
            demand: entry.demand,
            base_priority: entry.priority,
            priority: entry.priority,
            since_ms: entry.since_ms,
            preferred: entry.preferred,
            wanted: entry.wanted,
            excluded: entry.excluded,
            asked,
            standing: Standing::Nowhere,
            due_ms,
            marked: was_marked,
            counts_from_ms: None,
            expected_ms,
        });
        self.stand_again(ix, now_ms);
    }

    /// A conversation's wait counts from this moment on, in ms, for service level and estimates: it had been put off. Its
    /// place in the line stays that of when it came.
    pub fn count_wait_from(&mut self, conversation: ConversationKey, from_ms: i64) {
        if let Some(waiting) = self.number(conversation).and_then(|ix| self.waiting[ix as usize].as_mut()) {
            waiting.counts_from_ms = Some(from_ms);
        }
    }

    /// A conversation waits no longer: it has an agent, or the customer has gone. What was asked for it stays in the
    /// overlay, because the agent may still be about to be reserved.
    pub fn remove_waiting(&mut self, conversation: ConversationKey) {
        let waiting = &self.waiting;
        let same = |ix: &WaitIx| waiting[*ix as usize].as_ref().is_some_and(|known| known.key == conversation.0);
        let Ok(found) = self.by_key.find_entry(hash(conversation.0), same) else { return };
        let (ix, _) = found.remove();
        self.overflowing.remove(&conversation.0);
        self.confirmed.remove(&conversation.0);
        self.stand_nowhere(ix);
        self.unname(ix);
        if let Some(gone) = self.waiting[ix as usize].take()
            && let Some(due) = gone.due_ms
        {
            self.timers.remove(&(due, ix));
        }
        self.vacant.push(ix);
    }

    /// The next moment at which something changes by itself, in ms: a relaxation step, the end of a preference or of an
    /// exclusion. Call [`next`](Self::next) then.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.timers.first().map(|timer| timer.0)
    }

    /// How many are ahead of a conversation in its demand's line; none where it is not in a line.
    pub fn position(&self, conversation: ConversationKey) -> Option<usize> {
        let ix = self.number(conversation)?;
        let waiting = self.waiting[ix as usize].as_ref()?;
        let line = &self.demands[waiting.demand as usize];
        (waiting.standing == Standing::Line).then(|| line.places.range(..waiting.place(ix)).count())
    }

    /// How long a waiting conversation will still wait, in seconds, as far as lately served ones tell.
    pub fn estimated_wait_s(&self, conversation: ConversationKey, now_ms: i64) -> Option<f64> {
        let waiting = self.find(conversation)?;
        let queue = self.demands[waiting.demand as usize].demand.queue;
        let position = self.position(conversation)?;
        let others = self.demands.iter().filter(|line| line.demand.queue == queue);
        let place = Place { waiting: WaitIx::MAX, ..waiting.place(0) };
        // Only the heads and lengths of the queue's other lines are looked at: an estimate may be rough, and not slow.
        let ahead_elsewhere: usize = others
            .filter(|line| line.places.first().is_some_and(|first| *first < place))
            .map(|line| line.places.len())
            .sum();
        let ahead = position.max(ahead_elsewhere.min(self.line_lengths(queue)).saturating_sub(1));
        self.queue_states[queue as usize].service.expected_ms(ahead, now_ms).map(|ms| ms / 1_000.0)
    }

    /// What people may want to know of a queue.
    pub fn queue_state(&self, queue: &str, now_ms: i64) -> QueueState {
        let number = self.queues.known(queue);
        let lines: Vec<_> = self.demands.iter().filter(|line| Some(line.demand.queue) == number).collect();
        let waiting: usize = lines.iter().map(|line| line.places.len()).sum();
        let oldest = lines.iter().flat_map(|line| &line.places).map(|place| place.since_ms).min();
        let service = number.and_then(|number| self.queue_states.get(number as usize)).map(|known| &known.service);
        let target = self.settings.rules(queue).target;
        QueueState {
            waiting: waiting as u32,
            oldest_s: oldest.map(|since| (now_ms - since) as f64 / 1_000.0),
            service_level: target.and(service).and_then(|service| service.level(now_ms)),
            estimated_wait_s: service.and_then(|service| service.expected_ms(waiting, now_ms)).map(|ms| ms / 1_000.0),
            estimate_error_s: service.and_then(|service| service.error_ms(now_ms)).map(|ms| ms / 1_000.0),
        }
    }

    pub(super) fn find(&self, conversation: ConversationKey) -> Option<&Waiting> {
        self.waiting[self.number(conversation)? as usize].as_ref()
    }

    /// The place of a waiting conversation.
    pub(super) fn number(&self, conversation: ConversationKey) -> Option<WaitIx> {
        let same = |ix: &WaitIx| self.waiting[*ix as usize].as_ref().is_some_and(|known| known.key == conversation.0);
        self.by_key.find(hash(conversation.0), same).copied()
    }

    fn line_lengths(&self, queue: u32) -> usize {
        self.demands.iter().filter(|line| line.demand.queue == queue).map(|line| line.places.len()).sum()
    }

    fn expected_ms(&self, demand: DemandIx, now_ms: i64) -> Option<f64> {
        let line = &self.demands[demand as usize];
        let service = &self.queue_states[line.demand.queue as usize].service;
        // With an agent free for it, it will not wait.
        if line.free > 0 { Some(0.0) } else { service.expected_ms(line.places.len(), now_ms) }
    }

    fn count_arrival(&mut self, demand: DemandIx, now_ms: i64) {
        if let Some(by) = self.fade.rebase(now_ms) {
            self.arrivals *= by;
            self.blocked *= by;
            for demand in 0..self.demands.len() {
                self.demands[demand].arrivals *= by;
                self.demands[demand].blocked *= by;
                self.weigh_need(demand);
            }
        }
        let weight = self.fade.weight(now_ms);
        self.arrivals += weight;
        let line = &mut self.demands[demand as usize];
        line.arrivals += weight;
        if line.free == 0 {
            line.blocked += weight;
            self.blocked += weight;
        }
        self.weigh_need(demand as usize);
    }

    /// Puts all conversations that name an agent where they belong now that the agent has changed.
    pub(super) fn stand_again_all(&mut self, agent: AgentIx, now_ms: i64) {
        let naming: Vec<WaitIx> = self.agents[agent as usize].naming.iter().copied().collect();
        for ix in naming {
            self.stand_again(ix, now_ms);
        }
    }

    /// Puts a conversation where it belongs at this moment, marks it, and notes when that changes.
    pub(super) fn stand_again(&mut self, ix: WaitIx, now_ms: i64) {
        self.stand_nowhere(ix);
        let Some(waiting) = &self.waiting[ix as usize] else { return };
        let (base, since_ms) = (waiting.base, waiting.since_ms);
        let rules = self.rules(self.demands[base as usize].demand.queue);
        let (steps, next_step) = demand::steps_after(rules, since_ms, now_ms);
        let raise: u8 = rules.relaxation[..steps].iter().fold(0, |sum, step| sum.saturating_add(step.raise));
        let demand = self.demand_after(base, steps);
        let Some(waiting) = &mut self.waiting[ix as usize] else { return };
        waiting.demand = demand;
        waiting.priority = waiting.base_priority.saturating_add(raise);
        let hold = waiting.preferred.filter(|&(agent, until)| {
            let known = &self.agents[agent as usize];
            let fits = known.is_open() && known.slots > 0 && known.link_to(demand).is_some();
            now_ms < until && fits && !waiting.excludes(agent, now_ms)
        });
        let ends = waiting.excluded.iter().map(|(_, until)| *until).chain(hold.map(|(_, until)| until));
        let due_ms = ends.chain(next_step).filter(|due| now_ms < *due).min();
        let timer_before = std::mem::replace(&mut waiting.due_ms, due_ms);
        if timer_before != due_ms {
            self.timers.extend(due_ms.map(|due| (due, ix)));
            if let Some(before) = timer_before {
                self.timers.remove(&(before, ix));
            }
        }
        if waiting.asked.is_some() {
            return;
        }
        let place = waiting.place(ix);
        match waiting.wanted.or(hold.map(|(agent, _)| agent)) {
            Some(agent) => {
                waiting.standing = Standing::With(agent);
                self.agents[agent as usize].own.insert(place);
            }
            None => {
                waiting.standing = Standing::Line;
                let line = &mut self.demands[demand as usize];
                line.places.insert(place);
                line.excluding += u32::from(!waiting.excluded.is_empty());
                if line.head.is_none_or(|head| place < head) {
                    line.head = Some(place);
                }
            }
        }
        if !waiting.marked {
            waiting.marked = true;
            self.marked_waiting.push_back((ix, waiting.key));
        }
    }

    /// Takes a conversation out of where it stands.
    pub(super) fn stand_nowhere(&mut self, ix: WaitIx) {
        let Some(waiting) = &mut self.waiting[ix as usize] else { return };
        let place = waiting.place(ix);
        match std::mem::replace(&mut waiting.standing, Standing::Nowhere) {
            Standing::Nowhere => {}
            Standing::Line => {
                let line = &mut self.demands[waiting.demand as usize];
                line.places.remove(&place);
                line.excluding -= u32::from(!waiting.excluded.is_empty());
                if line.head == Some(place) {
                    line.head = line.places.first().copied();
                }
            }
            Standing::With(agent) => {
                self.agents[agent as usize].own.remove(&place);
            }
        }
    }

    /// Lets time pass for those whose moment has come.
    pub(super) fn pass_time(&mut self, now_ms: i64) {
        while let Some(&(due, ix)) = self.timers.first().filter(|timer| timer.0 <= now_ms) {
            self.timers.remove(&(due, ix));
            if let Some(waiting) = &mut self.waiting[ix as usize] {
                waiting.due_ms = None;
            }
            self.stand_again(ix, now_ms);
        }
    }

    fn unname(&mut self, ix: WaitIx) {
        let Some(waiting) = &self.waiting[ix as usize] else { return };
        for agent in waiting.wanted.into_iter().chain(waiting.preferred.map(|(agent, _)| agent)) {
            self.agents[agent as usize].naming.remove(&ix);
        }
    }

    /// What a demand becomes after so many relaxation steps.
    fn demand_after(&mut self, base: DemandIx, steps: usize) -> DemandIx {
        if steps == 0 {
            return base;
        }
        if let Some(&known) = self.relaxed.get(&(base, steps)) {
            return known;
        }
        let mut demand = self.demands[base as usize].demand.clone();
        let rules = self.rules(demand.queue).clone();
        for step in &rules.relaxation[..steps] {
            demand = demand.relaxed(step, &mut self.skills, &mut self.queues);
        }
        let ix = self.demand_ix(demand);
        self.relaxed.insert((base, steps), ix);
        ix
    }
}
