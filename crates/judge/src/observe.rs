//! Observing: a result's items are labelled and judged before the agent sees any of them, because reading is what taints.

use crate::act::{Attested, Chosen, LabelSpec, NamedBy, Observation, ObservedItem};
use crate::content::{ContentKey, Sketch, sketch};
use crate::decide::stopped;
use crate::decision::{Ground, Obligation, Outcome, Reason};
use crate::directory::Directory;
use crate::event::{AttestedPrint, Ended, LabelRecord, Observed, ReadRecord, SetRecord};
use crate::facts::{Facts, ItemFacts};
use crate::gather::is_cleared;
use crate::label::{Classification, Label, Purposes};
use crate::name::{NormId, PrincipalId, ResourceId};
use crate::reach::Reach;
use crate::state::State;
use crate::value::{LINK, PERSON, Words, normal, values_in};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Among the readers of a contract's label: whoever asked, and nobody else. In what a result says about itself it is nobody.
pub const REQUESTER: &str = "@requester";

/// What a chain does not get of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeptBack {
    /// Items that it does not get.
    pub withheld: BTreeSet<ResourceId>,
    /// Items that it gets without their sensitive fields.
    pub masked: BTreeSet<ResourceId>,
}

impl KeptBack {
    /// Whether it gets all of it.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.withheld.is_empty() && self.masked.is_empty()
    }
}

/// What may be released of a result, and what the record of it needs.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Every item with its label, in the order of the observation.
    pub items: Vec<ReadRecord>,
    /// Items that the chain does not get.
    pub withheld: BTreeSet<ResourceId>,
    /// Items that it gets without their sensitive fields.
    pub masked: BTreeSet<ResourceId>,
    /// Why.
    pub reasons: Vec<Reason>,
    /// The chain was stopped while the tool worked, so that it gets nothing at all, and why.
    pub stopped: Option<Reason>,
    /// Sets of people that no record has spelt out yet.
    pub sets: Vec<SetRecord>,
    /// What the system of record states, as far as the chain gets the result as it is.
    pub attested: Vec<AttestedPrint>,
}

impl Verdict {
    /// What is recorded of the result. The items, sets and attested values move there.
    pub fn record(&mut self, observation: &Observation, ended: Ended) -> Observed {
        Observed {
            items: std::mem::take(&mut self.items),
            created: observation.created.clone(),
            attested: std::mem::take(&mut self.attested),
            sets: std::mem::take(&mut self.sets),
            stopped: self.stopped.is_some(),
            ..Observed::nothing(observation.decision.clone(), observation.caller.task.clone(), ended)
        }
    }
}

/// Labels the items of a result and says which of them the chain may have. When the gate only observes (`enforced` is
/// false), what would be withheld is still marked so, and still recorded as read, because the agent gets it.
#[must_use]
pub fn observe(state: &State, observation: &Observation, enforced: bool) -> Verdict {
    observe_sketched(state, observation, &sketches(state.key(), observation), enforced)
}

/// Sketches every item of a result: the costly part of observing, which needs no state.
#[must_use]
pub fn sketches(key: &ContentKey, observation: &Observation) -> Vec<Arc<Sketch>> {
    observation.items.iter().map(|item| Arc::new(sketch(key, &item.text))).collect()
}

/// [`observe`] with the sketches made beforehand, one for each item in order.
#[must_use]
pub fn observe_sketched(state: &State, observation: &Observation, sketches: &[Arc<Sketch>], enforced: bool) -> Verdict {
    let mut judged: BTreeMap<LabelRecord, Objections> = BTreeMap::new();
    let stopped = if enforced { stopped(state, &observation.caller) } else { None };
    let stopped = stopped.and_then(|decision| decision.reasons.into_iter().next());
    let mut verdict = Verdict {
        items: Vec::new(),
        withheld: BTreeSet::new(),
        masked: BTreeSet::new(),
        reasons: stopped.iter().cloned().collect(),
        stopped,
        sets: Vec::new(),
        attested: Vec::new(),
    };
    let mut reaches: Vec<Reach> = Vec::new();
    let mut calls = Calls { requester: observation.caller.chain.first(), known: Vec::new() };
    for (item, sketch) in observation.items.iter().zip(sketches) {
        let label = label_of(state, item, &mut calls);
        let record = LabelRecord::from(&label);
        let objections = judged.entry(record.clone()).or_insert_with(|| {
            reaches.push(label.readers.clone());
            objections(state, observation, item, &label)
        });
        let unmaskable = objections.masking.iter().filter(|_| !item.maskable);
        let reasons: Vec<&Reason> = objections.withholding.iter().chain(unmaskable).collect();
        let withheld = verdict.stopped.is_some() || !reasons.is_empty();
        if withheld {
            verdict.withheld.insert(item.id.clone());
            verdict.reasons.extend(reasons.into_iter().cloned());
        }
        let masked = !withheld && !objections.masking.is_empty();
        if masked {
            verdict.masked.insert(item.id.clone());
        }
        let kept_from_agent = withheld && enforced;
        verdict.items.push(ReadRecord {
            id: item.id.clone(),
            label: record,
            sketch: (!kept_from_agent).then(|| sketch.clone()),
            withheld: kept_from_agent,
            masked: masked && enforced,
        });
    }
    verdict.reasons.sort();
    verdict.reasons.dedup();
    verdict.sets = state.new_sets(&reaches);
    // Of a result of which a part was kept back nothing is attested: which field belonged to that part is not known here.
    if verdict.withheld.is_empty() && verdict.masked.is_empty() && verdict.stopped.is_none() {
        verdict.attested = attested(state, observation);
    }
    verdict
}

/// The prints of what the system of record states, with whether the requester's words name it.
fn attested(state: &State, observation: &Observation) -> Vec<AttestedPrint> {
    let words = observation.caller.task.as_ref().and_then(|id| state.task(id)).map(|task| &task.words);
    let mut prints: BTreeMap<(Arc<str>, u64), bool> = BTreeMap::new();
    for Attested { value, names } in &observation.attested {
        let normal = normal(&value.kind, &value.text);
        if normal.text.is_empty() {
            continue;
        }
        let named = words.is_some_and(|words| {
            words.say_normal(&normal, &value.text)
                || names
                    .iter()
                    .any(|name| words.say(&value.kind, name) || spoken(name).is_some_and(|name| words.say_most_of(&name)))
        });
        *prints.entry((normal.family.clone(), state.key().value(&normal))).or_default() |= named;
    }
    for address in observation.items.iter().filter_map(|item| said_by_named_source(words?, item)) {
        *prints.entry((PERSON.into(), state.key().value(&normal(PERSON, &address)))).or_default() = true;
    }
    prints.into_iter().map(|((family, print), named)| AttestedPrint { family, print, named }).collect()
}

/// The name of a file as it is said: `grocery-list.docx` is the grocery list. Any other name is said as it is written.
fn spoken(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_ending = (1..=4).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (is_ending && !stem.is_empty()).then(|| stem.replace(['-', '_', '.'], " "))
}

/// The one mail address of a source that the requester named, where it bears a name that the requester said: `her address is on www.dora.example`.
/// A second address in it, whoever put it there, makes it nobody's.
fn said_by_named_source(words: &Words, item: &ObservedItem) -> Option<String> {
    let (kind, own) = item.id.as_str().split_once(':')?;
    if !words.say(LINK, own) && !words.say(kind, own) {
        return None;
    }
    let mut addresses = values_in(&item.text).into_iter().filter(|(kind, _)| *kind == PERSON).map(|(_, address)| address);
    let address = addresses.next()?;
    if addresses.any(|other| normal(PERSON, &other) != normal(PERSON, &address)) {
        return None;
    }
    let (local, _) = address.split_once('@')?;
    let mut names = local.split(|c: char| !c.is_alphabetic()).filter(|name| name.chars().count() >= NAME_CHARS_MIN);
    names.any(|name| words.say(PERSON, name)).then_some(address)
}

/// A shorter piece of an address is no name.
const NAME_CHARS_MIN: usize = 3;

/// What stands against the chain's getting an item with some label as it is.
#[derive(Default)]
struct Objections {
    /// Why it does not get it.
    withholding: Vec<Reason>,
    /// Why it does not get it with its sensitive fields.
    masking: Vec<Reason>,
}

/// What norms say of an item with this label.
fn objections(state: &State, observation: &Observation, item: &ObservedItem, label: &Label) -> Objections {
    let caller = &observation.caller;
    let (Some(policies), Some(last)) = (state.policies(), caller.chain.last()) else { return Objections::default() };
    let task = caller.task.as_ref().and_then(|id| state.task(id));
    let mut facts = Facts::default();
    facts.chain.person = caller.chain[0].to_string();
    facts.chain.agent = if caller.chain.len() > 1 { last.to_string() } else { String::new() };
    facts.chain.depth = caller.chain.len() as u64;
    if let Some(task) = task {
        facts.task.present = true;
        facts.task.purpose.clone_from(&task.task.purpose);
    }
    // The act was permitted as what it is; here only the item is new.
    facts.task.effect_named = true;
    facts.task.resources_named = true;
    facts.task.objects_named = true;
    facts.task.tool_named = true;
    facts.task.amount_within = true;
    facts.task.owners_here = true;
    facts.item = ItemFacts {
        known: !label.unknown,
        cleared: is_cleared(state, caller, label),
        classification: label.classification,
        categories: label.categories.clone(),
        purpose_covered: label.purposes.cover(&facts.task.purpose),
        trusted: label.integrity == crate::label::Integrity::Trusted,
    };
    let findings = policies.norms_on_item(last, caller.chain.len() > 1, item.id.as_str(), &facts);
    let person = &caller.chain[0];
    let because = |norm: &NormId, sentence: String| Reason {
        ground: Ground::Norm(norm.clone()),
        outcome: Outcome::Deny,
        sentence,
        remedy: Some("ask its owner, or somebody who is cleared, for what you need of it".to_owned()),
        approver: None,
    };
    let mut objections = Objections { withholding: findings.reasons, masking: Vec::new() };
    for obligation in &findings.obligations {
        match obligation {
            Obligation::Redact(norm) => objections
                .withholding
                .push(because(norm, format!("{person} is not cleared for a part of the result, which was withheld"))),
            Obligation::Mask(norm) => objections.masking.push(because(
                norm,
                "a part of the result may be shown without its sensitive fields only, and nobody has said which they are"
                    .to_owned(),
            )),
            Obligation::Limit(_) | Obligation::Notify(_) => {}
        }
    }
    objections
}

/// The label of an item: what the system of record says, else the contract, else its container; tightened by what the
/// result says about itself, never loosened. Names that the result chose are its own words as well, so that an item under such a name is
/// at least as strict as what the call names, and a container under such a name makes nothing known that the call does not.
fn label_of(state: &State, item: &ObservedItem, calls: &mut Calls<'_>) -> Label {
    let directory = state.directory();
    let chosen = item.chosen.as_ref();
    let place = item.container.as_ref().map(|container| {
        let place = contained(directory, container).unwrap_or_else(Label::unknown);
        match chosen.filter(|chosen| chosen.container == NamedBy::Server) {
            Some(chosen) => place.join(calls.of(state, chosen).strictest.as_ref().unwrap_or(&Label::unknown())),
            None => place,
        }
    });
    let label = state
        .label_of(&item.id)
        .or_else(|| item.otherwise.as_ref().map(|spec| stated(directory, calls.requester, spec)))
        .or(place)
        .unwrap_or_else(Label::unknown);
    let label = match chosen.map(|chosen| (chosen.id, calls.of(state, chosen))) {
        None | Some((NamedBy::Call, _)) => label,
        Some((NamedBy::Contract, call)) => joined(label, call.known.as_ref()),
        Some((NamedBy::Server, call)) => joined(label, call.strictest.as_ref()),
    };
    match &item.claimed {
        Some(claimed) => tightened(directory, label, claimed),
        None => label,
    }
}

/// What the call says of its result.
#[derive(Default)]
struct CallLabels {
    /// The join of what is known of the things that it names; nothing when nothing is.
    known: Option<Label>,
    /// The same, with what nobody has labelled as unknown; nothing when it names nothing.
    strictest: Option<Label>,
}

/// [`CallLabels`], each computed once: a call may name many things, and its result hold many items. With who asked.
struct Calls<'a> {
    requester: Option<&'a PrincipalId>,
    known: Vec<(Arc<Chosen>, CallLabels)>,
}

impl Calls<'_> {
    fn of(&mut self, state: &State, chosen: &Arc<Chosen>) -> &CallLabels {
        let found = self.known.iter().position(|(of, _)| Arc::ptr_eq(of, chosen));
        let index = found.unwrap_or_else(|| {
            self.known.push((chosen.clone(), CallLabels::of(state, self.requester, chosen)));
            self.known.len() - 1
        });
        &self.known[index].1
    }
}

impl CallLabels {
    fn of(state: &State, requester: Option<&PrincipalId>, chosen: &Chosen) -> Self {
        let directory = state.directory();
        let mut labels = Self::default();
        for id in &chosen.named {
            let known = state.label_of(id).or_else(|| contained(directory, id));
            if let Some(label) = &known {
                labels.known = Some(joined(label.clone(), labels.known.as_ref()));
            }
            let label = known
                .or_else(|| chosen.otherwise.as_ref().map(|spec| stated(directory, requester, spec)))
                .unwrap_or_else(Label::unknown);
            labels.strictest = Some(joined(label, labels.strictest.as_ref()));
        }
        labels
    }
}

fn joined(label: Label, with: Option<&Label>) -> Label {
    match with {
        Some(with) => label.join(with),
        None => label,
    }
}

fn contained(directory: &Directory, container: &ResourceId) -> Option<Label> {
    let audience = directory.audience_of(container.as_str())?;
    Some(Label { readers: audience.clone(), unknown: false, ..Label::unknown() })
}

fn reach(directory: &Directory, names: &[String]) -> Reach {
    directory.reach_of_all(names.iter().map(String::as_str))
}

/// What a contract says. [`REQUESTER`] among its readers is whoever asked.
fn stated(directory: &Directory, requester: Option<&PrincipalId>, spec: &LabelSpec) -> Label {
    let readers_of = |names: &Vec<String>| {
        let named = names.iter().map(String::as_str).map(|name| match requester {
            Some(requester) if name == REQUESTER => requester.as_str(),
            Some(_) | None => name,
        });
        directory.reach_of_all(named)
    };
    Label {
        unknown: spec.readers.is_none(),
        readers: spec.readers.as_ref().map_or_else(Reach::everyone, readers_of),
        classification: spec.classification.unwrap_or_default(),
        categories: spec.categories.clone(),
        purposes: spec.purposes.clone().map_or(Purposes::Any, Purposes::Only),
        integrity: spec.integrity.unwrap_or_default(),
        origins: BTreeSet::new(),
    }
}

/// Joins what a result says about itself. Readers it names cannot make unknown readers known.
fn tightened(directory: &Directory, label: Label, claimed: &LabelSpec) -> Label {
    let claim = Label {
        readers: claimed.readers.as_ref().map_or_else(Reach::everyone, |names| reach(directory, names)),
        unknown: false,
        classification: claimed.classification.unwrap_or(Classification::Public),
        categories: claimed.categories.clone(),
        purposes: claimed.purposes.clone().map_or(Purposes::Any, Purposes::Only),
        integrity: claimed.integrity.unwrap_or(crate::label::Integrity::Trusted),
        origins: BTreeSet::new(),
    };
    label.join(&claim)
}
