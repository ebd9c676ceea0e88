//! Notes in the key-value bucket `KEFU_NOTES`: like leases, but they do not expire.

use super::{NatsJournal, direct::Unserved, leases::OPERATION, log::found};
use crate::journal::{JournalError, Note, subjects::is_note_name};
use async_nats::jetstream::message::PublishMessage;
use bytes::Bytes;
use std::collections::BTreeMap;

impl NatsJournal {
    fn note_subject(&self, name: &str) -> Result<String, JournalError> {
        if !is_note_name(name) {
            return Err(JournalError::Refused(format!("{name:?} cannot name a note")));
        }
        Ok(format!("$KV.{}.{name}", self.inner.subjects.notes_bucket()))
    }

    /// The last entry of that subject: a note, or the mark that one was removed.
    async fn note_entry(&self, subject: &str) -> Result<Option<(Note, bool)>, JournalError> {
        let stream = self.stream_handle(&format!("KV_{}", self.inner.subjects.notes_bucket())).await?;
        let last = found(stream.get_last_raw_message_by_subject(subject).await)?;
        Ok(last.map(|entry| {
            let is_mark = entry.headers.get(OPERATION).is_some();
            (Note { value: entry.payload, revision: entry.sequence }, is_mark)
        }))
    }

    pub(super) async fn get_note(&self, name: &str) -> Result<Option<Note>, JournalError> {
        let entry = self.note_entry(&self.note_subject(name)?).await?;
        Ok(entry.filter(|(_, is_mark)| !is_mark).map(|(note, _)| note))
    }

    pub(super) async fn write_note(
        &self,
        name: &str,
        expected: u64,
        value: Bytes,
    ) -> Result<Option<u64>, JournalError> {
        let subject = self.note_subject(name)?;
        let message = || PublishMessage::build().payload(value.clone());
        let written = self.put_entry(&subject, expected, message()).await?;
        if written.is_some() || expected != 0 {
            return Ok(written);
        }
        // One that was removed leaves a mark, whose revision a new one must name.
        match self.note_entry(&subject).await? {
            Some((mark, true)) => self.put_entry(&subject, mark.revision, message()).await,
            _ => Ok(None),
        }
    }

    pub(super) async fn delete_note(&self, name: &str, expected: u64) -> Result<bool, JournalError> {
        let mark = PublishMessage::build().header(OPERATION, "DEL");
        Ok(self.put_entry(&self.note_subject(name)?, expected, mark).await?.is_some())
    }

    pub(super) async fn all_notes(&self, start: &str) -> Result<BTreeMap<String, Note>, JournalError> {
        let bucket = self.inner.subjects.notes_bucket();
        let (stream, pattern) = (format!("KV_{bucket}"), format!("{}.>", self.note_subject(start)?));
        let prefix = format!("$KV.{bucket}.");
        // The bucket keeps one revision per entry, so everything stored is the last of its name.
        let entries = match self.direct_get(&stream, &pattern, 1, usize::MAX).await {
            Ok(entries) => entries,
            Err(Unserved::Failed(error)) => return Err(error),
            Err(Unserved::NotOffered) => {
                return Err(JournalError::Unavailable(format!("nobody answers for the bucket {bucket}")));
            }
        };
        let notes = entries.into_iter().filter(|entry| entry.headers.get(OPERATION).is_none()).filter_map(|entry| {
            let name = entry.subject.strip_prefix(&prefix)?.to_owned();
            Some((name, Note { value: entry.payload, revision: entry.seq }))
        });
        Ok(notes.collect())
    }
}
