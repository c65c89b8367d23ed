//! Policies: Cedar behind one door. Grants are permit policies, norms are forbid policies over the facts; two sets, never mixed.
//!
//! A policy file is refused as a whole when anything in it is wrong, with the span; a set that loaded can be evaluated.
//! A policy that still fails at evaluation is not skipped: a grant counts as not granted, a norm as an ask (semantics §8).

use crate::act::Stated;
use crate::condition::{Condition, Fact, Value};
use crate::decision::{Approver, Code, Ground, Obligation, Outcome, Reason};
use crate::directory::PersonRecord;
use crate::effect::Effect;
use crate::event::Trip;
use crate::facts::{Facts, Wanted};
use crate::name::{NormId, PrincipalId};
use crate::standing::Scope;
use cedar_policy::{
    ActionConstraint, Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, Request,
    RestrictedExpression, Schema, ValidationMode, Validator,
};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
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
                "norms/advice.cedar",
                "norms/checkpoint.cedar",
                "norms/irreversible.cedar",
                "norms/lease.cedar",
                "norms/purpose.cedar",
                "norms/readers.cedar",
                "norms/scope-edge.cedar",
                "norms/secrets.cedar",
                "norms/self-serve.cedar",
                "norms/steered.cedar",
                "norms/stumble.cedar",
                "norms/tempo.cedar",
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
            "What permit policies may speak of: the kinds of the grants that match, the task's purpose, and what is known of subject, action and\n\
             // resource, each as `name=value`.",
            actions,
            "{\n  grants: Set<String>,\n  purpose: String,\n  subject: Set<String>,\n  action: Set<String>,\n  resource: Set<String>,\n}"
                .to_owned(),
        ),
        Kind::Norm => (
            "What norms may speak of: every fact about an act, or (action \"observe\") about one item of its result, or (action \"renew\", of norms that\n\
             // name it) about a task whose lease is to be earned again.",
            format!("{actions}, \"{OBSERVE}\", \"{RENEW}\""),
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
/// The action by which norms look at a task whose lease is to be earned again by rule.
const RENEW: &str = "renew";

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

struct Norm {
    condition: Condition<Facts>,
    /// The policy by itself, for what only Cedar can tell.
    policy: PolicySet,
    id: NormId,
    follows: Follows,
    reason: String,
    remedy: Option<String>,
    approver: Option<Approver>,
    /// What a denial by it freezes, which makes it a breaker.
    freezes: Option<Scope>,
    /// How many items it limits a call to: a number, or a fact in braces.
    limit: Option<String>,
}

/// Compiled policies.
#[derive(Clone)]
pub struct Policies {
    authorizer: Arc<Authorizer>,
    grants: BTreeMap<Effect, GrantSet>,
    norms: BTreeMap<Effect, NormSet>,
    observe: NormSet,
    renew: NormSet,
    all_norms: Vec<Arc<Norm>>,
    words: Words,
}

/// What permit policies may speak of.
pub(crate) struct Granted {
    /// The kinds of the grants that match.
    pub(crate) kinds: BTreeSet<Arc<str>>,
    /// The task's purpose.
    pub(crate) purpose: String,
    /// What was stated of the one who acts, of the act, and of what it is done to.
    pub(crate) stated: Stated,
    /// The one who acts, where that is a person.
    pub(crate) person: Option<Arc<PersonRecord>>,
    /// What is known of the one who acts, once a policy looks at it.
    pub(crate) subject: OnceCell<BTreeSet<Arc<str>>>,
}

impl Granted {
    /// Attributes of the one who acts, as `name=value`. What the directory says wins over what an enforcement point says.
    fn subject(&self) -> &BTreeSet<Arc<str>> {
        self.subject.get_or_init(|| {
            let Some(person) = &self.person else { return self.stated.subject.clone() };
            let known = &person.attributes.0;
            let is_new = |stated: &&Arc<str>| stated.split_once('=').is_none_or(|(name, _)| !known.contains_key(name));
            let attributes = known.iter().flat_map(|(name, values)| values.0.iter().map(move |value| (name, value)));
            let attributes = attributes.map(|(name, value)| format!("{name}={value}").into());
            attributes.chain(self.stated.subject.iter().filter(is_new).cloned()).collect()
        })
    }

    fn find(path: &[&str]) -> Option<Fact<Self>> {
        match path {
            ["grants"] => Some(|granted| Value::Words(&granted.kinds)),
            ["purpose"] => Some(|granted| Value::Text(&granted.purpose)),
            ["subject"] => Some(|granted| Value::Words(granted.subject())),
            ["action"] => Some(|granted| Value::Words(&granted.stated.action)),
            ["resource"] => Some(|granted| Value::Words(&granted.stated.resource)),
            _ => None,
        }
    }
}

/// The permit policies that can apply to one action.
#[derive(Clone, Default)]
struct GrantSet {
    conditions: Vec<Arc<Condition<Granted>>>,
    policies: PolicySet,
}

impl GrantSet {
    /// Whether one of them permits; `None` when only Cedar can tell.
    fn permits(&self, granted: &Granted, is_agent: bool) -> Option<bool> {
        let mut any = false;
        for condition in &self.conditions {
            any |= condition.holds(granted, is_agent)?;
        }
        Some(any)
    }
}

/// The norms that can apply to one action, and the facts that they speak of.
#[derive(Clone, Default)]
struct NormSet {
    norms: Vec<Arc<Norm>>,
    wanted: Wanted,
}

impl NormSet {
    fn add(&mut self, norm: &Arc<Norm>, policy: &serde_json::Value) {
        self.norms.push(norm.clone());
        self.wanted.add_policy(policy);
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
    renew: EntityUid,
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
            renew: action(RENEW),
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
        write!(f, "Policies({} norms)", self.all_norms.len())
    }
}

/// What norms say of one act or item.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reasons that deny or ask.
    pub reasons: Vec<Reason>,
    /// What must be done when it goes through.
    pub obligations: BTreeSet<Obligation>,
    /// How many items may be read at most; the fewest, where several norms limit it.
    pub limit: Option<u64>,
    /// How much is frozen from here on; the widest, where several breakers tripped.
    pub trip: Option<Trip>,
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
            renew: NormSet::default(),
            all_norms: Vec::new(),
            words,
        };
        let validator = Validator::new(grant_schema.clone());
        for source in &sources.grants {
            for policy in load(source, &validator, cedar_policy::Effect::Permit, &mut errors) {
                policies.file_grant(&policy, &grant_schema);
            }
        }
        let validator = Validator::new(norm_schema.clone());
        for source in &sources.norms {
            for policy in load(source, &validator, cedar_policy::Effect::Forbid, &mut errors) {
                match read_norm(source, &policy) {
                    Ok(norm) => policies.file_norm(norm, &policy, &norm_schema),
                    Err(error) => errors.push(error),
                }
            }
        }
        if policies.all_norms.len() > POLICIES_MAX {
            errors.push(PolicyError {
                source_name: "norms".to_owned(),
                message: format!("{} policies, at most {POLICIES_MAX} are allowed", policies.all_norms.len()),
                help: None,
                span: None,
            });
        }
        if errors.is_empty() { Ok(policies) } else { Err(errors) }
    }

    /// Files a policy under each action that it can apply to, so that a decision looks at no other.
    fn file_grant(&mut self, policy: &Policy, schema: &Schema) {
        let condition = Arc::new(Condition::of(&json(policy), Granted::find));
        let actions = actions_of(policy, schema);
        for (effect, _) in self.words.actions.iter().filter(|(_, action)| actions.contains(*action)) {
            let set = self.grants.entry(*effect).or_default();
            set.conditions.push(condition.clone());
            set.policies.add(policy.clone()).expect("ids were made unique when the file was loaded");
        }
    }

    /// The same for a norm.
    fn file_norm(&mut self, norm: Norm, policy: &Policy, schema: &Schema) {
        let norm = Arc::new(norm);
        let (actions, json) = (actions_of(policy, schema), json(policy));
        for (effect, _) in self.words.actions.iter().filter(|(_, action)| actions.contains(*action)) {
            self.norms.entry(*effect).or_default().add(&norm, &json);
        }
        if actions.contains(&self.words.observe) {
            self.observe.add(&norm, &json);
        }
        // Norms about any act were written for acts: what they say of a lease, nobody meant.
        if actions.contains(&self.words.renew) && policy.action_constraint() != ActionConstraint::Any {
            self.renew.add(&norm, &json);
        }
        self.all_norms.push(norm);
    }

    /// Whether a principal is permitted an effect on a resource by what it was granted.
    #[must_use]
    pub(crate) fn is_granted(
        &self,
        principal: &PrincipalId,
        is_agent: bool,
        effect: Effect,
        resource: &str,
        granted: &Granted,
    ) -> bool {
        let Some(set) = self.grants.get(&effect).filter(|_| !granted.kinds.is_empty()) else { return false };
        set.permits(granted, is_agent).unwrap_or_else(|| {
            let context = [
                ("grants", Value::Words(&granted.kinds)),
                ("purpose", Value::Text(&granted.purpose)),
                ("subject", Value::Words(granted.subject())),
                ("action", Value::Words(&granted.stated.action)),
                ("resource", Value::Words(&granted.stated.resource)),
            ];
            let context = context.map(|(name, value)| (name.to_owned(), value.into()));
            let Ok(request) = self.request(principal, is_agent, &self.words.actions[&effect], resource, context) else {
                return false;
            };
            let response = self.authorizer.is_authorized(&request, &set.policies, &Entities::empty());
            response.decision() == cedar_policy::Decision::Allow && response.diagnostics().errors().next().is_none()
        })
    }

    fn request(
        &self,
        principal: &PrincipalId,
        is_agent: bool,
        action: &EntityUid,
        resource: &str,
        context: impl IntoIterator<Item = (String, RestrictedExpression)>,
    ) -> Result<Request, ()> {
        let context = Context::from_pairs(context).map_err(|_| ())?;
        let (principal, resource) = (self.words.principal(principal, is_agent), self.words.resource(resource));
        Request::new(principal, action.clone(), resource, context, None).map_err(|_| ())
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

    /// Every norm that holds against a task's lease being earned again by rule.
    #[must_use]
    pub fn norms_on_renewal(&self, caller: &PrincipalId, is_agent: bool, task: &str, facts: &Facts) -> Findings {
        self.findings(&self.renew, &self.words.renew, caller, is_agent, task, facts)
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
        let mut untold = Vec::new();
        for norm in &set.norms {
            match norm.condition.holds(facts, is_agent) {
                Some(true) => norm.state(facts, &mut findings),
                Some(false) => {}
                None => untold.push(norm),
            }
        }
        if untold.is_empty() {
            return findings;
        }
        let Ok(request) = self.request(caller, is_agent, action, resource, facts.cedar_context(&set.wanted)) else {
            findings.reasons.push(unevaluated("the facts"));
            return findings;
        };
        for norm in untold {
            let response = self.authorizer.is_authorized(&request, &norm.policy, &Entities::empty());
            // A forbid policy that holds is the reason of the denial.
            if response.diagnostics().errors().next().is_some() {
                findings.reasons.push(Reason { ground: Ground::Norm(norm.id.clone()), ..unevaluated(norm.id.as_str()) });
            } else if response.diagnostics().reason().next().is_some() {
                norm.state(facts, &mut findings);
            }
        }
        findings
    }

    /// The ids of all norms.
    #[must_use]
    pub fn norm_ids(&self) -> BTreeSet<&str> {
        self.all_norms.iter().map(|norm| norm.id.as_str()).collect()
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
            Follows::Deny => {
                let trip = self.freezes.map(|scope| Trip { scope, norm: self.id.clone() });
                findings.trip = findings.trip.take().max(trip);
                return self.object(Outcome::Deny, facts, findings);
            }
            Follows::Ask => return self.object(Outcome::Ask, facts, findings),
            Follows::Redact => Obligation::Redact,
            Follows::Mask => Obligation::Mask,
            Follows::Limit => Obligation::Limit,
            Follows::Notify => Obligation::Notify,
        };
        findings.obligations.insert(obliges(self.id.clone()));
        if let Some(limit) = &self.limit {
            // A limit that is no number was refused when it was loaded; none at all would be the strictest.
            let items = fill(limit, facts).parse().unwrap_or(0);
            findings.limit = Some(findings.limit.map_or(items, |other| other.min(items)));
        }
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

fn json(policy: &Policy) -> serde_json::Value {
    policy.to_json().expect("a policy that was parsed has a JSON form")
}

/// The actions that a policy can apply to.
fn actions_of(policy: &Policy, schema: &Schema) -> BTreeSet<EntityUid> {
    policy.get_valid_request_envs(schema).map(|env| env.action().clone()).collect()
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

/// Reads a norm, and what it says follows from it.
fn read_norm(source: &Source, policy: &Policy) -> Result<Norm, PolicyError> {
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
    let freezes = match get("freeze") {
        None => None,
        Some(word) => Some(Scope::parse(word).filter(|_| follows == Follows::Deny).ok_or_else(|| {
            wrong(
                format!("`@freeze` of norm `{norm}` is `{word}`"),
                "a norm that denies may freeze the `task`, the `agent` or its `owner`",
            )
        })?),
    };
    let limit = get("limit").map(str::to_owned);
    let is_number = |limit: &str| fill(limit, &Facts::default()).parse::<u64>().is_ok();
    if limit.as_deref().is_some_and(is_number) != (follows == Follows::Limit) {
        return Err(wrong(
            format!(
                "`@limit` of norm `{norm}` is {}",
                limit.as_deref().map_or("missing".to_owned(), |limit| format!("`{limit}`"))
            ),
            "a norm whose outcome is `limit`, and no other, says to how many items: `@limit(\"100\")`, or a fact, `@limit(\"{tempo.items_left}\")`",
        ));
    }
    if follows == Follows::Limit
        && policy.action_constraint() != ActionConstraint::Eq(Words::new().actions[&Effect::Read].clone())
    {
        return Err(wrong(
            format!("norm `{norm}` limits more than reading"),
            "only what is read can be cut down: `action == Action::\"read\"`",
        ));
    }
    let alone = PolicySet::from_policies([policy.clone()]).expect("one policy has one id");
    let condition = Condition::of(&json(policy), Facts::find);
    Ok(Norm { condition, policy: alone, id, follows, reason, remedy, approver: Some(approver), freezes, limit })
}
