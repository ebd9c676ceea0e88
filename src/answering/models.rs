//! Which model turns a tenant's texts into vectors.

use super::{AnsweringOptions, ModelError};
use crate::search::embed::{self, EmbeddingCounts, Embeddings, EmbeddingsOptions};
use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

/// The model that is used where nobody names one: Chinese and English in one space.
pub const DEFAULT_MODEL: &str = "multilingual-e5-small-q4";
/// The one for tenants whose entries are all English, where it is there: three times as fast, and better at English.
pub const ENGLISH_MODEL: &str = "all-minilm-l6-v2";
/// In the place of a model's name: words alone.
pub const NO_MODEL: &str = "none";

/// The models of this node.
#[derive(Default)]
pub struct Models {
    general: Option<Arc<Embeddings>>,
    /// Read when the first tenant needs it; `None`: it is not there.
    english: OnceLock<Option<Arc<Embeddings>>>,
    english_dir: Option<std::path::PathBuf>,
}

impl Models {
    /// Those that the options name.
    ///
    /// # Errors
    /// A model was named and cannot be used. Without a name, words alone do, and the log says so.
    pub fn open(options: &AnsweringOptions) -> Result<Self, ModelError> {
        if let Some(embedder) = &options.elsewhere {
            let general = Arc::new(Embeddings::start(embedder.clone(), EmbeddingsOptions::default())?);
            return Ok(Self { general: Some(general), ..Self::default() });
        }
        let dir = &options.models;
        let english_dir = dir.join(ENGLISH_MODEL).is_dir().then(|| dir.clone());
        match options.model.as_deref() {
            Some(NO_MODEL) => {
                tracing::info!("no model: questions are found by their words alone");
                Ok(Self::default())
            }
            Some(name) => Ok(Self { general: Some(start(dir, name)?), ..Self::default() }),
            None if dir.join(DEFAULT_MODEL).is_dir() => {
                Ok(Self { general: Some(start(dir, DEFAULT_MODEL)?), english_dir, ..Self::default() })
            }
            None => {
                tracing::warn!(
                    models = %dir.display(),
                    "there is no model, so questions are found by their words alone; `scripts/models` fetches one"
                );
                Ok(Self::default())
            }
        }
    }

    /// The model for a tenant's entries; `None`: words alone.
    pub fn choose(&self, all_english: bool) -> Option<Arc<Embeddings>> {
        let english = self.english_dir.as_deref().filter(|_| all_english).and_then(|dir| {
            let read = || match start(dir, ENGLISH_MODEL) {
                Ok(model) => Some(model),
                Err(error) => {
                    tracing::warn!(%error, "the model for English cannot be used; the general one is");
                    None
                }
            };
            self.english.get_or_init(read).clone()
        });
        english.or_else(|| self.general.clone())
    }

    /// Those that have been read.
    fn all(&self) -> impl Iterator<Item = &Arc<Embeddings>> {
        self.general.iter().chain(self.english.get().into_iter().flatten())
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.all().map(|model| model.identity().name.clone()).collect()
    }

    /// What they have done, together.
    pub fn counts(&self) -> EmbeddingCounts {
        self.all().map(|model| model.counts()).fold(EmbeddingCounts::default(), |sum, more| EmbeddingCounts {
            asked: sum.asked + more.asked,
            cached: sum.cached + more.cached,
            refused: sum.refused + more.refused,
            computed: sum.computed + more.computed,
            batches: sum.batches + more.batches,
            failed: sum.failed + more.failed,
            busy_us: sum.busy_us + more.busy_us,
            waiting: sum.waiting + more.waiting,
        })
    }
}

fn start(dir: &Path, name: &str) -> Result<Arc<Embeddings>, ModelError> {
    let embedder = Arc::new(embed::open(dir, name)?);
    Ok(Arc::new(Embeddings::start(embedder, EmbeddingsOptions::default())?))
}
