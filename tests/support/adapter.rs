//! The adapter that is written in Python against the public contract alone: replays real dialogues.

use super::{kefu::Kefu, log::Published};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};
use tempfile::TempDir;

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
    /// Stops when no reply came for so long after the last message, in seconds.
    pub quiet_s: u32,
}

/// What came of it.
pub struct Replayed {
    /// What was published and acknowledged, in order within each thread.
    pub published: Vec<Published>,
    /// The replies that it read: id → (body, times delivered).
    pub received: BTreeMap<String, (Value, u64)>,
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

    /// Starts it. The future ends when it does.
    pub fn replay(&self, replay: &Replay) -> impl Future<Output = Replayed> + Send + 'static {
        let mut command = tokio::process::Command::new(&self.python.program);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adapters/star_replay.py"));
        command.args(&self.arguments);
        command.args(["--messages", &replay.messages.to_string(), "--rate", &replay.rate.to_string()]);
        command.args(["--quiet", &replay.quiet_s.to_string(), "--give-up", "300"]);
        if !replay.chinese {
            command.arg("--without-crosswoz");
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().expect("the adapter starts");
        let out = self.directory.path().join("out.jsonl");
        async move {
            let output = child.wait_with_output().await.expect("the adapter's end");
            let complaints = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the adapter: {}\n{complaints}", output.status);
            read(&std::fs::read_to_string(out).expect("the adapter's records"))
        }
    }
}

fn read(records: &str) -> Replayed {
    let mut replayed = Replayed { published: Vec::new(), received: BTreeMap::new(), summary: Value::Null };
    for line in records.lines() {
        let record: Value = serde_json::from_str(line).expect("a record of the adapter");
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        match record["record"].as_str() {
            Some("published") => replayed.published.push(Published {
                tenant: TENANT.to_owned(),
                channel: CHANNEL.to_owned(),
                thread: text("thread"),
                id: text("id"),
                text: record["body"]["content"]["text"].as_str().unwrap_or_default().to_owned(),
            }),
            Some("received") => {
                let deliveries = record["deliveries"].as_u64().unwrap_or(0);
                replayed.received.insert(text("id"), (record["body"].clone(), deliveries));
            }
            Some("summary") => replayed.summary = record,
            _ => panic!("an unknown record: {line}"),
        }
    }
    replayed
}
