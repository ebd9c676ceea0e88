//! What a tenant adds to the shipped policies: the settings document `access`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the document that says what a tenant permits and forbids beyond the shipped policies.
pub const ACCESS_DOCUMENT: &str = "access";

/// Policies of a tenant, beside those that kefu ships. What any of them forbids is forbidden, whatever permits it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// In any order: it does not matter.
    #[schemars(length(max = 100))]
    pub policies: Vec<AccessPolicy>,
}

/// One policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    /// Its name, for people; no two policies have the same.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// One policy in Cedar's language, which permits or forbids. `kefu user policies` shows what it can be about, and the
    /// shipped policies as examples.
    #[schemars(length(min = 1, max = 4000))]
    pub policy: String,
}
