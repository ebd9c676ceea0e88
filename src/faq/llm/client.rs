//! The request: OpenAI's protocol for chats (`POST …/v1/chat/completions`), whole or streamed.

use super::{
    budget::{Usage, estimated_tokens},
    grounding::Refusal,
    prompt::{ChatMessage, Prompt},
    settings::LlmSettings,
};
use crate::http::{self, Fault, Secret};
use reqwest::{Client, Response};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Bytes of a whole answer that is still one: text of the longest answer allowed, escaped, and what servers put around it.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Bytes of a stream: each token comes with some 300 bytes around it.
const MAX_STREAM_BYTES: usize = 8 * 1024 * 1024;

/// What the model has written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Written {
    /// Its text, or why there is none that can be used.
    pub text: Result<String, Refusal>,
    /// What it used; estimated, where the server does not say.
    pub usage: Usage,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: &'a [ChatMessage],
    temperature: f32,
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// A whole answer, or one piece of a stream.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<TokenCounts>,
    /// Some servers report errors inside of a stream.
    error: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "delta")]
    message: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
struct TokenCounts {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Asks, again if that may help and there is time.
pub(super) async fn ask(
    client: &Client,
    settings: &LlmSettings,
    key: Option<&Secret>,
    prompt: &Prompt,
) -> Result<Written, Fault> {
    let deadline = Instant::now() + Duration::from_millis(settings.limits.timeout_ms);
    let mut attempt = 0;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let asked = tokio::time::timeout(left, ask_once(client, settings, key, prompt)).await;
        let fault = match asked.unwrap_or(Err(Fault::Timeout)) {
            Ok(written) => return Ok(written),
            Err(fault) => fault,
        };
        attempt += 1;
        let wait = fault.wait_before(attempt, rand::random());
        if !fault.may_pass() || attempt > settings.limits.retries || Instant::now() + wait >= deadline {
            return Err(fault);
        }
        tokio::time::sleep(wait).await;
    }
}

async fn ask_once(
    client: &Client,
    settings: &LlmSettings,
    key: Option<&Secret>,
    prompt: &Prompt,
) -> Result<Written, Fault> {
    let body = Request {
        model: &settings.model,
        messages: &prompt.messages,
        temperature: settings.temperature,
        max_tokens: settings.limits.answer_tokens,
        stream: settings.stream,
        stream_options: (settings.stream && settings.stream_usage).then_some(StreamOptions { include_usage: true }),
    };
    let url = format!("{}/chat/completions", settings.url.trim_end_matches('/'));
    let mut request = client.post(url).json(&body);
    if let Some(key) = key {
        request = request.bearer_auth(key.expose());
    }
    let response = http::send(request).await?;
    // A citation takes some characters, and stands after each sentence.
    let most_chars = 2 * settings.limits.answer_chars + 200;
    let mut collected = Collected::new(most_chars);
    if settings.stream {
        stream(response, &mut collected).await?;
    } else {
        let body = http::read(response, MAX_BODY_BYTES).await?;
        collected.add(&body)?;
    }
    collected.finish(prompt)
}

/// Reads server-sent events until the stream's end, or until more was written than will be used.
async fn stream(mut response: Response, collected: &mut Collected) -> Result<(), Fault> {
    let (mut line, mut read) = (Vec::new(), 0);
    while let Some(chunk) = response.chunk().await? {
        read += chunk.len();
        if read > MAX_STREAM_BYTES {
            return Err(Fault::TooLong(MAX_STREAM_BYTES));
        }
        for byte in chunk {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            let event = std::mem::take(&mut line);
            let Some(data) = event.trim_ascii_end().strip_prefix(b"data:") else { continue };
            let data = data.trim_ascii_start();
            if data == b"[DONE]" {
                collected.done = true;
                return Ok(());
            }
            collected.add(data)?;
            if collected.too_long {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What has come so far.
struct Collected {
    text: String,
    chars: usize,
    most_chars: usize,
    too_long: bool,
    finished: Option<String>,
    done: bool,
    usage: Option<TokenCounts>,
}

impl Collected {
    fn new(most_chars: usize) -> Self {
        let (text, chars, too_long, finished, done, usage) = (String::new(), 0, false, None, false, None);
        Self { text, chars, most_chars, too_long, finished, done, usage }
    }

    fn add(&mut self, json: &[u8]) -> Result<(), Fault> {
        let completion: Completion =
            serde_json::from_slice(json).map_err(|error| Fault::Malformed(error.to_string()))?;
        if let Some(error) = completion.error.filter(|error| !error.is_null()) {
            let message: String = error.to_string().chars().take(300).collect();
            return Err(Fault::Failed { status: 200, message });
        }
        self.usage = completion.usage.or(self.usage);
        for choice in completion.choices.into_iter().take(1) {
            let content = choice.message.and_then(|message| message.content).unwrap_or_default();
            self.chars += content.chars().count();
            self.too_long |= self.chars > self.most_chars;
            if !self.too_long {
                self.text.push_str(&content);
            }
            self.finished = choice.finish_reason.or(self.finished.take());
        }
        Ok(())
    }

    fn finish(self, prompt: &Prompt) -> Result<Written, Fault> {
        let usage = match self.usage {
            Some(counts) => Usage { input: counts.prompt_tokens, output: counts.completion_tokens },
            None => Usage {
                input: prompt.messages.iter().map(|message| estimated_tokens(&message.content)).sum(),
                output: estimated_tokens(&self.text),
            },
        };
        let text = match self.finished.as_deref() {
            _ if self.too_long => Err(Refusal::TooLong),
            Some("length") => Err(Refusal::TooLong),
            Some("content_filter") => Err(Refusal::Withheld),
            // Half an answer may say the opposite of the whole one.
            None if !self.done => return Err(Fault::Malformed("the answer ends before its end".to_owned())),
            _ => Ok(self.text),
        };
        Ok(Written { text, usage })
    }
}
