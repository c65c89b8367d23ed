//! From a question to an act, and from a decision to an answer.

use std::collections::BTreeSet;

use engine::Evaluated;
use judge::act::{Act, Change, Stated};
use judge::decision::{Decision, Obligation, Outcome, Reason};
use judge::effect::Effect;
use judge::name::{AskId, DecisionId, PrincipalId, ResourceId, ToolId};
use judge::state::Answer as Said;
use judge::task::Caller;
use serde_json::{Map, Value, json};
use wire::authzen::{Action, Answer, Evaluation, Resource, Subject, attributes};
use wire::time::rfc3339;

use super::Pdp;

/// Types of obligation that a decision can carry (obligations profile, "Normative Obligation Types").
pub const OBLIGATIONS: [&str; 2] = ["custom", "notification"];
/// Members of an action's properties that say what is done, and are no attributes. `name` is the action's own.
const SAID: [&str; 6] = ["recipients", "content", "amount", "change", "because", "name"];

/// How many recipients, pieces of content, or names in a change one question may have, as a call through the gateway.
const NAMED_MAX: usize = 1_000;

/// The obligations that an enforcement point with these types can carry out. A type that nobody issues says nothing.
pub fn carried(types: &BTreeSet<String>) -> BTreeSet<&'static str> {
    let has = |kind: &str| types.contains(kind);
    let custom = ["redact", "mask", "limit"].into_iter().filter(|_| has("custom"));
    custom.chain(has("notification").then_some("notify")).collect()
}

/// A refusal before anything was decided: there is no act.
fn refused(reason: &str, sentence: &str) -> Answer {
    let context = json!({ "reason": reason, "reason_user": { "en": sentence } });
    let Value::Object(context) = context else { unreachable!("it is written as an object") };
    Answer { decision: false, context }
}

impl Pdp {
    /// What a question asks about, or the answer where that is nothing that could be decided.
    pub fn act(&self, asker: &str, question: &Evaluation) -> Result<(Caller, Act), Answer> {
        let (caller, is_subject) = self.caller(question)?;
        let effect = self.effect(&question.action.name).ok_or_else(|| {
            refused("unknown_action", "no effect is known for an action of this name; `[authzen] actions` maps names to effects")
        })?;
        let mut act = act_of(asker, &question.action, effect)?;
        act.resources = vec![resource(&question.resource.kind, &question.resource.id)?];
        act.stated.resource = stated("resource", &question.resource)?;
        if is_subject {
            act.stated.subject = stated("subject", &question.subject)?;
        }
        let digest = question.digest().map_err(|error| Answer::error(400, &error.to_string()))?;
        // A person says yes to one enforcement point.
        act.digest = judge::digest::Digest::of_parts([asker.as_bytes(), &digest.0]);
        Ok((caller, act))
    }

    /// Who acts, and whether the subject of the question is the one at the head of the chain.
    fn caller(&self, question: &Evaluation) -> Result<(Caller, bool), Answer> {
        let subject = &question.subject;
        if let Some(token) = &question.context.task_token {
            let verified = self.0.tokens.caller(token, self.0.engine.now());
            let caller = verified.map_err(|error| refused("task_token", &error.to_string()))?.judged;
            let person = self.person(&subject.kind, &subject.id);
            let is_head = person.is_some() && person.as_ref() == caller.chain.first();
            if is_head || caller.chain.iter().skip(1).any(|agent| agent.as_str() == subject.id) {
                return Ok((caller, is_head));
            }
            return Err(refused("subject", "the subject is not part of the chain that the task token names"));
        }
        match self.person(&subject.kind, &subject.id) {
            Some(person) => Ok((Caller::new(vec![person], None), true)),
            None if self.0.config.people.contains(&subject.kind) => {
                Err(refused("unknown_subject", "this person is not known here"))
            }
            None => Err(refused(
                "task_token_required",
                "whoever is no person acts for one: send the task token as `context.task_token`",
            )),
        }
    }

    /// The person that a subject is, by id or address.
    pub fn person(&self, kind: &str, id: &str) -> Option<PrincipalId> {
        let is_person = self.0.config.people.contains(kind);
        is_person.then(|| self.0.engine.view(|state, _| state.directory().person_named(id).cloned())).flatten()
    }

    /// What an action does.
    pub fn effect(&self, action: &str) -> Option<Effect> {
        let named = self.0.config.actions.get(action).copied();
        named.or_else(|| Effect::ALL.into_iter().find(|effect| effect.word() == action))
    }

    /// The answer that a decision is.
    pub fn answer_of(&self, question: &Evaluation, evaluated: Evaluated) -> Answer {
        let Evaluated { id, at, decision, requestable_until, ask, approved_by } = evaluated;
        let mut context = Map::new();
        context.insert("evaluation_id".to_owned(), json!(id));
        context.insert("evaluated_at".to_owned(), json!(rfc3339(at.0)));
        if decision.outcome == Outcome::Permit {
            if !decision.obligations.is_empty() {
                context.insert("obligations".to_owned(), obligations(&decision));
            }
            if let Some(ask) = approved_by {
                context.insert("approval".to_owned(), self.approval(&ask));
            }
            return Answer { decision: true, context };
        }
        let first = decision.reasons.first();
        context.insert(
            "reason".to_owned(),
            json!(if decision.outcome == Outcome::Ask { "approval_required" } else { "policy_denied" }),
        );
        context.insert("reason_user".to_owned(), json!({ "en": first.map_or("it is not permitted", |reason| &reason.sentence) }));
        context.insert("reasons".to_owned(), reasons(&decision.reasons));
        if let Some(until) = requestable_until {
            context.insert(
                "access_request".to_owned(),
                json!({
                    "endpoint": self.url("/access/v1/requests"),
                    "expires_at": rfc3339(until.0),
                    "display": {
                        "title": "Ask a person",
                        "description": first.and_then(|reason| reason.remedy.as_deref()).unwrap_or("a person has to approve this"),
                    },
                }),
            );
        }
        if let Some(approval) = &question.context.approval {
            let (reason, next) = self.why_not(&approval.id, &decision, ask.as_ref());
            context.insert("reason".to_owned(), json!(reason));
            context.insert("next_action".to_owned(), json!(next));
            if next == "none" {
                context.remove("access_request");
            }
        }
        Answer { decision: false, context }
    }

    /// Why an approval that was shown did not help (access request profile, "Re-evaluation"), and what to do next.
    fn why_not(&self, approval: &str, decision: &Decision, waiting: Option<&AskId>) -> (&'static str, &'static str) {
        if decision.outcome == Outcome::Deny {
            return ("policy_denied", "none");
        }
        let known = self.0.engine.view(|state, now| {
            let ask = super::request::ask_of(state, approval)?;
            Some((now >= ask.expires || matches!(ask.answer, Said::Used { .. }), Some(&ask.id) == waiting))
        });
        match known {
            None => ("approval_unverifiable", "none"),
            Some((_, true)) => ("grant_pending", "retry"),
            Some((true, _)) => ("approval_expired", "request"),
            Some((false, _)) => ("out_of_scope", "request"),
        }
    }

    fn approval(&self, ask: &AskId) -> Value {
        self.0.engine.view(|state, _| match state.ask(ask) {
            Some(ask) => json!({ "id": super::request::handle(ask), "approved_until": rfc3339(ask.expires.0) }),
            None => json!({}),
        })
    }
}

/// The act that an action is, on nothing yet.
pub fn act_of(asker: &str, action: &Action, effect: Effect) -> Result<Act, Answer> {
    let bad = |sentence: &str| Answer::error(400, sentence);
    let said = |name: &str| action.properties.get(name);
    let texts = |name: &'static str| match said(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(texts)) => texts
            .iter()
            .map(|text| text.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| bad(&format!("`action.properties.{name}`: expected texts"))),
        Some(_) => Err(bad(&format!("`action.properties.{name}`: expected a text, or several"))),
    };
    for name in ["recipients", "content", "change"] {
        let named = said(name).map_or(0, elements);
        if named > NAMED_MAX {
            return Err(bad(&format!("`action.properties.{name}`: expected at most {NAMED_MAX} elements, found {named}")));
        }
    }
    let amount = said("amount").map(|amount| {
        amount.as_u64().ok_or_else(|| bad("`action.properties.amount`: expected a whole number that is not negative"))
    });
    let change = said("change").map(|change| {
        serde_json::from_value::<Change>(change.clone()).map_err(|error| bad(&format!("`action.properties.change`: {error}")))
    });
    let because = said("because").map(|because| {
        let id = because.as_str().and_then(|id| DecisionId::parse(id).ok());
        id.ok_or_else(|| bad("`action.properties.because`: expected the id of a decision"))
    });
    let mut properties = action.properties.clone();
    properties.retain(|name, _| !SAID.contains(&name.as_str()));
    properties.insert("name".to_owned(), json!(action.name));
    let stated_of_action = attributes("action", &properties).map_err(|error| bad(&error.to_string()))?;
    Ok(Act {
        tool: ToolId::parse(&format!("{asker}__{}", action.name)).map_err(|error| bad(&format!("`action.name`: {error}")))?,
        effects: BTreeSet::from([effect]),
        resources: Vec::new(),
        recipients: texts("recipients")?,
        content: texts("content")?,
        values: Vec::new(),
        amount: amount.transpose()?,
        reads: None,
        change: change.transpose()?,
        because: because.transpose()?,
        stated: Stated { action: stated_of_action, ..Stated::default() },
        digest: judge::digest::Digest([0; 32]),
    })
}

/// How many elements all lists in a value have.
fn elements(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len() + items.iter().map(elements).sum::<usize>(),
        Value::Object(members) => members.values().map(elements).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The resource that a type and an id name.
pub fn resource(kind: &str, id: &str) -> Result<ResourceId, Answer> {
    ResourceId::parse(&format!("{kind}:{id}")).map_err(|error| Answer::error(400, &format!("`resource`: {error}")))
}

fn stated(entity: &'static str, of: &Resource) -> Result<BTreeSet<std::sync::Arc<str>>, Answer> {
    let Subject { properties, .. } = of;
    attributes(entity, properties).map_err(|error| Answer::error(400, &error.to_string()))
}

fn reasons(reasons: &[Reason]) -> Value {
    let of = |reason: &Reason| {
        let mut shown = json!({ "ground": reason.ground.word(), "outcome": reason.outcome, "sentence": reason.sentence });
        if let Some(remedy) = &reason.remedy {
            shown["remedy"] = json!(remedy);
        }
        shown
    };
    reasons.iter().map(of).collect()
}

fn obligations(decision: &Decision) -> Value {
    let of = |(number, obligation): (usize, &Obligation)| {
        let (Obligation::Redact(norm) | Obligation::Mask(norm) | Obligation::Limit(norm) | Obligation::Notify(norm)) = obligation;
        let (kind, properties) = match obligation {
            Obligation::Notify(_) => (
                "notification",
                json!({ "to": "security", "topic": norm, "body": format!("the norm `{norm}` holds for what was permitted") }),
            ),
            Obligation::Limit(_) => {
                ("custom", json!({ "vendor": "prudence", "action": obligation.word(), "norm": norm, "items": decision.limit }))
            }
            Obligation::Redact(_) | Obligation::Mask(_) => {
                ("custom", json!({ "vendor": "prudence", "action": obligation.word(), "norm": norm }))
            }
        };
        json!({ "id": format!("{}-{number}", obligation.word()), "type": kind, "properties": properties })
    };
    decision.obligations.iter().enumerate().map(of).collect()
}
