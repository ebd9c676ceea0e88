//! Puts the parts together, for one tenant.

use super::{
    LlmOutcome, LlmSettings, Question, Skipped, SourceEntry,
    breaker::Breaker,
    budget::{Reserved, Spent, Usage, estimated_tokens},
    client,
    grounding::ground,
    prompt::{prompt, tag},
};
use crate::http::{Fault, KeyError, KeySource, Secret};
use kefu_events::Timestamp;
use reqwest::Client;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::sync::Semaphore;

/// What has happened since the start; for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LlmCounts {
    /// Answers given.
    pub answered: u64,
    /// Answers that the check refused, or the model itself.
    pub refused: u64,
    /// Questions for which the model was not asked.
    pub skipped: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Tokens sent.
    pub input_tokens: u64,
    /// Tokens written by the model.
    pub output_tokens: u64,
}

#[derive(Default)]
struct Counters {
    answered: AtomicU64,
    refused: AtomicU64,
    skipped: AtomicU64,
    failed: AtomicU64,
    input: AtomicU64,
    output: AtomicU64,
}

/// Answers the questions of one tenant.
pub struct Answerer {
    settings: LlmSettings,
    key: Option<Secret>,
    client: Client,
    breaker: Mutex<Breaker>,
    spent: Mutex<Spent>,
    running: Semaphore,
    counters: Counters,
}

/// What a lock protects is set as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request that is under way. Whoever gives it up waited in vain: without a word about how it went, the server has failed,
/// and what was set aside stays spent, because it may go on writing. Else a server that hangs would never be left alone by
/// callers who are less patient than `limits.timeout_ms`.
struct UnderWay<'a> {
    answerer: &'a Answerer,
    reserved: Option<Reserved>,
    now: Timestamp,
}

impl UnderWay<'_> {
    fn succeeded(mut self, used: Usage) {
        lock(&self.answerer.breaker).succeeded();
        self.settle(used);
    }

    fn failed(mut self, fault: &Fault) {
        // Whoever refuses has used nothing.
        if matches!(fault, Fault::RateLimited { .. } | Fault::Refused { .. }) {
            self.settle(Usage::default());
        }
        lock(&self.answerer.breaker).failed(self.now);
        self.reserved = None;
    }

    fn settle(&mut self, used: Usage) {
        if let Some(reserved) = self.reserved.take() {
            lock(&self.answerer.spent).settle(reserved, used, self.answerer.settings.prices);
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.reserved.is_some() {
            lock(&self.answerer.breaker).failed(self.now);
        }
    }
}

impl Answerer {
    /// With a client of [`http::client`](crate::http::client).
    ///
    /// # Errors
    ///
    /// There is no key where the settings say.
    pub fn new(settings: LlmSettings, client: Client) -> Result<Self, KeyError> {
        let key = settings.key.as_ref().filter(|_| settings.enabled).map(KeySource::read).transpose()?;
        let limits = &settings.limits;
        Ok(Self {
            breaker: Mutex::new(Breaker::new(limits.breaker_failures, limits.breaker_open_ms)),
            spent: Mutex::default(),
            running: Semaphore::new(limits.parallel),
            counters: Counters::default(),
            key,
            client,
            settings,
        })
    }

    /// What the tenant has used today; to be kept over a restart.
    pub fn spent(&self) -> Spent {
        *lock(&self.spent)
    }

    /// Goes on with what was used before a restart.
    pub fn restore(&self, spent: Spent) {
        *lock(&self.spent) = spent;
    }

    /// What has happened so far.
    pub fn counts(&self) -> LlmCounts {
        let counters = &self.counters;
        LlmCounts {
            answered: counters.answered.load(Relaxed),
            refused: counters.refused.load(Relaxed),
            skipped: counters.skipped.load(Relaxed),
            failed: counters.failed.load(Relaxed),
            input_tokens: counters.input.load(Relaxed),
            output_tokens: counters.output.load(Relaxed),
        }
    }

    /// Answers from `entries`, the best first. Ends within `limits.timeout_ms`; whatever the outcome, the plain entry can
    /// still be given. Dropping the future gives the request up.
    pub async fn answer(&self, question: &Question<'_>, entries: &[SourceEntry], now: Timestamp) -> LlmOutcome {
        let outcome = self.outcome(question, entries, now).await;
        let counters = &self.counters;
        let counter = match &outcome {
            LlmOutcome::Answered { .. } => &counters.answered,
            LlmOutcome::Refused { .. } => &counters.refused,
            LlmOutcome::Skipped(_) => &counters.skipped,
            LlmOutcome::Failed(_) => &counters.failed,
        };
        counter.fetch_add(1, Relaxed);
        if let LlmOutcome::Answered { usage, .. } | LlmOutcome::Refused { usage, .. } = &outcome {
            counters.input.fetch_add(usage.input, Relaxed);
            counters.output.fetch_add(usage.output, Relaxed);
        }
        outcome
    }

    async fn outcome(&self, question: &Question<'_>, entries: &[SourceEntry], now: Timestamp) -> LlmOutcome {
        let settings = &self.settings;
        if !settings.enabled {
            return LlmOutcome::Skipped(Skipped::Off);
        }
        if entries.is_empty() {
            return LlmOutcome::Skipped(Skipped::NoEntries);
        }
        let Ok(_running) = self.running.try_acquire() else { return LlmOutcome::Skipped(Skipped::Busy) };
        let prompt = prompt(question, entries, settings, &tag(rand::random()));
        let most = Usage {
            input: prompt.messages.iter().map(|message| estimated_tokens(&message.content)).sum(),
            output: u64::from(settings.limits.answer_tokens),
        };
        // The breaker comes last: what it lets through must be heard of again.
        let reserved = lock(&self.spent).reserve(most, &settings.limits, settings.prices, now);
        let reserved = match reserved {
            Ok(reserved) => reserved,
            Err(over) => return LlmOutcome::Skipped(over.into()),
        };
        if !lock(&self.breaker).admits(now) {
            lock(&self.spent).settle(reserved, Usage::default(), settings.prices);
            return LlmOutcome::Skipped(Skipped::Resting);
        }
        let under_way = UnderWay { answerer: self, reserved: Some(reserved), now };
        let written = match client::ask(&self.client, settings, self.key.as_ref(), &prompt).await {
            Ok(written) => written,
            Err(fault) => {
                under_way.failed(&fault);
                return LlmOutcome::Failed(fault);
            }
        };
        let usage = written.usage;
        under_way.succeeded(usage);
        let grounded = written.text.and_then(|text| ground(&text, &prompt, question.text, &settings.limits));
        match grounded {
            Ok(grounded) => LlmOutcome::Answered { text: grounded.text, sources: grounded.sources, usage },
            Err(reason) => LlmOutcome::Refused { reason, usage },
        }
    }
}
