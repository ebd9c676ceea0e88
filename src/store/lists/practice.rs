//! How agents' work went, skill by skill, as the scheduler estimates their speed and quality from it.
//!
//! Key: `<tenant>/<key>`. Value: [`Practised`] as JSON. Apart from the list `staff`, because it changes only where a
//! conversation was brought to its end.

use crate::{
    agent::{Agent, State},
    aggregate::Tracked,
    scheduler::estimates::Practised,
    store::{Entries, List, Store, StoreError, Subject},
};

/// See the module's text.
pub const PRACTICE: List<Agent> = List { name: "practice", version: 1, entries };

fn entries(subject: Subject<'_>, tracked: &Tracked<State>, entries: &mut Entries) {
    let practised = &tracked.state.practised;
    if practised.is_empty() || tracked.state.removed {
        return;
    }
    if let Ok(json) = serde_json::to_vec(practised) {
        entries.add(&[subject.tenant.as_bytes(), b"/", subject.key.as_bytes()], &[&json]);
    }
}

impl Store {
    /// How the work of all tenants' agents went, with tenant and key, in the order of these.
    ///
    /// # Errors
    /// The store could not be read.
    pub fn practice(&self, mut visit: impl FnMut(&str, &str, Practised)) -> Result<(), StoreError> {
        self.list(PRACTICE.name, b"", b"", |key, value| {
            if let (Some((tenant, key)), Ok(practised)) = (super::tenant_and_key(key), serde_json::from_slice(value)) {
                visit(tenant, key, practised);
            }
            true
        })
    }
}
