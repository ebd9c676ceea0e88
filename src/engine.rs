//! Everything of one node, put together: store, projector, owners.
//!
//! What the command line's `serve`, the tests and the benchmarks start. It is given a connected bus and a directory.

use crate::{
    access::user::User,
    agent::Agent,
    aggregate::kind::{KindOf, Kinds},
    answering::{Answering, AnsweringOptions, Desk, ModelError, NO_MODEL},
    archive::{Archive, ArchiveTask},
    contact::Contact,
    conversation::Conversation,
    dispatch::{Dispatch, Floors},
    faq::entry::Entry,
    http::Fault,
    journal::{Journal, subjects},
    monitoring::{Observed, Observer},
    reporting::{ReportingTask, Reports},
    runtime::{
        leaders::Led,
        machine::Limits,
        node::{Node, NodeOptions, NodeStatus},
        projector::{Projector, ProjectorError, ProjectorOptions},
    },
    settings::Settings,
    store::{Folds, Projection, Store, StoreError, StoreOptions},
    wall::Walls,
    webhooks::{WebhookOptions, Webhooks},
};
use std::{path::PathBuf, sync::Arc};

/// The aggregates that kefu drives.
pub fn kinds() -> Kinds {
    Kinds::new(vec![
        KindOf::<Conversation>::boxed(),
        KindOf::<Contact>::boxed(),
        KindOf::<Agent>::boxed(),
        KindOf::<Entry>::boxed(),
        KindOf::<Settings>::boxed(),
        KindOf::<User>::boxed(),
    ])
}

/// What an engine is made of.
pub struct EngineOptions<J> {
    /// The bus, connected and with its streams checked.
    pub journal: J,
    /// Names of subjects.
    pub subjects: Arc<subjects::Subjects>,
    /// Partitions, as the streams have them.
    pub partitions: u16,
    /// Where RocksDB's files are.
    pub store_dir: PathBuf,
    /// Memory for RocksDB; its own default if absent.
    pub memory_budget_bytes: Option<u64>,
    /// Where the search over messages is kept; `None`: there is none.
    pub archive_dir: Option<PathBuf>,
    /// How answers are found.
    pub answering: AnsweringOptions,
    /// Limits of each partition.
    pub limits: Limits,
    /// Messages of one queue of one partition that are held unacked, at most.
    pub max_pending: usize,
    /// Names this node among the others; unique per running process.
    pub name: String,
    /// Whether webhooks may send to addresses of private networks.
    pub private_webhooks: bool,
}

impl<J> EngineOptions<J> {
    /// The defaults, on this bus and in this directory.
    pub fn new(journal: J, subjects: subjects::Subjects, partitions: u16, store_dir: PathBuf) -> Self {
        let answering = AnsweringOptions {
            dir: store_dir.with_file_name("search"),
            models: PathBuf::new(),
            model: Some(NO_MODEL.to_owned()),
            elsewhere: None,
            llm: None,
        };
        Self {
            archive_dir: None,
            answering,
            journal,
            subjects: Arc::new(subjects),
            partitions,
            store_dir,
            memory_budget_bytes: None,
            limits: Limits::default(),
            // A thousand per queue and partition keep the machine busy through any pause of the server's, and 16 partitions
            // then hold 32,000 messages of some 500 bytes at most.
            max_pending: 1_000,
            name: uuid::Uuid::now_v7().simple().to_string(),
            private_webhooks: false,
        }
    }
}

/// Why an engine could not be started or has ended.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The projector has ended.
    #[error(transparent)]
    Projector(#[from] ProjectorError),
    /// The model of questions cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The system's certificates cannot be read.
    #[error("webhooks: {0}")]
    Webhooks(#[from] Fault),
    /// The actors' threads cannot be started.
    #[error("threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// A running node.
pub struct Engine {
    store: Store,
    projector: Projector,
    node: Node,
    dispatch: Dispatch,
    answering: Answering,
    archive: Option<ArchiveTask>,
    reporting: ReportingTask,
    walls: Walls,
    observer: Observer,
    webhooks: Webhooks,
}

impl Engine {
    /// Starts the projector and the node. Partitions are taken over as their leases become free.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn start<J: Journal>(options: EngineOptions<J>) -> Result<Self, EngineError> {
        let store_options = StoreOptions {
            memory_budget_bytes: options.memory_budget_bytes,
            partitions: options.partitions,
            partition_of: subjects::partition,
        };
        let (store, writer) = Store::open(&options.store_dir, &store_options, folds(), projections())?;
        let projector = Projector::start(options.journal.clone(), writer, ProjectorOptions::default());
        let dispatch = Dispatch::start(options.journal.clone(), store.clone(), options.name.clone());
        let (journal, name) = (options.journal.clone(), options.name.clone());
        let answering = Answering::start(journal, store.clone(), name, &options.answering)?;
        let archive = options.archive_dir.map(|dir| ArchiveTask::start(options.journal.clone(), store.clone(), dir));
        let reporting = ReportingTask::start(options.journal.clone(), store.clone());
        let reports = Reports::new(store.clone(), reporting.progress());
        let walls = Walls::new(options.journal.clone(), Arc::clone(&options.subjects), store.clone(), reports);
        let webhooks = Webhooks::start(WebhookOptions {
            journal: options.journal.clone(),
            subjects: Arc::clone(&options.subjects),
            store: store.clone(),
            progress: projector.progress(),
            node: options.name.clone(),
            private: options.private_webhooks,
        })?;
        let node = Node::start(NodeOptions {
            journal: options.journal,
            subjects: options.subjects,
            partitions: options.partitions,
            store: store.clone(),
            kinds: kinds(),
            limits: options.limits,
            max_pending: options.max_pending,
            name: options.name,
        })?;
        let observer = Observer::start(store.clone(), node.ownership(), projector.progress());
        Ok(Self { store, projector, node, dispatch, answering, archive, reporting, walls, observer, webhooks })
    }

    /// What the projector remembers.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What feeds it.
    pub fn projector(&self) -> &Projector {
        &self.projector
    }

    /// What waits and who is free, of every tenant.
    pub fn floors(&self) -> Floors {
        self.dispatch.floors()
    }

    /// The tenants whose scheduling this node leads.
    pub fn led(&self) -> Led {
        self.dispatch.led()
    }

    /// What is going on in conversations.
    pub fn observed(&self) -> Observed {
        self.observer.observed()
    }

    /// Answers to questions.
    pub fn desk(&self) -> Desk {
        self.answering.desk()
    }

    /// The search over messages; finds nothing where it is not kept.
    pub fn archive(&self) -> Archive {
        self.archive.as_ref().map(ArchiveTask::archive).unwrap_or_default()
    }

    /// Figures.
    pub fn reports(&self) -> Reports {
        Reports::new(self.store.clone(), self.reporting.progress())
    }

    /// Walls of the past.
    pub fn walls(&self) -> Walls {
        self.walls.clone()
    }

    /// What the node owns.
    pub fn status(&self) -> NodeStatus {
        self.node.status()
    }

    /// Waits for the projector to end, which it does only when it cannot go on.
    ///
    /// # Errors
    /// Why it cannot go on.
    pub async fn failed(&mut self) -> Result<(), EngineError> {
        Ok(self.projector.ended().await?)
    }

    /// Finishes what was begun, gives the partitions up, writes what is in memory.
    ///
    /// # Errors
    /// The projector could not write its last batch; nothing is lost, since the next start reads it from the log.
    pub async fn stop(self) -> Result<(), EngineError> {
        self.walls.stop();
        // The node at once: nothing new is begun while something else takes its time to end.
        tokio::join!(
            self.node.stop(),
            self.dispatch.stop(),
            self.answering.stop(),
            async {
                if let Some(archive) = self.archive {
                    archive.stop().await;
                }
            },
            self.reporting.stop(),
            self.webhooks.stop(),
            self.observer.stop(),
        );
        Ok(self.projector.stop().await?)
    }
}

/// The states that the projector folds, with the lists in which they are found.
fn folds() -> Folds {
    Folds::all()
}

/// Read models beside the states.
fn projections() -> Vec<Box<dyn Projection>> {
    Vec::new()
}
