//! Decisions: what was answered, why, and what would make it allowed.

use crate::facts::Facts;
use crate::name::{NormId, ResourceId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The answer, from mild to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It goes through (with obligations, when the decision has some).
    Permit,
    /// A person decides.
    Ask,
    /// It does not happen.
    Deny,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Permit => "permit",
            Outcome::Ask => "ask",
            Outcome::Deny => "deny",
        }
    }
}

/// A refusal that is not a norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Code {
    /// Nothing granted: plain access control says no.
    Grant,
    /// The credential, the chain or the task is not what it must be.
    Authentication,
    /// The task is frozen until a person resets it.
    Frozen,
    /// More was handed on than there was.
    Delegation,
    /// The ledger cannot record it.
    Ledger,
    /// No accepted contract says what the tool does, or the call is not what the contract says.
    Contract,
    /// A policy could not be evaluated.
    Policy,
    /// Something is larger than its bound.
    Bounds,
    /// The enforcement point cannot carry out what has to go with a permit.
    Obligation,
    /// There is nothing to show the tool's server for the person: no account is linked, or it can be used no more.
    Credential,
}

impl Code {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Code::Grant => "grant",
            Code::Authentication => "authentication",
            Code::Frozen => "frozen",
            Code::Delegation => "delegation",
            Code::Ledger => "ledger",
            Code::Contract => "contract",
            Code::Policy => "policy",
            Code::Bounds => "bounds",
            Code::Obligation => "obligation",
            Code::Credential => "credential",
        }
    }
}

/// What a reason rests on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// A norm that holds.
    Norm(NormId),
    /// A refusal that is not a norm.
    Code(Code),
}

impl Ground {
    /// The norm's id, or the code's word.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Ground::Norm(norm) => norm.as_str(),
            Ground::Code(code) => code.word(),
        }
    }
}

/// Who may answer an ask.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approver {
    /// Anyone outside the chain who has a grant for the effect on the resource.
    OutsideChain,
    /// The owner of what is touched.
    Owner,
    /// A person, or a member of an `@group`.
    Named(String),
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// What it rests on.
    pub ground: Ground,
    /// What this reason alone would answer.
    pub outcome: Outcome,
    /// One sentence, without anything that the agent may not know.
    pub sentence: String,
    /// What would make it allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Who may answer, where this reason asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approver: Option<Approver>,
}

/// What the enforcement point must do when it lets the act through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Obligation {
    /// Take the sensitive parts out of the result.
    Redact(NormId),
    /// Show sensitive values only in part.
    Mask(NormId),
    /// Cut the call down to what [`Decision::limit`] says.
    Limit(NormId),
    /// Tell a person.
    Notify(NormId),
}

impl Obligation {
    /// The word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Obligation::Redact(_) => "redact",
            Obligation::Mask(_) => "mask",
            Obligation::Limit(_) => "limit",
            Obligation::Notify(_) => "notify",
        }
    }
}

/// The answer to one act, or to one observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The strictest of all reasons.
    pub outcome: Outcome,
    /// All of them, strictest first.
    pub reasons: Vec<Reason>,
    /// What must be done when it goes through.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub obligations: BTreeSet<Obligation>,
    /// How many items it may read at most when it goes through, where an obligation limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Items that the chain will not get, known before the call.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withheld: BTreeSet<ResourceId>,
    /// Everything that was computed.
    pub facts: Facts,
}

impl Decision {
    /// A denial for one code.
    #[must_use]
    pub fn refusal(code: Code, sentence: String, remedy: Option<String>, facts: Facts) -> Self {
        Self {
            outcome: Outcome::Deny,
            reasons: vec![Reason { ground: Ground::Code(code), outcome: Outcome::Deny, sentence, remedy, approver: None }],
            obligations: BTreeSet::new(),
            limit: None,
            withheld: BTreeSet::new(),
            facts,
        }
    }

    /// The code of a refusal that is not a norm's.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.reasons.iter().find_map(|reason| match &reason.ground {
            Ground::Code(code) => Some(*code),
            Ground::Norm(_) => None,
        })
    }

    /// Ids of norms and codes behind it, without repetition.
    #[must_use]
    pub fn grounds(&self) -> BTreeSet<&str> {
        self.reasons.iter().map(|reason| reason.ground.word()).collect()
    }

    /// The norms that ask.
    pub fn asking(&self) -> impl Iterator<Item = &NormId> {
        self.reasons.iter().filter(|reason| reason.outcome == Outcome::Ask).filter_map(|reason| match &reason.ground {
            Ground::Norm(norm) => Some(norm),
            Ground::Code(_) => None,
        })
    }
}
