//! Dispatch: what the scheduler decides, asked of agents.
//!
//! Every node keeps the floor of every tenant, so that any can answer for it; for each tenant one node leads, by lease, and
//! only that one asks. The lease saves work, nothing more: an agent takes a reservation under the expected version, so
//! two leaders at once can put nobody over capacity, and a conversation takes one offer.
//!
//! It is level-triggered: the lists of the store ([`WAITING`](crate::store::WAITING), [`STAFF`](crate::store::STAFF)) say
//! what waits and who is free, and whatever is lost or repeated shows there. A list is read as a whole at the start, when a
//! feed was too quick, and when the store was built anew; otherwise its feed keeps the floor true.
//!
//! - [`leader`]: one tenant, pure;
//! - [`past`]: the same at an earlier commit of the log, for whoever asks why, pure;
//! - this file: feeds, the clock, and sending.
//!
//! This folder may not know how a reservation becomes an offer, nor RocksDB, nor NATS.

pub mod leader;
pub mod past;

use crate::{
    aggregate::{Tracked, kind::to_json},
    journal::{Journal, JournalError, Outgoing},
    runtime::{
        leaders::{Keeper, Led},
        metrics::METRICS,
    },
    scheduler::Scheduling,
    settings,
    store::{ListBatch, ListFeed, PRACTICE, STAFF, Store, StoreError, WAITING, tenant_and_key},
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, Timestamp, V,
    agent::AgentCommand,
    conversation::ConversationCommand,
    envelope::Command,
    settings::{SCHEDULING_DOCUMENT, Texts},
};
use leader::{Change, Leader, Order, Scheduled, Telling};
use rand::RngExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{broadcast::error::RecvError, watch},
    task::JoinHandle,
};

/// Customers who are told their place in one go.
const TELLINGS: usize = 50;
/// The longest sleep: what is read from the settings is looked at this often at least.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);
/// After a failure of the bus or of the store.
const PAUSE: Duration = Duration::from_millis(500);

/// All tenants' floors, for whoever asks about them.
#[derive(Clone, Default)]
pub struct Floors(Arc<Mutex<BTreeMap<String, Leader>>>);

impl Floors {
    /// Asks about a tenant's floor; `None`: neither agents nor waiting conversations are known of it.
    pub fn ask<T>(&self, tenant: &str, question: impl FnOnce(&Leader) -> T) -> Option<T> {
        self.lock().get(tenant).map(question)
    }

    /// Asks about every tenant's floor.
    pub fn each(&self, mut question: impl FnMut(&str, &Leader)) {
        self.lock().iter().for_each(|(tenant, leader)| question(tenant, leader));
    }

    fn tenants(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    /// A floor is whole after every change: a poisoned lock is of no meaning.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Leader>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node's scheduler, running.
pub struct Dispatch {
    floors: Floors,
    led: Led,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl Dispatch {
    /// Starts it. `node` is the node's name, by which it is known among the leases.
    pub fn start<J: Journal>(journal: J, store: Store, node: String) -> Self {
        let floors = Floors::default();
        let (stop, stopped) = watch::channel(false);
        let led = Led::default();
        let shell = Shell {
            journal: journal.clone(),
            store,
            node: node.clone(),
            floors: floors.clone(),
            settings: BTreeMap::new(),
            led: led.clone(),
            known: 0,
            stopped: stopped.clone(),
        };
        let tenants = {
            let floors = floors.clone();
            move || floors.tenants()
        };
        let keeper = Keeper { journal, node, what: "scheduler", tenants, led: led.clone() };
        let tasks = [tokio::spawn(shell.run()), tokio::spawn(keeper.run(stopped))];
        Self { floors, led, stop, tasks }
    }

    /// The tenants whose scheduling this node leads.
    pub fn led(&self) -> Led {
        self.led.clone()
    }

    /// The floors, for questions.
    pub fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// Gives its leases up, and ends.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

struct Shell<J> {
    journal: J,
    store: Store,
    node: String,
    floors: Floors,
    /// The documents that were taken in, to notice when they change.
    settings: BTreeMap<String, Option<Arc<Value>>>,
    led: Led,
    /// The last commit whose changes of the lists were taken in.
    known: u64,
    stopped: watch::Receiver<bool>,
}

/// What became of an order, and whose it was.
type Sent = (Result<(), JournalError>, String, Order);
type Sending = BoxFuture<'static, Sent>;

/// Why following the lists ended.
enum End {
    Stopped,
    Anew(String),
}

impl<J: Journal> Shell<J> {
    async fn run(mut self) {
        loop {
            match self.follow().await {
                Ok(End::Stopped) => break,
                Ok(End::Anew(why)) => tracing::info!(why, "the scheduler reads its lists anew"),
                Err(error) => {
                    tracing::error!(%error, "the scheduler cannot read its lists; tries again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Reads the lists, then follows them.
    async fn follow(&mut self) -> Result<End, StoreError> {
        let missing = || StoreError::Damaged("a list of the scheduler's is missing".to_owned());
        let lists = [STAFF.name, WAITING.name, PRACTICE.name];
        let (mut feed, known) = self.store.watch_lists(&lists).ok_or_else(missing)?;
        self.known = known;
        self.read_all()?;
        let mut stopped = self.stopped.clone();
        let mut sending = FuturesUnordered::new();
        let mut telling = None;
        let mut period = tokio::time::interval(LONGEST_SLEEP);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let mut touched = BTreeSet::new();
            let sleep = self.sleep();
            tokio::select! {
                biased;
                _ = stopped.changed() => return Ok(End::Stopped),
                _ = period.tick() => {
                    self.read_settings();
                    touched.extend(self.led.tenants());
                    touched.iter().for_each(|tenant| METRICS.schedules_for(tenant));
                    if telling.is_none() {
                        telling = Some(self.tell_positions().boxed());
                    }
                }
                Some(sent) = sending.next(), if !sending.is_empty() => self.sent(sent),
                () = finished(&mut telling), if telling.is_some() => telling = None,
                batch = feed.recv() => match batch {
                    Ok(batch) => self.take_in(&batch, &mut touched),
                    Err(error) => return Ok(End::Anew(text_of(&error))),
                },
                () = tokio::time::sleep(sleep) => touched.extend(self.due()),
            }
            // What has come meanwhile counts before anything is decided.
            if let Err(error) = self.drain(&mut feed, &mut touched) {
                return Ok(End::Anew(error));
            }
            for tenant in touched {
                self.dispatch(&tenant, &sending);
            }
        }
    }

    fn drain(&mut self, feed: &mut ListFeed, touched: &mut BTreeSet<String>) -> Result<(), String> {
        use tokio::sync::broadcast::error::TryRecvError;
        loop {
            match feed.try_recv() {
                Ok(batch) => self.take_in(&batch, touched),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Everything from the lists, in the place of what was known.
    fn read_all(&mut self) -> Result<(), StoreError> {
        let mut floors: BTreeMap<String, Leader> = BTreeMap::new();
        let now = now_ms();
        let documents = self.store.settings();
        self.settings.clear();
        let mut add = |tenant: &str, change: Change| {
            if !floors.contains_key(tenant) {
                let document = documents.document(tenant, SCHEDULING_DOCUMENT).cloned();
                floors.insert(tenant.to_owned(), Leader::new(scheduling(&self.store, tenant, document.as_deref())));
                self.settings.insert(tenant.to_owned(), document);
            }
            if let Some(leader) = floors.get_mut(tenant) {
                leader.take_in(change, now);
            }
        };
        self.store.practice(|tenant, key, practised| add(tenant, Change::Practice(key.to_owned(), Some(practised))))?;
        self.store.staff(|tenant, key, entry| add(tenant, Change::Agent(key.to_owned(), Some(entry))))?;
        self.store.waiting(|tenant, key, entry| {
            if let Ok(key) = key.parse() {
                add(tenant, Change::Conversation(key, Some(entry)));
            }
        })?;
        *self.floors.lock() = floors;
        Ok(())
    }

    fn take_in(&mut self, batch: &ListBatch, touched: &mut BTreeSet<String>) {
        self.known = batch.seq;
        if batch.changes.is_empty() {
            return;
        }
        let now = now_ms();
        let mut floors = self.floors.lock();
        for change in &batch.changes {
            let Some((tenant, key)) = tenant_and_key(&change.key) else { continue };
            let Some(read) = read(change.list, key, change.value.as_deref()) else { continue };
            if !floors.contains_key(tenant) {
                let document = self.store.settings().document(tenant, SCHEDULING_DOCUMENT).cloned();
                floors.insert(tenant.to_owned(), Leader::new(scheduling(&self.store, tenant, document.as_deref())));
                self.settings.insert(tenant.to_owned(), document);
            }
            if let Some(leader) = floors.get_mut(tenant) {
                leader.take_in(read, now);
            }
            if !touched.contains(tenant) {
                touched.insert(tenant.to_owned());
            }
        }
    }

    fn read_settings(&mut self) {
        let documents = self.store.settings();
        let mut floors = self.floors.lock();
        for (tenant, leader) in floors.iter_mut() {
            let document = documents.document(tenant, SCHEDULING_DOCUMENT);
            let known = self.settings.get(tenant).and_then(Option::as_ref);
            let same = match (known, document) {
                (Some(known), Some(document)) => Arc::ptr_eq(known, document),
                (None, None) => true,
                _ => false,
            };
            if !same {
                let scheduling = scheduling(&self.store, tenant, document.map(|document| &**document));
                leader.set_settings(scheduling, now_ms());
                self.settings.insert(tenant.clone(), document.cloned());
            }
        }
    }

    /// Until when nothing happens by itself.
    fn sleep(&self) -> Duration {
        let floors = self.floors.lock();
        let next = self.led.tenants().iter().filter_map(|tenant| floors.get(tenant)?.next_due_ms()).min();
        let until = next.map(|due| Duration::from_millis((due - now_ms()).max(1) as u64));
        until.map_or(LONGEST_SLEEP, |until| until.min(LONGEST_SLEEP))
    }

    fn due(&self) -> Vec<String> {
        let (floors, now) = (self.floors.lock(), now_ms());
        let due = |tenant: &String| floors.get(tenant).and_then(Leader::next_due_ms).is_some_and(|due| due <= now);
        self.led.tenants().into_iter().filter(due).collect()
    }

    /// Decides until nothing more can be matched, or as much is under way as may be. Sending goes on beside.
    fn dispatch(&self, tenant: &str, sending: &FuturesUnordered<Sending>) {
        if !self.led.has(tenant) {
            return;
        }
        for order in self.orders(tenant) {
            let (journal, command) = (self.journal.clone(), command(tenant, &self.node, &order));
            let tenant = tenant.to_owned();
            sending.push(async move { (journal.publish(command).await, tenant, order) }.boxed());
        }
    }

    /// An order that could not be sent waits as before.
    fn sent(&self, (sent, tenant, order): Sent) {
        METRICS.reserved(sent.is_ok());
        if let Err(error) = sent {
            tracing::debug!(%error, tenant, "a reservation is asked for later");
            if let Some(leader) = self.floors.lock().get_mut(&tenant) {
                leader.not_sent(&order, now_ms());
            }
        }
    }

    /// Customers who wait are told how far it is, where the tenant has words for it. Whoever is not told now is told later.
    fn tell_positions(&self) -> impl Future<Output = ()> + Send + use<J> {
        let documents = self.store.settings();
        let mut commands = Vec::new();
        for tenant in self.led.tenants() {
            let Some(config) = documents.tenant(&tenant) else { continue };
            let speaks = |texts: &Texts| !texts.queue_position.is_empty() || !texts.queue_position_only.is_empty();
            if !speaks(&config.tenant.texts) && !config.channels.values().any(|channel| speaks(&channel.texts)) {
                continue;
            }
            let tellings = self.floors.lock().get_mut(&tenant).map(|leader| leader.tellings(now_ms(), TELLINGS));
            // A channel without words for it is not told, and nobody has to refuse it.
            let has_words = |telling: &Telling| {
                let texts = &config.for_channel(&telling.channel).texts;
                let text = if telling.wait_s.is_some() { &texts.queue_position } else { &texts.queue_position_only };
                !text.trim().is_empty()
            };
            let tellings = tellings.into_iter().flatten().filter(has_words);
            commands.extend(tellings.map(|telling| telling_command(&tenant, &self.node, &telling)));
        }
        let journal = self.journal.clone();
        async move {
            for command in commands {
                if let Err(error) = journal.publish(command).await {
                    tracing::debug!(%error, "a customer is not told the place in the line");
                }
            }
        }
    }

    fn orders(&self, tenant: &str) -> Vec<Order> {
        let mut floors = self.floors.lock();
        let Some(leader) = floors.get_mut(tenant) else { return Vec::new() };
        leader.set_sequence(self.known);
        for scheduled in leader.scheduled(now_ms()) {
            count(tenant, scheduled);
        }
        let mut random = rand::rng();
        let began = Instant::now();
        let orders = leader.orders(now_ms(), usize::MAX, || random.random());
        METRICS.scheduler_round_seconds.observe(began.elapsed().as_secs_f64());
        orders
    }
}

fn count(tenant: &str, scheduled: Scheduled) {
    match scheduled {
        Scheduled::Late => METRICS.scheduled(tenant, "late"),
        Scheduled::Offered { after_ms, was_late } => {
            if !was_late {
                METRICS.scheduled(tenant, "offered");
            }
            METRICS.scheduling_took(tenant, after_ms as f64 / 1e3);
        }
    }
}

async fn finished(under_way: &mut Option<BoxFuture<'static, ()>>) {
    if let Some(under_way) = under_way {
        under_way.await;
    }
}

/// What a list's entry says; `None`: nothing that could be read.
fn read(list: &str, key: &str, value: Option<&[u8]>) -> Option<Change> {
    fn entry<T: DeserializeOwned>(value: Option<&[u8]>) -> Option<Option<T>> {
        value.map_or(Some(None), |value| serde_json::from_slice(value).ok().map(Some))
    }
    match list {
        _ if list == STAFF.name => Some(Change::Agent(key.to_owned(), entry(value)?)),
        _ if list == WAITING.name => Some(Change::Conversation(key.parse().ok()?, entry(value)?)),
        _ if list == PRACTICE.name => Some(Change::Practice(key.to_owned(), entry(value)?)),
        _ => None,
    }
}

/// What the document says, with its version. It was checked when it was set; one of another version of kefu that cannot be
/// read is none.
fn scheduling(store: &Store, tenant: &str, document: Option<&Value>) -> Scheduling {
    let Some(document) = document else { return Scheduling::default() };
    let mut scheduling = serde_json::from_value(document.clone()).unwrap_or_else(|error| {
        tracing::error!(%error, tenant, "the scheduling settings cannot be read; the defaults hold");
        Scheduling::default()
    });
    let snapshot = store.snapshot(tenant, AggregateKind::Settings, SCHEDULING_DOCUMENT).ok().flatten();
    let tracked = snapshot.and_then(|snapshot| serde_json::from_slice::<Tracked<settings::State>>(&snapshot).ok());
    scheduling.version = tracked.map_or(0, |tracked| tracked.state.document_version);
    scheduling
}

fn command(tenant: &str, node: &str, order: &Order) -> Outgoing {
    let header = CommandHeader {
        id: order.reservation.clone(),
        aggregate: AggregateKind::Agent,
        key: order.agent.clone(),
        expected_version: None,
        actor: Actor::new(ActorKind::Scheduler, node),
        at: Timestamp::from(chrono::Utc::now()),
        correlation: None,
    };
    let body = AgentCommand::ReserveSlot {
        v: V,
        reservation: order.reservation.clone(),
        conversation: order.conversation.to_string(),
        session: order.session,
        weight: order.weight,
        ttl_s: None,
        decision: Some(order.decision.clone()),
        kind: order.kind,
        practice: order.practice.clone(),
    };
    let payload = to_json(&Command { header, body });
    Outgoing::Command {
        tenant: tenant.to_owned(),
        source: ActorKind::Scheduler.as_str().to_owned(),
        key: order.agent.clone(),
        id: order.reservation.clone(),
        payload: Bytes::from(payload),
    }
}

fn telling_command(tenant: &str, node: &str, telling: &Telling) -> Outgoing {
    let id = format!("tell-{}", uuid::Uuid::now_v7().simple());
    let header = CommandHeader {
        id: id.clone(),
        aggregate: AggregateKind::Conversation,
        key: telling.conversation.to_string(),
        expected_version: None,
        actor: Actor::new(ActorKind::Scheduler, node),
        at: Timestamp::from(chrono::Utc::now()),
        correlation: None,
    };
    let Telling { session, position, wait_s, .. } = *telling;
    let body = ConversationCommand::TellPosition { v: V, session, position, wait_s };
    let key = header.key.clone();
    let payload = Bytes::from(to_json(&Command { header, body }));
    Outgoing::Command { tenant: tenant.to_owned(), source: ActorKind::Scheduler.as_str().to_owned(), key, id, payload }
}

fn text_of(error: &RecvError) -> String {
    match error {
        RecvError::Closed => "the store was built anew".to_owned(),
        RecvError::Lagged(batches) => format!("{batches} batches behind"),
    }
}

fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
