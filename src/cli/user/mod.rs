//! `kefu user`: who may sign in, what they are to the tenant, and their tokens.
//!
//! What the command line does is done by an operator, who has the bus and so everything; permissions are for those who come
//! over the bridge. A password is never an argument, where every other user of the machine could read it.

mod password;
mod show;
mod token;

use super::{
    Session, TenantArg,
    client::{Ask, Client, already, operator},
    error::CliError,
    values,
};
use crate::{config::units, policy};
use clap::{Args, Subcommand, ValueEnum};
use kefu_events::{
    Actor, AggregateKind, V,
    query::name,
    user::{Grant, Role, Scope, UserCommand},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

/// Users: who may sign in, with which roles, and their tokens
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  kefu user add root --name \"Ada Root\" --role administrator       asks for the password
  kefu user add anna --role agent --role supervisor=tax,vip < password.txt
  kefu user list --role supervisor
  kefu user show anna
  kefu user grant anna supervisor --queue tax --queue vip
  kefu user revoke anna supervisor
  kefu user password anna
  kefu user disable anna --reason \"left the company\"
  kefu user token add reports --name nightly --scope report.read --expires 90d
  kefu user policies                                             what each role may do

A role reaches own (one's own conversations), my-queues (also those in the queues that the agent serves), some named
queues, or all. Without a word about it an agent reaches my-queues, and everybody else all.")]
pub enum User {
    /// Add a user, with a password from the terminal or the standard input
    Add {
        /// The user's id, which is also that of the agent who this is
        #[arg(value_parser = units::token)]
        user: String,
        /// The name that colleagues see [default: the id]
        #[arg(long)]
        name: Option<String>,
        /// A role, with its reach if it is not the usual one: own, my-queues, all, or queues; can be repeated
        #[arg(long = "role", value_name = "ROLE[=REACH]", value_parser = grant)]
        roles: Vec<Grant>,
        /// No password: for programs, which come with tokens
        #[arg(long)]
        no_password: bool,
        #[command(flatten)]
        change: Change,
    },
    /// List users
    List {
        #[command(flatten)]
        tenant: TenantArg,
        /// Only those with this role
        #[arg(long)]
        role: Option<RoleArg>,
        /// Not more than this many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Show a user, with roles, sessions and tokens
    Show {
        /// The user's id
        user: String,
        #[command(flatten)]
        tenant: TenantArg,
    },
    /// Change the name that colleagues see
    Rename {
        /// The user's id
        user: String,
        /// The name
        name: String,
        #[command(flatten)]
        change: Change,
    },
    /// Give a role, or change how far one reaches
    Grant {
        /// The user's id
        user: String,
        /// The role
        role: RoleArg,
        #[command(flatten)]
        reach: Reach,
        #[command(flatten)]
        change: Change,
    },
    /// Take a role away
    Revoke {
        /// The user's id
        user: String,
        /// The role
        role: RoleArg,
        #[command(flatten)]
        change: Change,
    },
    /// Set the password, from the terminal or the standard input, and end all sessions
    Password {
        /// The user's id
        user: String,
        /// Take the password away: nobody can sign in as this user until there is a new one
        #[arg(long)]
        none: bool,
        #[command(flatten)]
        change: Change,
    },
    /// Let a user in no longer, and end all sessions
    Disable {
        /// The user's id
        user: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        change: Change,
    },
    /// Let a user in again
    Enable {
        /// The user's id
        user: String,
        #[command(flatten)]
        change: Change,
    },
    /// End a session
    SignOut {
        /// The user's id
        user: String,
        /// The session, from `kefu user show`
        session: String,
        #[command(flatten)]
        change: Change,
    },
    #[command(subcommand)]
    Token(token::Token),
    /// Print the shipped policies, what policies can be about, and all permissions
    Policies,
}

/// What goes with a change.
#[derive(Debug, Args)]
pub struct Change {
    #[command(flatten)]
    tenant: TenantArg,
    /// Who does it: agent:ID or system:ID [default: system:operator]
    #[arg(long = "as", value_name = "KIND:ID", value_parser = values::actor)]
    actor: Option<Actor>,
    /// How long to wait for the result
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = units::duration)]
    timeout: Duration,
}

/// How far a role reaches.
#[derive(Debug, Args)]
pub struct Reach {
    /// How far [default: my-queues for an agent, all for others]
    #[arg(long, value_name = "REACH", conflicts_with = "queues")]
    reach: Option<ReachArg>,
    /// Only conversations in this queue, and one's own; can be repeated
    #[arg(long = "queue", value_name = "QUEUE")]
    queues: Vec<String>,
}

/// How far, but for named queues.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReachArg {
    /// One's own conversations
    Own,
    /// Those, and those in the queues that the agent serves
    MyQueues,
    /// The whole tenant
    All,
}

/// A role.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum RoleArg {
    /// Serves customers
    Agent,
    /// Looks after agents and queues
    Supervisor,
    /// Sets everything up
    Administrator,
    /// Reads everything, changes nothing
    Analyst,
    /// A program: may do what its token names
    Service,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Agent => Self::Agent,
            RoleArg::Supervisor => Self::Supervisor,
            RoleArg::Administrator => Self::Administrator,
            RoleArg::Analyst => Self::Analyst,
            RoleArg::Service => Self::Service,
        }
    }
}

impl From<ReachArg> for Scope {
    fn from(reach: ReachArg) -> Self {
        match reach {
            ReachArg::Own => Self::Own,
            ReachArg::MyQueues => Self::MyQueues,
            ReachArg::All => Self::All,
        }
    }
}

fn usual(role: Role) -> Scope {
    if role == Role::Agent { Scope::MyQueues } else { Scope::All }
}

/// `agent`, `supervisor=my-queues`, `supervisor=tax,vip`.
fn grant(text: &str) -> Result<Grant, String> {
    let (role, reach) = text.split_once('=').map_or((text, None), |(role, reach)| (role, Some(reach)));
    let role = Role::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(|| {
        let known = Role::ALL.map(Role::as_str).join(", ");
        format!("there is no role {role:?}: there are {known}")
    })?;
    let scope =
        match reach {
            None => usual(role),
            Some("own") => Scope::Own,
            Some("my-queues") => Scope::MyQueues,
            Some("all") => Scope::All,
            Some(queues) => {
                Scope::Queues(queues.split(',').map(units::token).collect::<Result<_, _>>().map_err(|error| {
                    format!("{error}; a reach is own, my-queues, all, or queues separated by commas")
                })?)
            }
        };
    Ok(Grant { role, scope })
}

impl User {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), CliError> {
        if let Self::Policies = self {
            return show::policies(session);
        }
        let client = session.connect().await?;
        let (user, change, body) = match self {
            Self::Policies => return Ok(()),
            Self::Token(token) => return token.run(session, &client).await,
            Self::List { tenant, role, limit } => {
                let tenant = tenant.of(&client.config);
                let role = role.map(|role| Role::from(role).as_str());
                let users = client.pages(&tenant, name::USERS, json!({ "role": role }), limit).await?;
                return show::list(session, &users);
            }
            Self::Show { user, tenant } => {
                let tenant = tenant.of(&client.config);
                return show::one(session, &client, &tenant, &user).await;
            }
            Self::Add { user, name, roles, no_password, change } => {
                return add(session, &client, user, name, roles, no_password, change).await;
            }
            Self::Password { user, none, change } => {
                let hash = if none { None } else { Some(password::ask(&user)?) };
                (user, change, UserCommand::SetPassword { v: V, hash, keep: None })
            }
            Self::Rename { user, name, change } => (user, change, UserCommand::Rename { v: V, name }),
            Self::Grant { user, role, reach, change } => {
                let role = Role::from(role);
                let scope = match (reach.reach, reach.queues) {
                    (Some(reach), _) => reach.into(),
                    (None, queues) if queues.is_empty() => usual(role),
                    (None, queues) => Scope::Queues(queues.into_iter().collect()),
                };
                (user, change, UserCommand::Grant { v: V, role, scope })
            }
            Self::Revoke { user, role, change } => (user, change, UserCommand::Revoke { v: V, role: role.into() }),
            Self::Disable { user, reason, change } => (user, change, UserCommand::Disable { v: V, reason }),
            Self::Enable { user, change } => (user, change, UserCommand::Enable { v: V }),
            Self::SignOut { user, session, change } => (user, change, UserCommand::EndSession { v: V, session }),
        };
        match ask(&client, &user, &change, body).await {
            Ok(result) => session.out.result(&result, || format!("done: version {}", result["version"])),
            // So that it can be run again.
            Err(error) if error.code == "unchanged" => {
                already(&error.message);
                session.out.result(&json!({"ok": true}), || user)
            }
            Err(error) => Err(error),
        }
    }
}

/// One command after the other. What is as wanted already is no failure, so that it can be run again; but a password is never
/// changed by it.
async fn add(
    session: &mut Session,
    client: &Client,
    user: String,
    name: Option<String>,
    grants: Vec<Grant>,
    no_password: bool,
    change: Change,
) -> Result<(), CliError> {
    let tenant = change.tenant.of(&client.config);
    let mut by_role = BTreeMap::new();
    for Grant { role, scope } in &grants {
        if by_role.insert(*role, scope).is_some() {
            return Err(CliError::usage(format!("--role {role} is there twice: name all its queues in one")));
        }
    }
    let known: Option<Value> = client.find(&tenant, name::USER, &json!({ "id": user })).await?;
    let has_password = known.as_ref().is_some_and(|known| known["state"]["has_password"] == true);
    // Asked first: nobody wants a user who cannot sign in because the password was no good.
    let hash = if no_password || has_password { None } else { Some(password::ask(&user)?) };
    let mut commands = Vec::new();
    match &known {
        None => {
            let name = name.unwrap_or_else(|| user.clone());
            commands.push(UserCommand::Create { v: V, name, grants });
        }
        Some(_) => {
            commands.extend(name.map(|name| UserCommand::Rename { v: V, name }));
            let grants = grants.into_iter();
            commands.extend(grants.map(|grant| UserCommand::Grant { v: V, role: grant.role, scope: grant.scope }));
        }
    }
    commands.extend(hash.map(|hash| UserCommand::SetPassword { v: V, hash: Some(hash), keep: None }));
    let mut done = Value::Null;
    for command in commands {
        match ask(client, &user, &change, command).await {
            Ok(result) => done = result,
            Err(error) if error.code == "unchanged" => {}
            Err(error) => return Err(error),
        }
    }
    if done.is_null() {
        already(&format!("{user} is as you want them"));
        return session.out.result(&json!({"ok": true}), || user);
    }
    session.out.result(&done, || format!("done: {user}, version {}", done["version"]))
}

async fn ask(client: &Client, user: &str, change: &Change, body: UserCommand) -> Result<Value, CliError> {
    let tenant = change.tenant.of(&client.config);
    let user = units::token(user).map_err(|error| CliError::usage(format!("{user:?}: {error}")))?;
    let ask = Ask {
        tenant: &tenant,
        aggregate: AggregateKind::User,
        key: &user,
        actor: change.actor.clone().unwrap_or_else(operator),
        id: None,
        expected_version: None,
        body,
    };
    Ok(serde_json::to_value(client.command(ask, change.timeout).await?)?)
}

/// The name of a permission.
fn permission(text: &str) -> Result<String, String> {
    let known = policy::Permission::named(text).map(|permission| permission.as_str().to_owned());
    known.ok_or_else(|| format!("there is no permission {text:?}: see `kefu user policies`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_with_their_reach() {
        let of = |role, scope| Ok(Grant { role, scope });
        assert_eq!(grant("agent"), of(Role::Agent, Scope::MyQueues));
        assert_eq!(grant("administrator"), of(Role::Administrator, Scope::All));
        assert_eq!(grant("agent=own"), of(Role::Agent, Scope::Own));
        let queues = Scope::Queues(["tax", "vip"].map(str::to_owned).into());
        assert_eq!(grant("supervisor=tax,vip"), of(Role::Supervisor, queues));
        for bad in ["", "boss", "agent=", "agent=a b", "agent=a,,b", "Agent"] {
            assert!(grant(bad).is_err(), "{bad}");
        }
    }
}
