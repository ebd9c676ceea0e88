//! A real `kefu serve`, as a process of its own.

use crate::{Result, World, bus::Bus, process, report::Progress};
use bytes::Bytes;
use kefu::journal::Outgoing;
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandResult, Timestamp, V,
    envelope::Command as CommandMessage,
    settings::{SettingsCommand, TENANT_DOCUMENT},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// The tenant whose conversations are measured.
pub const TENANT: &str = "bench";

/// A start with a long log to read may take minutes on a busy machine.
const START: Duration = Duration::from_secs(600);
/// A stop drains; then it is killed.
const STOP: Duration = Duration::from_secs(30);

/// The program beside this one; built anew under cargo, which builds of a dependency its library only.
pub async fn built(progress: Progress) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name("kefu");
    if let Some(cargo) = std::env::var_os("CARGO") {
        progress.say("building kefu");
        let target = own.parent().and_then(Path::parent).ok_or("this program lies in no target directory")?;
        let built = Command::new(cargo)
            .args(["build", "--release", "--quiet", "--package", "kefu", "--bin", "kefu", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdout(Stdio::null())
            .status()
            .await?;
        if !built.success() {
            return Err("kefu could not be built".into());
        }
    }
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("there is no {}: `cargo build --release`, or --kefu PATH", path.display()).into()),
    }
}

/// Limits of a kefu process; `None`: its defaults.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// `KEFU_IDLE`.
    pub idle: Option<String>,
    /// `KEFU_MAX_ACTIVE`.
    pub max_active: Option<usize>,
    /// `KEFU_MEMORY`.
    pub memory: Option<String>,
    /// `KEFU_MODEL`; none where nobody asks the knowledge base anything.
    pub model: Option<String>,
}

/// A running `kefu serve`.
pub struct Engine {
    child: Child,
    http: SocketAddr,
    data: PathBuf,
    /// From the process's start to readiness.
    pub ready_after: Duration,
}

impl Engine {
    /// Starts kefu on `bus` and waits until it is ready. Its directory goes with the bus and is found again by the next one.
    pub async fn start(world: &World, bus: &Bus, limits: &Limits) -> Result<Self> {
        let data = bus.dir().join("kefu");
        std::fs::create_dir_all(&data)?;
        let http = free_address().await?;
        let login = bus.login();
        let log = data.join("bench.log");
        let mut command = Command::new(&world.kefu);
        command
            .args(["serve"])
            .env("KEFU_DATA", &data)
            .env("KEFU_LISTEN", http.to_string())
            .env("KEFU_NATS", &login.url)
            .env("KEFU_NATS_USER", &login.user)
            .env("KEFU_NATS_PASSWORD", &login.password)
            .env("KEFU_DEMO", "false")
            .env("KEFU_MODEL", limits.model.as_deref().unwrap_or("none"))
            .env("KEFU_CONFIG", "/dev/null")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log)?)
            .kill_on_drop(true);
        let settings = [
            ("KEFU_IDLE", limits.idle.clone()),
            ("KEFU_MAX_ACTIVE", limits.max_active.map(|count| count.to_string())),
            ("KEFU_MEMORY", limits.memory.clone()),
        ];
        command.envs(settings.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let began = Instant::now();
        let child = command.spawn()?;
        let mut engine = Self { child, http, data, ready_after: Duration::ZERO };
        while !engine.is_ready().await {
            if let Some(status) = engine.child.try_wait()? {
                return Err(format!("kefu ended with {status}:\n{}", tail_of(&log)).into());
            }
            if began.elapsed() > START {
                return Err(format!("kefu is not ready after {START:?}:\n{}", tail_of(&log)).into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        engine.ready_after = began.elapsed();
        Ok(engine)
    }

    /// Runs a client command against `bus`, with `--json`; what it printed.
    pub async fn command(world: &World, bus: &Bus, arguments: &[&str]) -> Result<Value> {
        let login = bus.login();
        let output = Command::new(&world.kefu)
            .arg("--json")
            .args(arguments)
            .env("KEFU_NATS", &login.url)
            .env("KEFU_NATS_USER", &login.user)
            .env("KEFU_NATS_PASSWORD", &login.password)
            .env("KEFU_CONFIG", "/dev/null")
            .kill_on_drop(true)
            .output()
            .await?;
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout)?),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
        }
    }

    async fn is_ready(&self) -> bool {
        self.get("/readyz").await.is_ok_and(|(status, _)| status == 200)
    }

    /// Where its HTTP is.
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// Status and body of a page of kefu's HTTP port.
    pub async fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.http).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let status = answer.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or("no HTTP answer")?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned();
        Ok((status, body))
    }

    /// A figure of `/metrics`: the sum over all labels.
    pub async fn metric(&self, name: &str) -> Result<Option<f64>> {
        let (_, text) = self.get("/metrics").await?;
        let values = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then(|| value.parse::<f64>().ok())?
        });
        Ok(values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value)))
    }

    /// kefu's process.
    pub fn pid(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| "kefu died".into())
    }

    /// Resident bytes of the process.
    pub fn resident_bytes(&self) -> Result<u64> {
        process::resident_bytes(self.pid()?)
    }

    /// Makes the tenant whose every message, once a session is open, leads to one commit and one reply: it asks for
    /// something that no answer matches, without end.
    pub async fn make_tenant(&self, bus: &Bus) -> Result<()> {
        let document = json!({
            "name": "Bench",
            "texts": {"welcome": ""},
            "collect": [{
                "field": "order_number",
                "prompt": "Please tell us the number of your order. It stands at the top of the confirmation.",
                "retry_prompt": "That does not look like the number of an order, which has twelve digits. Please try again.",
                "pattern": "[0-9]{12}",
                "max_attempts": 0,
                "when": "opening",
            }],
            "inactivity": {"prompt_after_s": 0, "close_after_s": 0},
        });
        self.set_tenant(bus, document).await
    }

    /// Makes the tenant, with these settings.
    pub async fn set_tenant(&self, bus: &Bus, document: Value) -> Result<()> {
        let id = format!("bench-{}", now().as_millis());
        let header = CommandHeader {
            id: id.clone(),
            aggregate: AggregateKind::Settings,
            key: TENANT_DOCUMENT.to_owned(),
            expected_version: None,
            actor: Actor::new(ActorKind::System, "bench"),
            at: now(),
            correlation: None,
        };
        let body = SettingsCommand::Set { v: V, value: document, merge: false, comment: None };
        let command = Outgoing::Command {
            tenant: TENANT.to_owned(),
            source: ActorKind::System.as_str().to_owned(),
            key: TENANT_DOCUMENT.to_owned(),
            id,
            payload: Bytes::from(serde_json::to_vec(&CommandMessage { header, body })?),
        };
        let result = bus.journal.request_command(command, Duration::from_secs(20)).await?;
        let result = result.ok_or("kefu did not decide on the tenant's settings")?;
        let result: CommandResult = serde_json::from_slice(&result)?;
        if let Some(refusal) = result.refusal {
            return Err(format!("the tenant's settings were refused: {}", refusal.message).into());
        }
        Ok(())
    }

    /// Stops kefu gracefully.
    pub async fn stop(mut self) -> Result<PathBuf> {
        let pid = i32::try_from(self.pid()?)?;
        kill(Pid::from_raw(pid), Signal::SIGTERM)?;
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            return Err(format!("kefu did not stop within {STOP:?}").into());
        }
        Ok(self.data)
    }
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

async fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

fn tail_of(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// The limits as the report shows them.
pub fn shown(limits: &Limits) -> Value {
    json!({"idle": limits.idle, "max_active": limits.max_active, "memory": limits.memory})
}
