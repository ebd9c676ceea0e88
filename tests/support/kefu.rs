//! A real `kefu serve` for a test: a process of its own on a temporary directory and on ports of its own, with the
//! nats-server that it manages, to be killed at will; gone when the test ends.

use super::{PATIENCE, eventually, pause};
use kefu::journal::{ConnectOptions, NatsJournal, server::RunFile, subjects::Subjects};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A nats-server that somebody else runs.
#[derive(Clone)]
pub struct External {
    pub url: String,
    pub user: String,
    pub password: String,
}

/// One kefu: its directory outlives its processes.
pub struct Kefu {
    data: TempDir,
    http: u16,
    nats: u16,
    external: Option<External>,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Kefu {
    /// Starts one with a nats-server of its own, and waits until it is ready.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with environment variables.
    pub async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut kefu = Self::new(None, environment);
        kefu.spawn();
        kefu.ready().await;
        kefu
    }

    /// The same, waited for by what it announces alone: whoever serves HTTPS is not asked here.
    pub async fn start_announced(environment: &[(&str, &str)]) -> Self {
        let mut kefu = Self::new(None, environment);
        kefu.spawn();
        let began = Instant::now();
        while !kefu.is_announced() {
            let ended = kefu.ended();
            assert!(ended.is_none() && began.elapsed() < PATIENCE, "kefu is not ready:\n{}", kefu.last_words());
            pause().await;
        }
        kefu
    }

    /// One that uses a nats-server which runs already. It is not waited for.
    pub fn spawn_on(external: &External) -> Self {
        Self::spawn_on_with(external, &[])
    }

    /// The same with environment variables.
    pub fn spawn_on_with(external: &External, environment: &[(&str, &str)]) -> Self {
        let mut kefu = Self::new(Some(external.clone()), environment);
        kefu.spawn();
        kefu
    }

    fn new(external: Option<External>, environment: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { data, http: free_port(), nats: free_port(), external, environment, child: None }
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// Starts the process, on the same directory and ports as before.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log()).expect("the log");
        let mut command = self.command();
        command.args(["serve", "--listen", &format!("127.0.0.1:{}", self.http)]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        self.child = Some(command.spawn().expect("kefu starts"));
    }

    /// A command line of kefu that finds this one, and nothing else of this machine's configuration.
    pub fn command(&self) -> Command {
        let mut command = Self::bare_command();
        command.env("XDG_CONFIG_HOME", self.data().join("no-config")).env("KEFU_DATA", self.data());
        // A model takes a second and 200 MB that only the tests of answers need.
        command.env("KEFU_MODEL", "none");
        match &self.external {
            Some(External { url, user, password }) => {
                command.env("KEFU_NATS", url).env("KEFU_NATS_USER", user).env("KEFU_NATS_PASSWORD", password);
            }
            None => {
                command.env("KEFU_NATS_LISTEN_PORT", self.nats.to_string());
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// A command line of kefu that finds none.
    pub fn bare_command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kefu"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KEFU_") && name != "KEFU_NATS_SERVER") {
            command.env_remove(name);
        }
        command.env("XDG_CONFIG_HOME", "/nowhere/at/all");
        command
    }

    /// Runs a command line to its end; what it printed.
    pub fn run(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.command().arg("--json").args(arguments).stdin(Stdio::null()).output().expect("kefu runs");
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kefu {arguments:?}: {}\n{said}{complained}", output.status);
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("kefu {arguments:?}: {error}: {said}"))
    }

    fn log(&self) -> PathBuf {
        self.data().join("kefu.log")
    }

    /// What the process said last, for a test that fails.
    pub fn last_words(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let tail = log.len().saturating_sub(8_000);
        String::from_utf8_lossy(&log[tail..]).into_owned()
    }

    /// Waits until it is ready and says where it is, and how long that took.
    pub async fn ready(&mut self) -> Duration {
        let began = Instant::now();
        while !(self.is_ready() && self.is_announced()) {
            if self.external.is_some() {
                self.revive();
            }
            if let Some(status) = self.ended() {
                panic!("kefu ended with {status} before it was ready:\n{}", self.last_words());
            }
            assert!(began.elapsed() < PATIENCE, "kefu is not ready after {PATIENCE:?}:\n{}", self.last_words());
            pause().await;
        }
        began.elapsed()
    }

    /// Whether this very process has left its `run.json`.
    fn is_announced(&self) -> bool {
        let run = RunFile::read(self.data()).expect("run.json");
        run.is_some_and(|run| i64::from(run.pid) == i64::from(self.pid().as_raw()))
    }

    /// Whether it answers that it is ready.
    pub fn is_ready(&self) -> bool {
        self.http_status("/readyz") == Some(200)
    }

    /// The status of an answer over HTTP, if there is one.
    pub fn http_status(&self, path: &str) -> Option<u16> {
        let answer = self.http(path)?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    /// An answer over HTTP with its head, if there is one.
    pub fn http(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Where its HTTP is.
    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// The port of its HTTP.
    pub fn http_port(&self) -> u16 {
        self.http
    }

    /// Where its WebSocket is.
    pub fn socket_url(&self) -> String {
        format!("ws://127.0.0.1:{}/api/v1/socket", self.http)
    }

    /// How the process ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child's status")
    }

    /// What a supervisor does: starts it again if it ended because a nats-server that is not its own was not there.
    pub fn revive(&mut self) {
        let Some(status) = self.ended() else { return };
        let words = self.last_words();
        assert!(
            words.trim_end().lines().last().is_some_and(|line| line.contains("not reachable")),
            "{status}:\n{words}"
        );
        self.child = None;
        self.spawn();
    }

    /// The process.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.as_ref().expect("it runs").id() as i32)
    }

    /// Kills it (SIGKILL), and waits for its end only.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("its end");
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a signal");
    }

    /// Asks it to stop (SIGTERM), and waits until it did.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "kefu does not stop:\n{}", self.last_words());
            pause().await;
        };
        self.child = None;
        status
    }

    /// The nats-server that it started, if that runs now.
    pub fn nats_pid(&self) -> Option<Pid> {
        let directory = self.data().join("nats");
        let pid: i32 = fs::read_to_string(directory.join("nats-server.pid")).ok()?.trim().parse().ok()?;
        // The file may be an old one, and the number another process's by now.
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let directory = fs::canonicalize(directory).ok()?;
        let ours = String::from_utf8_lossy(&command_line).contains(&*directory.to_string_lossy());
        (pid > 1 && ours).then(|| Pid::from_raw(pid))
    }

    /// Kills its nats-server (SIGKILL). Whether there was one.
    pub fn kill_nats(&self) -> bool {
        self.nats_pid().is_some_and(|pid| kill(pid, Signal::SIGKILL).is_ok())
    }

    /// Where it is and as whom to connect.
    pub fn run_file(&self) -> RunFile {
        RunFile::read(self.data()).expect("run.json").expect("run.json is there")
    }

    /// A journal on its bus, as the engine's own user.
    pub async fn journal(&self) -> NatsJournal {
        let attach = || async {
            let options = match &self.external {
                Some(external) => ConnectOptions::new(&external.url).user(&external.user, &external.password),
                None => {
                    let run = RunFile::read(self.data()).ok()??;
                    ConnectOptions::new(run.nats).user(run.user?, run.password?)
                }
            };
            NatsJournal::attach(options, Subjects::default()).await.ok()
        };
        eventually("a connection to kefu's bus", attach).await
    }
}

impl Drop for Kefu {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- kefu's last words ---\n{}", self.last_words());
        }
        let nats = self.nats_pid();
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(nats) = nats {
            let _ = kill(nats, Signal::SIGKILL);
        }
    }
}

/// A port that is free now, out of a range from which the system gives none to others: it must still be free when a
/// killed process comes back to it.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 150) as u16 * 100;
    loop {
        let port = 12_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
