//! Approved entries, as indexes take them in.
//!
//! Key: `<tenant>/<key>`. Value: an [`ApprovedEntry`] as JSON, so that an index starts by one scan and goes on by the
//! list's feed.

use crate::{
    aggregate::Tracked,
    faq::entry::{Entry, State},
    store::{Entries, List, Store, StoreError, Subject},
};
use kefu_events::faq::EntryContent;
use serde::{Deserialize, Serialize};

/// See the module's text.
pub const ANSWERS: List<Entry> = List { name: "answers", version: 1, entries };

/// An approved entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovedEntry {
    /// The version of its content that was approved.
    pub entry_version: u64,
    /// What it says.
    pub content: EntryContent,
}

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let Some(version) = tracked.state.answering().filter(|_| !tracked.quarantined) else { return };
    let entry = ApprovedEntry { entry_version: version.entry_version, content: version.content.clone() };
    if let Ok(json) = serde_json::to_vec(&entry) {
        entries.add(&[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()], &[&json]);
    }
}

impl Store {
    /// An approved entry; `None`: there is none of this id, or it is not approved.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn answer(&self, tenant: &str, id: &str) -> Result<Option<ApprovedEntry>, StoreError> {
        let key = format!("{tenant}/{id}");
        let mut found = None;
        self.list(ANSWERS.name, key.as_bytes(), key.as_bytes(), |at, value| {
            found = (at == key.as_bytes()).then(|| serde_json::from_slice(value).ok()).flatten();
            false
        })?;
        Ok(found)
    }

    /// Approved entries of a tenant, or of all of them (`None`), with tenant and key, in the order of these, until `visit`
    /// says `false`.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn answers(
        &self,
        tenant: Option<&str>,
        mut visit: impl FnMut(&str, &str, ApprovedEntry) -> bool,
    ) -> Result<(), StoreError> {
        let prefix = tenant.map_or_else(String::new, |tenant| format!("{tenant}/"));
        self.list(ANSWERS.name, prefix.as_bytes(), prefix.as_bytes(), |key, value| {
            match (super::tenant_and_key(key), serde_json::from_slice(value)) {
                (Some((tenant, key)), Ok(entry)) => visit(tenant, key, entry),
                _ => true,
            }
        })
    }
}
