//! The server's process: started by a thread of its own that waits for its end, and starts it again.
//!
//! A thread and not a task, because the system's "end the child when its parent ends" is bound to the *thread* that
//! started the child.

use super::{START_TIMEOUT, ServerError, config::Layout};
use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, waitid},
    },
    unistd::Pid,
};
use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How often a file or a process that cannot be awaited is looked at.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// How long the server may take to end politely: it writes what it has in memory.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server may take over a changed configuration.
const RELOAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Pauses before a dead server is started again: at once at first, then less and less often.
const RESTART_MIN: Duration = Duration::from_millis(100);
const RESTART_MAX: Duration = Duration::from_secs(5);

/// A server that ran so long did not die of what the one before it died of.
const HEALTHY: Duration = Duration::from_secs(60);

/// What happened to the process last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// It was started; so many starts so far.
    Started {
        /// Its process.
        pid: u32,
        /// Counts starts.
        starts: u64,
    },
    /// It ended by itself and will be started again.
    Died {
        /// How it ended.
        status: String,
        /// Counts starts.
        starts: u64,
    },
    /// It was stopped.
    Stopped,
}

#[derive(Debug)]
pub(super) struct Supervisor {
    shared: Arc<Shared>,
    events: watch::Receiver<ServerEvent>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The process, as long as its number cannot mean another one.
    pid: Option<u32>,
    stopping: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.state().pid {
            let _ = kill(Pid::from_raw(pid as i32), signal);
        }
    }
}

impl Supervisor {
    /// Starts the server; itself and the port it listens on.
    pub async fn start(program: &Path, layout: &Layout) -> Result<(Self, u16), ServerError> {
        let log_start = log_size(layout);
        let shared = Arc::new(Shared { state: Mutex::default(), stop: Condvar::new() });
        let (sender, events) = watch::channel(ServerEvent::Stopped);
        let (first, started) = tokio::sync::oneshot::channel();
        let thread = Thread { program: program.to_owned(), layout: layout.clone(), shared: shared.clone(), sender };
        let spawned = thread::Builder::new().name("nats-server".into()).spawn(move || thread.run(first));
        spawned.map_err(|error| ServerError::file(program, error))?;
        let pid = match started.await {
            Ok(Ok(pid)) => pid,
            Ok(Err(error)) => return Err(ServerError::file(program, error)),
            Err(_) => {
                return Err(ServerError::NotStarted { reason: "its thread ended".into() });
            }
        };
        let mut supervisor = Self { shared, events };
        match supervisor.listening(layout, program, pid, log_start).await {
            Ok(port) => Ok((supervisor, port)),
            Err(error) => {
                supervisor.stop().await;
                Err(error)
            }
        }
    }

    /// Waits for the ports file, which the server writes once it listens.
    async fn listening(&self, layout: &Layout, program: &Path, pid: u32, log_start: u64) -> Result<u16, ServerError> {
        let path = layout.ports_file(pid, program);
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if let Some(port) = fs::read(&path).ok().and_then(|text| port_in(&text)) {
                return Ok(port);
            }
            let died = !matches!(&*self.events.borrow(), ServerEvent::Started { starts: 1, .. });
            if died || Instant::now() >= deadline {
                let said = log_since(layout, log_start);
                if let Some(port) = port_in_use(&said) {
                    return Err(ServerError::PortInUse { port });
                }
                let last = said.lines().rev().find(|line| line.contains("[FTL]") || line.contains("[ERR]"));
                let log = layout.log();
                let reason = last.map_or_else(|| format!("see {}", log.display()), str::to_owned);
                return Err(ServerError::NotStarted { reason });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.shared.state().pid
    }

    pub fn events(&self) -> watch::Receiver<ServerEvent> {
        self.events.clone()
    }

    pub async fn stop(&mut self) {
        self.begin_stop();
        let stopped = |events: &mut watch::Receiver<ServerEvent>| {
            let mut events = events.clone();
            async move { events.wait_for(|event| *event == ServerEvent::Stopped).await.map(|_| ()) }
        };
        if tokio::time::timeout(STOP_TIMEOUT, stopped(&mut self.events)).await.is_err() {
            tracing::warn!("nats-server does not end: it is killed");
            self.shared.signal(Signal::SIGKILL);
            let _ = stopped(&mut self.events).await;
        }
    }

    fn begin_stop(&self) {
        self.shared.state().stopping = true;
        self.shared.stop.notify_all();
        self.shared.signal(Signal::SIGTERM);
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.begin_stop();
    }
}

struct Thread {
    program: PathBuf,
    layout: Layout,
    shared: Arc<Shared>,
    sender: watch::Sender<ServerEvent>,
}

impl Thread {
    fn run(self, first: tokio::sync::oneshot::Sender<std::io::Result<u32>>) {
        let mut first = Some(first);
        let mut starts = 0;
        let mut pause = RESTART_MIN;
        loop {
            let begun = Instant::now();
            let status = match self.start() {
                Ok(Some(mut child)) => {
                    starts += 1;
                    let pid = child.id();
                    self.sender.send_replace(ServerEvent::Started { pid, starts });
                    if let Some(first) = first.take() {
                        let _ = first.send(Ok(pid));
                    } else {
                        tracing::info!(pid, "nats-server was started again");
                    }
                    self.wait(&mut child)
                }
                Ok(None) => break,
                Err(error) => match first.take() {
                    Some(first) => {
                        let _ = first.send(Err(error));
                        break;
                    }
                    None => error.to_string(),
                },
            };
            let state = self.shared.state();
            if state.stopping {
                break;
            }
            if begun.elapsed() >= HEALTHY {
                pause = RESTART_MIN;
            }
            tracing::error!(status, "nats-server died; it is started again in {pause:?}");
            self.sender.send_replace(ServerEvent::Died { status, starts });
            let waited = self.shared.stop.wait_timeout_while(state, pause, |state| !state.stopping);
            let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
            if state.stopping {
                break;
            }
            pause = RESTART_MAX.min(pause * 2);
        }
        let _ = fs::remove_file(self.layout.pid_file());
        self.sender.send_replace(ServerEvent::Stopped);
    }

    /// `None`: it is to be stopped already.
    fn start(&self) -> std::io::Result<Option<Child>> {
        let mut state = self.shared.state();
        if state.stopping {
            return Ok(None);
        }
        let mut command = Command::new(&self.program);
        command.arg("--config").arg(self.layout.config());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: a Ctrl-C in the terminal is kefu's to handle, which still needs the server to drain.
        command.process_group(0);
        end_with_parent(&mut command);
        let child = command.spawn()?;
        state.pid = Some(child.id());
        Ok(Some(child))
    }

    fn wait(&self, child: &mut Child) -> String {
        // Waits without taking the status: until that is taken, no other process can get the number.
        let ended = || waitid(Id::Pid(Pid::from_raw(child.id() as i32)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
        while let Err(Errno::EINTR) = ended() {}
        let mut state = self.shared.state();
        state.pid = None;
        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

/// The server must not outlive a kefu that was killed: it would hold the store.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "there is no safe way to run something between fork and exec")]
fn end_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        // The parent may have ended before the line above.
        if nix::unistd::getppid() != parent {
            return Err(Errno::ESRCH.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made; nothing allocates or takes a lock.
    unsafe { command.pre_exec(prepare) };
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}

/// Ends a server of an earlier kefu that still holds the store. The caller holds the data directory, so it is nobody's.
pub(super) async fn stop_orphan(layout: &Layout) -> Result<(), ServerError> {
    let Some(pid) = running_pid(layout) else { return Ok(()) };
    tracing::warn!(%pid, "a nats-server of an earlier kefu still runs on this directory; it is stopped");
    let began = Instant::now();
    let mut signal = Signal::SIGTERM;
    while is_ours(pid, layout) {
        let _ = kill(pid, signal);
        while is_ours(pid, layout) && began.elapsed() < STOP_TIMEOUT {
            tokio::time::sleep(POLL).await;
        }
        if signal == Signal::SIGKILL && began.elapsed() > 2 * STOP_TIMEOUT {
            return Err(ServerError::NotStarted { reason: format!("process {pid} holds its store and does not end") });
        }
        signal = Signal::SIGKILL;
        tokio::time::sleep(POLL).await;
    }
    let _ = fs::remove_file(layout.pid_file());
    Ok(())
}

/// The process in the pid file, if it is a server on this directory.
fn running_pid(layout: &Layout) -> Option<Pid> {
    let text = fs::read_to_string(layout.pid_file()).ok()?;
    let pid = Pid::from_raw(text.trim().parse().ok().filter(|pid| *pid > 1)?);
    is_ours(pid, layout).then_some(pid)
}

/// Whether this process was started with our configuration: its number alone may be another one's by now.
fn is_ours(pid: Pid, layout: &Layout) -> bool {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok().or_else(|| {
        // No /proc on this system.
        let listed = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output().ok()?;
        Some(listed.stdout)
    });
    let config = layout.config();
    let config = config.as_os_str().as_encoded_bytes();
    command_line.is_some_and(|line| line.windows(config.len()).any(|part| part == config))
}

/// Makes a running server read its configuration again, and waits until its log says that it did.
pub(super) async fn reload(layout: &Layout) -> Result<(), ServerError> {
    let pid = running_pid(layout).ok_or_else(|| ServerError::NotStarted { reason: "it is not running".into() })?;
    let log_start = log_size(layout);
    kill(pid, Signal::SIGHUP).map_err(|error| ServerError::NotStarted { reason: error.to_string() })?;
    let deadline = Instant::now() + RELOAD_TIMEOUT;
    loop {
        let said = log_since(layout, log_start);
        if said.contains("Reloaded server configuration") {
            return Ok(());
        }
        let failed = said.lines().find(|line| line.contains("Failed to reload"));
        if failed.is_some() || Instant::now() >= deadline {
            let reason = failed.unwrap_or("it does not take its configuration over").to_owned();
            return Err(ServerError::NotStarted { reason });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn log_size(layout: &Layout) -> u64 {
    fs::metadata(layout.log()).map_or(0, |metadata| metadata.len())
}

/// What the log says since it had this size. (It was rotated if it is shorter now: then all of it.)
fn log_since(layout: &Layout, start: u64) -> String {
    let start = if log_size(layout) < start { 0 } else { start };
    let mut bytes = Vec::new();
    let read = fs::File::open(layout.log())
        .and_then(|mut log| log.seek(SeekFrom::Start(start)).and_then(|_| log.read_to_end(&mut bytes)));
    if let Err(error) = read {
        tracing::debug!(%error, "the server's log cannot be read");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `{"nats":["nats://127.0.0.1:4222"]}`.
fn port_in(ports_file: &[u8]) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_slice(ports_file).ok()?;
    ports["nats"].as_array()?.iter().find_map(|url| url.as_str()?.rsplit_once(':')?.1.parse().ok())
}

/// `… listen tcp 127.0.0.1:4222: bind: address already in use`.
fn port_in_use(log: &str) -> Option<u16> {
    let line = log.lines().find(|line| line.contains("address already in use"))?;
    let before = line.split(": bind").next()?;
    before.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_read_from_the_log() {
        let log = "[1] [FTL] Error listening on port: 127.0.0.1:4222, \"listen tcp 127.0.0.1:4222: bind: address already in use\"";
        assert_eq!(port_in_use(log), Some(4222));
        assert_eq!(port_in_use("[INF] ready"), None);
        assert_eq!(port_in(br#"{"nats":["nats://127.0.0.1:4333"]}"#), Some(4333));
    }
}
