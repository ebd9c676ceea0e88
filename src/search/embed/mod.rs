//! Texts as vectors: what is near in meaning is near in direction.
//!
//! [`open`] reads a model from a folder, [`RemoteEmbedder`] asks a server; both are an [`Embedder`]. [`Embeddings`] puts one behind
//! worker threads, with batching, a cache and a bound on what waits. The parts of a local model, bottom up: `math` and `q4`
//! (arithmetic), `bert` (the encoder), `unigram` (a tokenizer), `files`, `packed` and
//! `folder` (what is on disk), `local`.
//!
//! It may not know what the texts are: entries, messages and tenants are for others.

mod bert;
mod files;
mod folder;
mod local;
mod math;
mod packed;
mod q4;
mod remote;
mod service;
mod unigram;

pub use files::{ENGLISH, MULTILINGUAL, models_dir};
pub use local::LocalEmbedder;
pub use remote::{RemoteEmbedder, RemoteSettings};
pub use service::{EmbeddingCounts, Embeddings, EmbeddingsOptions, Vector};

use crate::http::{Fault, KeyError};

use files::Files;
use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a text is for: some models are trained with two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It asks, or is a variant of a question.
    Question,
    /// It answers.
    Passage,
}

/// Which model it is. Vectors of two models cannot be compared: an index keeps this beside its vectors and is rebuilt when it
/// differs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct ModelIdentity {
    /// For people.
    pub name: String,
    /// SHA-256, in hexadecimal digits, of all that the vectors depend on: weights, tokenizer, settings; of a remote model
    /// its address and name, because nothing more is known of it.
    pub sha256: String,
    /// Numbers per vector.
    pub dimensions: usize,
}

/// Turns texts into vectors.
pub trait Embedder: Send + Sync {
    /// Which model it is.
    fn identity(&self) -> &ModelIdentity;

    /// One vector of length 1 per text, in the order of the texts. Runs on the calling thread and takes milliseconds per
    /// text: not for the threads of an async runtime. A text that is longer than the model can read is cut at its end.
    ///
    /// # Errors
    ///
    /// Those of [`EmbedError`] that concern the model; none depends on what the texts say.
    fn embed(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, EmbedError>;
}

/// Why there is no vector.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// A file of the model is not there. Fetch it, or use another model; search goes on with words alone.
    #[error("{path} is missing: `scripts/models` fetches the models, or give the folder of your own", path = .0.display())]
    Missing(PathBuf),
    /// A file of the model cannot be read.
    #[error("{path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: Arc<io::Error>,
    },
    /// A file is not the one that its name says. Delete it and fetch it again.
    #[error("{path} is {found} instead of {expected}: delete it and run `scripts/models`", path = path.display())]
    WrongFile {
        /// The file.
        path: PathBuf,
        /// Its length or SHA-256.
        found: String,
        /// What it ought to be.
        expected: String,
    },
    /// The model's files are not what this code can run.
    #[error("the model cannot be used: {0}")]
    Model(String),
    /// Too much waits already: do without, now. It passes when less is asked.
    #[error("too many texts wait for their vectors")]
    Busy,
    /// The service ends.
    #[error("embeddings are shut down")]
    Stopped,
    /// The server of a remote model.
    #[error("embeddings: {0}")]
    Remote(#[from] Fault),
    /// The key of a remote model.
    #[error("embeddings: {0}")]
    Key(#[from] KeyError),
}

impl From<candle_core::Error> for EmbedError {
    fn from(error: candle_core::Error) -> Self {
        Self::Model(error.to_string())
    }
}

/// Opens the model in the folder `dir/name`: the packed e5, or a folder as sentence-transformers writes it. Takes a few
/// tenths of a second, most of it reading and hashing the files; the memory it keeps is that of its weights (MiniLM 90 MB,
/// e5 140 MB).
///
/// # Errors
///
/// A file is missing, unreadable, truncated, another one than its name says, or no model that can be run here.
pub fn open(dir: &Path, name: &str) -> Result<LocalEmbedder, EmbedError> {
    let folder = dir.join(name);
    if name == MULTILINGUAL || folder.join(packed::FILE).exists() {
        let files = Files::read(&folder, name, &[packed::FILE])?;
        let (bert, unigram) = packed::read(files.need(packed::FILE)?)?;
        let prefixes = local::Prefixes { question: "query: ".to_owned(), passage: "passage: ".to_owned() };
        return Ok(LocalEmbedder::new(name, files.sha256(), bert, local::Tokens::Unigram(Box::new(unigram)), prefixes));
    }
    let files = Files::read(&folder, name, &folder::FILES)?;
    let (bert, tokens, prefixes) = folder::read(&files)?;
    Ok(LocalEmbedder::new(name, files.sha256(), bert, tokens, prefixes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // Writing to a String cannot fail.
        text
    })
}
