//! What can go wrong in the store.

use rocksdb::ErrorKind;
use std::path::PathBuf;

/// Why the store could not do something. Each variant says what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open: stop that one.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// The disk takes no more: make room; the projector tries again by itself.
    #[error("the disk is full: {0}")]
    DiskFull(String),
    /// What is stored is damaged. It has been marked: the next start puts it aside and reads the log again.
    #[error("the store is damaged ({0}); it is rebuilt from the log at the next start")]
    Damaged(String),
    /// The operating system failed the store: look at the disk and the permissions.
    #[error("the store cannot work: {0}")]
    Io(String),
    /// The log holds a commit that this version of kefu cannot read: update this node.
    #[error("commit {seq} of the log ({subject}): {error}")]
    Unreadable {
        /// Its sequence.
        seq: u64,
        /// Its subject.
        subject: String,
        /// What is wrong with it.
        error: String,
    },
    /// Commits did not come in the order of the log: start again at the checkpoint.
    #[error("commit {seq} came after {after}")]
    OutOfOrder {
        /// The commit that came.
        seq: u64,
        /// The one before it.
        after: u64,
    },
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        let kind = error.kind();
        let text = error.into_string();
        match kind {
            ErrorKind::Corruption => Self::Damaged(text),
            // RocksDB's C interface has no code for it.
            _ if text.contains("No space left on device") || text.contains("File too large") => Self::DiskFull(text),
            _ => Self::Io(text),
        }
    }
}
