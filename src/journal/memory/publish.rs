//! What is published into the twin: effects of commits, refused input, customers' messages.

use super::{
    core::{Kind, Late, MemoryCore, MemoryReply, MemoryResult, check_tokens, too_large, unavailable},
    faults::PublishFault,
    queue::Queued,
};
use crate::journal::{
    JournalError, Outgoing, RejectedRecord,
    subjects::{self, id_token},
};
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// Results that nobody has taken yet; older ones are dropped, as a bare publish without a listener is.
const RESULTS_KEPT: usize = 65_536;

impl MemoryCore {
    /// Publishes one effect. The sequence is that of its stream, 0 for a result.
    pub fn publish(
        &mut self,
        now: DateTime<Utc>,
        outgoing: Outgoing,
        fault: PublishFault,
    ) -> Result<u64, JournalError> {
        self.reachable()?;
        match fault {
            PublishFault::None => self.publish_now(now, outgoing),
            PublishFault::Lost => Err(unavailable()),
            PublishFault::AckLost => {
                self.publish_now(now, outgoing)?;
                Err(unavailable())
            }
            PublishFault::Late => {
                self.late.push(Late::Publish(outgoing));
                Err(unavailable())
            }
        }
    }

    /// Publishes a customer's message, as a channel adapter does.
    #[expect(clippy::too_many_arguments, reason = "a message's address has four parts, as on the real bus")]
    pub fn publish_inbound(
        &mut self,
        now: DateTime<Utc>,
        tenant: &str,
        channel: &str,
        key: &str,
        id: &str,
        payload: Bytes,
        fault: PublishFault,
    ) -> Result<u64, JournalError> {
        self.reachable()?;
        match fault {
            PublishFault::None => self.inbound_now(now, tenant, channel, key, id, payload),
            PublishFault::Lost => Err(unavailable()),
            PublishFault::AckLost => {
                self.inbound_now(now, tenant, channel, key, id, payload)?;
                Err(unavailable())
            }
            PublishFault::Late => {
                let (tenant, channel, key) = (tenant.to_owned(), channel.to_owned(), key.to_owned());
                self.late.push(Late::Inbound { tenant, channel, key, id: id.to_owned(), payload });
                Err(unavailable())
            }
        }
    }

    fn inbound_now(
        &mut self,
        now: DateTime<Utc>,
        tenant: &str,
        channel: &str,
        key: &str,
        id: &str,
        payload: Bytes,
    ) -> Result<u64, JournalError> {
        check_tokens([("tenant", tenant), ("channel", channel), ("key", key)])?;
        let options = &self.options;
        let limit = options.inbox_message_bytes.min(options.max_payload);
        if payload.len() > limit {
            return Err(JournalError::Refused(too_large(payload.len(), limit)));
        }
        let id = format!("{tenant}/{channel}/{key}/{id}");
        if let Some(seq) = self.windows[Kind::Inbox as usize].seen(now, options.duplicate_window, &id) {
            return Ok(seq);
        }
        if self.inbox.len() >= options.inbox_messages {
            return Err(JournalError::Refused(format!("the inbox is full ({} messages)", options.inbox_messages)));
        }
        if self.inbox.depth(tenant, channel, key) >= options.inbox_messages_per_subject {
            let limit = options.inbox_messages_per_subject;
            return Err(JournalError::Refused(format!("{limit} messages of this thread wait already")));
        }
        let message = self.queued(tenant, channel, key, id.clone(), payload);
        let seq = self.inbox.push(message);
        self.windows[Kind::Inbox as usize].remember(now, id, seq);
        Ok(seq)
    }

    fn queued(&self, tenant: &str, source: &str, key: &str, id: String, payload: Bytes) -> Queued {
        let partition = subjects::partition(tenant, key, self.options.partitions);
        Queued { partition, tenant: tenant.into(), source: source.into(), key: key.into(), id, payload }
    }

    fn publish_now(&mut self, now: DateTime<Utc>, outgoing: Outgoing) -> Result<u64, JournalError> {
        let window = self.options.duplicate_window;
        let size = match &outgoing {
            Outgoing::Reply { payload, .. }
            | Outgoing::Command { payload, .. }
            | Outgoing::Result { payload, .. }
            | Outgoing::Rejected { payload, .. } => payload.len(),
        };
        if size > self.options.max_payload {
            return Err(JournalError::Refused(too_large(size, self.options.max_payload)));
        }
        let (kind, msg_id) = match &outgoing {
            Outgoing::Reply { tenant, channel, key, id, .. } => {
                check_tokens([("tenant", tenant), ("channel", channel), ("key", key)])?;
                (Kind::Outbox, format!("{tenant}/{id}"))
            }
            Outgoing::Command { tenant, source, key, id, .. } => {
                check_tokens([("tenant", tenant), ("source", source), ("key", key)])?;
                (Kind::Commands, format!("{tenant}/{id}"))
            }
            Outgoing::Rejected { id, .. } => (Kind::Rejected, id.clone()),
            Outgoing::Result { tenant, id, payload } => {
                check_tokens([("tenant", tenant)])?;
                let result = MemoryResult { tenant: tenant.clone(), id: id.clone(), payload: payload.clone() };
                self.results.push_back(result);
                if self.results.len() > RESULTS_KEPT {
                    self.results.pop_front();
                }
                return Ok(0);
            }
        };
        if let Some(seq) = self.windows[kind as usize].seen(now, window, &msg_id) {
            return Ok(seq);
        }
        let seq = match outgoing {
            Outgoing::Reply { tenant, channel, key, id, payload } => self.outbox.push(|seq| {
                let reply = MemoryReply { seq, tenant, channel, key, id, payload };
                (msg_id.clone(), reply)
            }),
            Outgoing::Command { tenant, source, key, payload, .. } => {
                let message = self.queued(&tenant, &source, &key, msg_id.clone(), payload);
                self.commands.push(message)
            }
            Outgoing::Rejected { tenant, source, headers, payload, .. } => self.rejected.push(|seq| {
                // The subject may be what was wrong with it.
                let (tenant, source) = (id_token(&tenant), id_token(&source));
                let record = RejectedRecord { seq, at: now, tenant, source, headers, payload };
                (msg_id.clone(), record)
            }),
            Outgoing::Result { .. } => 0,
        };
        self.windows[kind as usize].remember(now, msg_id, seq);
        Ok(seq)
    }

    /// The results sent since the last call.
    pub fn take_results(&mut self) -> Vec<MemoryResult> {
        self.results.drain(..).collect()
    }

    /// Replies above `after`.
    pub fn outbox(&self, after: u64) -> impl Iterator<Item = &MemoryReply> {
        self.outbox.after(after).map(|(_, reply)| reply)
    }

    /// Refused input with a sequence from `from`.
    pub fn rejected(&self, from: u64) -> impl Iterator<Item = &RejectedRecord> {
        self.rejected.after(from.saturating_sub(1)).map(|(_, record)| record)
    }

    /// One refused input.
    pub fn rejected_get(&self, seq: u64) -> Option<&RejectedRecord> {
        self.rejected.get(seq).map(|(_, record)| record)
    }

    /// Takes one refused input out. Whether it was there.
    pub fn rejected_delete(&mut self, seq: u64) -> bool {
        self.rejected.remove(seq)
    }

    /// How many publishes and appends are still under way (see [`AppendFault::Late`]).
    pub fn late(&self) -> usize {
        self.late.len()
    }

    /// Lets the late operation number `index` arrive now, whatever has happened since; nobody hears of its outcome.
    pub fn land(&mut self, now: DateTime<Utc>, index: usize) {
        if index >= self.late.len() {
            return;
        }
        match self.late.remove(index) {
            Late::Append { subject, expected, payload } => {
                let _ = self.append_now(&subject, expected, payload);
            }
            Late::Publish(outgoing) => {
                let _ = self.publish_now(now, outgoing);
            }
            Late::Inbound { tenant, channel, key, id, payload } => {
                let _ = self.inbound_now(now, &tenant, &channel, &key, &id, payload);
            }
        }
    }

    /// Late operations that never arrive, as when the connection that carried them is gone.
    pub fn lose_late(&mut self) {
        self.late.clear();
    }
}
