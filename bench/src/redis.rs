//! A redis-server of our own, and just enough of its protocol to call scripts in a pipeline.

use crate::Result;
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A server on a free port, without anything on disk; it ends with this value.
#[derive(Debug)]
pub struct Redis {
    child: Child,
    port: u16,
    version: String,
    // Removed when this value is dropped, after the server.
    _dir: tempfile::TempDir,
}

/// A server that is not there after this time will not come.
const PATIENCE: Duration = Duration::from_secs(10);

impl Redis {
    /// Starts the `redis-server` that is on PATH.
    pub fn start() -> Result<Self> {
        let missing = |error: std::io::Error| {
            format!("redis-server could not be run ({error}): install it (Debian: apt install redis-server)")
        };
        let version = Command::new("redis-server").arg("--version").output().map_err(missing)?;
        let version = String::from_utf8_lossy(&version.stdout);
        let version = version.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or("?").to_owned();
        let dir = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"])
            .arg(port.to_string())
            .arg("--dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(missing)?;
        let redis = Self { child, port, version, _dir: dir };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err("redis-server does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(redis)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says of itself.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
#[derive(Debug)]
pub struct Client {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    pending: Vec<u8>,
}

impl Client {
    /// Connects.
    pub fn connect(redis: &Redis) -> Result<Self> {
        let writer = TcpStream::connect(("127.0.0.1", redis.port))?;
        writer.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(writer.try_clone()?), writer, pending: Vec::new() })
    }

    /// Adds a call to the pipeline.
    pub fn send(&mut self, call: &[impl AsRef<str>]) {
        self.pending.extend_from_slice(format!("*{}\r\n", call.len()).as_bytes());
        for word in call {
            let word = word.as_ref();
            self.pending.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }

    /// Sends the pipeline and reads so many answers.
    pub fn flush(&mut self, answers: u64) -> Result<()> {
        self.writer.write_all(&self.pending)?;
        self.pending.clear();
        for _ in 0..answers {
            self.answer()?;
        }
        Ok(())
    }

    /// Loads a script and returns its name.
    pub fn load(&mut self, script: &str) -> Result<String> {
        self.send(&["SCRIPT", "LOAD", script]);
        self.writer.write_all(&self.pending)?;
        self.pending.clear();
        self.answer()?.ok_or_else(|| "redis-server gave the script no name".into())
    }

    fn answer(&mut self) -> Result<Option<String>> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let text = line.trim_end();
        match text.split_at_checked(1) {
            Some(("+" | ":", rest)) => Ok(Some(rest.to_owned())),
            Some(("$", "-1")) => Ok(None),
            Some(("$", length)) => {
                let mut bytes = vec![0; length.parse::<usize>()? + 2];
                self.reader.read_exact(&mut bytes)?;
                bytes.truncate(bytes.len() - 2);
                Ok(Some(String::from_utf8(bytes)?))
            }
            _ => Err(format!("redis-server answers {text:?}").into()),
        }
    }
}
