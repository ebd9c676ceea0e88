//! Whether agents are there: a commit when a connection comes, one when it goes, and word of those whose node has died.
//!
//! The agent's aggregate keeps the connections, and waits some time for another one before it takes open offers back. A
//! connection's name says of which node it is, so that others can tell when that node is gone.

use crate::{
    agent,
    aggregate::Tracked,
    journal::{Journal, JournalError, Outgoing},
    store::{Store, StoreError},
};
use kefu_events::{
    Actor, ActorKind, AggregateKind, CommandHeader, Timestamp, V, agent::AgentCommand, envelope::Command,
};
use std::{collections::BTreeSet, time::Duration};

/// How often the list of living nodes is read: less than the time in which a lease runs out.
const LOOK: Duration = Duration::from_secs(1);

/// The name of the `number`th connection of a node.
pub(super) fn connection(node: &str, number: u64) -> String {
    format!("{node}.{number}")
}

/// Whether this user has an agent, and whether that agent knows the connection.
pub(super) fn is_known(store: &Store, tenant: &str, user: &str, connection: &str) -> Result<Option<bool>, StoreError> {
    let state = state(store, tenant, user)?;
    Ok(state.map(|state| state.connections.iter().any(|known| known == connection)))
}

fn state(store: &Store, tenant: &str, key: &str) -> Result<Option<agent::State>, StoreError> {
    let Some(snapshot) = store.snapshot(tenant, AggregateKind::Agent, key)? else { return Ok(None) };
    let tracked: Tracked<agent::State> =
        serde_json::from_slice(&snapshot).map_err(|error| StoreError::Damaged(format!("agent {key}: {error}")))?;
    Ok(Some(tracked.state).filter(agent::State::exists))
}

/// Tells an agent that a connection came or went.
pub(super) async fn tell(
    journal: &impl Journal,
    tenant: &str,
    user: &str,
    connection: &str,
    online: bool,
) -> Result<(), JournalError> {
    let id = uuid::Uuid::now_v7().simple().to_string();
    let actor = Actor::new(ActorKind::Agent, user);
    let header = CommandHeader {
        id: id.clone(),
        aggregate: AggregateKind::Agent,
        key: user.to_owned(),
        expected_version: None,
        actor,
        at: Timestamp::from_millis(chrono::Utc::now().timestamp_millis()),
        correlation: None,
    };
    let body = AgentCommand::SetPresence { v: V, online, connection: Some(connection.to_owned()) };
    let payload = crate::aggregate::kind::to_json(&Command { header, body });
    let (tenant, source, key) = (tenant.to_owned(), ActorKind::Agent.as_str().to_owned(), user.to_owned());
    journal.publish(Outgoing::Command { tenant, source, key, id, payload: payload.into() }).await
}

/// Says that a connection is gone, again and again until it could be said: nobody else looks for it while this node lives.
pub(super) async fn gone(journal: impl Journal, tenant: String, user: String, connection: String) {
    while let Err(error) = tell(&journal, &tenant, &user, &connection, false).await {
        tracing::debug!(%error, user, "that an agent's connection is gone is said again");
        tokio::time::sleep(LOOK).await;
    }
}

/// Looks after agents whose node has died, until it is dropped. All nodes do: what is said twice is refused the second time.
pub(super) async fn run(journal: impl Journal, store: Store) {
    let mut known = None;
    loop {
        match nodes(&journal).await {
            Ok(nodes) if known.as_ref() != Some(&nodes) => match clean(&journal, &store, &nodes).await {
                Ok(()) => known = Some(nodes),
                Err(error) => tracing::warn!(%error, "connections of nodes that are gone are looked for again"),
            },
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the nodes are not known"),
        }
        tokio::time::sleep(LOOK).await;
    }
}

async fn nodes(journal: &impl Journal) -> Result<BTreeSet<String>, JournalError> {
    let leases = journal.leases().await?;
    Ok(leases.keys().filter_map(|name| name.strip_prefix("node-")).map(str::to_owned).collect())
}

async fn clean(
    journal: &impl Journal,
    store: &Store,
    nodes: &BTreeSet<String>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    if nodes.is_empty() {
        return Ok(());
    }
    // Before, agents and their connections are those of some day in the past.
    let last = journal.position().await?.last;
    store.watch_projected().wait_for(|seq| *seq >= last).await?;
    let settings = store.settings();
    for tenant in settings.tenants() {
        let mut gone = Vec::new();
        store.snapshots(tenant, AggregateKind::Agent, "", |key, snapshot| {
            // One that cannot be read is the store's concern.
            if let Ok(tracked) = serde_json::from_slice::<Tracked<agent::State>>(snapshot) {
                let of_nobody =
                    |connection: &&String| connection.split_once('.').is_some_and(|(node, _)| !nodes.contains(node));
                let connections = tracked.state.connections.iter().filter(of_nobody).cloned();
                gone.extend(connections.map(|connection| (key.to_owned(), connection)));
            }
            true
        })?;
        for (agent, connection) in gone {
            tracing::info!(tenant, agent, connection, "the node of this connection is gone");
            tell(journal, tenant, &agent, &connection, false).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::memory::{MemoryJournal, MemoryStream};

    #[tokio::test(start_paused = true)]
    async fn an_agents_connection_that_ends_while_the_bus_is_away_is_said_to_be_gone_when_it_is_back() {
        let journal = MemoryJournal::default();
        let said = || journal.core(|core| core.last_seq(MemoryStream::Commands));
        let before = said();
        journal.core(|core| core.set_available(false));
        let gone = tokio::spawn(gone(journal.clone(), "demo".into(), "ann".into(), "node.1".into()));
        // waits because only time shows that it goes on trying; the clock is paused.
        tokio::time::sleep(3 * LOOK).await;
        assert!(!gone.is_finished());
        journal.core(|core| core.set_available(true));
        gone.await.expect("said");
        assert_ne!(said(), before);
    }
}
