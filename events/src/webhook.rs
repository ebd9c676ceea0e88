//! Who is told over HTTP what happens: the settings document `webhooks`.
//!
//! Of each commit that is chosen, `POST url` gets the JSON `{"delivery", "webhook", "seq", "commit"}`: the commit as it
//! stands in the log, with its sequence. Headers: `Kefu-Delivery` (the same however often a commit is sent), `Kefu-Webhook`,
//! `Kefu-Attempt` (from 1), `Kefu-Timestamp` (seconds since 1970) and `Kefu-Signature`: `v1=` and the hexadecimal HMAC-SHA-256
//! of `<timestamp>.<body>` under the webhook's secret; for a day after the secret was changed a second one, after a comma,
//! under the old.

use crate::AggregateKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Name of the document.
pub const WEBHOOKS_DOCUMENT: &str = "webhooks";

/// Webhooks of a tenant. A webhook gets whole commits, with what they say of customers and agents: who may set this document
/// (`webhook.manage`) decides who gets to know that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WebhooksSettings {
    /// By name.
    #[schemars(extend("maxProperties" = 50))]
    pub webhooks: BTreeMap<String, WebhookSettings>,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where to: `https://…` or `http://…`, without a user name or password. Redirects are not followed. Everybody who
    /// may read settings sees it: it is no place for a secret.
    #[schemars(length(min = 1, max = 2000))]
    pub url: String,
    /// Only commits in which one of these happened, such as `session_opened`; empty: any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schemars(length(max = 100))]
    pub events: BTreeSet<String>,
    /// Only commits of these kinds; empty: of all but users. Users' commits hold hashes of passwords and are never sent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub aggregates: BTreeSet<AggregateKind>,
    /// Nothing is sent while it is not; afterwards all that was missed is.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl WebhookSettings {
    /// Whether it wants a commit of this kind in which this happened.
    pub fn wants<'a>(&self, kind: AggregateKind, mut events: impl Iterator<Item = &'a str>) -> bool {
        let of_kind = if self.aggregates.is_empty() { true } else { self.aggregates.contains(&kind) };
        of_kind
            && kind != AggregateKind::User
            && (self.events.is_empty() || events.any(|event| self.events.contains(event)))
    }
}
