//! What `kefu serve` is told about HTTP beside its address, and what it says there to whoever starts it for the first time.

use super::{Session, error::CliError};
use crate::{
    access::Access,
    bridge::{OidcOptions, Tls, TlsFiles, UserClaim},
    config::{Config, Flag, keys},
    http::Secret,
};
use clap::Args;
use serde_json::json;
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

/// The provider at which people sign in, if one is named.
pub(super) fn oidc(config: &Config) -> Result<Option<OidcOptions>, CliError> {
    let oidc = config.oidc.clone();
    let Some(issuer) = oidc.issuer else { return Ok(None) };
    let (Some(client_id), Some(redirect_url)) = (oidc.client_id, oidc.redirect_url) else {
        return Err(CliError::usage("oidc.issuer needs oidc.client_id and oidc.redirect_url beside it"));
    };
    let user_claim = match oidc.user_claim.as_str() {
        "preferred_username" => UserClaim::PreferredUsername,
        "sub" => UserClaim::Subject,
        other => {
            let message = format!("oidc.user_claim is preferred_username or sub, not {other:?}");
            return Err(CliError::usage(message));
        }
    };
    let tenant = oidc.tenant.unwrap_or_else(|| config.tenant.clone());
    let client_secret = oidc.client_secret.map(Secret::new);
    Ok(Some(OidcOptions { issuer, client_id, client_secret, redirect_url, tenant, user_claim }))
}

/// What to do where HTTP cannot listen.
pub(super) fn listen_error(config: &Config, error: &std::io::Error) -> CliError {
    let address = config.listen.address;
    CliError::failure(format!("HTTP cannot listen on {address}: {error}"))
        .hint("choose another address with --listen; without it, a free port will do")
}

/// Tenants without users of which it is said; more are no first start.
const MAX_TOLD: usize = 5;

/// Says how the first user of each tenant that has none is made: with a code that is good for one use, until kefu is started
/// again.
pub(super) fn first_users(
    session: &mut Session,
    access: &Access,
    tenants: &[String],
    http: &str,
) -> Result<(), CliError> {
    let codes = tenants.iter().filter_map(|tenant| Some((tenant, access.setup_code(tenant)?)));
    for (tenant, code) in codes.take(MAX_TOLD) {
        let url = format!("{http}/#/setup/{code}");
        if session.out.is_json() {
            session.out.json_line(&json!({ "setup": { "tenant": tenant, "code": code, "url": url } }))?;
        } else {
            session.out.line(format!(
                "\nThe tenant {tenant} has no users. Make its first one, an administrator, in a browser; this address is good once,\n\
                 and until kefu is started again:\n  {url}"
            ))?;
        }
    }
    session.out.flush()
}
