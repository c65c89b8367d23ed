//! The programs that one door of the API lets in: a token says who knocks, this says whether they still may.

use arc_swap::ArcSwap;
use judge::moment::Moment;
use judge::name::PrincipalId;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::tokens::Issuer;

/// Who is let in at a door. Copies are one list, which can be exchanged while requests run.
#[derive(Clone, Debug)]
pub struct Clients {
    audience: &'static str,
    let_in: Arc<ArcSwap<BTreeSet<PrincipalId>>>,
}

impl Clients {
    /// At the door whose tokens are for `audience`.
    #[must_use]
    pub fn at(audience: &'static str, let_in: BTreeSet<PrincipalId>) -> Self {
        Self { audience, let_in: Arc::new(ArcSwap::from_pointee(let_in)) }
    }

    /// From now on these, and nobody else, whatever tokens there are.
    pub fn set(&self, let_in: BTreeSet<PrincipalId>) {
        self.let_in.store(Arc::new(let_in));
    }

    /// Whether they are let in, when a token of theirs was verified.
    #[must_use]
    pub fn has(&self, client: &str) -> bool {
        self.let_in.load().contains(client)
    }

    /// Whom the token speaks for, if they are let in at `now`.
    #[must_use]
    pub fn admit(&self, issuer: &Issuer, token: &str, now: Moment) -> Option<PrincipalId> {
        let client = issuer.client(token, self.audience, now).ok()?;
        self.let_in.load().contains(&client).then_some(client)
    }
}
