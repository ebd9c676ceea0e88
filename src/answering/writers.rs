//! The language model that words answers: one [`Answerer`] per tenant, because budgets are a tenant's.

use super::ModelError;
use crate::{
    faq::llm::{Answerer, LlmSettings},
    http,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

/// All tenants' answerers, over one client. Cheap to clone.
#[derive(Clone)]
pub struct Writers(Arc<Inner>);

struct Inner {
    settings: LlmSettings,
    client: reqwest::Client,
    tenants: Mutex<BTreeMap<String, Arc<Answerer>>>,
}

impl Writers {
    /// With these settings.
    ///
    /// # Errors
    /// The key cannot be read, or requests cannot be made at all.
    pub fn new(settings: LlmSettings) -> Result<Self, ModelError> {
        let client = http::client()?;
        // What is wrong with the key is said now, and not at the first question.
        Answerer::new(settings.clone(), client.clone())?;
        Ok(Self(Arc::new(Inner { settings, client, tenants: Mutex::default() })))
    }

    /// A tenant's; `None`: the key cannot be read any more.
    pub fn of(&self, tenant: &str) -> Option<Arc<Answerer>> {
        // An answerer is there or not after every call: a poisoned lock is of no meaning.
        let mut tenants = self.0.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant) {
            return Some(known.clone());
        }
        match Answerer::new(self.0.settings.clone(), self.0.client.clone()) {
            Ok(answerer) => Some(tenants.entry(tenant.to_owned()).or_insert(Arc::new(answerer)).clone()),
            Err(error) => {
                tracing::warn!(%error, "the language model is not asked");
                None
            }
        }
    }
}
