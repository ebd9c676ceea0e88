//! The projection `settings`: every tenant's configuration, in memory for whoever decides something, and its documents.

use super::{Batch, DecodedCommit, Family, Projection, StoreError, View, projection::Shape};
use crate::{aggregate::TenantConfig, runtime::Tenants, settings::effective};
use arc_swap::ArcSwap;
use kefu_events::settings::{SettingsEvent, TENANT_DOCUMENT};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The configuration of all tenants, as of one commit.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    documents: BTreeMap<String, BTreeMap<String, Arc<Value>>>,
    configs: Arc<Tenants>,
}

impl Settings {
    /// The effective configuration of all tenants.
    pub fn configs(&self) -> &Arc<Tenants> {
        &self.configs
    }

    /// A tenant's effective configuration; `None` if there is no such tenant.
    pub fn tenant(&self, tenant: &str) -> Option<&Arc<TenantConfig>> {
        self.configs.get(tenant)
    }

    /// The names of all tenants, sorted.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.configs.keys().map(String::as_str)
    }

    /// The names of a tenant's documents, sorted.
    pub fn documents(&self, tenant: &str) -> impl Iterator<Item = &str> {
        self.documents.get(tenant).into_iter().flat_map(|documents| documents.keys().map(String::as_str))
    }

    /// What a document says.
    pub fn document(&self, tenant: &str, document: &str) -> Option<&Arc<Value>> {
        self.documents.get(tenant)?.get(document)
    }

    fn set(&mut self, tenant: &str, document: &str, value: Value) {
        self.documents.entry(tenant.to_owned()).or_default().insert(document.to_owned(), Arc::new(value));
    }

    /// Computes the configuration of tenants anew.
    fn refresh<'a>(&mut self, tenants: impl Iterator<Item = &'a str>) {
        let mut configs = Tenants::clone(&self.configs);
        for tenant in tenants {
            let Some(documents) = self.documents.get(tenant) else { continue };
            // The document of this name makes a tenant exist; one of a channel could have come before it.
            let Some(base) = documents.get(TENANT_DOCUMENT) else { continue };
            let channels = documents.iter().filter(|(name, _)| *name != TENANT_DOCUMENT);
            let channels = channels.map(|(name, value)| (name.clone(), Value::clone(value))).collect();
            configs.insert(tenant.to_owned(), Arc::new(effective(base, &channels)));
        }
        self.configs = Arc::new(configs);
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
        let tenants: Vec<String> = self.settings.documents.keys().cloned().collect();
        self.settings.refresh(tenants.iter().map(String::as_str));
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

    fn written(&mut self, _: bool) {
        if self.changed.is_empty() {
            return;
        }
        let mut tenants = BTreeSet::new();
        for ((tenant, document), value) in std::mem::take(&mut self.changed) {
            self.settings.set(&tenant, &document, value);
            tenants.insert(tenant);
        }
        self.settings.refresh(tenants.iter().map(String::as_str));
        self.shown.store(Arc::new(self.settings.clone()));
    }
}
