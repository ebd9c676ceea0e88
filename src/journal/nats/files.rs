//! Bytes of images and files, in the object store `KEFU_FILES`.

use super::{
    NatsJournal,
    connect::{self, chain},
};
use crate::journal::JournalError;
use async_nats::jetstream::object_store::{DeleteErrorKind, GetErrorKind, ObjectMetadata, ObjectStore};
use std::collections::HashMap;
use tokio::io::AsyncRead;

/// The metadata entry that holds the media type.
const MIME: &str = "mime";

/// A file as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Name of the object.
    pub object: String,
    /// Media type, as the uploader said.
    pub mime: String,
    /// Size in bytes.
    pub size: u64,
}

impl NatsJournal {
    async fn files(&self) -> Result<ObjectStore, JournalError> {
        connect::connected(&self.inner.client)?;
        let bucket = self.inner.subjects.files_bucket();
        let store = self.inner.api.get_object_store(&bucket).await;
        store.map_err(|error| unavailable(&error))
    }

    /// Stores the bytes of a file under `object`, in the place of what was there.
    pub async fn put_file(
        &self,
        object: &str,
        mime: &str,
        data: &mut (impl AsyncRead + Unpin),
    ) -> Result<StoredFile, JournalError> {
        let metadata = HashMap::from([(MIME.to_owned(), mime.to_owned())]);
        let meta = ObjectMetadata { name: object.to_owned(), metadata, ..Default::default() };
        let info = self.files().await?.put(meta, data).await.map_err(|error| unavailable(&error))?;
        Ok(StoredFile { object: object.to_owned(), mime: mime.to_owned(), size: info.size as u64 })
    }

    /// A file and its bytes, or `None` if it is not there. Read it to the end: the digest is compared there.
    pub async fn get_file(
        &self,
        object: &str,
    ) -> Result<Option<(StoredFile, impl AsyncRead + Send + Unpin + use<>)>, JournalError> {
        match self.files().await?.get(object.to_owned()).await {
            Ok(data) => {
                let info = data.info();
                let mime = info.metadata.get(MIME).cloned().unwrap_or_else(|| "application/octet-stream".into());
                let file = StoredFile { object: object.to_owned(), mime, size: info.size as u64 };
                Ok(Some((file, data)))
            }
            Err(error) if error.kind() == GetErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// Deletes a file. Whether it was there.
    pub async fn delete_file(&self, object: &str) -> Result<bool, JournalError> {
        match self.files().await?.delete(object).await {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == DeleteErrorKind::NotFound => Ok(false),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

fn unavailable(error: &dyn std::error::Error) -> JournalError {
    JournalError::Unavailable(format!("files: {}", chain(error)))
}
