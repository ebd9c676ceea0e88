//! The first user of a tenant: made with a code that only whoever can read what this node prints can know, once.

use super::{
    Access, AccountError, SignedIn, accounts, lock, password,
    secret::{self, SETUP_PREFIX},
};
use kefu_events::{
    Refusal, V,
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
        let made = self.first_user(&tenant, user, name, password).await;
        if let Err(error) = made {
            lock(&self.0.setup).insert(hash, tenant);
            return Err(error);
        }
        Ok(self.sign_in(&tenant, user, password, from).await?)
    }

    async fn first_user(&self, tenant: &str, user: &str, name: &str, password: &str) -> Result<(), AccountError> {
        let (who, new) = (user.to_owned(), password.to_owned());
        let hashed = self.0.accounts.hash(move || password::hash(&who, &new)).await;
        let hash = hashed.map_err(AccountError::Unavailable)??;
        let has_users = self.0.node.as_ref().map(|node| node.store.has_users(tenant));
        if !matches!(has_users, Some(Ok(false))) {
            let message = "there are users already: ask one of them who manages users";
            return Err(AccountError::Refused(Refusal::new("exists", message)));
        }
        let grants = vec![Grant { role: Role::Administrator, scope: Scope::All }];
        let create = UserCommand::Create { v: V, name: name.to_owned(), grants };
        let set = UserCommand::SetPassword { v: V, hash: Some(hash), keep: None };
        for command in [create, set] {
            let result = self.ask(tenant, user, accounts::kefu(), None, None, command).await?;
            if let Some(refusal) = result.refusal {
                return Err(AccountError::Refused(refusal));
            }
        }
        Ok(())
    }
}
