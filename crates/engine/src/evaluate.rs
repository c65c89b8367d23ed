//! Answers to enforcement points elsewhere: the same decision and the same record, but no permit, because the effect is not ours.
//!
//! What is permitted to a task elsewhere ends here as ambiguous at once: nobody here will learn how it ended, and what it may have read or
//! written is treated as read and written.

use crate::engine::{Engine, Unavailable};
use crate::ids;
use judge::act::{Act, Observation, ObservedItem};
use judge::decide::{AskStanding, decide};
use judge::decision::{Code, Decision, Ground, Obligation, Outcome, Reason};
use judge::effect::Effect;
use judge::event::{ActRecord, Answered, Asked, Decided, Ended, Event, LabelRecord, Observed};
use judge::moment::Moment;
use judge::name::{AskId, DecisionId};
use judge::observe::observe;
use judge::state::State;
use judge::task::Caller;
use std::collections::BTreeSet;

/// The enforcement point that asks.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Which, by its verified credential.
    pub name: &'a str,
    /// The words of the obligations that it can carry out; `None` where it does not say.
    pub carries: Option<&'a BTreeSet<&'static str>>,
}

/// What it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// An answer.
    May,
    /// That a person is asked about what this decision refused.
    Request(&'a DecisionId),
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The decision, as the ledger has it.
    pub id: DecisionId,
    /// When.
    pub at: Moment,
    /// What was decided.
    pub decision: Decision,
    /// Until when a person can be asked, where one could say yes.
    pub requestable_until: Option<Moment>,
    /// The ask that waits for a person.
    pub ask: Option<AskId>,
    /// The approval that this used up.
    pub approved_by: Option<AskId>,
}

/// Why nobody is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is nothing that a person could say yes to, or not any more.
    #[error("a person cannot change this answer")]
    NotRequestable,
    /// The refusal is too old.
    #[error("the refusal has expired; ask for a decision again")]
    Expired,
    /// There was no such refusal, or it was another's, or about another question.
    #[error("this enforcement point was not refused this question by that decision")]
    NotRefused,
    /// It could not be recorded.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl Engine {
    /// Decides `act` for the enforcement point `asker`, which carries it out by itself. Returns when the decision is durable.
    ///
    /// # Errors
    /// [`Unavailable`]: it must be refused. The other errors come for [`Question::Request`] only.
    pub async fn evaluate(
        &self,
        caller: &Caller,
        act: &Act,
        asker: Asker<'_>,
        question: Question<'_>,
    ) -> Result<Evaluated, RequestError> {
        let (_, evaluated) = self.commit(|state, now| self.answer_now(state, caller, act, asker, question, now)).await?;
        evaluated
    }

    fn answer_now(
        &self,
        state: &State,
        caller: &Caller,
        act: &Act,
        asker: Asker<'_>,
        question: Question<'_>,
        now: Moment,
    ) -> (Vec<Event>, Result<Evaluated, RequestError>) {
        if let Question::Request(refused) = question
            && let Err(error) = check_request(state, caller, act, asker, refused, now)
        {
            return (Vec::new(), Err(error));
        }
        let mut ruling = decide(state, caller, act, now);
        if let Some(reason) = uncarried(&ruling.decision, asker) {
            ruling.decision.outcome = Outcome::Deny;
            ruling.decision.reasons.insert(0, reason);
            ruling.ask = AskStanding::None;
        }
        let is_request = question != Question::May;
        let (ask, approved_by) = match ruling.ask {
            AskStanding::None if is_request => return (Vec::new(), Err(RequestError::NotRequestable)),
            AskStanding::New if is_request => (Some(ids::ask(state)), None),
            AskStanding::None | AskStanding::New => (None, None),
            AskStanding::Waiting(ref ask) => (Some(ask.clone()), None),
            AskStanding::Approved(ref ask) => (None, Some(ask.clone())),
        };
        let expires = self.ask_expires(state, caller, now);
        let id = ids::decision(now);
        let evaluated = Evaluated {
            id: id.clone(),
            at: now,
            decision: ruling.decision.clone(),
            requestable_until: (ruling.decision.outcome == Outcome::Ask).then_some(expires),
            ask: ask.clone(),
            approved_by: approved_by.clone(),
        };
        if is_request && ruling.ask != AskStanding::New {
            // It waits already, or was answered: nothing new happened, and a yes is not used up by asking for it.
            return (Vec::new(), Ok(evaluated));
        }
        let readers = ruling.made.iter().map(|label| &label.readers);
        let decided = Decided {
            id: id.clone(),
            caller: caller.clone(),
            act: ActRecord::new(act, Some(&ruling.audience), ruling.values),
            decision: ruling.decision,
            ask: ask.filter(|_| is_request).map(|id| Asked { id, expires }),
            approved_by,
            node: self.node_name().to_owned(),
            enforced: true,
            trip: ruling.trip,
            made: ruling.made.as_ref().map(LabelRecord::from),
            sets: state.new_sets(readers.chain([&ruling.audience])),
            answered: Some(Answered {
                to: asker.name.to_owned(),
                requestable_until: evaluated.requestable_until.filter(|_| !is_request),
                stated: act.stated.clone(),
            }),
        };
        let is_open = caller.task.is_some() && evaluated.decision.outcome == Outcome::Permit;
        let ended = is_open.then(|| Event::Observed(Box::new(elsewhere(state, caller, act, id))));
        (std::iter::once(Event::Decided(Box::new(decided))).chain(ended).collect(), Ok(evaluated))
    }
}

fn check_request(
    state: &State,
    caller: &Caller,
    act: &Act,
    asker: Asker<'_>,
    refused: &DecisionId,
    now: Moment,
) -> Result<(), RequestError> {
    let requestable = state.requestable(refused).ok_or(RequestError::NotRefused)?;
    if requestable.to != asker.name || requestable.act != act.digest || requestable.caller != *caller {
        return Err(RequestError::NotRefused);
    }
    if now >= requestable.until { Err(RequestError::Expired) } else { Ok(()) }
}

/// What would have to go with a permit, and cannot be carried out there: then nothing goes through.
fn uncarried(decision: &Decision, asker: Asker<'_>) -> Option<Reason> {
    let carries = asker.carries.filter(|_| decision.outcome == Outcome::Permit)?;
    let missing = decision.obligations.iter().map(Obligation::word).find(|word| !carries.contains(word))?;
    Some(Reason {
        ground: Ground::Code(Code::Obligation),
        outcome: Outcome::Deny,
        sentence: format!("this is allowed only with the obligation `{missing}`, which the enforcement point cannot carry out"),
        remedy: Some("use an enforcement point that can".to_owned()),
        approver: None,
    })
}

/// What is known of an act that is carried out elsewhere: what it reads, and not how it ends. Its text is not seen, so a copy of it is
/// not recognised later; that the task could have used it is.
fn elsewhere(state: &State, caller: &Caller, act: &Act, decision: DecisionId) -> Observed {
    let reads = if act.effects.contains(&Effect::Read) { act.resources.as_slice() } else { &[] };
    let items = reads.iter().map(|id| ObservedItem::new(id.clone(), String::new()));
    let observation =
        Observation { caller: caller.clone(), decision, items: items.collect(), created: Vec::new(), attested: Vec::new() };
    // Nothing can be withheld elsewhere, so what a norm would withhold counts as read.
    observe(state, &observation, false).record(&observation, Ended::Ambiguous)
}
