//! What was decided, so that it need not be decided again.
//!
//! Kept is the answer for (policies, all that policies see of the principal, permission, class of the resource): see
//! [`Class`]. None of them is a name for something that can change: whoever gets another role, queue or policy is another
//! principal or asks other policies, so that nothing has to be forgotten, but for want of room.

use super::{Credential, Denied, Permission, Principal, Resource};
use crate::{
    policy::{Class, Policies},
    store::{Settings, Store},
};
use kefu_events::{
    access::{ACCESS_DOCUMENT, AccessSettings},
    user::Role,
};
use lru::LruCache;
use serde_json::Value;
use std::{
    collections::{BTreeSet, HashMap},
    hash::RandomState,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Answers that are kept for everybody together, at most: some 150 bytes each.
const MAX_ANSWERS: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
/// Answers that are kept for one [`Checker`], at most.
const MAX_OWN_ANSWERS: usize = 4_096;

/// The policies of one tenant, with a number that no others ever get.
#[derive(Debug, Clone)]
pub(super) struct Numbered {
    number: u64,
    /// `None`: the tenant's own are no good any more.
    policies: Option<Policies>,
}

type Key = (u64, (u64, u64), Permission, Class);

pub(super) struct Decisions {
    /// Random, so that nobody can make two principals look the same.
    hashers: (RandomState, RandomState),
    shipped: Numbered,
    compiled: Mutex<Compiled>,
    answers: Mutex<LruCache<Key, bool>>,
}

#[derive(Default)]
struct Compiled {
    last_number: u64,
    tenants: HashMap<String, (Arc<Value>, Numbered)>,
}

impl Default for Decisions {
    fn default() -> Self {
        Self {
            hashers: (RandomState::new(), RandomState::new()),
            shipped: Numbered { number: 0, policies: Some(Policies::shipped()) },
            compiled: Mutex::default(),
            answers: Mutex::new(LruCache::new(MAX_ANSWERS)),
        }
    }
}

/// Both are whole after every call: a poisoned lock is of no meaning.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Decisions {
    /// The policies of a tenant, as of these settings.
    pub(super) fn policies(&self, tenant: &str, settings: Option<&Settings>) -> Numbered {
        let Some(document) = settings.and_then(|settings| settings.document(tenant, ACCESS_DOCUMENT)) else {
            return self.shipped.clone();
        };
        let mut compiled = lock(&self.compiled);
        if let Some((of, numbered)) = compiled.tenants.get(tenant)
            && Arc::ptr_eq(of, document)
        {
            return numbered.clone();
        }
        compiled.last_number += 1;
        let policies = serde_json::from_value::<AccessSettings>(Value::clone(document))
            .map_err(|error| error.to_string())
            .and_then(|settings| Policies::with(&settings).map_err(|wrong| wrong.to_string()))
            .inspect_err(|error| {
                tracing::error!(
                    tenant,
                    error,
                    "the settings document \"access\" is no good for this version: until it is set again, \
                     administrators only may do anything"
                );
            });
        let numbered = Numbered { number: compiled.last_number, policies: policies.ok() };
        compiled.tenants.insert(tenant.to_owned(), (document.clone(), numbered.clone()));
        numbered
    }

    pub(super) fn decide(
        &self,
        policies: &Numbered,
        principal: &Principal,
        permission: Permission,
        class: Class,
    ) -> bool {
        // Whatever a tenant's own policies leave open to everybody: customers are let in by their tokens, for one thread.
        if let Credential::Customer { .. } = principal.credential {
            return false;
        }
        let key = (policies.number, principal.fingerprint(&self.hashers), permission, class);
        if let Some(answer) = lock(&self.answers).get(&key) {
            return *answer;
        }
        let answer = policies.decide(principal, permission, &key.3);
        lock(&self.answers).put(key, answer);
        answer
    }
}

impl Numbered {
    /// Policies that cannot be read may have forbidden something: nothing is permitted in their place, except to those who can
    /// set them again.
    fn decide(&self, principal: &Principal, permission: Permission, class: &Class) -> bool {
        let of_administrators = || Policies::shipped().permit(&principal.subject(), permission, class);
        match &self.policies {
            Some(policies) => policies.permit(&principal.subject(), permission, class),
            None => principal.has(Role::Administrator) && of_administrators(),
        }
    }
}

/// Decides again and again for one principal, such as one connection: without any lock, while nothing new is asked.
pub struct Checker {
    access: super::Access,
    principal: Principal,
    settings: Option<Arc<Settings>>,
    policies: Numbered,
    answers: HashMap<(Permission, Class), bool>,
}

impl Checker {
    pub(super) fn new(access: super::Access, principal: Principal) -> Self {
        let settings = access.store().map(Store::settings);
        let policies = access.0.decisions.policies(&principal.tenant, settings.as_deref());
        Self { access, principal, settings, policies, answers: HashMap::new() }
    }

    /// For whom.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Whether the principal may do this there, by the policies of now.
    ///
    /// # Errors
    /// What is missing.
    pub fn check(&mut self, permission: Permission, resource: &Resource<'_>) -> Result<(), Denied> {
        if self.may(permission, resource) { Ok(()) } else { Err(denied(&self.principal, permission)) }
    }

    /// The same, without words.
    pub fn may(&mut self, permission: Permission, resource: &Resource<'_>) -> bool {
        let settings = self.access.store().map(Store::settings);
        if settings.as_ref().map(Arc::as_ptr) != self.settings.as_ref().map(Arc::as_ptr) {
            let policies = self.access.0.decisions.policies(&self.principal.tenant, settings.as_deref());
            if policies.number != self.policies.number {
                self.answers.clear();
            }
            (self.settings, self.policies) = (settings, policies);
        }
        let key = (permission, self.access.class(&self.principal, resource));
        if let Some(answer) = self.answers.get(&key) {
            return *answer;
        }
        let answer = self.access.0.decisions.decide(&self.policies, &self.principal, permission, key.1.clone());
        if self.answers.len() >= MAX_OWN_ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(key, answer);
        answer
    }
}

pub(super) fn denied(principal: &Principal, permission: Permission) -> Denied {
    Denied { permission, user: principal.user.clone() }
}

/// The class of a resource, where it is not an agent.
pub(super) fn class_of(principal: &Principal, resource: &Resource<'_>) -> Class {
    Class::of(&principal.user, resource, &BTreeSet::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::customer::Claims;
    use kefu_events::{Timestamp, access::AccessPolicy};

    #[test]
    fn customers_have_no_permission_whatever_a_tenants_policies_leave_open_to_everybody() {
        let policy = "permit (principal, action, resource);".to_owned();
        let open = AccessSettings { policies: vec![AccessPolicy { name: "everybody".to_owned(), policy }] };
        let policies = Numbered { number: 1, policies: Some(Policies::with(&open).expect("policies")) };
        let claims = Claims {
            tenant: "demo".to_owned(),
            channel: "page".to_owned(),
            thread: "t".to_owned(),
            sender: "alice".to_owned(),
            name: None,
            expires_at: Timestamp::from_millis(i64::MAX / 2),
        };
        let customer = claims.principal();
        let member = Principal { credential: Credential::Token("t".to_owned()), ..customer.clone() };
        let may = |who: &Principal| {
            let class = class_of(who, &Resource::Tenant);
            Decisions::default().decide(&policies, who, Permission::ReadReport, class)
        };
        assert!(may(&member), "the policy is for everybody");
        assert!(!may(&customer));
    }
}
