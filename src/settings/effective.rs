//! Documents laid over one another.

use super::{Document, validate};
use crate::aggregate::TenantConfig;
use kefu_events::settings::TenantSettings;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// A tenant's configuration out of its documents: `tenant`, and those of channels by their documents' names (others are
/// passed over).
///
/// Only valid documents are committed, but by the code of their day. One that this code finds invalid counts as if it
/// had not been set: conversations go on with what the tenant says, or with the defaults. [`validate`] says what is
/// wrong with it, for whoever wants to tell an operator.
pub fn effective(tenant: &Value, channels: &BTreeMap<String, Value>) -> TenantConfig {
    let tenant: TenantSettings = serde_json::from_value(tenant.clone()).unwrap_or_default();
    // Written out in full, so that a patch that removes a field goes back to the default and not to nothing.
    let base = serde_json::to_value(&tenant).unwrap_or_default();
    let channels = channels.iter().filter_map(|(name, patch)| {
        let Some(Document::Channel(channel)) = Document::named(name) else { return None };
        validate(name, patch).ok()?;
        let settings = serde_json::from_value(merge_patch(base.clone(), patch)).ok()?;
        Some((channel.to_owned(), Arc::new(settings)))
    });
    TenantConfig { channels: channels.collect(), tenant: Arc::new(tenant) }
}

/// `target` after the JSON merge patch (RFC 7396) `patch`.
pub fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = match target {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(name);
        } else {
            let before = merged.remove(name).unwrap_or_default();
            merged.insert(name.clone(), merge_patch(before, value));
        }
    }
    Value::Object(merged)
}
