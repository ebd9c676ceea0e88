//! One kefu per data directory.

use super::ServerError;
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// A held data directory. The system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _file: Flock<File>,
}

impl DataLock {
    /// Takes the directory, or says who has it.
    pub fn acquire(data: &Path) -> Result<Self, ServerError> {
        let path = data.join("kefu.lock");
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = open.map_err(|error| ServerError::file(&path, error))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut locked) => {
                // For the error message of the next one only; the lock itself is what counts.
                let written = locked.set_len(0).and_then(|()| write!(*locked, "{}", std::process::id()));
                written.map_err(|error| ServerError::file(&path, error))?;
                Ok(Self { _file: locked })
            }
            Err((held, nix::errno::Errno::EWOULDBLOCK)) => {
                file = held;
                let mut text = String::new();
                let read = file.rewind().and_then(|()| file.read_to_string(&mut text));
                let pid = read.ok().and_then(|_| text.trim().parse().ok());
                Err(ServerError::AlreadyRunning { data: data.display().to_string(), pid })
            }
            Err((_, error)) => Err(ServerError::file(&path, error.into())),
        }
    }
}
