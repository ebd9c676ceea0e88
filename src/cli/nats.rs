//! `kefu nats`: what one's own NATS server needs.

use super::{Session, client::locate, error::CliError};
use crate::journal::credentials::Credentials;
use clap::Subcommand;
use serde_json::json;

/// What a NATS server of one's own needs
#[derive(Debug, Subcommand)]
pub enum Nats {
    /// Print the accounts of this data directory with their rights, for the configuration of one's own server
    ///
    /// kefu's own server has these rules already. Passwords are hashed; `kefu channel add` printed them once.
    #[command(
        after_help = "Example:\n  kefu nats config > kefu-users.conf    then, in nats-server.conf: include \"kefu-users.conf\""
    )]
    Config,
}

impl Nats {
    pub(super) fn run(self, session: &mut Session) -> Result<(), CliError> {
        let Self::Config = self;
        let config = session.config()?;
        // Where a kefu runs, its prefix counts; where none does, the configured one.
        let subjects = locate(&session.layers, &config).map_or(config.subjects, |(_, subjects, _)| subjects);
        let credentials = Credentials::open(&config.data);
        if credentials.list()?.is_empty() {
            // There must be an engine before anybody else can be kept out.
            let password = credentials.renew_engine()?;
            super::output::note(format!(
                "made the engine's account: start kefu with KEFU_NATS_USER={} KEFU_NATS_PASSWORD={password}",
                crate::journal::credentials::ENGINE_USER
            ));
        }
        let text = credentials.nats_config(&subjects)?;
        session.out.result(&json!({ "authorization": text }), || text.trim_end().to_owned())
    }
}
