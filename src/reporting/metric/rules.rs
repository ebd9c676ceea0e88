//! What a tenant's settings say about figures, as they were when something happened.

use crate::{routing::hours::Hours, scheduler::Scheduling};
use kefu_events::{
    Timestamp,
    settings::{REPORTING_DOCUMENT, ReportingSettings, SCHEDULING_DOCUMENT, TENANT_DOCUMENT, TenantSettings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The settings that figures depend on. Kept with the figures: what happened is measured by the settings of its time, also
/// when it is computed again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    tenant: TenantSettings,
    scheduling: Scheduling,
    reporting: ReportingSettings,
}

impl Rules {
    /// Takes a document's new content in. A document that this version cannot read counts as if it had not been set.
    /// `false`: it says nothing about figures.
    pub fn set(&mut self, document: &str, value: &Value) -> bool {
        match document {
            TENANT_DOCUMENT => self.tenant = serde_json::from_value(value.clone()).unwrap_or_default(),
            SCHEDULING_DOCUMENT => self.scheduling = serde_json::from_value(value.clone()).unwrap_or_default(),
            REPORTING_DOCUMENT => self.reporting = serde_json::from_value(value.clone()).unwrap_or_default(),
            _ => return false,
        }
        true
    }

    /// Thresholds and how long figures are kept.
    pub fn reporting(&self) -> &ReportingSettings {
        &self.reporting
    }

    /// IANA name of the time zone in which days begin.
    pub fn zone(&self) -> &str {
        &self.tenant.time_zone
    }

    /// Milliseconds within which a wait in this queue is to end.
    pub fn target_ms(&self, queue: Option<&str>) -> u64 {
        let target = queue.map_or(&self.scheduling.default, |queue| self.scheduling.rules(queue)).target;
        // Bounded where it was set.
        target.map_or_else(|| seconds(self.reporting.service_level_s), |target| (target.within_s * 1000.0) as u64)
    }

    /// Milliseconds from one moment to another in which the queue was open.
    pub fn open_ms(&self, queue: Option<&str>, from: Timestamp, to: Timestamp) -> u64 {
        Hours::of(&self.tenant, queue).open_ms(from, to)
    }

    /// Milliseconds after the end of a session in which something can still change what is told of it.
    pub fn changes_within_ms(&self) -> u64 {
        let windows = [hours(self.reporting.reopen_within_h), hours(self.reporting.fcr_within_h)];
        windows.into_iter().fold(seconds(self.tenant.satisfaction.window_s), u64::max)
    }

    pub(super) fn is_short(&self, waited_ms: u64) -> bool {
        waited_ms <= seconds(self.reporting.short_abandon_s)
    }

    pub(super) fn is_reopening(&self, gap_ms: u64) -> bool {
        gap_ms <= hours(self.reporting.reopen_within_h)
    }

    pub(super) fn is_follow_up(&self, gap_ms: u64) -> bool {
        gap_ms <= hours(self.reporting.fcr_within_h)
    }

    pub(super) fn is_in_sla(&self, response_ms: u64) -> bool {
        response_ms <= seconds(self.reporting.first_response_s)
    }
}

fn seconds(seconds: u32) -> u64 {
    u64::from(seconds) * 1000
}

fn hours(hours: u32) -> u64 {
    u64::from(hours) * 3_600_000
}
