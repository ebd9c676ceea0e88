//! Figures and the sessions behind them.

use super::{Nothing, Queries, internal, invalid, now_ms, to_value};
use crate::reporting::{Asked, AskedSessions, ReportError, definitions};
use kefu_events::{Timestamp, query::QueryError};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedStatus {
    #[serde(default)]
    rebuild: bool,
}

impl Queries {
    pub(super) fn report(&self, tenant: &str, asked: &Asked) -> Result<Value, QueryError> {
        let report = self.reports.report(tenant, asked, Timestamp::from_millis(now_ms()));
        Ok(to_value(&report.map_err(failed)?))
    }

    pub(super) fn report_sessions(&self, tenant: &str, asked: &AskedSessions) -> Result<Value, QueryError> {
        Ok(to_value(&self.reports.sessions(tenant, asked).map_err(failed)?))
    }

    pub(super) fn metrics(&self, _: &Nothing) -> Result<Value, QueryError> {
        Ok(json!({ "items": definitions() }))
    }

    pub(super) fn report_status(&self, asked: &AskedStatus) -> Result<Value, QueryError> {
        // Before it is asked for: it may have ended a moment later.
        let mut status = to_value(&self.reports.status());
        if asked.rebuild {
            self.reports.rebuild().map_err(|error| invalid(&error.to_string()))?;
        }
        // Each node has figures of its own.
        status["node"] = (self.node)()["name"].clone();
        Ok(status)
    }
}

fn failed(error: ReportError) -> QueryError {
    match error {
        ReportError::Invalid(message) => invalid(&message),
        ReportError::NotReady => QueryError::new("not_ready", error.to_string()),
        ReportError::Store(error) => internal(&error),
    }
}
