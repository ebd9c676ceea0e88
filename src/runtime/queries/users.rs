//! Users, without any hash: what a state keeps of secrets is for whoever checks them, and for nobody else.

use super::{Queries, Shown, internal, invalid, limit, not_found, page, to_value};
use crate::store::UserFilter;
use kefu_events::{AggregateKind, Timestamp, query::QueryError, user::Role};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OneUser {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ManyUsers {
    role: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Queries {
    pub(super) fn user(&self, tenant: &str, asked: &OneUser) -> Result<Value, QueryError> {
        let found = self.store.user(tenant, &asked.id).map_err(|error| internal(&error))?;
        let tracked = found.ok_or_else(|| not_found(AggregateKind::User, &asked.id))?;
        let mut answer = to_value(&Shown::of(tenant, &asked.id, &tracked));
        answer["state"] = to_value(&tracked.state.public(now()));
        Ok(answer)
    }

    pub(super) fn users(&self, tenant: &str, asked: &ManyUsers) -> Result<Value, QueryError> {
        let role = asked.role.as_deref().map(|role| {
            let known = Role::ALL.into_iter().find(|known| known.as_str() == role);
            known.ok_or_else(|| invalid(&format!("there is no role {role:?}")))
        });
        let filter = role.transpose()?.map_or(UserFilter::All, UserFilter::Role);
        page(self.store.users(tenant, filter, now(), asked.after.as_deref(), limit(asked.limit)?))
    }
}

fn now() -> Timestamp {
    chrono::Utc::now().into()
}
