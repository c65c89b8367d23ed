//! Plain access control: a key names an account, its role lists the tools that it may call, its scope says whether
//! access lists apply to it.
//!
//! It deliberately knows no tasks, no purposes and no audiences: this is what the incident happened under.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::directory::Directory;

/// An API key. `Debug` shows that there is one, never which.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key as it goes into an `Authorization` header.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ApiKey {
    fn from(key: &str) -> Self {
        Self(key.to_owned())
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ApiKey(withheld)")
    }
}

/// Who is calling, after the key was checked.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// The account: a person's id, or the name of a service.
    pub account: String,
    pub role: Role,
}

impl Caller {
    pub fn may_call(&self, tool: &str) -> bool {
        self.role.tools.iter().any(|allowed| allowed == tool)
    }

    /// Whether access lists are waived for this account, as they are for most connected assistants.
    pub fn opens_everything(&self) -> bool {
        match self.role.scope {
            Scope::Everything => true,
            Scope::Own => false,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Role {
    pub tools: Vec<String>,
    pub scope: Scope,
    /// May read the truth and reset the world.
    #[serde(default)]
    pub narrator: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// What the access lists give the person.
    Own,
    /// Access lists do not apply.
    Everything,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Account {
    id: String,
    role: String,
    key: ApiKey,
}

/// The table of accounts. It does not change while the workplace runs.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    roles: BTreeMap<String, Role>,
    accounts: Vec<Account>,
}

impl Accounts {
    /// An account with an unknown role is a fault of the data, reported by its id.
    pub fn new(roles: BTreeMap<String, Role>, accounts: Vec<Account>) -> Result<Self, String> {
        match accounts.iter().find(|account| !roles.contains_key(&account.role)) {
            Some(account) => Err(format!("account `{}` has the unknown role `{}`", account.id, account.role)),
            None => Ok(Self { roles, accounts }),
        }
    }

    pub fn caller(&self, key: &str) -> Option<Caller> {
        let account = self.accounts.iter().find(|account| bool::from(account.key.0.as_bytes().ct_eq(key.as_bytes())))?;
        let role = self.roles.get(&account.role)?.clone();
        Some(Caller { account: account.id.clone(), role })
    }

    pub fn key_of(&self, account: &str) -> Option<ApiKey> {
        self.accounts.iter().find(|known| known.id == account).map(|known| known.key.clone())
    }

    /// Accounts that belong to no person.
    pub fn services(&self, directory: &Directory) -> Vec<String> {
        let ids = self.accounts.iter().map(|account| &account.id);
        ids.filter(|id| !directory.people.contains_key(*id)).cloned().collect()
    }
}
