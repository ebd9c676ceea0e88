//! A model that runs here, in this process.

use super::{EmbedError, Embedder, ModelIdentity, Role, bert::Bert, unigram::Unigram};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokenizers::Tokenizer;

/// Tokens per forward pass, unless one text alone has more: enough that weights are read seldom, few enough that what is
/// computed stays in the processor's cache (256 tokens · 1,536 numbers · 4 bytes = 1.6 MB at the widest place).
const TOKENS_PER_PASS: usize = 256;

/// No token is longer than this many characters on average; see the same figure of [`super::unigram`].
const MAX_CHARS_PER_TOKEN: usize = 16;

/// What a model wants to see before a text.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    pub question: String,
    pub passage: String,
}

/// What turns text into token numbers.
pub(super) enum Tokens {
    /// Of a `tokenizer.json`.
    Library { tokenizer: Box<Tokenizer>, max_tokens: usize },
    /// Of the packed file.
    Unigram(Box<Unigram>),
}

/// An encoder with its tokenizer. Each call runs on the thread that makes it and on no other.
pub struct LocalEmbedder {
    identity: ModelIdentity,
    bert: Bert,
    tokens: Tokens,
    prefixes: Prefixes,
}

impl LocalEmbedder {
    pub(super) fn new(name: &str, sha256: String, bert: Bert, tokens: Tokens, prefixes: Prefixes) -> Self {
        let identity = ModelIdentity { name: name.to_owned(), sha256, dimensions: bert.shape.width };
        Self { identity, bert, tokens, prefixes }
    }

    fn encode(&self, text: &str, role: Role) -> Result<Vec<u32>, EmbedError> {
        let prefix = match role {
            Role::Question => &self.prefixes.question,
            Role::Passage => &self.prefixes.passage,
        };
        let text = format!("{prefix}{}", text.trim());
        match &self.tokens {
            Tokens::Unigram(unigram) => Ok(unigram.encode(&text)),
            Tokens::Library { tokenizer, max_tokens } => {
                let end = text.char_indices().nth(max_tokens * MAX_CHARS_PER_TOKEN).map_or(text.len(), |(at, _)| at);
                let encoding = tokenizer.encode_fast(&text[..end], true);
                Ok(encoding.map_err(|error| EmbedError::Model(error.to_string()))?.get_ids().to_vec())
            }
        }
    }
}

impl Embedder for LocalEmbedder {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        let tokens = texts.iter().map(|text| self.encode(text, role)).collect::<Result<Vec<_>, _>>()?;
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = tokens.as_slice();
        while !rest.is_empty() {
            let mut count = 0;
            let mut sum = 0;
            while count < rest.len() && (count == 0 || sum + rest[count].len() <= TOKENS_PER_PASS) {
                sum += rest[count].len();
                count += 1;
            }
            let (now, later) = rest.split_at(count);
            let now: Vec<&[u32]> = now.iter().map(Vec::as_slice).collect();
            vectors.extend(on_this_thread(|| self.bert.vectors(&now))?);
            rest = later;
        }
        Ok(vectors)
    }
}

/// candle hands its matrix products to as many of rayon's threads as the machine has cores. For one question that costs
/// more than it brings, and the worker threads are the ones to use all cores; so each thread gets a pool of itself alone.
fn on_this_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread_local! {
        static ALONE: Option<ThreadPool> = ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok();
    }
    // Without a pool the work runs all the same, on more threads.
    let _ = ALONE.with(Option::is_some);
    work()
}
