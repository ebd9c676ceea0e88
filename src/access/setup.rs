//! The first user of a tenant: made with a code that only whoever can read what this node prints can know, once.

use super::{
    Access, AccountError, SignedIn, accounts, lock, password,
    secret::{self, SETUP_PREFIX},
    user,
};
use crate::{aggregate::Tracked, store::UserFilter};
use kefu_events::{
    AggregateKind, Refusal, V,
    user::{Grant, Role, Scope, UserCommand},
};

impl Access {
    /// A code with which somebody can [make](Self::set_up) the first user of a tenant, an administrator. It is good until there
    /// is a user, and on this node only; each call makes another, and the one before is good no more. `None`: there are users
    /// already, or this node cannot tell yet.
    pub fn setup_code(&self, tenant: &str) -> Option<String> {
        let node = self.0.node.as_ref().filter(|node| node.progress.borrow().is_ready())?;
        let exists = node.store.tenants().contains_key(tenant);
        if !exists || node.store.has_users(tenant).ok()? {
            return None;
        }
        let code = secret::new_secret(SETUP_PREFIX).ok()?;
        let hash = secret::hash_of(&code)?;
        let mut codes = lock(&self.0.setup);
        codes.retain(|_, of| of != tenant);
        codes.insert(hash, tenant.to_owned());
        Some(code)
    }

    /// Makes the first user of the tenant that this code is for, and signs in as that.
    ///
    /// # Errors
    /// The code is not good, or not any more; the password is no good; see [`AccountError`].
    pub async fn set_up(
        &self,
        code: &str,
        user: &str,
        name: &str,
        password: &str,
        from: &str,
    ) -> Result<SignedIn, AccountError> {
        let not_good = || {
            let message = "this code is not good any more: there are users already, or kefu was started again";
            AccountError::Refused(Refusal::new("wrong_code", message))
        };
        let hash = secret::hash_of(code).ok_or_else(not_good)?;
        // Taken out, so that no two use it at once.
        let tenant = lock(&self.0.setup).remove(&hash).ok_or_else(not_good)?;
        let (this, of) = (self.clone(), tenant.clone());
        let [user, name, password] = [user, name, password].map(str::to_owned);
        let (who, new) = (user.clone(), password.clone());
        // To its end, also where whoever asked for it hangs up: half of it would be a user who cannot sign in.
        let made = tokio::spawn(async move {
            let made = this.first_user(&of, &who, &name, &new).await;
            if made.is_err() {
                lock(&this.0.setup).insert(hash, of);
            }
            made
        });
        made.await.map_err(|error| AccountError::Unavailable(error.to_string()))??;
        Ok(self.sign_in(&tenant, &user, &password, from).await?)
    }

    fn has_no_credentials(&self, tenant: &str, user: &str) -> bool {
        let stored =
            self.0.node.as_ref().and_then(|node| node.store.snapshot(tenant, AggregateKind::User, user).ok()?);
        let found = stored.and_then(|stored| serde_json::from_slice::<Tracked<user::State>>(&stored).ok());
        found.is_some_and(|Tracked { state, .. }| {
            state.grants.contains_key(&Role::Administrator)
                && state.password.is_none()
                && state.sessions.is_empty()
                && state.tokens.is_empty()
        })
    }

    async fn first_user(&self, tenant: &str, user: &str, name: &str, password: &str) -> Result<(), AccountError> {
        let (who, new) = (user.to_owned(), password.to_owned());
        let hashed = self.0.accounts.hash(move || password::hash(&who, &new)).await;
        let hash = hashed.map_err(AccountError::Unavailable)??;
        let users = self.0.node.as_ref().and_then(|node| {
            let now = chrono::Utc::now().into();
            node.store.users(tenant, UserFilter::All, now, None, 2).ok()
        });
        let create = match users.as_ref().map(|page| &page.items[..]) {
            Some([]) => true,
            // It was begun before, and the bus failed.
            Some([one]) if one.id == user && self.has_no_credentials(tenant, user) => false,
            _ => {
                let message = "there are users already: ask one of them who manages users";
                return Err(AccountError::Refused(Refusal::new("exists", message)));
            }
        };
        let grants = vec![Grant { role: Role::Administrator, scope: Scope::All }];
        let create = create.then(|| UserCommand::Create { v: V, name: name.to_owned(), grants });
        let set = UserCommand::SetPassword { v: V, hash: Some(hash), keep: None };
        for command in create.into_iter().chain([set]) {
            let result = self.ask(tenant, user, accounts::kefu(), None, None, command).await?;
            if let Some(refusal) = result.refusal {
                return Err(AccountError::Refused(refusal));
            }
        }
        Ok(())
    }
}
