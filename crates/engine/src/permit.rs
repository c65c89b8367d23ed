//! Permits: the only way to an upstream. Minted by the engine alone, after the decision is durable; used once, by value.
//!
//! What becomes of a permit is always recorded: one that is dropped unused ends as failed, because nothing was done; one
//! that was spent and never observed ends as ambiguous, because nobody knows.

use judge::digest::Digest;
use judge::event::Ended;
use judge::moment::Moment;
use judge::name::DecisionId;
use judge::task::Caller;
use ledger::Receipt;
use parking_lot::Mutex;
use std::sync::Arc;

/// Acts whose holders let go of them, to be recorded with the next batch.
pub(crate) type Abandoned = Arc<Mutex<Vec<(DecisionId, Ended)>>>;

/// Records how an act ended when its holder forgets to.
#[derive(Debug)]
struct Guard {
    decision: DecisionId,
    if_dropped: Option<Ended>,
    abandoned: Abandoned,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(ended) = self.if_dropped.take() {
            self.abandoned.lock().push((self.decision.clone(), ended));
        }
    }
}

/// The right to carry out one act, once. It cannot be made outside of this crate, cannot be copied, and expires.
#[derive(Debug)]
#[must_use = "a permit that is dropped ends its act as failed"]
pub struct Permit {
    guard: Guard,
    caller: Caller,
    call: Digest,
    expires: Moment,
    enforced: bool,
    receipt: Option<Receipt>,
}

/// Why a permit does not let this call through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermitRefused {
    /// It was minted for another call.
    #[error("the permit is for another call")]
    AnotherCall,
    /// It is too old.
    #[error("the permit has expired")]
    Expired,
}

impl Permit {
    pub(crate) fn mint(
        decision: DecisionId,
        caller: Caller,
        call: Digest,
        expires: Moment,
        enforced: bool,
        abandoned: Abandoned,
    ) -> Self {
        let guard = Guard { decision, if_dropped: Some(Ended::Failed), abandoned };
        Self { guard, caller, call, expires, enforced, receipt: None }
    }

    pub(crate) fn with_receipt(mut self, receipt: Receipt) -> Self {
        self.receipt = Some(receipt);
        self
    }

    /// Takes the permit back before its decision was recorded.
    pub(crate) fn void(mut self) {
        self.guard.if_dropped = None;
    }

    /// The decision that it carries out.
    #[must_use]
    pub fn decision(&self) -> &DecisionId {
        &self.guard.decision
    }

    /// Whether it is for this call.
    #[must_use]
    pub fn is_for(&self, call: Digest) -> bool {
        self.call == call
    }

    /// The ledger's word that the decision is durable.
    #[must_use]
    pub fn receipt(&self) -> Option<Receipt> {
        self.receipt
    }

    /// Uses the permit up, for exactly this call.
    ///
    /// # Errors
    /// [`PermitRefused`]; the act is then recorded as failed, because nothing was done.
    pub fn spend(mut self, call: Digest, now: Moment) -> Result<Spent, PermitRefused> {
        if call != self.call {
            return Err(PermitRefused::AnotherCall);
        }
        if now >= self.expires {
            return Err(PermitRefused::Expired);
        }
        self.guard.if_dropped = Some(Ended::Ambiguous);
        Ok(Spent { guard: self.guard, caller: self.caller, enforced: self.enforced })
    }
}

/// An act that is being carried out. It is handed back with what was observed.
#[derive(Debug)]
#[must_use = "an act that is never observed ends as ambiguous"]
pub struct Spent {
    guard: Guard,
    caller: Caller,
    enforced: bool,
}

impl Spent {
    /// The decision that is carried out.
    #[must_use]
    pub fn decision(&self) -> &DecisionId {
        &self.guard.decision
    }

    /// By whom.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn is_enforced(&self) -> bool {
        self.enforced
    }

    pub(crate) fn settled(mut self) {
        self.guard.if_dropped = None;
    }
}
