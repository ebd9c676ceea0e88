//! Who uses kefu: adapters, agents who wait for results, an operator who mends what was set aside.

use super::{
    aggregates::MENDED,
    ledger::Label,
    scenario::{self, Message, Request, TENANT},
    world::World,
};
use kefu::{
    aggregate::Deadline,
    journal::{
        JournalError, Outgoing,
        memory::{MemoryResult, PublishFault},
    },
    runtime::{
        intake::{header, reason},
        machine::AggregateId,
    },
};
use kefu_events::{Actor, ActorKind, CommandHeader, CommandResult, Timestamp};
use std::collections::{BTreeMap, VecDeque};

/// How long a client waits for a result before it asks again.
const PATIENCE_MS: i64 = 3_000;

#[derive(Default)]
pub struct Clients {
    threads: Vec<VecDeque<Message>>,
    sent: Vec<Message>,
    requests: VecDeque<Request>,
    /// Requests without a result, and when they were sent last.
    waiting: BTreeMap<String, (Request, i64)>,
    results: BTreeMap<String, CommandResult>,
    operator: Operator,
}

#[derive(Default)]
struct Operator {
    /// Rejected records up to here were looked at.
    seen: u64,
    /// By the aggregate that was set aside: what is to be sent again, in order.
    again: BTreeMap<(String, String), VecDeque<(bool, Message)>>,
    /// Aggregates whose quarantine is being lifted, by the id of the command that does.
    lifting: BTreeMap<(String, String), String>,
    /// What is sent again now; what is rejected once more meanwhile waits for the next time.
    batches: BTreeMap<(String, String), VecDeque<(bool, Message)>>,
    count: u64,
}

impl Clients {
    /// The list of rejected input ends here now.
    pub fn forget_rejected_after(&mut self, last: u64) {
        self.operator.seen = self.operator.seen.min(last);
    }

    pub fn new(threads: Vec<VecDeque<Message>>, requests: VecDeque<Request>) -> Self {
        Self { threads, requests, ..Self::default() }
    }

    pub fn published_all(&self) -> bool {
        self.requests.is_empty() && self.threads.iter().all(VecDeque::is_empty)
    }

    pub fn done(&self) -> bool {
        self.published_all()
            && self.waiting.is_empty()
            && self.operator.again.is_empty()
            && self.operator.batches.is_empty()
    }

    pub fn what_waits(&self) -> String {
        let messages: usize = self.threads.iter().map(VecDeque::len).sum();
        format!(
            "{messages} messages and {} requests to send, results of {:?}, retries of {:?}",
            self.requests.len(),
            self.waiting.keys(),
            self.operator.again.keys()
        )
    }

    /// A result went by.
    pub fn heard(&mut self, result: &MemoryResult, unheard: bool) {
        if unheard {
            return;
        }
        let result: CommandResult = serde_json::from_slice(&result.payload).unwrap();
        // It will be sent again by the operator, and have another result then.
        let put_off = result.refusal.as_ref().is_some_and(|refusal| refusal.code == reason::QUARANTINED);
        if !put_off {
            self.waiting.remove(&result.id);
        }
        self.results.insert(result.id.clone(), result);
    }
}

impl World {
    /// Some client does something.
    pub fn act(&mut self) {
        match self.rng.below(10) {
            0..=4 => {
                let thread = self.rng.index(self.clients.threads.len());
                self.adapter(thread);
            }
            5 if self.rng.chance(self.profile.again * 4) => self.send_again(),
            5..=7 => self.agent(),
            8 => self.ask_again(false),
            _ if self.rng.chance(self.profile.early_retry * 100) => self.operate(),
            _ => {}
        }
    }

    /// All clients do what is left to do.
    pub fn act_all(&mut self) {
        for thread in 0..self.clients.threads.len() {
            self.adapter(thread);
        }
        self.agent();
        self.ask_again(true);
        self.operate();
    }

    /// An adapter publishes its next message until it is told that it is stored; then the next.
    fn adapter(&mut self, thread: usize) {
        let Some(message) = self.clients.threads[thread].front().cloned() else { return };
        let fault = self.publish_fault();
        if self.send(&message, &message.id, fault).is_ok() {
            self.clients.threads[thread].pop_front();
            self.clients.sent.push(message);
        }
    }

    /// An adapter publishes something old once more.
    fn send_again(&mut self) {
        if self.clients.sent.is_empty() {
            return;
        }
        let index = self.rng.index(self.clients.sent.len());
        let message = self.clients.sent[index].clone();
        let _ = self.send(&message, &message.id, PublishFault::None);
    }

    fn agent(&mut self) {
        if let Some(request) = self.clients.requests.pop_front() {
            self.ask(request);
        }
    }

    fn ask(&mut self, request: Request) {
        let fault = self.publish_fault();
        let stored = self.publish(command(&request, &request.id), fault, false).is_ok();
        if !stored || request.label == Label::Good {
            let entry = (request.clone(), self.now);
            self.clients.waiting.insert(request.id, entry);
        } else {
            self.clients.waiting.remove(&request.id);
        }
    }

    /// Whoever has waited too long for a result sends the same command again.
    fn ask_again(&mut self, all: bool) {
        let late = |(_, at): &&(Request, i64)| self.now - *at > PATIENCE_MS;
        let late: Vec<Request> =
            self.clients.waiting.values().filter(late).map(|(request, _)| request.clone()).collect();
        for request in late {
            // The result of a commit that was archived can be had no more.
            let archived =
                self.ledger.committed(&request.id).is_some_and(|seq| seq < self.bus.position().unwrap().first);
            if archived {
                self.clients.waiting.remove(&request.id);
                continue;
            }
            let waits_for_operator = self.clients.results.contains_key(&request.id);
            if waits_for_operator && !all && !self.rng.chance(self.profile.again) {
                continue;
            }
            self.ask(request);
            if !all {
                break;
            }
        }
    }

    /// What `kefu rejected retry` does: lift the quarantine, then send what was set aside, in order, under new ids.
    fn operate(&mut self) {
        let mended = self.tenants[TENANT].channels.contains_key(MENDED);
        if !mended && self.rng.chance(2000) {
            self.note(|| "the operator mends what was wrong".to_owned());
            self.mend();
        }
        let records: Vec<_> = self.bus.rejected(self.clients.operator.seen + 1).cloned().collect();
        for record in records {
            let operator = &mut self.clients.operator;
            operator.seen = record.seq;
            if record.headers[header::REASON] != reason::QUARANTINED {
                continue;
            }
            let inbox = record.headers[header::QUEUE] == "inbox";
            let message = Message {
                channel: record.source.clone(),
                key: record.headers[header::KEY].clone(),
                id: format!("retry-{}-{}", record.seq, record.at.timestamp_millis()),
                payload: record.payload.clone(),
                label: Label::Good,
            };
            let whose = (record.headers[header::AGGREGATE].clone(), message.key.clone());
            operator.again.entry(whose).or_default().push_back((inbox, message));
        }
        let operator = &self.clients.operator;
        let whose: Vec<_> = operator.again.keys().chain(operator.batches.keys()).cloned().collect();
        for whose in whose {
            self.retry(&whose);
        }
    }

    fn retry(&mut self, whose: &(String, String)) {
        if let Some(batch) = self.clients.operator.batches.get_mut(whose) {
            let Some((inbox, message)) = batch.front().cloned() else {
                self.clients.operator.batches.remove(whose);
                return;
            };
            let fault = self.publish_fault();
            if self.send_rejected(inbox, &message, fault).is_ok()
                && let Some(batch) = self.clients.operator.batches.get_mut(whose)
            {
                batch.pop_front();
                self.retry(whose);
            }
            return;
        }
        match self.clients.operator.lifting.get(whose) {
            None => {
                self.clients.operator.count += 1;
                let id = format!("lift-{}", self.clients.operator.count);
                self.clients.operator.lifting.insert(whose.clone(), id.clone());
                let body = serde_json::json!({"type": "lift_quarantine"});
                self.ask(scenario::request("system", &whose.0, &whose.1, &id, self.now, body));
            }
            Some(id) if self.clients.waiting.contains_key(id) => {}
            Some(_) => {
                let operator = &mut self.clients.operator;
                operator.lifting.remove(whose);
                operator.batches.extend(operator.again.remove_entry(whose));
                self.retry(whose);
            }
        }
    }

    fn send_rejected(&mut self, inbox: bool, message: &Message, fault: PublishFault) -> Result<u64, JournalError> {
        if inbox {
            // The id in the body is the old one; only that on the bus is new, so that the window lets it through.
            let msg_id = message.id.clone();
            let inbound: kefu_events::Inbound = serde_json::from_slice(&message.payload).unwrap();
            return self.send(&Message { id: inbound.id, ..message.clone() }, &msg_id, fault);
        }
        let request = Request {
            source: message.channel.clone(),
            key: message.key.clone(),
            id: message.id.clone(),
            payload: message.payload.clone(),
            label: Label::Good,
        };
        self.publish(command(&request, &request.id), fault, false)
    }

    pub fn send_timer(&mut self, id: &AggregateId, deadline: &Deadline, command_id: String) {
        let header = CommandHeader {
            id: command_id.clone(),
            aggregate: id.kind,
            key: id.key.clone(),
            expected_version: None,
            actor: Actor::new(ActorKind::Timer, "kefu"),
            at: Timestamp::from_millis(self.now),
            correlation: None,
        };
        let kind = self.kinds.get(id.kind).unwrap();
        let Some(payload) = kind.timer_command(header, deadline.timer, deadline.due) else { return };
        let outgoing = Outgoing::Command {
            tenant: id.tenant.clone(),
            source: "timer".to_owned(),
            key: id.key.clone(),
            id: command_id,
            payload: payload.into(),
        };
        let fault = self.publish_fault();
        let _ = self.publish(outgoing, fault, false);
    }
}

fn command(request: &Request, msg_id: &str) -> Outgoing {
    Outgoing::Command {
        tenant: TENANT.to_owned(),
        source: request.source.clone(),
        key: request.key.clone(),
        id: msg_id.to_owned(),
        payload: request.payload.clone(),
    }
}
