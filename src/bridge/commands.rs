//! Commands of those who work over the bridge: read, permitted, sent, and explained where they were too late.

use super::{answer::Failure, inbox, upstream::Upstream};
use crate::access::{Permission, Principal, Resource};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, CommandResult, Timestamp, agent::AgentCommand,
    contact::ContactCommand, conversation::ConversationCommand, faq::FaqCommand, key::is_token,
    settings::SettingsCommand, webhook::WEBHOOKS_DOCUMENT,
};
use serde_json::Value;
use std::sync::Arc;

/// Commits that explain a stale command, at most: more than that nobody reads in a message.
const MAX_CHANGED: usize = 50;

/// What somebody asks of an aggregate.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Kind of the aggregate.
    pub kind: AggregateKind,
    /// Its key.
    pub key: String,
    /// The client's id of the command; one is made if it is absent.
    pub id: Option<String>,
    /// The version that the user saw.
    pub expected_version: Option<u64>,
    /// `type`, `v` and fields.
    pub command: Value,
}

/// What became of it.
pub(super) struct Outcome {
    /// The result; a refusal is one too.
    pub result: CommandResult,
    /// Where it was stale, the commits since.
    pub changed: Vec<Value>,
}

/// Carries a command out, if `who` may ask for it.
pub(super) async fn carry_out(up: &Arc<Upstream>, who: &Principal, wanted: Wanted) -> Result<Outcome, Failure> {
    let Wanted { kind, key, id, expected_version, mut command } = wanted;
    if !is_token(&key) {
        return Err(Failure::invalid(format!("{key:?} is no key: 1 to 64 letters, digits, `_` and `-`")));
    }
    let id = match id {
        Some(id) if id.is_empty() || id.len() > 128 => {
            return Err(Failure::invalid("the id of a command has 1 to 128 bytes"));
        }
        Some(id) => id,
        None => uuid::Uuid::now_v7().simple().to_string(),
    };
    if let Value::Object(fields) = &mut command {
        fields.entry("v").or_insert_with(|| 1.into());
    }
    let (actor, permission) = permitted(up, who, kind, &key, &command).await?;
    // A user's ids are the user's own: nobody gets the result of another's command.
    let id = format!("{}:{id}", who.user);
    // What a supervisor's power was used for is on record before it is.
    up.access.record_power(who, permission, kind, &key, &id).await?;
    let header = CommandHeader {
        id: id.clone(),
        aggregate: kind,
        key: key.clone(),
        expected_version,
        actor,
        at: Timestamp::from_millis(chrono::Utc::now().timestamp_millis()),
        correlation: None,
    };
    let mut result = up.command(&who.tenant, header, command).await?;
    result.id = id.split_once(':').map(|(_, id)| id.to_owned()).unwrap_or_default();
    let is_stale = result.refusal.as_ref().is_some_and(|refusal| refusal.code == "stale");
    let changed = match expected_version.filter(|_| is_stale) {
        Some(version) => changes_since(up, who, kind, &key, version).await?,
        None => Vec::new(),
    };
    Ok(Outcome { result, changed })
}

/// What happened after `version`, without what was refused: nothing has changed by it.
async fn changes_since(
    up: &Arc<Upstream>,
    who: &Principal,
    kind: AggregateKind,
    key: &str,
    version: u64,
) -> Result<Vec<Value>, Failure> {
    let commits = up.commits(&who.tenant, kind, key, 0).await?;
    let is_change = |commit: &Value| {
        let events = commit["events"].as_array();
        commit["version"].as_u64() > Some(version)
            && events.is_some_and(|events| events.iter().any(|event| event["type"] != "command_refused"))
    };
    Ok(commits.into_iter().map(|(_, commit)| commit).filter(is_change).take(MAX_CHANGED).collect())
}

/// As whom a command is sent, if it is permitted. What a supervisor or an administrator sets up is sent as an operator's.
async fn permitted(
    up: &Arc<Upstream>,
    who: &Principal,
    kind: AggregateKind,
    key: &str,
    command: &Value,
) -> Result<(Actor, Permission), Failure> {
    let operator = || Actor::new(ActorKind::System, &who.user);
    let agent = || Actor::new(ActorKind::Agent, &who.user);
    match kind {
        AggregateKind::Conversation => {
            let command: ConversationCommand = read(command)?;
            if is_bots(&command) {
                conversation(up, who, Permission::GiveAnswer, key).await?;
                return Ok((Actor::new(ActorKind::Bot, &who.user), Permission::GiveAnswer));
            }
            let permission = of_conversation(&command)?;
            conversation(up, who, permission, key).await?;
            Ok((agent(), permission))
        }
        AggregateKind::Agent => {
            let own = key == who.user;
            match read(command)? {
                AgentCommand::SetStatus { .. } if own => {
                    up.access.check(who, Permission::OwnStatus, &Resource::Agent { key })?;
                    Ok((agent(), Permission::OwnStatus))
                }
                AgentCommand::Register { .. }
                | AgentCommand::SetStatus { .. }
                | AgentCommand::SetSkills { .. }
                | AgentCommand::SetCapacity { .. }
                | AgentCommand::SetShifts { .. }
                | AgentCommand::Remove { .. }
                | AgentCommand::ForceRelease { .. }
                | AgentCommand::LiftQuarantine { .. } => {
                    up.access.check(who, Permission::ManageAgent, &Resource::Agent { key })?;
                    Ok((operator(), Permission::ManageAgent))
                }
                _ => Err(not_for_people()),
            }
        }
        AggregateKind::Contact => {
            match read(command)? {
                ContactCommand::SetAttributes { .. }
                | ContactCommand::Tag { .. }
                | ContactCommand::Untag { .. }
                | ContactCommand::Merge { .. }
                | ContactCommand::Unmerge { .. }
                | ContactCommand::LiftQuarantine { .. } => {}
                _ => return Err(not_for_people()),
            }
            up.access.check(who, Permission::EditContact, &Resource::Tenant)?;
            Ok((agent(), Permission::EditContact))
        }
        AggregateKind::Faq => {
            let permission = match read(command)? {
                FaqCommand::Draft { .. } => Permission::EditEntry,
                FaqCommand::Approve { .. }
                | FaqCommand::Retire { .. }
                | FaqCommand::Rollback { .. }
                | FaqCommand::LiftQuarantine { .. } => Permission::ApproveEntry,
                FaqCommand::GiveFeedback { .. } => Permission::RateEntry,
            };
            up.access.check(who, permission, &Resource::Tenant)?;
            Ok((agent(), permission))
        }
        AggregateKind::User => Err(Failure::invalid("users are changed by POST /api/v1/users/{key}/commands")),
        AggregateKind::Settings => {
            let _: SettingsCommand = read(command)?;
            up.access.check(who, Permission::EditSettings, &Resource::Document(key))?;
            if key == WEBHOOKS_DOCUMENT {
                // Who may set it decides who gets to know whole commits.
                up.access.check(who, Permission::ManageWebhook, &Resource::Tenant)?;
            }
            Ok((operator(), Permission::EditSettings))
        }
    }
}

fn read<C: serde::de::DeserializeOwned>(command: &Value) -> Result<C, Failure> {
    serde_json::from_value(command.clone()).map_err(|error| Failure::invalid(format!("`command`: {error}")))
}

fn not_for_people() -> Failure {
    Failure::forbidden("this is for kefu's own parts to ask, not for people")
}

/// What only bots may ask: a service's, by a token for that.
fn is_bots(command: &ConversationCommand) -> bool {
    use ConversationCommand as Command;
    matches!(command, Command::GiveAnswer { .. } | Command::DeclineAnswer { .. } | Command::OfferChoices { .. })
}

fn of_conversation(command: &ConversationCommand) -> Result<Permission, Failure> {
    use ConversationCommand as Command;
    match command {
        Command::Accept { .. }
        | Command::Reject { .. }
        | Command::Reply { .. }
        | Command::Hold { .. }
        | Command::Resume { .. }
        | Command::Transfer { .. }
        | Command::ReturnToBot { .. }
        | Command::Consult { .. }
        | Command::EndConsult { .. }
        | Command::Snooze { .. }
        | Command::Unsnooze { .. }
        | Command::WrapUp { .. }
        | Command::SetDisposition { .. }
        | Command::Close { .. } => Ok(Permission::WorkConversation),
        Command::Note { .. } | Command::Tag { .. } | Command::Untag { .. } => Ok(Permission::AnnotateConversation),
        Command::Join { .. } => Ok(Permission::JoinConversation),
        Command::TakeOver { .. } => Ok(Permission::TakeConversation),
        Command::Reassign { .. } | Command::RequestHandoff { .. } | Command::LiftQuarantine { .. } => {
            Ok(Permission::AssignConversation)
        }
        Command::GiveAnswer { .. }
        | Command::DeclineAnswer { .. }
        | Command::OfferChoices { .. }
        | Command::RateAnswer { .. }
        | Command::Offer { .. }
        | Command::Rescind { .. }
        | Command::TellPosition { .. }
        | Command::CheckReservation { .. }
        | Command::RateSatisfaction { .. }
        | Command::TimerFired { .. } => Err(not_for_people()),
    }
}

/// Whether `who` may do this to a conversation, as it is now. One that `who` may not even read is not there.
pub(super) async fn conversation(
    up: &Arc<Upstream>,
    who: &Principal,
    permission: Permission,
    key: &str,
) -> Result<(), Failure> {
    // Whom it concerns may have changed by a commit that the client knows already.
    up.caught_up().await?;
    let (asked, tenant) = (key.to_owned(), who.tenant.clone());
    let found = up.read(move |this| Ok(inbox::summary(&this.store, &tenant, &asked)?)).await?;
    let Some((_, tracked)) = found.filter(|(_, tracked)| tracked.state.sessions > 0) else {
        return Err(Failure::not_found(format!("conversation {key:?}")));
    };
    let concerns = tracked.state.concerns();
    let resource = Resource::Conversation { queues: &concerns.queues, agents: &concerns.agents };
    if up.access.check(who, Permission::ReadConversation, &resource).is_err() {
        return Err(Failure::from(crate::access::Denied {
            permission: Permission::ReadConversation,
            user: who.user.clone(),
        }));
    }
    Ok(up.access.check(who, permission, &resource)?)
}
