//! The wall of an earlier moment.

use super::{Queries, internal, invalid, now_ms, to_value};
use crate::wall::NoWall;
use kefu_events::{Timestamp, query::QueryError};
use serde::Deserialize;
use serde_json::{Value, json};

/// Agents, and conversations that waited, where the question does not say how many: what every NATS server lets through.
const DEFAULT_LIMIT: usize = 300;
/// At most: over HTTP an answer may be larger.
const MAX_LIMIT: usize = 5_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedWall {
    at: Option<Timestamp>,
    limit: Option<usize>,
}

impl Queries {
    pub(super) fn wall(&self, tenant: &str, asked: &AskedWall) -> Result<Value, QueryError> {
        let limit = match asked.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => limit,
            limit => return Err(invalid(&format!("limit is {limit}, and may be 1 to {MAX_LIMIT}"))),
        };
        let walls = self.walls.as_ref().ok_or_else(|| QueryError::new("not_ready", "no walls are told here"))?;
        let at = asked.at.unwrap_or_else(|| Timestamp::from_millis(now_ms()));
        // This thread may wait: see `answer`.
        let handle = tokio::runtime::Handle::current();
        let mut wall = handle.block_on(walls.at(tenant, at)).map_err(failed)?;
        let totals = json!({ "agents": wall.agents.len(), "waiting": wall.waiting.len() });
        wall.agents.truncate(limit);
        wall.waiting.truncate(limit);
        let mut answer = to_value(&wall);
        answer["totals"] = totals;
        Ok(answer)
    }
}

fn failed(error: NoWall) -> QueryError {
    match error {
        NoWall::Invalid(message) => invalid(&message),
        NoWall::NoTenant(_) => QueryError::new("not_found", error.to_string()),
        NoWall::Behind(message) => QueryError::new("not_ready", message),
        NoWall::Journal(error) if error.is_transient() => QueryError::new("not_ready", error.to_string()),
        NoWall::Store(error) => internal(&error),
        NoWall::Journal(_) | NoWall::Commit(_) => {
            tracing::error!(%error, "a wall of the past could not be read");
            QueryError::new("internal", "the log could not be read; the node's log says why")
        }
    }
}
