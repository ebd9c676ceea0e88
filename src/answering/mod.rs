//! Answering: keeps each tenant's search base true to its approved entries, and answers what customers ask.
//!
//! Every node keeps the bases of all tenants, so that any can answer a query; for each tenant one node leads, by lease, and
//! only that one answers customers. Two leaders at once do no harm: a conversation takes one answer to a request.
//!
//! It is level-triggered, like dispatch. The list [`ANSWERS`](crate::store::ANSWERS) of the store says what is approved, the
//! list [`QUESTIONS`](crate::store::QUESTIONS) who waits for an answer, and whatever was lost or repeated shows there. So a
//! base needs no place in the log: at the start it is compared with the list, entry by entry and version by version. A base
//! that cannot be read is deleted and built anew.
//!
//! - `library`: the bases, and what changes them; `models`: which model is for whom; `writers`: who words
//!   answers;
//! - `desk`: questions with their answers, for customers and for queries;
//! - this file: what runs, and how it is stopped.
//!
//! A tenant without an approved entry has no answerer here: its conversations wait for whoever else answers, until their
//! own deadline. This folder may not know NATS or RocksDB, nor how anything is found.

mod desk;
mod library;
mod models;
mod writers;

pub use desk::{Answered, Desk};
pub use library::{BaseStatus, Library, Shown as ShownBase};
pub use models::{DEFAULT_MODEL, ENGLISH_MODEL, Models, NO_MODEL};
pub use writers::Writers;

use crate::{
    faq::llm::LlmSettings,
    http::{Fault, KeyError},
    journal::Journal,
    runtime::leaders::{Keeper, Led},
    search::embed::{EmbedError, Embedder},
    store::Store,
};
use std::{path::PathBuf, sync::Arc};
use tokio::{sync::watch, task::JoinHandle};

/// How answers are found.
#[derive(Clone)]
pub struct AnsweringOptions {
    /// Where the bases are kept. Can be deleted at any time: it is built anew.
    pub dir: PathBuf,
    /// Where the models' folders are.
    pub models: PathBuf,
    /// Name of the model, that is of its folder; [`NO_MODEL`]: words alone; `None`: [`DEFAULT_MODEL`] where it is there.
    pub model: Option<String>,
    /// A model that runs elsewhere, in the place of all of these.
    pub elsewhere: Option<Arc<dyn Embedder>>,
    /// The language model that words answers; `None`: answers are given as their entries say them.
    pub llm: Option<LlmSettings>,
}

/// Why no model can be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Its files cannot be used.
    #[error(transparent)]
    Embed(#[from] EmbedError),
    /// The language model's key cannot be read.
    #[error("the language model: {0}")]
    Llm(#[from] KeyError),
    /// Requests to it cannot be made.
    #[error("the language model: {0}")]
    Http(#[from] Fault),
    /// Its threads cannot be started.
    #[error("threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// A node's answering, running.
pub struct Answering {
    desk: Desk,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Answering {
    /// Starts it. `node` is the node's name, by which it is known among the leases.
    ///
    /// # Errors
    /// A model was named and cannot be used. Without a name, words alone do, and the log says so.
    pub fn start<J: Journal>(
        journal: J,
        store: Store,
        node: String,
        options: &AnsweringOptions,
    ) -> Result<Self, ModelError> {
        let library = Library::new(options.dir.clone(), Models::open(options)?);
        let (stop, stopped) = watch::channel(false);
        let led = Led::default();
        let llm = match &options.llm {
            Some(settings) if settings.enabled => Some(Writers::new(settings.clone())?),
            _ => None,
        };
        let desk = Desk::new(store.clone(), library.clone(), llm);
        let tenants = {
            let library = library.clone();
            move || library.tenants()
        };
        let keeper =
            Keeper { journal: journal.clone(), node: node.clone(), what: "answers", tenants, led: led.clone() };
        let tasks = vec![
            tokio::spawn(library.run(store, stopped.clone())),
            tokio::spawn(desk.clone().serve(journal, node, led, stopped.clone())),
            tokio::spawn(keeper.run(stopped)),
        ];
        Ok(Self { desk, stop, tasks })
    }

    /// Answers questions, for queries.
    pub fn desk(&self) -> Desk {
        self.desk.clone()
    }

    /// Gives its leases up, and ends. An answer under way is given by the next leader, or by a person.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            let _ = task.await;
        }
    }
}
