//! Whether the agent is there, and what the agent is ready for.

use super::{Step, invalid, not_removed, slot, unchanged};
use crate::agent::state::MAX_CONNECTIONS;
use kefu_events::{
    Refusal, V,
    agent::{AgentEvent, RoutingStatus},
};

const MAX_REASON_CHARS: usize = 100;
const MAX_CONNECTION_BYTES: usize = 64;

/// Name of a connection that was not given one.
const UNNAMED: &str = "default";

/// Why the status is `away` where no connection came back in time.
const CONNECTION_LOST: &str = "connection_lost";

/// A connection came or went.
pub(super) fn set(step: &mut Step, online: bool, connection: Option<&str>) -> Result<(), Refusal> {
    if connection.is_some_and(|name| name.is_empty() || name.len() > MAX_CONNECTION_BYTES) {
        return Err(invalid(format!("a connection's name has 1 to {MAX_CONNECTION_BYTES} bytes")));
    }
    if online {
        not_removed(step)?;
    }
    let mut connections = step.state.connections.clone();
    if online {
        let name = connection.unwrap_or(UNNAMED);
        if step.state.online && connections.iter().any(|known| known == name) {
            return Err(unchanged("this connection is there already"));
        }
        if connections.len() == MAX_CONNECTIONS {
            connections.remove(0);
        }
        connections.push(name.to_owned());
    } else {
        match connection {
            Some(name) => connections.retain(|known| known != name),
            None => connections.clear(),
        }
        if !step.state.online || (connection.is_some() && connections == step.state.connections) {
            return Err(unchanged("there is no such connection"));
        }
    }
    let online = !connections.is_empty();
    let deadline = (!online).then(|| step.after(step.context.settings.tenant.presence_grace_s));
    step.emit(AgentEvent::PresenceChanged { v: V, online, connections, deadline });
    Ok(())
}

pub(super) fn set_status(step: &mut Step, status: RoutingStatus, reason: Option<&str>) -> Result<(), Refusal> {
    not_removed(step)?;
    if reason.is_some_and(|reason| reason.trim().is_empty() || reason.chars().count() > MAX_REASON_CHARS) {
        return Err(invalid(format!("a reason has 1 to {MAX_REASON_CHARS} characters")));
    }
    // Said again after the end of a shift, it means that the agent goes on.
    let is_at_work = step.state.at_work(step.context.now).0;
    if status == step.state.status && reason == step.state.reason.as_deref() && is_at_work {
        return Err(unchanged(format!("the agent is {} already", status.as_str())));
    }
    step.emit(AgentEvent::StatusChanged { v: V, status, reason: reason.map(str::to_owned) });
    // Whoever goes away may still take what was offered; whoever goes home does not.
    if status == RoutingStatus::Offline {
        slot::withdraw(step);
    }
    Ok(())
}

/// No connection came back in time.
pub(super) fn lost(step: &mut Step) {
    step.emit(AgentEvent::ConnectionLost { v: V });
    if matches!(step.state.status, RoutingStatus::Available | RoutingStatus::TransfersOnly) {
        let reason = Some(CONNECTION_LOST.to_owned());
        step.emit(AgentEvent::StatusChanged { v: V, status: RoutingStatus::Away, reason });
    }
    slot::withdraw(step);
}
