//! The ten effects an act can have, ordered by consequence (semantics §1).

use serde::{Deserialize, Serialize};

/// What a tool call does to the world. The list is closed; the order is the order of consequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Data reaches the agent.
    Read,
    /// Nothing outside the call changes.
    Compute,
    /// Something changes, visible to nobody new.
    Write,
    /// Content goes to named recipients.
    Send,
    /// Content goes to an audience.
    Publish,
    /// Who may see or do something changes.
    Widen,
    /// Something is gone afterwards.
    Destroy,
    /// Money or another scarce good leaves.
    Spend,
    /// Code or a command runs.
    Execute,
    /// Authority is handed on.
    Delegate,
}

impl Effect {
    /// Every effect, in order.
    pub const ALL: [Effect; 10] = [
        Effect::Read,
        Effect::Compute,
        Effect::Write,
        Effect::Send,
        Effect::Publish,
        Effect::Widen,
        Effect::Destroy,
        Effect::Spend,
        Effect::Execute,
        Effect::Delegate,
    ];

    /// The word for it, as in contracts, policies and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Effect::Read => "read",
            Effect::Compute => "compute",
            Effect::Write => "write",
            Effect::Send => "send",
            Effect::Publish => "publish",
            Effect::Widen => "widen",
            Effect::Destroy => "destroy",
            Effect::Spend => "spend",
            Effect::Execute => "execute",
            Effect::Delegate => "delegate",
        }
    }

    /// Whether something may be different afterwards, or be somewhere else: every effect but reading and computing.
    #[must_use]
    pub fn acts(self) -> bool {
        !matches!(self, Effect::Read | Effect::Compute)
    }

    /// Whether content leaves for somebody by this effect.
    #[must_use]
    pub fn is_outward(self) -> bool {
        match self {
            Effect::Send | Effect::Publish => true,
            Effect::Read
            | Effect::Compute
            | Effect::Write
            | Effect::Widen
            | Effect::Destroy
            | Effect::Spend
            | Effect::Execute
            | Effect::Delegate => false,
        }
    }
}
