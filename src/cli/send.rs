//! `kefu send`: a customer's message, published as a channel's adapter would.

use super::{
    Session, TenantArg,
    client::{Client, new_id, now, rejected_error},
    error::{CliError, Exit},
    output::{Output, Style, note, plain},
    values,
};
use crate::{
    config::units,
    journal::{OutboxStart, RejectedRecord},
};
use clap::Args;
use futures::{Stream, StreamExt};
use kefu_events::{
    AuthorKind, Content, Inbound, Outbound, Sender,
    key::conversation_key,
    message::{DeliveryState, FileRef},
};
use serde_json::{Value, json};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long to wait for the first reply, where nobody said: a welcome takes milliseconds.
const FIRST_REPLY: Duration = Duration::from_secs(3);
/// And then for others that come with it.
const MORE_REPLIES: Duration = Duration::from_millis(300);

/// Say something as a customer, the way a channel adapter publishes it, and print the replies
#[derive(Debug, Args)]
#[command(after_help = "\
Without --wait, it waits for the first reply and what comes with it, for 3 seconds at most. With --wait, it prints every
reply to this thread until that time has passed (or until there were as many as --replies), and fails with exit code 5
where there was none.

Examples:
  kefu send --from alice \"Where is my order 12345?\"
  kefu send --from alice --wait 5s \"Can I talk to a person?\"
  kefu send --from alice --id m-17 \"twice the same id is one message\"
  kefu send --from alice --file receipt.pdf
  echo \"a long message\" | kefu send --from alice -")]
pub struct Send {
    #[command(flatten)]
    tenant: TenantArg,
    /// Channel that it comes from
    #[arg(long, short, default_value = "cli", value_parser = units::token)]
    channel: String,
    /// Who writes: the channel's id of the person
    #[arg(long, short, value_name = "SENDER")]
    from: String,
    /// The person's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The channel's id of the chat [default: the sender]
    #[arg(long, value_name = "THREAD")]
    thread: Option<String>,
    /// The channel's id of the message [default: a new one]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// What else the channel knows, such as lang=en
    #[arg(long = "meta", value_name = "NAME=VALUE", value_parser = values::pair)]
    metadata: Vec<(String, String)>,
    /// Print replies for this long; 0s: do not wait
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    wait: Option<Duration>,
    /// Stop waiting after this many replies
    #[arg(long, value_name = "N")]
    replies: Option<usize>,
    #[command(flatten)]
    content: ContentArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ContentArgs {
    /// What the customer says; - reads it from stdin
    text: Option<String>,
    /// Send this file: its bytes go to the object store
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Change an earlier message
    #[arg(long, value_name = "MESSAGE=TEXT", value_parser = values::pair)]
    edit: Option<(String, String)>,
    /// Report what became of a reply: sent, delivered, read or failed
    #[arg(long, value_name = "REPLY=STATE", value_parser = values::pair)]
    receipt: Option<(String, String)>,
    /// Something that happened at the customer's side
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// The customer has gone
    #[arg(long)]
    left: bool,
    /// Any content, as JSON: {"kind": …}
    #[arg(long, value_name = "JSON")]
    content: Option<String>,
}

impl Send {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let thread = Thread {
            tenant: self.tenant.of(&client.config),
            channel: self.channel,
            thread: self.thread.unwrap_or_else(|| self.from.clone()),
            sender: Sender { id: self.from, name: self.name },
        };
        let content = self.content.read(&client, &thread.tenant).await?;
        let metadata = self.metadata.into_iter().map(|(name, value)| (name, value.into())).collect();
        let message = thread.message(self.id.unwrap_or_else(new_id), content, metadata);
        let waits = self.wait != Some(Duration::ZERO);
        // Before the message is published: what it leads to may be faster than the next line.
        let replies = if waits { Some(thread.replies(&client).await?) } else { None };
        let rejected_before = client.last_rejected().await?;
        let seq = thread.publish(&client, &message).await?;
        let key = thread.key();
        let sent = json!({ "sent": { "id": message.id, "key": key, "seq": seq } });
        if session.out.is_json() {
            session.out.json_line(&sent)?;
        } else {
            note(format!("sent {} to {}:{}", message.id, thread.channel, thread.thread));
        }
        let Some(replies) = replies else { return Ok(()) };
        session.out.flush()?;
        let printed = print_replies(replies, self.wait, self.replies, &mut session.out);
        let rejected = client.await_rejected(&thread.tenant, rejected_before, |record| is_message(record, &message));
        let count = tokio::select! {
            count = printed => count?,
            rejected = rejected => return Err(rejected_error(&rejected?)),
        };
        match (count, self.wait) {
            (0, Some(wait)) => Err(CliError::timed_out(format!("no reply within {wait:?}; the message is kept"))
                .hint("is the engine ready? See `kefu doctor`")),
            (0, None) => {
                note("no reply yet: an agent may have it, or see `kefu doctor`; --wait 30s waits longer");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl ContentArgs {
    async fn read(self, client: &Client, tenant: &str) -> Result<Content, CliError> {
        if let Some(path) = self.file {
            return upload(client, tenant, &path).await;
        }
        if let Some((of, text)) = self.edit {
            return Ok(Content::Edit { of, text });
        }
        if let Some((of, state)) = self.receipt {
            let state: Result<DeliveryState, _> = serde_json::from_value(Value::String(state));
            let state = state.map_err(|_| CliError::usage("a receipt is sent, delivered, read or failed"))?;
            return Ok(Content::Receipt { of, state, detail: None });
        }
        if let Some(name) = self.event {
            return Ok(Content::Event { name, fields: serde_json::Map::new() });
        }
        if self.left {
            return Ok(Content::Left);
        }
        if let Some(json) = self.content {
            return serde_json::from_str(&json).map_err(|error| {
                CliError::usage(format!("this is no content: {error}")).hint("see `kefu schema inbound`")
            });
        }
        match self.text {
            Some(dash) if dash == "-" => {
                let text = std::io::read_to_string(std::io::stdin())?;
                Ok(Content::text(text.trim_end_matches(['\r', '\n'])))
            }
            text => Ok(Content::text(text.unwrap_or_default())),
        }
    }
}

/// One thread of one channel, from its customer's side.
pub(super) struct Thread {
    pub tenant: String,
    pub channel: String,
    pub thread: String,
    pub sender: Sender,
}

impl Thread {
    pub fn key(&self) -> String {
        conversation_key(&self.channel, &self.thread)
    }

    pub fn message(&self, id: String, content: Content, metadata: serde_json::Map<String, Value>) -> Inbound {
        Inbound {
            id,
            channel: self.channel.clone(),
            thread: self.thread.clone(),
            sender: self.sender.clone(),
            sent_at: now(),
            content,
            metadata,
        }
    }

    /// Publishes a message; its sequence in the inbox.
    pub async fn publish(&self, client: &Client, message: &Inbound) -> Result<u64, CliError> {
        let payload = serde_json::to_vec(message)?.into();
        Ok(client.journal.publish_inbound(&self.tenant, &self.channel, &self.key(), &message.id, payload).await?)
    }

    /// The replies to this thread from now on, each once.
    pub async fn replies(
        &self,
        client: &Client,
    ) -> Result<impl Stream<Item = Result<Outbound, CliError>> + Unpin + std::marker::Send + use<>, CliError> {
        let records = client.journal.outbox(&self.tenant, Some(&self.channel), OutboxStart::New).await?;
        let key = self.key();
        let mut seen = HashSet::new();
        Ok(Box::pin(records.filter_map(move |record| {
            let reply = match record {
                Ok(record) if record.key != key => None,
                Ok(record) => Some(serde_json::from_slice::<Outbound>(&record.payload).map_err(CliError::from)),
                Err(error) => Some(Err(error.into())),
            };
            // It may come more than once under one id.
            let reply = reply.filter(|reply| reply.as_ref().map_or(true, |reply| seen.insert(reply.id.clone())));
            std::future::ready(reply)
        })))
    }
}

fn is_message(record: &RejectedRecord, message: &Inbound) -> bool {
    let Ok(body) = serde_json::from_slice::<Value>(&record.payload) else { return false };
    body["id"] == *message.id && body["channel"] == *message.channel && body["thread"] == *message.thread
}

/// Prints replies as they come; how many there were.
async fn print_replies(
    mut replies: impl Stream<Item = Result<Outbound, CliError>> + Unpin,
    wait: Option<Duration>,
    limit: Option<usize>,
    out: &mut Output,
) -> Result<usize, CliError> {
    let start = tokio::time::Instant::now();
    let mut count = 0;
    while limit.is_none_or(|limit| count < limit) {
        let deadline = match wait {
            Some(wait) => start + wait,
            None if count == 0 => start + FIRST_REPLY,
            None => tokio::time::Instant::now() + MORE_REPLIES,
        };
        let Ok(Some(reply)) = tokio::time::timeout_at(deadline, replies.next()).await else { break };
        let reply = reply?;
        if out.is_json() {
            out.json_line(&json!({ "reply": reply }))?
        } else {
            out.line(line(&reply, out))?
        }
        out.flush()?;
        count += 1;
    }
    Ok(count)
}

/// A reply as a person reads it.
pub(super) fn line(reply: &Outbound, out: &Output) -> String {
    let name = reply.author.name.as_deref().or(reply.author.id.as_deref());
    let author = match (reply.author.kind, name) {
        (AuthorKind::Agent, Some(name)) => name.to_owned(),
        (AuthorKind::Agent, None) => "agent".to_owned(),
        (AuthorKind::Bot, _) => "bot".to_owned(),
        (AuthorKind::System, _) => "kefu".to_owned(),
    };
    let text = match &reply.content {
        Content::Text { text } => text.clone(),
        Content::Image(file) | Content::File(file) => format!("[{}: {}, {} bytes]", file.name, file.mime, file.size),
        Content::Card { title, .. } => format!("[card: {title}]"),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    format!("{} {}", out.styled(Style::Cyan, format!("{}:", plain(&author))), plain(&text))
}

/// Stores a file; the content that refers to it.
pub(super) async fn upload(client: &Client, tenant: &str, path: &Path) -> Result<Content, CliError> {
    let unreadable =
        |error: std::io::Error| CliError::new(Exit::Failure, "unreadable", format!("{}: {error}", path.display()));
    let mut file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mime = mime_of(&name);
    // By the beginning of its name it is known whose it is.
    let object = format!("{tenant}.{}", new_id());
    let stored = client.journal.put_file(&object, mime, &mut file).await?;
    let file = FileRef { object: stored.object, name, mime: stored.mime, size: stored.size };
    Ok(if mime.starts_with("image/") { Content::Image(file) } else { Content::File(file) })
}

/// The media types of what people send to a support desk; anything else is bytes.
fn mime_of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref().unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "heic" => "image/heic",
        "svg" => "image/svg+xml",
        "pdf" => "application/pdf",
        "txt" | "log" => "text/plain",
        "csv" => "text/csv",
        "json" => "application/json",
        "zip" => "application/zip",
        "mp3" => "audio/mpeg",
        "ogg" => "audio/ogg",
        "mp4" => "video/mp4",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}
