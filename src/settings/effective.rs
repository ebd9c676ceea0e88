//! Documents laid over one another.

use super::{Document, validate};
use crate::aggregate::TenantConfig;
use kefu_events::{
    routing::{ROUTING_DOCUMENT, RoutingSettings},
    settings::TenantSettings,
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

/// A tenant's configuration out of its documents: `tenant`, and the others by their names (those that say nothing about how
/// conversations run are passed over).
///
/// Only valid documents are committed, but by the code of their day. One that this code finds invalid counts as if it
/// had not been set: conversations go on with what the tenant says, or with the defaults. [`validate`] says what is
/// wrong with it, for whoever wants to tell an operator.
pub fn effective(tenant: &Value, others: &BTreeMap<String, Value>) -> TenantConfig {
    let tenant: TenantSettings = serde_json::from_value(tenant.clone()).unwrap_or_default();
    // Written out in full, so that a patch that removes a field goes back to the default and not to nothing.
    let base = serde_json::to_value(&tenant).unwrap_or_default();
    let routing = others.get(ROUTING_DOCUMENT).filter(|rules| validate(ROUTING_DOCUMENT, rules).is_ok());
    let routing = routing.and_then(|rules| serde_json::from_value::<RoutingSettings>(rules.clone()).ok());
    let channels = others.iter().filter_map(|(name, patch)| {
        let Some(Document::Channel(channel)) = Document::named(name) else { return None };
        validate(name, patch).ok()?;
        let settings = serde_json::from_value(merge_patch(base.clone(), patch)).ok()?;
        Some((channel.to_owned(), Arc::new(settings)))
    });
    TenantConfig {
        channels: channels.collect(),
        tenant: Arc::new(tenant),
        routing: Arc::new(routing.unwrap_or_default()),
    }
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
