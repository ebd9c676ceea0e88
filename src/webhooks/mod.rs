//! Webhooks: other systems are told over HTTP what happens, every commit that they want, in order, at least once.
//!
//! A webhook follows the log from where it stands, as everything here does, so nothing that fails or is killed can lose a commit:
//! what was not taken is tried again, with growing pauses and without end, and what comes after it waits. Receivers know by
//! `Kefu-Delivery` what they have had. For each tenant one node delivers, by lease; two that do for a moment deliver some
//! twice.
//!
//! - [`record`]: how far a webhook has got, its secret, and what people may ask about it;
//! - `sender`: one webhook;
//! - `delivery`: one attempt: signed, sent, judged; `guard`: where nothing may be sent;
//! - this file: which webhooks run here now.
//!
//! What a webhook is for is a settings document, [`kefu_events::webhook`]. This folder may not know RocksDB, NATS, or how a setting
//! is changed.

mod delivery;
mod guard;
pub mod record;
mod sender;

use crate::{
    aggregate::Tracked,
    http::Fault,
    journal::{Journal, subjects::Subjects},
    runtime::{
        leaders::{Keeper, Led},
        projector::Progress,
    },
    settings,
    store::Store,
};
use kefu_events::{
    AggregateKind,
    webhook::{WEBHOOKS_DOCUMENT, WebhookSettings, WebhooksSettings},
};
use reqwest::Client;
use sender::Sender;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::{sync::watch, task::JoinHandle};

/// How often it is looked which webhooks there are, and of which this node takes care.
const LOOK: Duration = Duration::from_millis(500);

/// All webhooks of which this node takes care.
pub struct Webhooks {
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

/// What they are made of.
pub struct WebhookOptions<J> {
    /// The bus.
    pub journal: J,
    /// Names on it.
    pub subjects: Arc<Subjects>,
    /// Where settings are.
    pub store: Store,
    /// How far it is.
    pub progress: watch::Receiver<Progress>,
    /// Names this node among the others.
    pub node: String,
    /// Whether commits may be sent to private addresses.
    pub private: bool,
}

impl Webhooks {
    /// Starts them.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn start<J: Journal>(options: WebhookOptions<J>) -> Result<Self, Fault> {
        let WebhookOptions { journal, subjects, store, progress, node, private } = options;
        let client = guard::client(private)?;
        let (stop, stopped) = watch::channel(false);
        let led = Led::default();
        let tenants = {
            let (store, progress) = (store.clone(), progress.clone());
            // Before, the settings are those of some day in the past.
            move || if progress.borrow().is_ready() { with_webhooks(&store) } else { Vec::new() }
        };
        let keeper = Keeper { journal: journal.clone(), node, what: "webhooks", tenants, led: led.clone() };
        let shell = Shell { journal, subjects, store, progress, client, private, led, running: BTreeMap::new() };
        let tasks = [tokio::spawn(shell.run(stopped.clone())), tokio::spawn(keeper.run(stopped))];
        Ok(Self { stop, tasks })
    }

    /// Writes down how far each one got, gives the leases up, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// The merge patch of the settings document that adds or replaces a webhook, or removes it.
pub fn patch(name: &str, webhook: Option<&WebhookSettings>) -> Value {
    let value = webhook.map(|webhook| {
        let mut value = serde_json::to_value(webhook).unwrap_or_default();
        // What is left out has its default; in a patch that has to be said.
        for field in ["events", "aggregates", "enabled"] {
            if value.get(field).is_none() {
                value[field] = Value::Null;
            }
        }
        value
    });
    json!({ "webhooks": { name: value } })
}

/// The tenants that somebody must lead.
fn with_webhooks(store: &Store) -> Vec<String> {
    let settings = store.settings();
    let has = |tenant: &&str| settings.document(tenant, WEBHOOKS_DOCUMENT).is_some();
    settings.tenants().filter(has).map(str::to_owned).collect()
}

/// One that runs.
struct Running {
    settings: WebhookSettings,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

struct Shell<J> {
    journal: J,
    subjects: Arc<Subjects>,
    store: Store,
    progress: watch::Receiver<Progress>,
    client: Client,
    private: bool,
    led: Led,
    /// By tenant and name.
    running: BTreeMap<(String, String), Running>,
}

impl<J: Journal> Shell<J> {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => break,
                _ = looks.tick() => self.look().await,
            }
        }
        for running in self.running.values() {
            let _ = running.stop.send(true);
        }
        for running in std::mem::take(&mut self.running).into_values() {
            let _ = running.task.await;
        }
    }

    /// Starts what should run here, and ends what should not.
    async fn look(&mut self) {
        // While the log is read again, settings are those of some day in the past; what runs goes on.
        if !self.progress.borrow().is_ready() {
            return;
        }
        let mut wanted = BTreeMap::new();
        for tenant in self.led.tenants() {
            let settings = self.store.settings();
            let Some(document) = settings.document(&tenant, WEBHOOKS_DOCUMENT) else { continue };
            // It was held against the rules before it was committed.
            let Ok(document) = serde_json::from_value::<WebhooksSettings>((**document).clone()) else { continue };
            let enabled = document.webhooks.iter().filter(|(_, webhook)| webhook.enabled);
            wanted.extend(enabled.map(|(name, webhook)| ((tenant.clone(), name.clone()), webhook.clone())));
        }
        let ended: Vec<_> = self
            .running
            .iter()
            .filter(|(which, running)| wanted.get(*which) != Some(&running.settings) || running.task.is_finished())
            .map(|(which, _)| which.clone())
            .collect();
        for which in ended {
            let Some(running) = self.running.remove(&which) else { continue };
            let _ = running.stop.send(true);
            let _ = running.task.await;
            if let Err(error) = self.forget_if_removed(&which.0, &which.1).await {
                tracing::warn!(%error, tenant = which.0, webhook = which.1, "a removed webhook's secret was not removed");
            }
        }
        for (which, settings) in wanted {
            if !self.running.contains_key(&which) {
                let running = self.start(&which.0, &which.1, settings);
                self.running.insert(which, running);
            }
        }
    }

    /// The document and its place in the log are looked at together: one that is added again has its note first.
    async fn forget_if_removed(
        &self,
        tenant: &str,
        name: &str,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Some(snapshot) = self.store.snapshot(tenant, AggregateKind::Settings, WEBHOOKS_DOCUMENT)? else {
            return Ok(());
        };
        let document: Tracked<settings::State> = serde_json::from_slice(&snapshot)?;
        let Some(value) = document.state.value() else { return Ok(()) };
        let set: WebhooksSettings = serde_json::from_value(value.clone())?;
        if !set.webhooks.contains_key(name) {
            record::forget_removed(&self.journal, tenant, name, document.seq).await?;
        }
        Ok(())
    }

    fn start(&self, tenant: &str, name: &str, settings: WebhookSettings) -> Running {
        let (stop, stopped) = watch::channel(false);
        let sender = Sender {
            journal: self.journal.clone(),
            subjects: self.subjects.events_of_tenant(tenant),
            document: self.subjects.events(tenant, AggregateKind::Settings.as_str(), WEBHOOKS_DOCUMENT),
            tenant: tenant.to_owned(),
            name: name.to_owned(),
            settings: settings.clone(),
            client: self.client.clone(),
            private: self.private,
        };
        Running { settings, stop, task: tokio::spawn(sender.run(stopped)) }
    }
}
