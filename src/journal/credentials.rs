//! Accounts on the bus: who may do what, the file that remembers them, and the server's configuration made of both.
//!
//! [`permissions`] is the one place where rights are decided; kefu's own server and `kefu nats config` both use it. The
//! rules are allow-lists: what is not named is denied.
//!
//! Nobody but the engine may create consumers: which messages a consumer reads and where it sends them stands in the
//! request's body, where no permission sees it. An adapter and an analyst therefore read through a durable consumer
//! that the engine made for them.
//!
//! What this does not prevent: the server answers to any reply subject that a request names. Whoever may ask anything
//! can so have the server's *own answers* stored in a work queue. They are no messages or commands and are refused;
//! only accounts of their own for outsiders, with imports, would keep them out. And a message id counts over the whole
//! inbox, so an adapter that guesses another channel's ids can make a message of it a duplicate for two minutes.

use super::{
    server::write_private,
    subjects::{InvalidToken, Subjects, token},
};
use chrono::{DateTime, Utc};
use kefu_events::AggregateKind;
use nix::fcntl::{Flock, FlockArg};
use rand::TryRng;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// The engine's user.
pub const ENGINE_USER: &str = "engine";

/// Bytes of chance in a password: it cannot be guessed, whatever the hash costs.
const SECRET_BYTES: usize = 24;

/// bcrypt's smallest cost. Its slowness protects passwords that people choose; these are 192 random bits, and the server
/// pays the cost at every connection.
const BCRYPT_COST: u32 = 4;

/// What an account is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AccountKind {
    /// kefu itself, and its command line: everything.
    Engine,
    /// A channel's adapter: publishes what customers say, reads the replies.
    Channel {
        /// Its tenant.
        tenant: String,
        /// Its channel.
        channel: String,
    },
    /// Reads the log, and asks queries.
    Analyst {
        /// Of this tenant only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
    },
}

/// An account, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// User name on the bus.
    pub user: String,
    /// What it is for.
    #[serde(flatten)]
    pub kind: AccountKind,
    /// bcrypt hash of the password.
    hash: String,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// What a new account's owner needs; the password is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
    /// Under which prefix a client must ask for answers (`inbox_prefix` in nats-py).
    pub inbox_prefix: String,
    /// The stream to read from.
    pub stream: String,
    /// Its durable consumer, which [`NatsJournal::ensure_consumer_of`](super::NatsJournal::ensure_consumer_of) makes.
    pub consumer: String,
}

/// Why an account could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// There is one already.
    #[error("{user} has credentials already: revoke them first, or go on using them")]
    Exists {
        /// Its user name.
        user: String,
    },
    /// A name that cannot stand in a subject.
    #[error(transparent)]
    Name(#[from] InvalidToken),
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The system gives no random numbers, or the hash failed.
    #[error("no password could be made: {0}")]
    Secret(String),
}

/// Rights of one user on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects it may publish to.
    pub publish: Vec<String>,
    /// Subjects it may listen to.
    pub subscribe: Vec<String>,
}

/// What an account may do; `None` is everything.
pub fn permissions(account: &Account, subjects: &Subjects) -> Option<Permissions> {
    let user = &account.user;
    let mut publish = Vec::new();
    let mut read_by = |stream: &str, consumer: &str, more: &[&str]| {
        for call in ["INFO", "MSG.NEXT"].iter().chain(more) {
            publish.push(format!("$JS.API.CONSUMER.{call}.{stream}.{consumer}"));
        }
        publish.push(format!("$JS.ACK.{stream}.{consumer}.>"));
    };
    match &account.kind {
        AccountKind::Engine => return None,
        AccountKind::Channel { tenant, channel } => {
            read_by(&subjects.outbox_stream(), &outbox_consumer(tenant, channel), &[]);
            publish.push(subjects.inbound(tenant, channel, "*"));
        }
        AccountKind::Analyst { tenant } => {
            let stream = subjects.events_stream();
            // RESET moves its own consumer to any sequence, which is how a replay begins.
            read_by(&stream, &analyst_consumer(user), &["RESET"]);
            let tenant = tenant.as_deref();
            publish.push(subjects.query(tenant.unwrap_or("*"), "*"));
            // The last commit of a subject, where the subject stands in the request's own subject. All other direct
            // gets name what they want in the body, where no permission sees it.
            for events in analyst_subjects(subjects, tenant) {
                publish.push(format!("$JS.API.DIRECT.GET.{stream}.{events}"));
            }
            if tenant.is_none() {
                publish.push(format!("$JS.API.DIRECT.GET.{stream}"));
                publish.push(format!("$JS.API.STREAM.INFO.{stream}"));
            }
        }
    }
    Some(Permissions { publish, subscribe: vec![format!("{}.>", inbox_prefix(user))] })
}

/// The durable consumer of a channel's adapter on `KEFU_OUTBOX`. `=` separates because no token has it, so that no two
/// channels share one.
pub fn outbox_consumer(tenant: &str, channel: &str) -> String {
    format!("out={tenant}={channel}")
}

/// What an analyst reads of the log, of one tenant or all: nothing of users, whose commits hold hashes of passwords. Whoever
/// may read all tenants is trusted with the whole stream nevertheless, by direct gets that name what they want in the body.
pub fn analyst_subjects(subjects: &Subjects, tenant: Option<&str>) -> Vec<String> {
    let read = AggregateKind::ALL.into_iter().filter(|kind| *kind != AggregateKind::User);
    read.map(|kind| subjects.events(tenant.unwrap_or("*"), kind.as_str(), "*")).collect()
}

/// The durable consumer of an analyst on `KEFU_EVENTS`.
pub fn analyst_consumer(user: &str) -> String {
    user.replace('.', "=")
}

/// Where a user's answers come back: not under `_INBOX.`, where everybody's do.
pub fn inbox_prefix(user: &str) -> String {
    format!("_INBOX_{user}")
}

/// The `authorization` block of a server's configuration.
pub fn nats_config(accounts: &[Account], subjects: &Subjects) -> String {
    let list = |subjects: &[String]| {
        let quoted: Vec<String> = subjects.iter().map(|subject| format!("\n          {}", quoted(subject))).collect();
        format!("[{}\n        ]", quoted.join(""))
    };
    let mut text = String::from("authorization {\n  users = [\n");
    for account in accounts {
        text.push_str(&format!(
            "    {{\n      user: {}\n      password: {}\n",
            quoted(&account.user),
            quoted(&account.hash)
        ));
        if let Some(rights) = permissions(account, subjects) {
            text.push_str(&format!(
                "      permissions: {{\n        publish: {{ allow: {} }}\n        subscribe: {{ allow: {} }}\n      }}\n",
                list(&rights.publish),
                list(&rights.subscribe)
            ));
        }
        text.push_str("    }\n");
    }
    text.push_str("  ]\n}\n");
    text
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The accounts of one data directory. Processes that change them wait for each other.
#[derive(Debug, Clone)]
pub struct Credentials {
    directory: PathBuf,
}

impl Credentials {
    /// The accounts under `<data>/nats/`.
    pub fn open(data: &Path) -> Self {
        Self { directory: data.join("nats") }
    }

    fn path(&self) -> PathBuf {
        self.directory.join("users.json")
    }

    /// All accounts, the engine's first if there is one.
    pub fn list(&self) -> Result<Vec<Account>, CredentialsError> {
        let path = self.path();
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(&path, io::Error::other(error))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Makes an account for a channel's adapter.
    pub fn add_channel(&self, tenant: &str, channel: &str, subjects: &Subjects) -> Result<Secret, CredentialsError> {
        let kind = AccountKind::Channel {
            tenant: token("tenant", tenant)?.to_owned(),
            channel: token("channel", channel)?.to_owned(),
        };
        let user = format!("channel.{tenant}.{channel}");
        let password = self.add(&user, kind)?;
        let consumer = outbox_consumer(tenant, channel);
        Ok(Secret { inbox_prefix: inbox_prefix(&user), user, password, stream: subjects.outbox_stream(), consumer })
    }

    /// Makes an account for an analyst, of one tenant or all.
    pub fn add_analyst(
        &self,
        name: &str,
        tenant: Option<&str>,
        subjects: &Subjects,
    ) -> Result<Secret, CredentialsError> {
        let tenant = tenant.map(|tenant| token("tenant", tenant)).transpose()?;
        let user = format!("analyst.{}", token("analyst", name)?);
        let password = self.add(&user, AccountKind::Analyst { tenant: tenant.map(str::to_owned) })?;
        let consumer = analyst_consumer(&user);
        Ok(Secret { inbox_prefix: inbox_prefix(&user), user, password, stream: subjects.events_stream(), consumer })
    }

    /// Gives the engine a new password; the old one is void once the server has taken it over.
    pub fn renew_engine(&self) -> Result<String, CredentialsError> {
        self.change(|accounts| {
            let (account, password) = new_account(ENGINE_USER, AccountKind::Engine)?;
            accounts.retain(|account| account.user != ENGINE_USER);
            accounts.insert(0, account);
            Ok(password)
        })
    }

    /// Takes an account away; it, if it was there. The server must be told (see
    /// [`reload`](super::server::reload)), and its consumer deleted.
    pub fn revoke(&self, user: &str) -> Result<Option<Account>, CredentialsError> {
        self.change(|accounts| {
            let index = accounts.iter().position(|account| account.user == user && account.kind != AccountKind::Engine);
            Ok(index.map(|index| accounts.remove(index)))
        })
    }

    /// The `authorization` block for these accounts.
    pub fn nats_config(&self, subjects: &Subjects) -> Result<String, CredentialsError> {
        Ok(nats_config(&self.list()?, subjects))
    }

    /// Writes that block where kefu's own server includes it.
    pub(super) fn write_config(&self, subjects: &Subjects) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let path = self.directory.join("users.conf");
        let text =
            format!("# Written by kefu from users.json: changes here are lost.\n{}", self.nats_config(subjects)?);
        write_private(&path, text.as_bytes()).map_err(|error| failed(&path, error))
    }

    fn add(&self, user: &str, kind: AccountKind) -> Result<String, CredentialsError> {
        self.change(|accounts| {
            if accounts.iter().any(|account| account.user == user) {
                return Err(CredentialsError::Exists { user: user.to_owned() });
            }
            let (account, password) = new_account(user, kind)?;
            accounts.push(account);
            Ok(password)
        })
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Account>) -> Result<T, CredentialsError>,
    ) -> Result<T, CredentialsError> {
        let _lock = self.lock()?;
        let mut accounts = self.list()?;
        let result = change(&mut accounts)?;
        let path = self.path();
        let text = serde_json::to_vec_pretty(&accounts).map_err(|error| failed(&path, io::Error::other(error)))?;
        write_private(&path, &text).map_err(|error| failed(&path, error))?;
        Ok(result)
    }

    /// Held while the file is read, changed and written.
    fn lock(&self) -> Result<Flock<fs::File>, CredentialsError> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.map_err(|error| failed(&self.directory, error))?;
        let path = self.directory.join("users.lock");
        let open = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = open.map_err(|error| failed(&path, error))?;
        Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| failed(&path, error.into()))
    }
}

fn failed(path: &Path, source: io::Error) -> CredentialsError {
    CredentialsError::File { path: path.display().to_string(), source }
}

fn new_account(user: &str, kind: AccountKind) -> Result<(Account, String), CredentialsError> {
    let secret = |error: &dyn std::fmt::Display| CredentialsError::Secret(error.to_string());
    let mut random = [0; SECRET_BYTES];
    rand::rngs::SysRng.try_fill_bytes(&mut random).map_err(|error| secret(&error))?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut salt = [0; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut salt).map_err(|error| secret(&error))?;
    let hashed = bcrypt::hash_with_salt(&password, BCRYPT_COST, salt).map_err(|error| secret(&error))?;
    // nats-server takes only this version's mark for a hash on all its releases; the hash itself is the same.
    let hash = hashed.format_for_version(bcrypt::Version::TwoA);
    let account = Account { user: user.to_owned(), kind, hash, created: Utc::now() };
    Ok((account, password))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(user: &str, kind: AccountKind) -> Account {
        Account { user: user.into(), kind, hash: "$2a$04$x".into(), created: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn no_rule_is_wider_than_its_tenant() {
        let tenant = Some("demo".to_owned());
        let kinds = [
            ("channel.demo.web", AccountKind::Channel { tenant: "demo".into(), channel: "web".into() }),
            ("analyst.ann", AccountKind::Analyst { tenant }),
        ];
        for (user, kind) in kinds {
            let rights = permissions(&account(user, kind), &Subjects::default()).unwrap();
            for subject in rights.publish.iter().chain(&rights.subscribe) {
                assert!(
                    subject.contains(user) || subject.contains("demo") || subject.contains(&user.replace('.', "="))
                );
                assert!(!subject.starts_with("_INBOX."), "{subject}");
            }
        }
    }

    #[test]
    fn the_engine_has_no_limits_and_comes_first() {
        let data = tempfile::tempdir().unwrap();
        let credentials = Credentials::open(data.path());
        let secret = credentials.add_channel("demo", "web", &Subjects::default()).unwrap();
        assert_eq!(secret.password.len(), 2 * SECRET_BYTES);
        credentials.renew_engine().unwrap();
        let accounts = credentials.list().unwrap();
        assert_eq!(accounts[0].user, ENGINE_USER);
        assert!(permissions(&accounts[0], &Subjects::default()).is_none());
        let again = credentials.add_channel("demo", "web", &Subjects::default());
        assert!(matches!(again, Err(CredentialsError::Exists { .. })));
        assert!(credentials.revoke(ENGINE_USER).unwrap().is_none(), "the engine cannot be locked out");
        assert!(credentials.revoke("channel.demo.web").unwrap().is_some());
        assert!(!credentials.nats_config(&Subjects::default()).unwrap().contains(&secret.password));
    }
}
