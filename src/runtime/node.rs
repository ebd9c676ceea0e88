//! One node: keeps its leases, starts an owner for each partition that falls to it, and stops them.
//!
//! A node announces itself by a lease of its own. Which node a partition falls to is decided by rendezvous hashing over the
//! nodes that live, so that all of them agree without talking and little moves when one comes or goes. The lease of a
//! partition saves work; what makes two owners harmless is the expected version of every append.

use super::{
    machine::Limits,
    metrics::METRICS,
    owner::{Drain, End, Ended, Figures, Owner, OwnerOptions},
    timers,
};
use crate::{
    aggregate::{Cause, kind::Kinds},
    journal::{Deliveries, Journal, JournalError, Lease, subjects::Subjects},
    store::Store,
};
use actix::{Actor, Recipient};
use actix_rt::{Arbiter, ArbiterHandle, System};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// How long a graceful stop waits for what was begun. An append or a publish that takes longer is left to the next owner.
const DRAIN: Duration = Duration::from_secs(10);

/// What a node is made of.
pub struct NodeOptions<J> {
    /// The bus.
    pub journal: J,
    /// Names of subjects.
    pub subjects: Arc<Subjects>,
    /// Partitions in all, as the streams have them.
    pub partitions: u16,
    /// What the projector remembers.
    pub store: Store,
    /// What this node drives.
    pub kinds: Kinds,
    /// Limits of each partition.
    pub limits: Limits,
    /// Messages of one queue of one partition that are held unacked, at most: the bound of all mailboxes together.
    pub max_pending: usize,
    /// Names this node among the others; unique per running process.
    pub name: String,
}

/// What is shown of a node.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Partitions in all.
    pub partitions: u16,
    /// Partitions that it owns, with their figures.
    pub owned: BTreeMap<u16, Figures>,
}

impl NodeStatus {
    /// Whether it decides for at least one partition, and for all that it owns.
    pub fn is_ready(&self) -> bool {
        !self.owned.is_empty() && self.owned.values().all(|figures| figures.ready)
    }
}

type Shown = Arc<Mutex<BTreeMap<u16, Arc<Mutex<Figures>>>>>;

/// Which partitions a node owns. Cheap to clone.
#[derive(Clone)]
pub struct Ownership {
    shown: Shown,
    partitions: u16,
}

impl Ownership {
    /// Partitions in all.
    pub fn partitions(&self) -> u16 {
        self.partitions
    }

    /// Those that it owns now.
    pub fn owned(&self) -> BTreeSet<u16> {
        self.shown.lock().map(|shown| shown.keys().copied().collect()).unwrap_or_default()
    }
}

/// A running node.
pub struct Node {
    name: String,
    partitions: u16,
    stop: mpsc::UnboundedSender<oneshot::Sender<()>>,
    shown: Shown,
    task: JoinHandle<()>,
}

/// One owned partition, as the node's loop holds it.
struct Held {
    lease: Lease,
    drain: Recipient<Drain>,
    end: Recipient<End>,
    timers: JoinHandle<()>,
    draining: bool,
}

impl Held {
    fn end(&self) {
        self.timers.abort();
        self.end.do_send(End);
    }

    fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            self.timers.abort();
            self.drain.do_send(Drain);
        }
    }
}

impl Node {
    /// Starts a node. It takes partitions over as their leases become free.
    ///
    /// # Errors
    /// The actors' threads cannot be started.
    pub fn start<J: Journal>(options: NodeOptions<J>) -> std::io::Result<Self> {
        let (stop, stops) = mpsc::unbounded_channel();
        let shown = Shown::default();
        let (name, partitions) = (options.name.clone(), options.partitions);
        let threads = ActorThreads::start()?;
        let supervisor = Supervisor::new(options, threads, Arc::clone(&shown));
        let task = tokio::spawn(supervisor.run(stops));
        Ok(Self { name, partitions, stop, shown, task })
    }

    /// Finishes what was begun, gives the partitions up, and ends. Bounded: what takes too long is left to the next owner.
    pub async fn stop(self) {
        let (done, is_done) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            let _ = is_done.await;
        }
        let _ = self.task.await;
    }

    /// Which partitions it owns, from now on.
    pub fn ownership(&self) -> Ownership {
        Ownership { shown: Arc::clone(&self.shown), partitions: self.partitions }
    }

    /// What is shown of it.
    pub fn status(&self) -> NodeStatus {
        let mut status = NodeStatus { name: self.name.clone(), partitions: self.partitions, ..NodeStatus::default() };
        if let Ok(shown) = self.shown.lock() {
            for (partition, figures) in shown.iter() {
                status.owned.insert(*partition, figures.lock().map(|figures| *figures).unwrap_or_default());
            }
        }
        status
    }
}

/// The threads on which the owners run: an actor system of its own, so that whoever starts a node needs none.
struct ActorThreads {
    arbiters: Vec<ArbiterHandle>,
    system: System,
}

impl ActorThreads {
    fn start() -> std::io::Result<Self> {
        let (tell, told) = std::sync::mpsc::channel();
        let count = std::thread::available_parallelism().map_or(2, |count| count.get()).min(16);
        std::thread::Builder::new().name("kefu-actors".to_owned()).spawn(move || {
            let runner = System::new();
            let arbiters = (0..count).map(|_| Arbiter::new().handle()).collect();
            let _ = tell.send(Self { arbiters, system: System::current() });
            if let Err(error) = runner.run() {
                tracing::error!(%error, "the actors' thread ended");
            }
        })?;
        told.recv().map_err(std::io::Error::other)
    }
}

/// The node's loop.
struct Supervisor<J> {
    options: NodeOptions<J>,
    threads: ActorThreads,
    shown: Shown,
    ended: mpsc::UnboundedSender<Ended>,
    endings: mpsc::UnboundedReceiver<Ended>,
    node_lease: Option<Lease>,
    held: BTreeMap<u16, Held>,
}

impl<J: Journal> Supervisor<J> {
    fn new(options: NodeOptions<J>, threads: ActorThreads, shown: Shown) -> Self {
        let (ended, endings) = mpsc::unbounded_channel();
        Self { options, threads, shown, ended, endings, node_lease: None, held: BTreeMap::new() }
    }

    async fn run(mut self, mut stops: mpsc::UnboundedReceiver<oneshot::Sender<()>>) {
        // Four tries within a lease's life: one or two may be slow without anything being lost.
        let mut period = tokio::time::interval(self.options.journal.lease_ttl() / 4);
        period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let done = loop {
            tokio::select! {
                _ = period.tick() => {
                    if let Err(error) = self.keep_leases().await {
                        tracing::warn!(%error, "leases cannot be kept; tries again");
                    }
                }
                Some(ended) = self.endings.recv() => self.forget(&ended).await,
                stop = stops.recv() => break stop,
            }
        };
        self.stop().await;
        if let Some(done) = done {
            let _ = done.send(());
        }
    }

    async fn keep_leases(&mut self) -> Result<(), JournalError> {
        let journal = self.options.journal.clone();
        let renewed = match &self.node_lease {
            Some(lease) => journal.renew(lease).await?,
            None => None,
        };
        let name = format!("node-{}", self.options.name);
        self.node_lease = match renewed {
            Some(lease) => Some(lease),
            None => journal.acquire(&name, &self.options.name).await?,
        };
        let leases = journal.leases().await?;
        let nodes: Vec<&str> = leases.keys().filter_map(|name| name.strip_prefix("node-")).collect();
        let mut wanted = Vec::new();
        for partition in 0..self.options.partitions {
            let mine = falls_to(&nodes, &partition.to_string()) == Some(self.options.name.as_str());
            match self.held.get_mut(&partition) {
                Some(held) if mine || held.draining => {}
                Some(held) => held.drain(),
                None if mine => wanted.push(partition),
                None => {}
            }
        }
        let renewals = self.held.iter().map(|(partition, held)| {
            let journal = journal.clone();
            async move { (*partition, journal.renew(&held.lease).await) }
        });
        for (partition, renewed) in futures::future::join_all(renewals).await {
            let Some(held) = self.held.get_mut(&partition) else { continue };
            match renewed {
                Ok(Some(lease)) => held.lease = lease,
                Ok(None) => {
                    tracing::warn!(partition, epoch = held.lease.epoch, "the lease was lost");
                    held.end();
                }
                Err(error) => tracing::debug!(%error, partition, "a lease could not be renewed"),
            }
        }
        let taken = futures::future::join_all(wanted.into_iter().map(|partition| {
            let (journal, holder) = (journal.clone(), self.options.name.clone());
            let max_pending = self.options.max_pending;
            async move { (partition, take(&journal, partition, &holder, max_pending).await) }
        }))
        .await;
        for (partition, taken) in taken {
            match taken {
                Ok(Some((lease, deliveries))) => self.start_owner(partition, lease, deliveries),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, partition, "could not be taken over; tries again"),
            }
        }
        Ok(())
    }

    fn start_owner(&mut self, partition: u16, lease: Lease, deliveries: Deliveries) {
        let figures = Arc::new(Mutex::new(Figures::default()));
        let options = OwnerOptions {
            journal: self.options.journal.clone(),
            subjects: Arc::clone(&self.options.subjects),
            store: self.options.store.clone(),
            kinds: self.options.kinds.clone(),
            limits: self.options.limits,
            partition,
            epoch: lease.epoch,
            tasks: tokio::runtime::Handle::current(),
            ended: self.ended.clone(),
            figures: Arc::clone(&figures),
        };
        let arbiter = &self.threads.arbiters[usize::from(partition) % self.threads.arbiters.len()];
        let owner = Owner::start_in_arbiter(arbiter, move |_| Owner::new(options, deliveries));
        let timers = tokio::spawn(timers::run(
            self.options.journal.clone(),
            self.options.store.clone(),
            self.options.kinds.clone(),
            partition,
        ));
        METRICS.takeovers.inc();
        tracing::debug!(partition, epoch = lease.epoch, "taken over");
        let held = Held { lease, drain: owner.clone().recipient(), end: owner.recipient(), timers, draining: false };
        self.held.insert(partition, held);
        if let Ok(mut shown) = self.shown.lock() {
            shown.insert(partition, figures);
        }
    }

    /// An owner has ended, by itself or because it was told to: the lease is free for whoever comes first.
    async fn forget(&mut self, ended: &Ended) {
        let Some(held) = self.held.get(&ended.partition).filter(|held| held.lease.epoch == ended.epoch) else { return };
        held.timers.abort();
        tracing::debug!(partition = ended.partition, epoch = ended.epoch, drained = ended.drained, "given up");
        if let Err(error) = self.options.journal.release(&held.lease).await {
            tracing::debug!(%error, "a lease runs out by itself");
        }
        self.held.remove(&ended.partition);
        if let Ok(mut shown) = self.shown.lock() {
            shown.remove(&ended.partition);
        }
    }

    async fn stop(&mut self) {
        for held in self.held.values_mut() {
            held.drain();
        }
        let until = Instant::now() + DRAIN;
        while !self.held.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.endings.recv()).await {
                Ok(Some(ended)) => self.forget(&ended).await,
                _ => break,
            }
        }
        for held in self.held.values() {
            held.end();
        }
        if let Some(lease) = &self.node_lease {
            let _ = self.options.journal.release(lease).await;
        }
        self.threads.system.stop();
    }
}

async fn take<J: Journal>(
    journal: &J,
    partition: u16,
    holder: &str,
    max_pending: usize,
) -> Result<Option<(Lease, Deliveries)>, JournalError> {
    let Some(lease) = journal.acquire(&format!("partition-{partition}"), holder).await? else { return Ok(None) };
    match journal.take_over(partition, lease.epoch, max_pending).await {
        Ok(deliveries) => Ok(Some((lease, deliveries))),
        Err(error) => {
            // Without an owner behind it the lease would only keep others away.
            let _ = journal.release(&lease).await;
            Err(error)
        }
    }
}

/// The node with the highest hash together with what is shared out (rendezvous hashing, Thaler and Ravishankar 1998).
pub fn falls_to<'a>(nodes: &[&'a str], what: &str) -> Option<&'a str> {
    nodes.iter().copied().max_by_key(|node| Cause::of(&format!("{node}/{what}")))
}

#[cfg(test)]
mod tests {
    use super::falls_to;

    #[test]
    fn when_a_node_goes_only_its_partitions_move() {
        let all = ["a", "b", "c"];
        let before: Vec<_> = (0..64).map(|partition| falls_to(&all, &partition.to_string())).collect();
        let after: Vec<_> = (0..64).map(|partition| falls_to(&["a", "c"], &partition.to_string())).collect();
        for (before, after) in before.iter().zip(&after) {
            assert!(before == after || *before == Some("b"));
        }
        assert!(all.iter().all(|node| before.contains(&Some(*node))));
    }
}
