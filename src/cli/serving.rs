//! What `kefu serve` is told about HTTP beside its address, and what it says there to whoever starts it for the first time.

use super::error::CliError;
use crate::{
    bridge::{Tls, TlsFiles},
    config::{Config, Flag, keys},
};
use clap::Args;
use std::sync::Arc;

/// The certificate.
#[derive(Debug, Args)]
pub struct TlsArgs {
    /// Serve HTTPS with this certificate: a PEM file, the chain included; it is read again when it changes
    /// [env: KEFU_TLS_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<String>,
    /// The certificate's private key, as PEM [env: KEFU_TLS_KEY]
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
}

impl TlsArgs {
    /// What the flags set.
    pub(super) fn flags(&self) -> impl Iterator<Item = Flag> {
        let flags = [
            (keys::TLS_CERTIFICATE, "--tls-certificate", self.tls_certificate.clone()),
            (keys::TLS_KEY, "--tls-key", self.tls_key.clone()),
        ];
        flags.into_iter().filter_map(|(key, flag, value)| Some(Flag { key, flag, value: value? }))
    }
}

/// The certificate that HTTP is served with, if there is one.
pub(super) fn tls(config: &Config) -> Result<Option<Arc<Tls>>, CliError> {
    let (certificate, key) = match (&config.tls_certificate, &config.tls_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
        _ => {
            return Err(CliError::usage("TLS needs both: --tls-certificate FILE and --tls-key FILE"));
        }
    };
    let loaded = Tls::load(TlsFiles { certificate, key });
    loaded.map(Some).map_err(|error| CliError::failure(format!("TLS: {error}")))
}
