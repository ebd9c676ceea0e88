//! TLS by rustls: the certificate, which is read again where its files change.
//!
//! A certificate lives for weeks, and the process for months. What is put in its place while it runs is used for connections from
//! then on; what cannot be read is told, and the one before goes on.

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How often it is looked whether the files have changed.
const LOOK: Duration = Duration::from_secs(5);

/// Where a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, the server's own certificate first, as PEM.
    pub certificate: PathBuf,
    /// Its private key, as PEM.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not for this user to read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file is there and holds something else.
    #[error("{path} holds no {wanted} as PEM (-----BEGIN …): {error}", path = path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// What is wrong.
        error: String,
    },
    /// Both are what they should be, but not of one another.
    #[error("{certificate} and {key} do not belong together: {error}", certificate = certificate.display(), key = key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        error: String,
    },
}

/// A certificate that is in use.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    current: ArcSwap<CertifiedKey>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(&files)?);
        Ok(Arc::new(Self { files, current }))
    }

    /// What the server needs.
    pub(super) fn config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
        Ok(builder.with_cert_resolver(Arc::new(Resolver(Arc::clone(self)))))
    }

    /// Reads the files again whenever they change, until it is dropped.
    pub(super) async fn follow(&self) {
        let mut known = self.changed_at();
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            let changed_at = self.changed_at();
            if changed_at == known {
                continue;
            }
            match read(&self.files) {
                Ok(read) => {
                    self.current.store(Arc::new(read));
                    known = changed_at;
                    tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
                }
                // The second of the two files may be about to be written.
                Err(error) => tracing::warn!(%error, "the new certificate is no good; the one before goes on"),
            }
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let of = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        [of(&self.files.certificate), of(&self.files.key)]
    }
}

#[derive(Debug)]
struct Resolver(Arc<Tls>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.current.load_full())
    }
}

fn read(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let bytes = |path: &Path| fs::read(path).map_err(|error| TlsError::File { path: path.to_owned(), error });
    let content = |path: &Path, wanted: &'static str| {
        let path = path.to_owned();
        move |error: String| TlsError::Content { path: path.clone(), wanted, error }
    };
    let wrong = content(&files.certificate, "certificate");
    let chain = CertificateDer::pem_slice_iter(&bytes(&files.certificate)?).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong("there is none in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&bytes(&files.key)?);
    let key = key.map_err(|error| content(&files.key, "private key")(error.to_string()))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        error: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_certificate_is_told_by_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let files = |certificate: &str, key: &str| TlsFiles { certificate: path(certificate), key: path(key) };
        let pair = |name: &str| {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            fs::write(path(&format!("{name}.crt")), made.cert.pem()).unwrap();
            fs::write(path(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
        };
        pair("one");
        pair("other");
        fs::write(path("empty"), "").unwrap();
        let wrong = |certificate, key| Tls::load(files(certificate, key)).unwrap_err().to_string();
        assert!(wrong("none.crt", "one.key").contains("none.crt: No such file"));
        assert!(wrong("empty", "one.key").contains("empty holds no certificate"));
        assert!(wrong("one.crt", "empty").contains("empty holds no private key"));
        assert!(wrong("one.crt", "one.crt").contains("holds no private key"));
        assert!(wrong("one.crt", "other.key").contains("do not belong together"));
        assert!(Tls::load(files("one.crt", "one.key")).unwrap().config().is_ok());
    }
}
