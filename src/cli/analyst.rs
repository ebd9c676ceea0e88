//! `kefu analyst`: credentials of those who read the log.

use super::{
    Session,
    channel::{Accounts, list, print_secret, revoke},
    error::CliError,
};
use crate::{config::units, journal::credentials::AccountKind};
use clap::Subcommand;

/// Credentials of analysts: they may read the log and ask queries, and publish nothing
#[derive(Debug, Subcommand)]
pub enum Analyst {
    /// Make credentials for an analyst, and print them: the password is shown once
    #[command(after_help = "Example:\n  kefu analyst add dana --only shop")]
    Add {
        /// The analyst's name
        #[arg(value_parser = units::token)]
        name: String,
        /// Only events of this tenant [default: of all]
        #[arg(long, value_name = "TENANT", value_parser = units::token)]
        only: Option<String>,
    },
    /// List the analysts that have credentials
    List,
    /// Take an analyst's credentials away
    Revoke {
        /// The analyst's name
        #[arg(value_parser = units::token)]
        name: String,
    },
}

impl Analyst {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        match self {
            Self::Add { name, only } => {
                let accounts = Accounts::open(session).await?;
                let subjects = accounts.client.journal.subjects();
                let made = accounts.credentials.add_analyst(&name, only.as_deref(), subjects);
                let asks = subjects.query(only.as_deref().unwrap_or("*"), "*");
                let mut made = accounts.take_over(made?, AccountKind::Analyst { tenant: only }).await?;
                made.lines.push(("asks", asks));
                print_secret(session, &accounts, made)
            }
            Self::List => {
                let config = session.config()?;
                list(session, &config, |account| match &account.kind {
                    AccountKind::Analyst { tenant } => {
                        let tenant = tenant.clone().unwrap_or_else(|| "(all)".to_owned());
                        Some([account.user.clone(), tenant, String::new()])
                    }
                    _ => None,
                })
            }
            Self::Revoke { name } => revoke(session, &format!("analyst.{name}")).await,
        }
    }
}
