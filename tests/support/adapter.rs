//! The adapter that is written in Python against the public contract alone: replays real dialogues.

use super::{PATIENCE, kefu::Kefu, log::Published};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

/// What it needs of this machine.
pub struct Python {
    program: PathBuf,
    data: PathBuf,
}

/// Finds Python with nats-py, and the dialogues; or the reason why not.
pub fn find() -> Result<Python, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let of = |name: &str, default: &str| std::env::var_os(name).map_or_else(|| root.join(default), PathBuf::from);
    let program = of("KEFU_TEST_PYTHON", ".tools/venv/bin/python");
    let imported = std::process::Command::new(&program).args(["-c", "import nats"]).stderr(Stdio::null()).status();
    if !imported.is_ok_and(|status| status.success()) {
        return Err(format!("{} has no nats-py: run scripts/setup, or set KEFU_TEST_PYTHON", program.display()));
    }
    let data = of("KEFU_TEST_DATA", "../shared/data");
    let dialogues = data.join("dialog/star_en.dev.jsonl");
    if !dialogues.is_file() {
        return Err(format!("{} is not there: set KEFU_TEST_DATA", dialogues.display()));
    }
    Ok(Python { program, data })
}

/// How to run it.
pub struct Replay {
    /// Customers' turns out of the English dialogues, which are repeated until there are so many.
    pub messages: usize,
    /// Whether the Chinese dialogues are replayed once, too.
    pub chinese: bool,
    /// Messages a second; 0 is as fast as it goes.
    pub rate: f64,
}

/// An adapter that runs.
pub struct Replaying {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    out: PathBuf,
}

/// What the adapter read.
pub struct Received {
    /// Replies by id.
    pub replies: BTreeMap<String, Value>,
    /// Its own summary.
    pub summary: Value,
}

const TENANT: &str = "demo";
const CHANNEL: &str = "replay";

/// An adapter with credentials of its own for one kefu.
pub struct Adapter {
    python: Python,
    arguments: Vec<String>,
    directory: TempDir,
}

impl Adapter {
    /// Gets credentials, as an operator would.
    pub fn new(python: Python, kefu: &Kefu) -> Self {
        let secret = kefu.run(&["channel", "add", CHANNEL, "--tenant", TENANT]);
        let field = |name: &str| secret[name].as_str().unwrap_or_else(|| panic!("{name} in {secret}")).to_owned();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut arguments = Vec::new();
        for (name, value) in [
            ("--nats", kefu.run_file().nats),
            ("--user", field("user")),
            ("--password", field("password")),
            ("--inbox-prefix", field("inbox_prefix")),
            ("--consumer", field("consumer")),
            ("--tenant", TENANT.to_owned()),
            ("--channel", CHANNEL.to_owned()),
            ("--data", python.data.display().to_string()),
            ("--out", directory.path().join("out.jsonl").display().to_string()),
        ] {
            arguments.extend([name.to_owned(), value]);
        }
        Self { python, arguments, directory }
    }

    /// Starts it.
    pub fn replay(&self, replay: &Replay) -> Replaying {
        let mut command = tokio::process::Command::new(&self.python.program);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/star_replay.py"));
        command.args(&self.arguments);
        command.args(["--messages", &replay.messages.to_string(), "--rate", &replay.rate.to_string()]);
        command.args(["--count-from-stdin", "--give-up", "300"]);
        if !replay.chinese {
            command.arg("--without-crosswoz");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the adapter starts");
        let stdout = BufReader::new(child.stdout.take().expect("its output")).lines();
        Replaying { child, stdout, out: self.directory.path().join("out.jsonl") }
    }
}

impl Replaying {
    /// Waits until everything is published, and gives what was acknowledged, in order within each thread.
    pub async fn published(&mut self) -> Vec<Published> {
        let line = self.stdout.next_line().await.expect("the adapter's output");
        assert!(line.is_some_and(|line| line.contains("published")), "the adapter failed: see above");
        let records = records(&self.out, "published");
        let published = records.map(|record| {
            let text = |pointer: &str| record.pointer(pointer).and_then(Value::as_str).expect("a text").to_owned();
            Published {
                tenant: TENANT.to_owned(),
                channel: CHANNEL.to_owned(),
                thread: text("/thread"),
                id: text("/id"),
                text: text("/body/content/text"),
            }
        });
        published.collect()
    }

    /// Whether it is still publishing.
    pub async fn is_publishing(&mut self) -> bool {
        tokio::time::timeout(Duration::ZERO, self.stdout.next_line()).await.is_err()
    }

    /// Waits until it has read so many replies, and ends it.
    pub async fn received(mut self, replies: usize) -> Received {
        let mut stdin = self.child.stdin.take().expect("its input");
        stdin.write_all(format!("{replies}\n").as_bytes()).await.expect("its input");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("the adapter reads all replies").expect("its end");
        assert!(status.success(), "the adapter: {status}");
        let replies = records(&self.out, "received").map(|record| {
            let id = record["id"].as_str().expect("an id").to_owned();
            (id, record["body"].clone())
        });
        let summary = records(&self.out, "summary").next().expect("a summary");
        Received { replies: replies.collect(), summary }
    }
}

fn records(file: &Path, kind: &str) -> impl Iterator<Item = Value> {
    let text = std::fs::read_to_string(file).expect("the adapter's records");
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record of the adapter"));
    records.filter(|record| record["record"] == kind).collect::<Vec<_>>().into_iter()
}
