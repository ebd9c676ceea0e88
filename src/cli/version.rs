//! `kefu version`.

use super::{error::CliError, output::Output};
use clap::Args;
use serde_json::json;

/// Print the version
#[derive(Debug, Args)]
pub struct Version {}

impl Version {
    pub(super) fn run(self, mut out: Output) -> Result<(), CliError> {
        let version = env!("CARGO_PKG_VERSION");
        let value = json!({
            "version": version,
            "target": format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            "debug_assertions": cfg!(debug_assertions),
        });
        out.result(&value, || format!("kefu {version}"))
    }
}
