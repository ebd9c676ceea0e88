//! `kefu channel`: credentials of channel adapters.

use super::{
    Session, TenantArg,
    client::{Client, goes_by_url},
    error::CliError,
    output::note,
};
use crate::{
    config::{Config, units},
    journal::{
        credentials::{Account, AccountKind, Credentials, Secret},
        server,
    },
};
use clap::Subcommand;
use kefu_events::key::RESERVED_CHANNELS;
use serde_json::json;

/// Credentials of channel adapters: what they may publish and read is limited to their channel
#[derive(Debug, Subcommand)]
pub enum Channel {
    /// Make credentials for a channel's adapter, and print them: the password is shown once
    #[command(
        after_help = "Example:\n  kefu channel add web\n  kefu channel add wechat --tenant shop --json > wechat.json"
    )]
    Add {
        /// The channel
        #[arg(value_parser = units::token)]
        channel: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// List the channels that have credentials
    List {
        /// Only of this tenant
        #[arg(long, short, value_parser = units::token)]
        tenant: Option<String>,
    },
    /// Take a channel's credentials away; its adapter is disconnected
    Revoke {
        /// The channel
        #[arg(value_parser = units::token)]
        channel: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
}

impl Channel {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        let config = session.config()?;
        match self {
            Self::Add { channel, tenant } => {
                let tenant = tenant.of(&config);
                if RESERVED_CHANNELS.contains(&channel.as_str()) {
                    let message = format!("no channel may be named {channel:?}: that is a kind of sender of commands");
                    return Err(CliError::usage(message));
                }
                let accounts = Accounts::open(session).await?;
                if !accounts.client.tenant_exists(&tenant).await? {
                    note(format!("there is no tenant {tenant} yet: make it with `kefu tenant create {tenant}`"));
                }
                let made = accounts.credentials.add_channel(&tenant, &channel, accounts.client.journal.subjects());
                let kind = AccountKind::Channel { tenant: tenant.clone(), channel: channel.clone() };
                let mut more = accounts.take_over(made?, kind).await?;
                let subjects = accounts.client.journal.subjects();
                more.lines.push(("publishes to", subjects.inbound(&tenant, &channel, "<key>")));
                print_secret(session, &accounts, more)
            }
            Self::List { tenant } => list(session, &config, |account| match &account.kind {
                AccountKind::Channel { tenant: of, channel } if tenant.as_ref().is_none_or(|tenant| tenant == of) => {
                    Some([account.user.clone(), of.clone(), channel.clone()])
                }
                _ => None,
            }),
            Self::Revoke { channel, tenant } => {
                let user = format!("channel.{}.{channel}", tenant.of(&config));
                revoke(session, &user).await
            }
        }
    }
}

/// The accounts of a data directory, and the server that must know of changes.
pub(super) struct Accounts {
    pub client: Client,
    pub credentials: Credentials,
    managed: bool,
}

/// What is printed of a new account.
pub(super) struct Made {
    secret: Secret,
    pub lines: Vec<(&'static str, String)>,
}

impl Accounts {
    pub async fn open(session: &Session) -> Result<Self, CliError> {
        let client = session.connect().await?;
        let credentials = Credentials::open(&client.config.data);
        let managed = !goes_by_url(&session.layers) && client.run.as_ref().is_some_and(|run| run.user.is_some());
        Ok(Self { client, credentials, managed })
    }

    /// Makes the server and the streams know a new account.
    pub async fn take_over(&self, secret: Secret, kind: AccountKind) -> Result<Made, CliError> {
        let told = async {
            self.client.journal.ensure_consumer_of(&secret.user, &kind).await?;
            self.tell_server().await
        };
        if let Err(error) = told.await {
            // Its password would be lost with this error: an account that nobody can use helps nobody.
            let _ = self.credentials.revoke(&secret.user);
            return Err(error);
        }
        Ok(Made { secret, lines: Vec::new() })
    }

    async fn tell_server(&self) -> Result<(), CliError> {
        if self.managed {
            return Ok(server::reload(&self.client.config.data, self.client.journal.subjects()).await?);
        }
        note("this NATS server is not kefu's own: give it the new rules (`kefu nats config`) and reload it");
        Ok(())
    }
}

pub(super) fn print_secret(session: &mut Session, accounts: &Accounts, made: Made) -> Result<(), CliError> {
    let url = match &accounts.client.run {
        Some(run) => run.nats.clone(),
        None => units::without_password(accounts.client.config.nats.url.as_deref().unwrap_or_default()),
    };
    let mut value = serde_json::to_value(&made.secret)?;
    value["url"] = url.clone().into();
    for (name, line) in &made.lines {
        value[name.replace(' ', "_")] = line.clone().into();
    }
    let secret = made.secret;
    session.out.result(&value, || {
        let mut lines = vec![
            ("url", url),
            ("user", secret.user),
            ("password", format!("{}  (shown this once)", secret.password)),
            ("inbox prefix", secret.inbox_prefix),
            ("reads from", format!("stream {}, consumer {}", secret.stream, secret.consumer)),
        ];
        lines.extend(made.lines);
        lines.iter().map(|(name, line)| format!("{name:<14}{line}")).collect::<Vec<_>>().join("\n")
    })
}

pub(super) fn list(
    session: &mut Session,
    config: &Config,
    row: impl Fn(&Account) -> Option<[String; 3]>,
) -> Result<(), CliError> {
    let accounts = Credentials::open(&config.data).list()?;
    let wanted = accounts.iter().filter_map(|account| row(account).map(|row| (account, row)));
    if session.out.is_json() {
        for (account, [user, tenant, channel]) in wanted {
            let mut line = json!({ "user": user, "tenant": tenant, "created": account.created });
            if matches!(account.kind, AccountKind::Channel { .. }) {
                line["channel"] = channel.into();
            }
            session.out.json_line(&line)?;
        }
        return Ok(());
    }
    let rows: Vec<[String; 4]> = wanted
        .map(|(account, [user, tenant, channel])| {
            [user, tenant, channel, account.created.format("%Y-%m-%d %H:%M").to_string()]
        })
        .collect();
    session.out.table(["USER", "TENANT", "CHANNEL", "MADE"], &rows)
}

pub(super) async fn revoke(session: &mut Session, user: &str) -> Result<(), CliError> {
    let accounts = Accounts::open(session).await?;
    let Some(account) = accounts.credentials.revoke(user)? else {
        return Err(CliError::new(super::Exit::Failure, "not_found", format!("{user} has no credentials")));
    };
    accounts.tell_server().await?;
    accounts.client.journal.delete_consumer_of(user, &account.kind).await?;
    session.out.result(&json!({ "revoked": user }), || format!("{user} has no credentials any more"))
}
