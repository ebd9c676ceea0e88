//! Vectors from a server that speaks OpenAI's protocol for embeddings (`POST …/v1/embeddings`): llama.cpp, Ollama, vLLM,
//! text-embeddings-inference, or OpenAI itself.

use super::{EmbedError, Embedder, ModelIdentity, Role, hex};
use crate::http::{self, Fault, KeySource, Secret};
use reqwest::Client;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// No model has longer vectors; more is a broken answer.
const MAX_DIMENSIONS: usize = 8192;

/// Characters of a text that are sent. No model reads more, and servers refuse what is too long instead of cutting it.
const MAX_CHARS: usize = 8192;

/// Bytes of one number in JSON, generously.
const BYTES_PER_NUMBER: usize = 32;

/// A model on a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// Address up to and including `/v1`, such as `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// Name of the model, as the server knows it.
    pub model: String,
    /// Where the key is, if the server wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeySource>,
    /// What the model wants before a question, such as `query: `.
    #[serde(default)]
    pub question_prefix: String,
    /// What the model wants before an answer, such as `passage: `.
    #[serde(default)]
    pub passage_prefix: String,
    /// Most texts per request.
    #[serde(default = "RemoteSettings::usual_batch")]
    pub batch: usize,
    /// Milliseconds for one call, repetitions included.
    #[serde(default = "RemoteSettings::usual_timeout_ms")]
    pub timeout_ms: u64,
    /// How often a request is repeated when the server fails in a way that may pass.
    #[serde(default = "RemoteSettings::usual_retries")]
    pub retries: u32,
}

impl RemoteSettings {
    fn usual_batch() -> usize {
        32
    }

    fn usual_timeout_ms() -> u64 {
        10_000
    }

    fn usual_retries() -> u32 {
        2
    }
}

/// Asks a server. Calls block the calling thread while they wait; they may not be made on a thread of an async runtime.
pub struct RemoteEmbedder {
    identity: ModelIdentity,
    settings: RemoteSettings,
    key: Option<Secret>,
    client: Client,
    runtime: Handle,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<String>,
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    index: usize,
    embedding: Vec<f32>,
}

impl RemoteEmbedder {
    /// Asks the server for one vector, to learn how long they are and that address, model and key are right.
    ///
    /// # Errors
    ///
    /// There is no key where the settings say; the server does not answer, or not with a vector.
    pub async fn connect(settings: RemoteSettings) -> Result<Self, EmbedError> {
        let key = settings.key.as_ref().map(KeySource::read).transpose()?;
        let mut hasher = Sha256::new();
        for part in [&settings.url, &settings.model, &settings.question_prefix, &settings.passage_prefix] {
            hasher.update(part);
            hasher.update([0]);
        }
        let identity = ModelIdentity {
            name: format!("{} at {}", settings.model, settings.url),
            sha256: hex(&hasher.finalize()),
            dimensions: 0,
        };
        let mut embedder = Self { identity, settings, key, client: http::client()?, runtime: Handle::current() };
        let probe = embedder.ask(&["hello"], Role::Question).await?;
        embedder.identity.dimensions = probe[0].len();
        Ok(embedder)
    }

    /// One request with its repetitions, all within the time limit.
    async fn ask(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        let deadline = Instant::now() + Duration::from_millis(self.settings.timeout_ms);
        let mut attempt = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let asked = tokio::time::timeout(left, self.ask_once(texts, role)).await;
            let fault = match asked.unwrap_or(Err(Fault::Timeout)) {
                Ok(vectors) => return Ok(vectors),
                Err(fault) => fault,
            };
            attempt += 1;
            let wait = fault.wait_before(attempt, rand::random());
            // A repetition that cannot end in time is not begun.
            if !fault.may_pass() || attempt > self.settings.retries || Instant::now() + wait >= deadline {
                return Err(EmbedError::Remote(fault));
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn ask_once(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, Fault> {
        let prefix = match role {
            Role::Question => &self.settings.question_prefix,
            Role::Passage => &self.settings.passage_prefix,
        };
        let cut = |text: &&str| prefix.chars().chain(text.chars().take(MAX_CHARS)).collect();
        let url = format!("{}/embeddings", self.settings.url.trim_end_matches('/'));
        let body =
            Request { model: &self.settings.model, input: texts.iter().map(cut).collect(), encoding_format: "float" };
        let mut request = self.client.post(url).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let response = http::send(request).await?;
        let dimensions = if self.identity.dimensions == 0 { MAX_DIMENSIONS } else { self.identity.dimensions };
        let body = http::read(response, (texts.len() * dimensions + 1024) * BYTES_PER_NUMBER).await?;
        let answer: Answer = serde_json::from_slice(&body).map_err(|error| Fault::Malformed(error.to_string()))?;
        vectors(answer, texts.len(), self.identity.dimensions)
    }
}

/// The vectors in the order of the texts, scaled to length 1. With `dimensions` 0 any length will do, as long as it is the
/// same for all.
fn vectors(answer: Answer, count: usize, dimensions: usize) -> Result<Vec<Vec<f32>>, Fault> {
    let wrong = |what: String| Err(Fault::Malformed(what));
    if answer.data.len() != count {
        return wrong(format!("{} vectors for {count} texts", answer.data.len()));
    }
    let expected = if dimensions == 0 { answer.data.first().map_or(0, |row| row.embedding.len()) } else { dimensions };
    let mut vectors = vec![Vec::new(); count];
    for row in answer.data {
        let Some(place) = vectors.get_mut(row.index).filter(|place| place.is_empty()) else {
            return wrong(format!("no text, or two vectors, for index {}", row.index));
        };
        if row.embedding.len() != expected || expected == 0 || expected > MAX_DIMENSIONS {
            return wrong(format!("a vector of {} numbers, expected {expected}", row.embedding.len()));
        }
        let length = row.embedding.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
        if !length.is_finite() || length == 0.0 {
            return wrong("a vector without length or with numbers that are none".to_owned());
        }
        *place = row.embedding.iter().map(|value| (f64::from(*value) / length) as f32).collect();
    }
    Ok(vectors)
}

impl Embedder for RemoteEmbedder {
    fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str], role: Role) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(self.settings.batch.max(1)) {
            vectors.extend(self.runtime.block_on(self.ask(batch, role))?);
        }
        Ok(vectors)
    }
}
