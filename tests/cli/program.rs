//! Runs the program.

use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};
use tempfile::TempDir;

/// The program, without whatever the surroundings would tell it.
pub fn kefu(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kefu"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("KEFU_") && name != "KEFU_NATS_SERVER" || name == "RUST_LOG" || name == "STATE_DIRECTORY" {
            command.env_remove(name);
        }
    }
    // A model takes a second and 200 MB that only the tests of answers need.
    command.env("KEFU_MODEL", "none").env("KEFU_DATA", data).env("KEFU_CONFIG", "/dev/null").stdin(Stdio::null());
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It must have ended with this code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Its output as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its output as one JSON value per line.
    #[track_caller]
    pub fn lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        self.stdout.lines().map(line).collect()
    }

    /// The code of the error that it told with `--json`.
    #[track_caller]
    pub fn error_code(&self) -> String {
        let last = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        error["error"]["code"].as_str().unwrap().to_owned()
    }
}

/// Runs a command to its end.
#[track_caller]
pub fn run(data: &Path, arguments: &[&str]) -> Ran {
    Ran::of(kefu(data).args(arguments).output().unwrap())
}

/// A running `kefu serve`.
pub struct Serving {
    pub data: TempDir,
    /// What it said when it was ready.
    pub ready: Value,
    child: Child,
}

impl Serving {
    /// In a fresh directory, with the demo tenant.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[])
    }

    /// In this directory.
    pub fn start_in(data: TempDir, more: &[&str]) -> Self {
        let mut child = serve(data.path(), more);
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.wait();
            panic!("it did not start: {}", log(data.path()))
        });
        Self { data, ready, child }
    }

    pub fn path(&self) -> &Path {
        self.data.path()
    }

    /// Runs a command against it.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.path(), arguments)
    }

    /// The same with `--json`, and it must succeed: its output.
    #[track_caller]
    pub fn ask(&self, arguments: &[&str]) -> Ran {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.run(&arguments).exits(0)
    }

    /// Runs a command with `--json` until it gives what is expected: for what becomes visible a moment later.
    #[track_caller]
    pub fn shows(&self, arguments: &[&str], expected: impl Fn(&Ran) -> bool) -> Ran {
        let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        self.until(&format!("what is expected of {arguments:?}"), || Some(self.run(&all)).filter(&expected))
    }

    /// The texts of the replies to a message of Alice's on the channel `cli`.
    #[track_caller]
    pub fn say(&self, text: &str, more: &[&str]) -> Vec<String> {
        let mut arguments = vec!["send", "--from", "alice", text];
        arguments.extend(more);
        let lines = self.ask(&arguments).lines();
        let text = |line: &Value| line["reply"]["content"]["text"].as_str().map(str::to_owned);
        lines.iter().filter_map(text).collect()
    }

    /// Something that is done to Alice's conversation, and its result.
    #[track_caller]
    pub fn act(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = ["act", "cli:alice"].iter().chain(arguments).copied().collect();
        self.ask(&all).json()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Waits until its log says this.
    pub fn until_logged(&self, text: &str) {
        while !log(self.path()).contains(text) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Asks until there is an answer.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(std::time::Instant::now() < deadline, "{what} did not come: {}", log(self.path()));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Waits for its end: its exit code, and its directory.
    pub fn wait(mut self) -> (Option<i32>, TempDir) {
        let status = self.child.wait().unwrap();
        let data = std::mem::replace(&mut self.data, tempfile::tempdir().unwrap());
        (status.code(), data)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The nats-server ends with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of kefu serve\n{}", log(self.data.path()));
        }
    }
}

/// Starts a server; its log is in its directory.
pub fn serve(data: &Path, more: &[&str]) -> Child {
    let log = File::create(data.join("test.log")).unwrap();
    let ports = ["serve", "--json", "--listen", "127.0.0.1:0", "--nats-port", "0", "--log", "debug"];
    kefu(data).args(ports).args(more).stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

fn log(data: &Path) -> String {
    std::fs::read_to_string(data.join("test.log")).unwrap_or_default()
}
