//! Policies: Cedar behind one door. Grants are permit policies, norms are forbid policies over the facts; two sets, never mixed.
//!
//! A policy file is refused as a whole when anything in it is wrong, with the span; a set that loaded can be evaluated.
//! A policy that still fails at evaluation is not skipped: a grant counts as not granted, a norm as an ask (semantics §8).

use crate::decision::{Approver, Code, Ground, Obligation, Outcome, Reason};
use crate::effect::Effect;
use crate::facts::{Facts, Wanted};
use crate::name::{NormId, PrincipalId};
use cedar_policy::{
    Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

/// How many policies a set may have: evaluation is linear in them. Many grants are data, not policies.
pub const POLICIES_MAX: usize = 200;
/// The largest policy file, in bytes.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;

/// One policy file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Its name, for errors.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The policy files of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicySources {
    /// Permit policies over grants.
    pub grants: Vec<Source>,
    /// Forbid policies over facts.
    pub norms: Vec<Source>,
}

impl PolicySources {
    /// What Prudence ships.
    #[must_use]
    pub fn shipped() -> Self {
        macro_rules! files {
            ($($name:literal),*) => {
                vec![$(Source { name: $name.to_owned(), text: include_str!(concat!("../policies/", $name)).to_owned() }),*]
            };
        }
        Self {
            grants: files!["grants/standing.cedar"],
            norms: files![
                "norms/address.cedar",
                "norms/irreversible.cedar",
                "norms/lease.cedar",
                "norms/purpose.cedar",
                "norms/readers.cedar",
                "norms/scope-edge.cedar",
                "norms/self-serve.cedar",
                "norms/stumble.cedar",
                "norms/widen.cedar"
            ],
        }
    }
}

/// What is wrong in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{source_name}: {message}")]
pub struct PolicyError {
    /// The file.
    pub source_name: String,
    /// What was expected and what was found.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
    /// Where, as a byte offset and a length.
    pub span: Option<(usize, usize)>,
}

/// The two sets of policies, each with a schema of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Permit policies over grants.
    Grant,
    /// Forbid policies over facts.
    Norm,
}

/// The Cedar schema that every policy of a kind is validated against, strictly.
#[must_use]
pub fn schema_text(kind: Kind) -> String {
    let actions = Effect::ALL.map(|effect| format!("\"{}\"", effect.word())).join(", ");
    let (about, actions, context) = match kind {
        Kind::Grant => (
            "What permit policies may speak of: the kinds of the grants that match, and the task's purpose.",
            actions,
            "{\n  grants: Set<String>,\n  purpose: String,\n}".to_owned(),
        ),
        Kind::Norm => (
            "What norms may speak of: every fact about an act, or (action \"observe\") about one item of its result.",
            format!("{actions}, \"{OBSERVE}\""),
            Facts::cedar_context_type(),
        ),
    };
    format!(
        "entity Person;\nentity Agent;\nentity Resource;\n\n// {about}\ntype Facts = {context};\n\n\
         action {actions} appliesTo {{\n  principal: [Person, Agent],\n  resource: [Resource],\n  context: Facts\n}};\n"
    )
}

/// The action by which norms look at one item of a result.
const OBSERVE: &str = "observe";

/// What an annotation `@outcome` says follows when a norm holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Follows {
    Deny,
    Ask,
    Redact,
    Mask,
    Limit,
    Notify,
}

#[derive(Debug, Clone)]
struct Norm {
    id: NormId,
    follows: Follows,
    reason: String,
    remedy: Option<String>,
    approver: Option<Approver>,
}

/// Compiled policies.
#[derive(Clone)]
pub struct Policies {
    authorizer: Arc<Authorizer>,
    grants: BTreeMap<Effect, PolicySet>,
    norms: BTreeMap<Effect, NormSet>,
    observe: NormSet,
    meaning: BTreeMap<PolicyId, Arc<Norm>>,
    words: Words,
}

/// The norms that can apply to one action, and the facts that they speak of.
#[derive(Clone, Default)]
struct NormSet {
    policies: PolicySet,
    wanted: Wanted,
}

impl NormSet {
    fn add(&mut self, policy: &Policy) {
        add(&mut self.policies, policy);
        let json = policy.to_json().expect("a policy that was parsed has a JSON form");
        self.wanted.add_policy(&json);
    }
}

/// Entity types and actions, parsed once.
#[derive(Clone)]
struct Words {
    person: EntityTypeName,
    agent: EntityTypeName,
    resource: EntityTypeName,
    actions: BTreeMap<Effect, EntityUid>,
    observe: EntityUid,
}

impl Words {
    fn new() -> Self {
        let type_name = |name: &str| EntityTypeName::from_str(name).expect("an identifier is an entity type");
        let action = |word: &str| EntityUid::from_type_name_and_id(type_name("Action"), EntityId::new(word));
        Self {
            person: type_name("Person"),
            agent: type_name("Agent"),
            resource: type_name("Resource"),
            actions: Effect::ALL.iter().map(|&effect| (effect, action(effect.word()))).collect(),
            observe: action(OBSERVE),
        }
    }

    fn principal(&self, id: &PrincipalId, is_agent: bool) -> EntityUid {
        let kind = if is_agent { &self.agent } else { &self.person };
        EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id.as_str()))
    }

    fn resource(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.resource.clone(), EntityId::new(id))
    }
}

impl std::fmt::Debug for Policies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Policies({} norms)", self.meaning.len())
    }
}

/// What norms say of one act or item.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reasons that deny or ask.
    pub reasons: Vec<Reason>,
    /// What must be done when it goes through.
    pub obligations: BTreeSet<Obligation>,
}

impl Policies {
    /// Parses and validates `sources`.
    ///
    /// # Errors
    /// Everything that is wrong in any of the files, at once.
    pub fn compile(sources: &PolicySources) -> Result<Policies, Vec<PolicyError>> {
        let schema = |kind| {
            let (schema, _) =
                Schema::from_cedarschema_str(&schema_text(kind)).expect("the schema is generated, and a test loads it");
            schema
        };
        let (grant_schema, norm_schema) = (schema(Kind::Grant), schema(Kind::Norm));
        let words = Words::new();
        let mut errors = Vec::new();
        let mut policies = Policies {
            authorizer: Arc::new(Authorizer::new()),
            grants: BTreeMap::new(),
            norms: BTreeMap::new(),
            observe: NormSet::default(),
            meaning: BTreeMap::new(),
            words,
        };
        let validator = Validator::new(grant_schema.clone());
        for source in &sources.grants {
            for policy in load(source, &validator, cedar_policy::Effect::Permit, &mut errors) {
                policies.file_by_action(&policy, &grant_schema, Kind::Grant);
            }
        }
        let validator = Validator::new(norm_schema.clone());
        for source in &sources.norms {
            for policy in load(source, &validator, cedar_policy::Effect::Forbid, &mut errors) {
                match read_annotations(source, &policy) {
                    Ok(norm) => {
                        policies.meaning.insert(policy.id().clone(), Arc::new(norm));
                        policies.file_by_action(&policy, &norm_schema, Kind::Norm);
                    }
                    Err(error) => errors.push(error),
                }
            }
        }
        if policies.meaning.len() > POLICIES_MAX {
            errors.push(PolicyError {
                source_name: "norms".to_owned(),
                message: format!("{} policies, at most {POLICIES_MAX} are allowed", policies.meaning.len()),
                help: None,
                span: None,
            });
        }
        if errors.is_empty() { Ok(policies) } else { Err(errors) }
    }

    /// Files a policy under each action that it can apply to, so that a decision evaluates no other.
    fn file_by_action(&mut self, policy: &Policy, schema: &Schema, kind: Kind) {
        let actions: BTreeSet<EntityUid> = policy.get_valid_request_envs(schema).map(|env| env.action().clone()).collect();
        for (effect, _) in self.words.actions.iter().filter(|(_, action)| actions.contains(*action)) {
            match kind {
                Kind::Grant => add(self.grants.entry(*effect).or_default(), policy),
                Kind::Norm => self.norms.entry(*effect).or_default().add(policy),
            }
        }
        if kind == Kind::Norm && actions.contains(&self.words.observe) {
            self.observe.add(policy);
        }
    }

    /// Whether a principal is permitted an effect on a resource by the grants of these kinds.
    #[must_use]
    pub fn is_granted(
        &self,
        principal: &PrincipalId,
        is_agent: bool,
        effect: Effect,
        resource: &str,
        kinds: &BTreeSet<Arc<str>>,
        purpose: &str,
    ) -> bool {
        let Some(set) = self.grants.get(&effect).filter(|_| !kinds.is_empty()) else { return false };
        let context = Context::from_pairs([
            (
                "grants".to_owned(),
                RestrictedExpression::new_set(
                    kinds.iter().map(|kind| RestrictedExpression::new_string(kind.as_ref().to_owned())),
                ),
            ),
            ("purpose".to_owned(), RestrictedExpression::new_string(purpose.to_owned())),
        ]);
        let Ok(request) = context.map_err(|_| ()).and_then(|context| {
            let action = self.words.actions[&effect].clone();
            Request::new(self.words.principal(principal, is_agent), action, self.words.resource(resource), context, None)
                .map_err(|_| ())
        }) else {
            return false;
        };
        let response = self.authorizer.is_authorized(&request, set, &Entities::empty());
        response.decision() == cedar_policy::Decision::Allow && response.diagnostics().errors().next().is_none()
    }

    /// Every norm that holds for this effect.
    #[must_use]
    pub fn norms(&self, caller: &PrincipalId, is_agent: bool, effect: Effect, resource: &str, facts: &Facts) -> Findings {
        match self.norms.get(&effect) {
            Some(set) => self.findings(set, &self.words.actions[&effect], caller, is_agent, resource, facts),
            None => Findings::default(),
        }
    }

    /// Every norm that holds for one item of a result.
    #[must_use]
    pub fn norms_on_item(&self, caller: &PrincipalId, is_agent: bool, item: &str, facts: &Facts) -> Findings {
        self.findings(&self.observe, &self.words.observe, caller, is_agent, item, facts)
    }

    fn findings(
        &self,
        set: &NormSet,
        action: &EntityUid,
        caller: &PrincipalId,
        is_agent: bool,
        resource: &str,
        facts: &Facts,
    ) -> Findings {
        let mut findings = Findings::default();
        let request =
            Context::from_pairs(facts.cedar_context(&set.wanted)).map_err(|error| error.to_string()).and_then(|context| {
                Request::new(self.words.principal(caller, is_agent), action.clone(), self.words.resource(resource), context, None)
                    .map_err(|error| error.to_string())
            });
        let request = match request {
            Ok(request) => request,
            Err(_) => {
                findings.reasons.push(unevaluated("the facts"));
                return findings;
            }
        };
        let response = self.authorizer.is_authorized(&request, &set.policies, &Entities::empty());
        // A forbid policy that holds is among the reasons of the denial; nothing else is.
        for id in response.diagnostics().reason() {
            match self.meaning.get(id) {
                Some(norm) => norm.state(facts, &mut findings),
                None => findings.reasons.push(unevaluated("a norm")),
            }
        }
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            let norm = self.meaning.get(error.policy_id());
            findings.reasons.push(Reason {
                ground: norm.map_or(Ground::Code(Code::Policy), |norm| Ground::Norm(norm.id.clone())),
                ..unevaluated(norm.map_or("a norm", |norm| norm.id.as_str()))
            });
        }
        findings
    }

    /// The ids of all norms.
    #[must_use]
    pub fn norm_ids(&self) -> BTreeSet<&str> {
        self.meaning.values().map(|norm| norm.id.as_str()).collect()
    }
}

fn unevaluated(what: &str) -> Reason {
    Reason {
        ground: Ground::Code(Code::Policy),
        outcome: Outcome::Ask,
        sentence: format!("{what} could not be evaluated for this call, so a person has to look"),
        remedy: None,
        approver: Some(Approver::OutsideChain),
    }
}

impl Norm {
    fn state(&self, facts: &Facts, findings: &mut Findings) {
        let obliges: fn(NormId) -> Obligation = match self.follows {
            Follows::Deny => return self.object(Outcome::Deny, facts, findings),
            Follows::Ask => return self.object(Outcome::Ask, facts, findings),
            Follows::Redact => Obligation::Redact,
            Follows::Mask => Obligation::Mask,
            Follows::Limit => Obligation::Limit,
            Follows::Notify => Obligation::Notify,
        };
        findings.obligations.insert(obliges(self.id.clone()));
    }

    fn object(&self, outcome: Outcome, facts: &Facts, findings: &mut Findings) {
        findings.reasons.push(Reason {
            ground: Ground::Norm(self.id.clone()),
            outcome,
            sentence: fill(&self.reason, facts),
            remedy: self.remedy.as_ref().map(|remedy| fill(remedy, facts)),
            approver: self.approver.clone().filter(|_| outcome == Outcome::Ask),
        });
    }
}

/// Replaces each `{section.fact}` by its word.
fn fill(template: &str, facts: &Facts) -> String {
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((path, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        text.push_str(&facts.text(path).unwrap_or_default());
        rest = after;
    }
    text.push_str(rest);
    text
}

fn placeholders(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).map(|part| part.split_once('}').map_or(part, |(path, _)| path))
}

fn add(set: &mut PolicySet, policy: &Policy) {
    set.add(policy.clone()).expect("ids were made unique when the file was loaded");
}

/// Parses one file: strict validation, the one effect that belongs there, ids that no other file has.
fn load(source: &Source, validator: &Validator, effect: cedar_policy::Effect, errors: &mut Vec<PolicyError>) -> Vec<Policy> {
    if source.text.len() > SOURCE_BYTES_MAX {
        errors.push(PolicyError {
            source_name: source.name.clone(),
            message: format!("the file has {} bytes, at most {SOURCE_BYTES_MAX} are allowed", source.text.len()),
            help: None,
            span: None,
        });
        return Vec::new();
    }
    let set = match PolicySet::from_str(&source.text) {
        Ok(set) => set,
        Err(found) => {
            errors.extend(found.iter().map(|error| from_diagnostic(source, error)));
            return Vec::new();
        }
    };
    let validated = validator.validate(&set, ValidationMode::Strict);
    errors.extend(validated.validation_errors().map(|error| from_diagnostic(source, error)));
    if set.templates().next().is_some() {
        errors.push(PolicyError {
            source_name: source.name.clone(),
            message: "a policy template, expected a policy".to_owned(),
            help: Some("grants of the configuration are data; write one policy for a kind of grant".to_owned()),
            span: None,
        });
    }
    let mut policies = Vec::new();
    for policy in set.policies() {
        if policy.effect() != effect {
            errors.push(PolicyError {
                source_name: source.name.clone(),
                message: format!("`{}` is a {} policy, and this set has only {effect} policies", policy.id(), policy.effect()),
                help: Some("grants permit, norms forbid; they are kept in folders of their own".to_owned()),
                span: None,
            });
        }
        policies.push(policy.new_id(PolicyId::new(format!("{}#{}", source.name, policy.id()))));
    }
    policies
}

fn from_diagnostic(source: &Source, error: &(impl miette::Diagnostic + ?Sized)) -> PolicyError {
    PolicyError {
        source_name: source.name.clone(),
        message: error.to_string(),
        help: error.help().map(|help| help.to_string()),
        span: error.labels().and_then(|mut labels| labels.next()).map(|label| (label.offset(), label.len())),
    }
}

/// Reads what a norm says follows from it.
fn read_annotations(source: &Source, policy: &Policy) -> Result<Norm, PolicyError> {
    let wrong = |message: String, help: &str| PolicyError {
        source_name: source.name.clone(),
        message,
        help: Some(help.to_owned()),
        span: None,
    };
    let get = |key: &str| policy.annotation(key).filter(|text| !text.trim().is_empty());
    let named = policy.id().to_string();
    let norm = get("norm").ok_or_else(|| {
        wrong(format!("`{named}` has no `@norm`"), "`@norm(\"readers\")` names the norm in decisions and records")
    })?;
    let id =
        NormId::parse(norm).map_err(|error| wrong(format!("`@norm` of `{named}`: {error}"), "a short word, like `readers`"))?;
    let follows = match get("outcome") {
        Some("deny") => Follows::Deny,
        Some("ask") => Follows::Ask,
        Some("redact") => Follows::Redact,
        Some("mask") => Follows::Mask,
        Some("limit") => Follows::Limit,
        Some("notify") => Follows::Notify,
        found => {
            let found = found.unwrap_or("nothing");
            return Err(wrong(
                format!("`@outcome` of norm `{norm}` is `{found}`"),
                "one of `deny`, `ask`, `redact`, `mask`, `limit`, `notify`",
            ));
        }
    };
    let reason = get("reason")
        .ok_or_else(|| {
            wrong(format!("norm `{norm}` has no `@reason`"), "one sentence that the agent, the approver and the auditor can read")
        })?
        .to_owned();
    let remedy = get("remedy").map(str::to_owned);
    for path in placeholders(&reason).chain(remedy.iter().flat_map(|remedy| placeholders(remedy))) {
        if Facts::default().text(path).is_none() {
            return Err(wrong(
                format!("norm `{norm}` speaks of `{{{path}}}`, which is no fact"),
                "`prudence norm facts` lists them all",
            ));
        }
    }
    let approver = match get("approver") {
        None | Some("outside-chain") => Approver::OutsideChain,
        Some("owner") => Approver::Owner,
        Some(named) => Approver::Named(named.to_owned()),
    };
    Ok(Norm { id, follows, reason, remedy, approver: Some(approver) })
}
