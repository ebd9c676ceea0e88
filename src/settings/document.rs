//! Which documents there are, and who may be called a tenant.

use kefu_events::{
    access::ACCESS_DOCUMENT,
    key::{RESERVED_CHANNELS, is_token},
    routing::ROUTING_DOCUMENT,
    settings::{CHANNEL_DOCUMENT_PREFIX, REPORTING_DOCUMENT, SCHEDULING_DOCUMENT, TENANT_DOCUMENT},
    webhook::WEBHOOKS_DOCUMENT,
};

/// What [`is_tenant_name`] asks, for people.
pub(super) const TENANT_NAME_RULE: &str = "its name is 1 to 64 of A-Z, a-z, 0-9, _ and -, and does not begin with _";

/// The kinds of documents. This is the one place where a new kind is made known; what it may say is written beside the
/// others in `validate.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document<'a> {
    /// How the tenant's conversations run: makes the tenant exist.
    Tenant,
    /// What is different on one channel.
    Channel(&'a str),
    /// How conversations find their agents.
    Scheduling,
    /// To which queues they go.
    Routing,
    /// Who may do what beyond what is shipped.
    Access,
    /// What figures are measured by.
    Reporting,
    /// Who is told over HTTP what happens.
    Webhooks,
}

impl<'a> Document<'a> {
    /// The document of this name, if there can be one.
    pub fn named(name: &'a str) -> Option<Self> {
        if name == TENANT_DOCUMENT {
            return Some(Self::Tenant);
        }
        if name == SCHEDULING_DOCUMENT {
            return Some(Self::Scheduling);
        }
        if name == ROUTING_DOCUMENT {
            return Some(Self::Routing);
        }
        if name == ACCESS_DOCUMENT {
            return Some(Self::Access);
        }
        if name == REPORTING_DOCUMENT {
            return Some(Self::Reporting);
        }
        if name == WEBHOOKS_DOCUMENT {
            return Some(Self::Webhooks);
        }
        let channel = name.strip_prefix(CHANNEL_DOCUMENT_PREFIX)?;
        (is_token(channel) && !RESERVED_CHANNELS.contains(&channel)).then_some(Self::Channel(channel))
    }
}

/// Whether a tenant may be called that. A leading underscore is for queries about all tenants.
pub fn is_tenant_name(name: &str) -> bool {
    is_token(name) && !name.starts_with('_')
}
