//! Leases in the key-value bucket `KEFU_OWNERS`.
//!
//! A lease is an entry that its holder writes again before the bucket's age limit drops it. Every write names the
//! revision that it replaces, so that of two writers one loses. The epoch is the revision of the acquisition: revisions
//! count the bucket's writes and survive its entries, so an epoch never repeats.
//!
//! Entries are read and written as the bucket's stream has them (`$KV.<bucket>.<name>`), because the client library's
//! bucket reads by direct get, which a lagging replica may answer.

use super::{
    NatsJournal,
    direct::{Direct, Unserved},
    errors::{self, Refusal},
    log::found,
};
use crate::journal::{JournalError, Lease, subjects::is_lease_name};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use std::collections::BTreeMap;

/// The header by which the bucket marks an entry as deleted.
pub(super) const OPERATION: &str = "KV-Operation";

impl NatsJournal {
    fn lease_subject(&self, name: &str) -> Result<String, JournalError> {
        if !is_lease_name(name) {
            return Err(JournalError::Refused(format!("{name:?} cannot name a lease")));
        }
        Ok(format!("$KV.{}.{name}", self.inner.subjects.owners_bucket()))
    }

    /// Writes an entry if its last revision is `expected`. `None`: it is another.
    pub(super) async fn put_entry(
        &self,
        subject: &str,
        expected: u64,
        message: PublishMessage,
    ) -> Result<Option<u64>, JournalError> {
        super::connect::connected(&self.inner.client)?;
        let message = message.expected_last_subject_sequence(expected);
        let result = match self.inner.publisher.send_publish(subject.to_owned(), message).await {
            Ok(ack) => ack.await,
            Err(error) => Err(error),
        };
        match result {
            Ok(ack) => Ok(Some(ack.sequence)),
            Err(error) => match errors::refusal(&error) {
                Refusal::Conflict => Ok(None),
                _ => Err(errors::publish_error(subject, &error)),
            },
        }
    }

    pub(super) async fn acquire_lease(&self, name: &str, holder: &str) -> Result<Option<Lease>, JournalError> {
        let subject = self.lease_subject(name)?;
        let entry = || PublishMessage::build().payload(Bytes::copy_from_slice(holder.as_bytes()));
        let mut revision = self.put_entry(&subject, 0, entry()).await?;
        if revision.is_none() {
            // Held, or given up: a released entry stays as a mark until the bucket drops it.
            let stream = self.stream_handle(&format!("KV_{}", self.inner.subjects.owners_bucket())).await?;
            revision = match found(stream.get_last_raw_message_by_subject(&subject).await)? {
                Some(last) if last.headers.get(OPERATION).is_none() => None,
                Some(mark) => self.put_entry(&subject, mark.sequence, entry()).await?,
                None => self.put_entry(&subject, 0, entry()).await?,
            };
        }
        Ok(revision.map(|revision| Lease {
            name: name.to_owned(),
            holder: holder.to_owned(),
            epoch: revision,
            revision,
        }))
    }

    pub(super) async fn renew_lease(&self, lease: &Lease) -> Result<Option<Lease>, JournalError> {
        let subject = self.lease_subject(&lease.name)?;
        let entry = PublishMessage::build().payload(Bytes::copy_from_slice(lease.holder.as_bytes()));
        let revision = self.put_entry(&subject, lease.revision, entry).await?;
        Ok(revision.map(|revision| Lease { revision, ..lease.clone() }))
    }

    pub(super) async fn release_lease(&self, lease: &Lease) -> Result<(), JournalError> {
        let subject = self.lease_subject(&lease.name)?;
        let mark = PublishMessage::build().header(OPERATION, "DEL");
        // If somebody else has it by now, there is nothing to give up.
        self.put_entry(&subject, lease.revision, mark).await.map(|_| ())
    }

    pub(super) async fn held_leases(&self) -> Result<BTreeMap<String, String>, JournalError> {
        let bucket = self.inner.subjects.owners_bucket();
        let (stream, prefix) = (format!("KV_{bucket}"), format!("$KV.{bucket}."));
        // The bucket keeps one revision per entry, so everything stored is the last of its name.
        let entries = match self.direct_get(&stream, &format!("{prefix}>"), 1, usize::MAX).await {
            Ok(entries) => entries,
            Err(Unserved::Failed(error)) => return Err(error),
            Err(Unserved::NotOffered) => {
                return Err(JournalError::Unavailable(format!("nobody answers for the bucket {bucket}")));
            }
        };
        let held = entries.into_iter().filter(|entry| entry.headers.get(OPERATION).is_none());
        let lease = |entry: Direct| {
            let name = entry.subject.strip_prefix(&prefix)?.to_owned();
            Some((name, String::from_utf8_lossy(&entry.payload).into_owned()))
        };
        Ok(held.filter_map(lease).collect())
    }
}
