//! The projection `settings`: every tenant's configuration, in memory for whoever decides something, and its documents.

use super::{Batch, DecodedCommit, Family, Projection, StoreError, View, projection::Shape};
use crate::aggregate::TenantConfig;
use arc_swap::ArcSwap;
use kefu_events::settings::{CHANNEL_DOCUMENT_PREFIX, SettingsEvent, TENANT_DOCUMENT, TenantSettings};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The configuration of all tenants, as of one commit.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    tenants: BTreeMap<String, Tenant>,
}

#[derive(Debug, Clone, Default)]
struct Tenant {
    documents: BTreeMap<String, Arc<Value>>,
    config: Arc<TenantConfig>,
}

impl Settings {
    /// A tenant's effective configuration; `None` if there is no such tenant.
    pub fn tenant(&self, tenant: &str) -> Option<&Arc<TenantConfig>> {
        self.existing(tenant).map(|found| &found.config)
    }

    /// The names of all tenants, sorted.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.tenants.keys().map(String::as_str).filter(|tenant| self.existing(tenant).is_some())
    }

    /// The names of a tenant's documents, sorted.
    pub fn documents(&self, tenant: &str) -> impl Iterator<Item = &str> {
        self.existing(tenant).into_iter().flat_map(|found| found.documents.keys().map(String::as_str))
    }

    /// What a document says.
    pub fn document(&self, tenant: &str, document: &str) -> Option<&Arc<Value>> {
        self.existing(tenant)?.documents.get(document)
    }

    fn existing(&self, tenant: &str) -> Option<&Tenant> {
        // The document of this name makes a tenant exist; one of a channel could have come before it.
        self.tenants.get(tenant).filter(|found| found.documents.contains_key(TENANT_DOCUMENT))
    }

    fn set(&mut self, tenant: &str, document: &str, value: Value) {
        self.tenants.entry(tenant.to_owned()).or_default().documents.insert(document.to_owned(), Arc::new(value));
    }

    fn refresh(&mut self, tenant: &str) {
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.config = Arc::new(effective(&tenant.documents));
        }
    }
}

/// Where [`Settings`] are shown.
pub(super) type Shown = Arc<ArcSwap<Settings>>;

const DOCUMENTS: usize = 0;

pub(super) struct SettingsProjection {
    shown: Shown,
    /// As written.
    settings: Settings,
    /// Changed in this batch: the last value of each.
    changed: BTreeMap<(String, String), Value>,
}

impl SettingsProjection {
    pub(super) fn new(shown: Shown) -> Self {
        Self { shown, settings: Settings::default(), changed: BTreeMap::new() }
    }
}

impl Projection for SettingsProjection {
    fn name(&self) -> &'static str {
        "settings"
    }

    fn version(&self) -> u32 {
        1
    }

    fn families(&self) -> Vec<Family> {
        vec![Family::new("", Shape::Ranges)]
    }

    fn is_essential(&self) -> bool {
        true
    }

    fn load(&mut self, view: &View) -> Result<(), StoreError> {
        self.changed.clear();
        self.settings = Settings::default();
        let mut damaged = None;
        view.scan(DOCUMENTS, b"", b"", |key, value| {
            let name = std::str::from_utf8(key).ok().and_then(|key| key.split_once('/'));
            match (name, serde_json::from_slice(value)) {
                (Some((tenant, document)), Ok(value)) => self.settings.set(tenant, document, value),
                _ => damaged = Some(String::from_utf8_lossy(key).into_owned()),
            }
            damaged.is_none()
        })?;
        if let Some(key) = damaged {
            return Err(view.database.noticed(StoreError::Damaged(format!("settings document {key}"))));
        }
        let tenants: Vec<String> = self.settings.tenants.keys().cloned().collect();
        tenants.iter().for_each(|tenant| self.settings.refresh(tenant));
        self.shown.store(Arc::new(self.settings.clone()));
        Ok(())
    }

    fn fold(&mut self, commit: &DecodedCommit, _: &mut Batch<'_>) -> Result<(), StoreError> {
        let Some(commit) = commit.events_of::<SettingsEvent>() else { return Ok(()) };
        for event in &commit.events {
            if let SettingsEvent::DocumentChanged { value, .. } = event {
                self.changed.insert((commit.tenant.clone(), commit.key.clone()), value.clone());
            }
        }
        Ok(())
    }

    fn finish(&mut self, batch: &mut Batch<'_>) -> Result<(), StoreError> {
        for ((tenant, document), value) in &self.changed {
            batch.put(DOCUMENTS, format!("{tenant}/{document}").as_bytes(), value.to_string().as_bytes());
        }
        Ok(())
    }

    fn written(&mut self) {
        if self.changed.is_empty() {
            return;
        }
        let mut tenants = BTreeSet::new();
        for ((tenant, document), value) in std::mem::take(&mut self.changed) {
            self.settings.set(&tenant, &document, value);
            tenants.insert(tenant);
        }
        tenants.iter().for_each(|tenant| self.settings.refresh(tenant));
        self.shown.store(Arc::new(self.settings.clone()));
    }
}

fn effective(documents: &BTreeMap<String, Arc<Value>>) -> TenantConfig {
    let tenant = documents.get(TENANT_DOCUMENT).map(|value| Value::clone(value)).unwrap_or_default();
    let tenant: TenantSettings = serde_json::from_value(tenant).unwrap_or_default();
    let base = serde_json::to_value(&tenant).unwrap_or_default();
    let channels = documents.iter().filter_map(|(name, patch)| {
        let channel = name.strip_prefix(CHANNEL_DOCUMENT_PREFIX)?;
        let settings = serde_json::from_value(merge_patch(base.clone(), patch)).ok()?;
        Some((channel.to_owned(), Arc::new(settings)))
    });
    TenantConfig { channels: channels.collect(), tenant: Arc::new(tenant) }
}

fn merge_patch(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut merged = match target {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    for (name, value) in patch {
        let before = merged.remove(name).unwrap_or_default();
        if !value.is_null() {
            merged.insert(name.clone(), merge_patch(before, value));
        }
    }
    Value::Object(merged)
}
