//! The server's files under `<data>/nats/`, and its configuration.

use super::{ServerError, run_file::write_private};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Where the server's files are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    data: PathBuf,
    nats: PathBuf,
}

impl Layout {
    pub fn new(data: &Path) -> Self {
        // The process is recognised by the path of its configuration, so that path must be the same from everywhere.
        let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_owned());
        Self { nats: data.join("nats"), data }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    pub fn config(&self) -> PathBuf {
        self.nats.join("nats-server.conf")
    }

    pub fn pid_file(&self) -> PathBuf {
        self.nats.join("nats-server.pid")
    }

    pub fn log(&self) -> PathBuf {
        self.nats.join("nats-server.log")
    }

    /// Written by the server once it listens.
    pub fn ports_file(&self, pid: u32, program: &Path) -> PathBuf {
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.nats.join("run").join(format!("{name}_{pid}.ports"))
    }

    /// Makes the directories, for their owner alone: customers' messages are in here.
    pub fn prepare(data: &Path) -> Result<Self, ServerError> {
        for directory in [data.to_owned(), data.join("nats"), data.join("nats/run")] {
            let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.map_err(|error| ServerError::file(&directory, error))?;
        }
        let layout = Self::new(data);
        let private = fs::set_permissions(&layout.nats, fs::Permissions::from_mode(0o700));
        private.map_err(|error| ServerError::file(&layout.nats, error))?;
        Ok(layout)
    }

    /// A ports file of an earlier process with the same number would be taken for the new one's.
    pub fn forget_ports(&self) -> Result<(), ServerError> {
        let directory = self.nats.join("run");
        let forget = || {
            for entry in fs::read_dir(&directory)? {
                fs::remove_file(entry?.path())?;
            }
            Ok(())
        };
        forget().map_err(|error: io::Error| ServerError::file(&directory, error))
    }

    /// Writes the configuration; port 0 lets the server choose.
    pub fn write_config(&self, port: u16) -> Result<(), ServerError> {
        let path = self.config();
        let listen = if port == 0 { "-1".to_owned() } else { port.to_string() };
        let text = format!(
            r#"# Written by kefu at every start: changes here are lost.
server_name: kefu
host: "127.0.0.1"
port: {listen}
pid_file: {pid}
ports_file_dir: {run}
log_file: {log}
logfile_size_limit: 64MB
logfile_max_num: 4
max_payload: 1MB
# The engine reads in large batches; the default of 64 MB would disconnect it when it is held up.
max_pending: 256MB
jetstream {{
  store_dir: {store}
  # What a machine may lose when its power fails. Shorter costs nothing measurable.
  sync_interval: "100ms"
}}
include "users.conf"
"#,
            pid = quoted(&self.pid_file()),
            run = quoted(&self.nats.join("run")),
            log = quoted(&self.log()),
            store = quoted(&self.nats),
        );
        write_private(&path, text.as_bytes()).map_err(|error| ServerError::file(&path, error))
    }
}

fn quoted(path: &Path) -> String {
    serde_json::to_string(&path.to_string_lossy()).unwrap_or_default()
}
