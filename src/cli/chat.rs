//! `kefu chat`: the same as `send`, as a conversation.

use super::{
    Session, TenantArg,
    client::{Client, new_id, rejected_error},
    error::CliError,
    output::{Output, Style, note},
    send::{Thread, line, upload},
};
use crate::config::units;
use clap::Args;
use futures::StreamExt;
use kefu_events::{Content, Sender};
use rustyline::{DefaultEditor, ExternalPrinter, error::ReadlineError};
use serde_json::{Map, json};
use std::{
    io::{BufRead, IsTerminal},
    path::Path,
    time::Duration,
};
use tokio::sync::mpsc;

const HELP: &str = "\
  /file PATH   send a file        /left   close the page and go
  /help        this               /quit   end the chat (also Ctrl-D)";

/// Lines that were read and not sent yet: a person types one at a time, and a script that pipes a file in waits.
const LINES: usize = 16;

/// Talk to kefu as a customer, line by line
#[derive(Debug, Args)]
#[command(after_help = "\
Where stdin is no terminal, each of its lines is one message, and after the last one replies are printed for --wait.

Examples:
  kefu chat
  kefu chat --from alice --channel web
  printf 'hello\\nhuman\\n' | kefu chat --from bob --wait 5s")]
pub struct Chat {
    #[command(flatten)]
    tenant: TenantArg,
    /// Channel that it comes from
    #[arg(long, short, default_value = "cli", value_parser = units::token)]
    channel: String,
    /// Who writes [default: your user name]
    #[arg(long, short, value_name = "SENDER")]
    from: Option<String>,
    /// The person's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The channel's id of the chat [default: the sender]
    #[arg(long, value_name = "THREAD")]
    thread: Option<String>,
    /// How long to print replies after the last line
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = units::duration)]
    wait: Duration,
}

type Printer = Box<dyn FnMut(String) -> Result<(), CliError>>;

impl Chat {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let client = session.connect().await?;
        let from = self.from.or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "me".to_owned());
        let thread = Thread {
            tenant: self.tenant.of(&client.config),
            channel: self.channel,
            thread: self.thread.unwrap_or_else(|| from.clone()),
            sender: Sender { id: from, name: self.name },
        };
        let interactive = std::io::stdin().is_terminal() && !session.out.is_json();
        if interactive {
            note(format!("You are {} on {}. Type, or /help.", thread.thread, thread.channel));
        }
        let (lines, mut printer) = read_lines(interactive)?;
        // Whoever leaves a chat has read what there was to read.
        let wait = if interactive { Duration::ZERO } else { self.wait };
        let out = &mut session.out;
        let talked = talk(&client, &thread, lines, wait, |reply| match &mut printer {
            Some(printer) => printer(format!("{}\n", line(&reply, out))),
            None if out.is_json() => out.json_line(&json!({ "reply": reply })).and_then(|()| out.flush()),
            None => show(&reply, out),
        });
        talked.await
    }
}

fn show(reply: &kefu_events::Outbound, out: &mut Output) -> Result<(), CliError> {
    out.line(line(reply, out))?;
    out.flush()
}

async fn talk(
    client: &Client,
    thread: &Thread,
    mut lines: mpsc::Receiver<String>,
    wait: Duration,
    mut print: impl FnMut(kefu_events::Outbound) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut replies = thread.replies(client).await?;
    let rejected_before = client.last_rejected().await?;
    let key = thread.key();
    let mine = |record: &crate::journal::RejectedRecord| {
        record.headers.get(crate::runtime::intake::header::KEY).is_some_and(|found| *found == key)
    };
    let rejected = client.await_rejected(&thread.tenant, rejected_before, mine);
    tokio::pin!(rejected);
    let mut until = None;
    loop {
        let end = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            line = lines.recv(), if until.is_none() => match line {
                Some(line) => say(client, thread, &line).await?,
                None => until = Some(tokio::time::Instant::now() + wait),
            },
            Some(reply) = replies.next() => print(reply?)?,
            rejected = &mut rejected => return Err(rejected_error(&rejected?)),
            () = end => return Ok(()),
        }
    }
}

async fn say(client: &Client, thread: &Thread, line: &str) -> Result<(), CliError> {
    let content = match line.split_once(' ').unwrap_or((line, "")) {
        ("/help", _) => {
            note(HELP);
            return Ok(());
        }
        ("/left", _) => Content::Left,
        ("/file", path) => match upload(client, &thread.tenant, Path::new(path.trim())).await {
            Ok(content) => content,
            Err(error) => {
                note(error.to_string());
                return Ok(());
            }
        },
        _ => Content::text(line),
    };
    thread.publish(client, &thread.message(new_id(), content, Map::new())).await.map(|_| ())
}

/// Reads lines on a thread of its own, because a terminal cannot be read otherwise; and what prints replies above the
/// line that is being typed.
fn read_lines(interactive: bool) -> Result<(mpsc::Receiver<String>, Option<Printer>), CliError> {
    let (sender, receiver) = mpsc::channel(LINES);
    if !interactive {
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if !line.trim().is_empty() && sender.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        return Ok((receiver, None));
    }
    let failed = |error: ReadlineError| CliError::failure(format!("the terminal cannot be read: {error}"));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    let mut printer = editor.create_external_printer().map_err(failed)?;
    std::thread::spawn(move || {
        let prompt = Output::new(false).styled(Style::Bold, "> ");
        loop {
            match editor.readline(&prompt) {
                Ok(line) if line.trim() == "/quit" => return,
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let _ = editor.add_history_entry(&line);
                    if sender.blocking_send(line).is_err() {
                        return;
                    }
                }
                Err(ReadlineError::Interrupted | ReadlineError::Eof) => return,
                Err(error) => {
                    note(error.to_string());
                    return;
                }
            }
        }
    });
    let print = move |text: String| printer.print(text).map_err(failed);
    Ok((receiver, Some(Box::new(print))))
}
