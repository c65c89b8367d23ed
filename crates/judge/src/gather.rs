//! Gathering: everything about an act that a norm may speak of, computed from the state and the moment.

use crate::act::{Act, ValuePrint};
use crate::content::{COPY_CHARS_MIN, Found, Kind, secret_shapes};
use crate::effect::Effect;
use crate::facts::{CredentialFacts, Facts, LeaseFacts, PossibleFacts, ShownFacts};
use crate::label::{Classification, Label};
use crate::moment::Moment;
use crate::name::{PrincipalId, ResourceId, TaskId};
use crate::preview::{change_facts, preview_act};
use crate::provenance::{Origin, Traced, Tracer, is_owners_word};
use crate::reach::{Beyond, Reach};
use crate::registration::{answering, is_registered_with};
use crate::release::{is_released, says_only};
use crate::state::{Checkpoint, Flow, LabelId, State, TaskState, cleared_for_task};
use crate::task::{Caller, Quantity};
use crate::tempo::Measures;
use crate::value::{ACCOUNT, LINK, PERSON, PHONE, SECRET, TITLE, family, host_of, links_in, normal};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

mod tempo;

pub(crate) use tempo::facts as tempo_facts;

/// How many people a sample names.
const SAMPLE_PEOPLE_MAX: usize = 5;

/// The category of items that are credentials.
const CREDENTIALS: &str = "credentials";
/// Who has to act where everybody is gone who answered for an agent.
const NOBODY_ANSWERS: &str = "an administrator";
/// A shorter name than this may stand in a sentence by chance.
const NAMED_CHARS_MIN: usize = 3;

/// Kinds of resources that are Prudence's own authority, or the evidence of what was done: the part before the first `:`.
const GOVERNANCE_KINDS: [&str; 15] = [
    "agent",
    "agents",
    "approval",
    "approvals",
    "audit",
    "evidence",
    "grant",
    "grants",
    "ledger",
    "norm",
    "norms",
    "policies",
    "policy",
    "prudence",
    "role",
];

/// What was gathered.
pub(crate) struct Gathered {
    /// The facts that are the same for every effect of the act.
    pub(crate) facts: Facts,
    /// Who would see what leaves.
    pub(crate) audience: Reach,
    /// Labels that flow into it.
    pub(crate) flows: Flows,
    /// Resources that the chain will not get.
    pub(crate) withheld: BTreeSet<ResourceId>,
    /// What differs from effect to effect.
    pub(crate) effect_facts: BTreeMap<Effect, EffectFacts>,
    /// Where the consequential values of the act were chosen.
    pub(crate) values: Vec<ValuePrint>,
}

/// Labels of what is shown and of what is possible.
#[derive(Default)]
pub(crate) struct Flows {
    pub(crate) shown: BTreeSet<LabelId>,
    /// The join of everything that was read; `None` when nothing was.
    pub(crate) possible: Option<Label>,
}

/// What differs from effect to effect.
#[derive(Clone, Copy)]
pub(crate) struct EffectFacts {
    effect_named: bool,
    resources_named: bool,
}

impl Gathered {
    pub(crate) fn for_effect(&self, effect: Effect) -> Cow<'_, Facts> {
        match self.effect_facts.get(&effect) {
            Some(of)
                if of.effect_named == self.facts.task.effect_named && of.resources_named == self.facts.task.resources_named =>
            {
                Cow::Borrowed(&self.facts)
            }
            Some(of) => {
                let mut facts = self.facts.clone();
                facts.task.effect_named = of.effect_named;
                facts.task.resources_named = of.resources_named;
                Cow::Owned(facts)
            }
            None => Cow::Borrowed(&self.facts),
        }
    }
}

/// Computes all facts of `act`.
pub(crate) fn gather(state: &State, caller: &Caller, act: &Act, moment: Moment) -> Gathered {
    let task = caller.task.as_ref().and_then(|id| state.task(id));
    let flow = caller.task.as_ref().and_then(|id| state.root_of(id)).and_then(|root| state.flow(&root));
    let audience = audience(state, act);
    let mut facts = Facts::default();
    let mut withheld = BTreeSet::new();

    chain(state, caller, &mut facts);
    facts.act.resources = act.resources.len() as u64;
    facts.act.recipients = act.recipients.len() as u64;
    facts.act.amount = act.amount.unwrap_or(0);
    facts.act.governance = touches_governance(state, act);
    facts.act.freeze_window = act.resources.iter().any(|resource| state.directory().is_frozen(resource.as_str(), moment));
    facts.audience.people = audience.people.bits().len();
    facts.audience.public = audience.public;
    facts.audience.external = audience.external.len() as u64;
    if act.effects.contains(&Effect::Widen) {
        facts.change = change_facts(state, &preview_act(state, act), act.because.as_ref());
    }
    if act.effects.contains(&Effect::Read) {
        reading(state, caller, act, &mut facts, &mut withheld);
    }
    let tracer = task.zip(caller.chain.first()).map(|(task, requester)| Tracer { state, requester, task, flow });
    let traced = tracer.as_ref().map(|tracer| tracer.trace(act)).unwrap_or_default();
    if let Some(tracer) = &tracer {
        facts.values = tracer.facts(act, &traced);
        facts.change.by_owner = act.change.is_some() && is_owners_word(tracer, act, &traced);
    }
    let given = given(state, task, act, &audience, &traced);
    let effect_facts = match task {
        Some(task) => {
            let address = address(state, task, act, &traced);
            let left = state.budget_left(&task.task.id, Quantity::Amount);
            let of = task_facts(task, act, &audience, &address, moment, left, &mut facts);
            facts.task.objects_named |= names_objects(task, act, &traced);
            of
        }
        None => {
            facts.task.effect_named = true;
            facts.task.resources_named = true;
            facts.task.tool_named = true;
            facts.task.amount_within = true;
            BTreeMap::new()
        }
    };
    facts.credential = credential(state, caller, Some(act), moment);
    if let (Some(task), Some(id)) = (task, &caller.task) {
        let bytes = act.content.iter().map(|text| text.len() as u64).sum();
        let measures = Measures::of(&act.effects, bytes, act.amount);
        facts.tempo = crate::gather::tempo::facts(state, caller, id, task, act, measures, moment);
    }
    let flows = match flow {
        Some(flow) => flow_facts(state, caller, act, &audience, flow, task, given, &traced, &mut facts),
        None => Flows::default(),
    };
    facts.shown.attached = attached(state, caller, act, &audience, given);
    facts.shown.secrets = flow.zip(task).map_or(0, |(flow, task)| secrets_used(state, act, flow, task));
    facts.values.secrets += secrets_leaving(act, task, &facts);
    let values = traced.iter().filter(|value| value.is_addressing()).map(Traced::record).collect();
    Gathered { facts, audience, flows, withheld, effect_facts, values }
}

/// What the owner has decided by naming who is told.
#[derive(Clone, Copy)]
struct Given {
    /// All of the audience is named by the task: they may be told in other words what is the requester's own.
    by_task: bool,
    /// All of the audience is named by the requester's words: they may be told it word for word.
    by_words: bool,
}

/// Whoever names a place that everybody sees has not decided about all that is hers.
fn given(state: &State, task: Option<&TaskState>, act: &Act, audience: &Reach, traced: &[Traced]) -> Given {
    let Some(task) = task.filter(|_| !audience.public) else { return Given { by_task: false, by_words: false } };
    let requester = state.directory().reach_of_recipient(task.task.requester.as_str());
    let is_said = |value: &Traced| value.is_in_words() || (task.task.address_open && value.called);
    let said = requester.union(&reached_by(state, act, traced, &is_said));
    let by_words = audience.beyond(&said).count() == 0;
    Given { by_task: by_words || audience.beyond(&task.address).count() == 0, by_words }
}

/// Who is reached through those of an act's recipients and places that are chosen in such a way.
fn reached_by(state: &State, act: &Act, traced: &[Traced], is_such: &dyn Fn(&Traced) -> bool) -> Reach {
    let is_chosen = |text: &str| traced.iter().any(|value| value.text == text && is_such(value));
    let mut reach = Reach::nobody();
    for recipient in act.recipients.iter().filter(|recipient| is_chosen(recipient)) {
        reach = reach.union(&state.directory().reach_of_recipient(recipient));
    }
    for resource in &act.resources {
        let own = resource.as_str().split_once(':').map_or(resource.as_str(), |(_, own)| own);
        if is_chosen(own) || is_chosen(resource.as_str()) {
            reach = reach.union(&seen_at(state, resource));
        }
    }
    reach
}

/// Who the answer is for: those that the task names, those whom the requester named otherwise or the task itself made. Where the requester left it open, it
/// is also for those whom a relation or the system of record names, if they are told what the requester said and nothing else, or if the requester
/// hands over to what is written elsewhere: a text that is read must not choose both who is told and what.
fn address<'a>(state: &State, task: &'a TaskState, act: &Act, traced: &[Traced]) -> Cow<'a, Reach> {
    let is_open = task.task.address_open;
    if !is_open && !traced.iter().any(|value| value.vouched) {
        return Cow::Borrowed(&task.address);
    }
    let is_any = is_open && (task.words.follow_what_is_written() || says_only(&task.words, &parts_that_tell(act)));
    let is_meant = |value: &Traced| value.called || value.origin == Origin::Task;
    let is_for = |value: &Traced| value.vouched || (is_open && is_meant(value)) || (is_any && value.is_chosen());
    Cow::Owned(task.address.union(&reached_by(state, act, traced, &is_for)))
}

/// How many of the audience are not cleared for what goes along by its name, such as a file that is attached, whether it was read or not. The owner may give what
/// is the owner's own to whom the owner named.
fn attached(state: &State, caller: &Caller, act: &Act, audience: &Reach, given: Given) -> u64 {
    if !act.effects.iter().any(|effect| matches!(effect, Effect::Send | Effect::Publish)) {
        return 0;
    }
    let requester = caller.chain.first();
    let ids = act.values.iter().filter(|value| !is_of_no_kind(&value.kind));
    let ids = ids.filter_map(|value| ResourceId::parse(&format!("{}:{}", value.kind, value.text)).ok());
    let mut beyond = Beyond::default();
    for id in ids.filter(|id| !act.resources.contains(id)) {
        let Some(label) = state.label_of(&id) else { continue };
        let number = requester.and_then(|requester| state.principals().number(requester.as_str()));
        let is_own = label.classification <= Classification::Internal
            && ((requester.is_some() && state.directory().owner_of(id.as_str()) == requester) || label.is_for_only(number));
        if !(given.by_words && is_own) {
            beyond.absorb(&audience.beyond(&state.directory().cleared_for(&label)));
        }
    }
    beyond.count()
}

/// Whether values of this kind name no things that have readers.
fn is_of_no_kind(kind: &str) -> bool {
    matches!(family(kind).as_ref(), PERSON | ACCOUNT | LINK | PHONE | SECRET | TITLE)
}

/// Credentials in what leaves: of an item that is one, or recognised by their shape, unless the requester wrote them into the task.
fn secrets_leaving(act: &Act, task: Option<&TaskState>, facts: &Facts) -> u64 {
    let leaves = |effect: &Effect| matches!(effect, Effect::Send | Effect::Publish | Effect::Execute | Effect::Spend);
    if task.is_none() || !act.effects.iter().any(leaves) {
        return 0;
    }
    let labelled = facts.shown.categories.iter().any(|category| category.as_ref() == CREDENTIALS);
    let given = task.map_or("", |task| task.task.words.as_str());
    let shaped = act.content.iter().filter(|part| !secret_shapes(part).is_empty() && !given.contains(part.as_str())).count();
    u64::from(labelled) + shaped as u64
}

/// Credentials that this task has read, anywhere in the call: in a text, a value, a name or an argument that no contract knows. Not those that the requester wrote
/// into the task, that the system of record hands out for use, that are part of a link which stands in what was read as it is, or that
/// are written back into the thing in which they stand.
fn secrets_used(state: &State, act: &Act, flow: &Flow, task: &TaskState) -> u64 {
    let index = flow.index();
    if !index.has_secrets() {
        return 0;
    }
    let names = act.recipients.iter().map(String::as_str).chain(act.resources.iter().map(ResourceId::as_str));
    let texts = act.content.iter().map(String::as_str).chain(act.values.iter().map(|value| value.text.as_str())).chain(names);
    let parts: Vec<Cow<'_, str>> = texts.map(|text| without_known_links(state, flow, text)).collect();
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let found = index.secrets(state.key(), &parts);
    let stays = act.effects.iter().all(|effect| matches!(effect, Effect::Read | Effect::Compute | Effect::Write));
    let is_written_back = |items: &[u32]| {
        let mut ids = items.iter().filter_map(|&number| flow.read(number)).map(|(id, _)| id);
        stays && act.effects.contains(&Effect::Write) && ids.any(|id| act.resources.contains(id))
    };
    let is_attested = |text: &str| flow.attests(SECRET, state.key().value(&normal(SECRET, text)));
    let is_used = |(text, items): &(&String, &Vec<u32>)| {
        !task.task.words.contains(text.as_str()) && !is_attested(text) && !is_written_back(items)
    };
    found.found.iter().filter(is_used).count() as u64 + u64::from(found.truncated)
}

/// A text without those of its links that were read as they are: a link may carry its own key.
fn without_known_links<'t>(state: &State, flow: &Flow, text: &'t str) -> Cow<'t, str> {
    let is_known = |link: &&String| !flow.index().links(state.key().value(&normal(LINK, link))).is_empty();
    links_in(text).iter().filter(is_known).fold(Cow::Borrowed(text), |text, link| text.replace(link.as_str(), " ").into())
}

fn chain(state: &State, caller: &Caller, facts: &mut Facts) {
    facts.chain.depth = caller.chain.len() as u64;
    let Some((person, agents)) = caller.chain.split_first() else { return };
    facts.chain.person = person.to_string();
    facts.chain.agent = agents.last().map(PrincipalId::to_string).unwrap_or_default();
    let directory = state.directory();
    facts.task.owners_here = directory.person(person.as_str()).is_some()
        && agents
            .iter()
            .all(|agent| directory.agent(agent.as_str()).is_some_and(|agent| directory.person(agent.owner.as_str()).is_some()));
}

/// What is known of the credential, and of the terms under which the agents of the chain are registered.
fn credential(state: &State, caller: &Caller, act: Option<&Act>, moment: Moment) -> CredentialFacts {
    let directory = state.directory();
    let agents = || caller.chain.iter().skip(1).filter_map(|agent| directory.agent(agent.as_str()));
    let purpose = caller.task.as_ref().and_then(|id| state.task(id)).map(|task| task.task.purpose.as_str());
    let mut facts = CredentialFacts {
        bound: caller.key.is_some(),
        foreign_key: state.is_foreign_key(caller),
        shared_key: state.is_shared_key(caller),
        unregistered: agents().next_back().is_some_and(|agent| !is_registered_with(agent, caller)),
        ..CredentialFacts::default()
    };
    for agent in agents() {
        let registration = &agent.registration;
        let is_lapsed = registration.is_over(moment);
        let is_covered = |tools: &BTreeSet<Arc<str>>, act: &Act| {
            tools.iter().any(|pattern| crate::pattern::matches(pattern, act.tool.as_str()))
        };
        let is_beyond = registration.effects.as_ref().zip(act).is_some_and(|(effects, act)| !act.effects.is_subset(effects))
            || registration.purposes.as_ref().zip(purpose).is_some_and(|(purposes, purpose)| !purposes.contains(purpose))
            || registration.tools.as_ref().zip(act).is_some_and(|(tools, act)| !is_covered(tools, act));
        let is_ownerless = directory.person(agent.owner.as_str()).is_none();
        let found = [(is_lapsed, &mut facts.lapsed), (is_beyond, &mut facts.beyond), (is_ownerless, &mut facts.ownerless)];
        for (_, agents) in found.into_iter().filter(|(is_so, _)| *is_so) {
            agents.insert(agent.id.shared());
        }
        if is_lapsed || is_beyond || is_ownerless {
            facts.answerable.extend(answering(directory, agent).map(PrincipalId::shared));
        }
    }
    facts.registration_lapsed = !facts.lapsed.is_empty();
    facts.beyond_registration = !facts.beyond.is_empty();
    facts.owner_gone = !facts.ownerless.is_empty();
    let is_at_fault = facts.registration_lapsed || facts.beyond_registration || facts.owner_gone;
    if is_at_fault && facts.answerable.is_empty() {
        facts.answerable.insert(Arc::from(NOBODY_ANSWERS));
    }
    facts
}

/// Everything that a norm may speak of when the lease of a task is to be earned again.
pub(crate) fn renewal(state: &State, caller: &Caller, id: &TaskId, task: &TaskState, moment: Moment) -> Facts {
    let mut facts = Facts::default();
    chain(state, caller, &mut facts);
    facts.task.present = true;
    facts.task.purpose.clone_from(&task.task.purpose);
    facts.task.lapsed = moment < task.task.starts || moment >= task.task.ends;
    facts.credential = credential(state, caller, None, moment);
    facts.tempo.half_open = state.line_of(id).last().is_some_and(|root| root.tempo.resets > 0);
    facts.tempo.subtasks = state.subtasks_of(id);
    let Checkpoint { looked, renewals, denials, noes, alarms, .. } = task.checkpoint;
    facts.lease = LeaseFacts { minutes: looked.ms_until(moment) / 60_000, renewals, denials, noes, alarms };
    facts
}

/// Who would see what leaves: named recipients, and the audiences of the destinations that the act touches.
/// A destination that nobody knows is somebody outside, so that it fails closed where a norm consumes it.
fn audience(state: &State, act: &Act) -> Reach {
    let directory = state.directory();
    let mut reach = Reach::nobody();
    for recipient in &act.recipients {
        reach = reach.union(&directory.reach_of_recipient(recipient));
    }
    let publishes = act.effects.contains(&Effect::Publish);
    let sends_unnamed = act.effects.contains(&Effect::Send) && act.recipients.is_empty();
    if publishes || sends_unnamed || act.effects.contains(&Effect::Write) {
        for resource in &act.resources {
            let is_known = directory.audience_of(resource.as_str()).is_some() || known_readers(state, resource).is_some();
            // Those who can read it already will read what is written into it.
            if publishes || sends_unnamed || is_known {
                reach = reach.union(&seen_at(state, resource));
            }
        }
    }
    reach
}

/// Who sees what is put there. Of a place that nobody knows it is somebody outside, by its very name.
fn seen_at(state: &State, place: &ResourceId) -> Reach {
    let known = state.directory().audience_of(place.as_str()).cloned().or_else(|| known_readers(state, place));
    known.unwrap_or_else(|| Reach { external: BTreeSet::from([Arc::from(place.as_str())]), ..Reach::nobody() })
}

/// Those who may read an item as the system of record has it; `None` when that is not known.
fn known_readers(state: &State, item: &ResourceId) -> Option<Reach> {
    state.directory().label_of(item).filter(|label| !label.unknown).map(|label| label.readers.clone())
}

fn task_facts(
    task: &TaskState,
    act: &Act,
    audience: &Reach,
    address: &Reach,
    moment: Moment,
    left: Option<u64>,
    facts: &mut Facts,
) -> BTreeMap<Effect, EffectFacts> {
    let TaskState { task, approved_tools, .. } = task;
    facts.task.present = true;
    facts.task.purpose.clone_from(&task.purpose);
    facts.task.address = task.address.iter().map(|name| Arc::from(name.as_str())).collect();
    facts.task.lapsed = moment < task.starts || moment >= task.ends;
    let only_reads = !act.effects.iter().any(|effect| effect.acts());
    let is_tool = |pattern: &String| crate::pattern::matches(pattern, act.tool.as_str());
    facts.task.tool_named =
        only_reads || task.tools.as_ref().is_none_or(|tools| tools.iter().any(is_tool)) || approved_tools.contains(&act.tool);
    facts.task.amount_within = match (act.amount, left) {
        (Some(amount), Some(left)) => amount <= left,
        (None, _) | (_, None) => true,
    };
    facts.audience.beyond_address = audience.beyond(address).count();
    // Words that name something may also forbid it: they count only for what the task's own lists let in as well.
    let effects_listed = task.effects.as_ref().is_some_and(|effects| act.effects.is_subset(effects));
    facts.task.objects_named = !act.resources.is_empty()
        && act.resources.iter().all(|resource| {
            let listed = |pattern: &String| pattern != "*" && crate::pattern::matches(pattern, resource.as_str());
            let mut patterns = task.resources.iter().flatten();
            patterns.clone().any(|name| name == resource.as_str())
                || (effects_listed && patterns.any(listed) && is_in_words(&task.words, resource.as_str()))
        });
    let named = |resource: &ResourceId| {
        task.resources
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| crate::pattern::matches(pattern, resource.as_str())))
            || task.address.iter().any(|name| name == resource.as_str())
    };
    let all_named = act.resources.iter().all(named);
    // The way of an answer to those it was asked for belongs to every task that may send at all.
    let answers = !audience.is_nobody() && facts.audience.beyond_address == 0;
    let of: BTreeMap<Effect, EffectFacts> = act
        .effects
        .iter()
        .map(|&effect| {
            let effect_named = task.effects.as_ref().is_none_or(|effects| effects.contains(&effect));
            (effect, EffectFacts { effect_named, resources_named: all_named || (effect == Effect::Send && answers) })
        })
        .collect();
    facts.task.effect_named = of.values().all(|of| of.effect_named);
    facts.task.resources_named = of.values().all(|of| of.resources_named);
    of
}

/// Whether the requester asked for this kind of tool and named everything that it is done to, by whatever name.
fn names_objects(task: &TaskState, act: &Act, traced: &[Traced]) -> bool {
    let is_asked_for = task.task.tools.as_ref().is_some_and(|tools| tools.contains(act.tool.as_str()))
        && task.task.effects.as_ref().is_some_and(|effects| act.effects.is_subset(effects));
    let is_named = |resource: &ResourceId| {
        let own = resource.as_str().split_once(':').map_or(resource.as_str(), |(_, own)| own);
        traced.iter().any(|value| value.is_addressing() && value.text == own && value.origin == Origin::Task)
    };
    is_asked_for && !act.resources.is_empty() && act.resources.iter().all(is_named)
}

/// Whether the requester's words name this resource: its whole id, or the part after its kind, standing by itself.
fn is_in_words(words: &str, resource: &str) -> bool {
    let object = resource.split_once(':').map_or(resource, |(_, object)| object);
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | ':' | '.' | '@');
    words
        .split(|c: char| !part_of_name(c))
        .map(|word| word.trim_end_matches(['.', ':', '/']))
        .any(|word| word == resource || (word == object && object.chars().count() >= NAMED_CHARS_MIN))
}

fn reading(state: &State, caller: &Caller, act: &Act, facts: &mut Facts, withheld: &mut BTreeSet<ResourceId>) {
    for resource in &act.resources {
        let Some(label) = state.label_of(resource) else { continue };
        facts.reading.items += 1;
        if !is_cleared(state, caller, &label) {
            facts.reading.uncleared += 1;
            withheld.insert(resource.clone());
        }
    }
}

/// Whether the person at the head of the chain is cleared for an item with this label; when its readers are unknown, whether they
/// are not ruled out.
pub(crate) fn is_cleared(state: &State, caller: &Caller, label: &Label) -> bool {
    let cleared = state.directory().cleared_for(&Label { unknown: false, ..label.clone() });
    cleared.public
        || caller
            .chain
            .first()
            .and_then(|person| state.directory().person(person.as_str()))
            .is_some_and(|number| cleared.people.bits().contains(number))
}

fn touches_governance(state: &State, act: &Act) -> bool {
    let kind_of = |resource: &ResourceId| {
        let kind = resource.as_str().split(':').next().unwrap_or_default();
        GOVERNANCE_KINDS.iter().any(|governance| governance.eq_ignore_ascii_case(kind))
    };
    let is_agent = |name: &String| state.directory().has_agents(name);
    act.resources.iter().any(kind_of)
        || act.change.as_ref().is_some_and(|change| {
            change.add_readers.iter().chain(&change.add_members).chain(change.audience.iter().flatten()).any(is_agent)
        })
}

/// What is shown and what is possible, for this audience.
#[allow(clippy::too_many_arguments, reason = "one computation over one act, split out only for its length")]
fn flow_facts(
    state: &State,
    caller: &Caller,
    act: &Act,
    audience: &Reach,
    flow: &Flow,
    task: Option<&TaskState>,
    given: Given,
    traced: &[Traced],
    facts: &mut Facts,
) -> Flows {
    let mut flows = Flows { possible: Some(flow.summary().label.clone()), ..Flows::default() };
    let leaves = act.effects.iter().any(|effect| effect.acts());
    if leaves || !audience.is_nobody() {
        let purpose = task.map_or("", |task| task.task.purpose.as_str());
        shown(state, caller, act, audience, flow, purpose, given, facts, &mut flows);
    }
    if act.effects.iter().any(|effect| effect.is_outward()) {
        let summary = flow.summary();
        // Whom the requester named may have what the requester owns: that is an owner's decision.
        let counted = if given.by_task { flow.summary_of_foreign() } else { summary };
        let mut beyond = audience.beyond(&counted.cleared);
        let mut purpose_uncovered = summary.purpose_uncovered;
        if (beyond.count() > 0 || purpose_uncovered > 0)
            && let Some(task) = task
            && is_free(state, caller, act, audience, flow, task, traced, given)
        {
            (beyond, purpose_uncovered) = (Beyond::default(), 0);
        }
        facts.possible = PossibleFacts {
            items: flow.items(),
            uncleared: beyond.count(),
            sample: sample(state, &beyond),
            unknown: summary.unknown,
            classification: summary.classification,
            categories: summary.categories.clone(),
            purpose_uncovered,
        };
    }
    flows
}

/// Whether what leaves is seen not to carry anything that its audience may not have, or that may not be used for this. Where the task names
/// all of the audience, they may have what the requester owns.
#[allow(clippy::too_many_arguments, reason = "one computation over one act, split out only for its length")]
fn is_free(
    state: &State,
    caller: &Caller,
    act: &Act,
    audience: &Reach,
    flow: &Flow,
    task: &TaskState,
    traced: &[Traced],
    given: Given,
) -> bool {
    let Some(person) = caller.chain.first() else { return false };
    let is_readable = |number: u32| {
        flow.read(number).is_some_and(|(_, id)| {
            let (label, cleared) = state.label(*id);
            let cleared = cleared_for_task(label, cleared, person, state.principals());
            let is_given = given.by_task && !flow.is_foreign(*id);
            (is_given || audience.beyond(&cleared).count() == 0) && label.purposes.cover(&task.task.purpose)
        })
    };
    let parts = parts_that_tell(act);
    if parts.is_empty() && !act.content.is_empty() {
        // Nothing leaves but what decides where it goes, and that was chosen by whoever may choose it.
        return traced.iter().all(Traced::is_chosen);
    }
    !flow.is_partial()
        && is_released(state.key(), flow.index(), &task.words, &parts, !act.effects.contains(&Effect::Publish), is_readable)
}

/// What leaves beside names and values that decide where it goes. A link is told as well: it may carry anything in what follows its host; and so is what a new
/// thing is called.
fn parts_that_tell(act: &Act) -> Vec<&str> {
    let names: BTreeSet<&str> =
        act.recipients.iter().map(String::as_str).chain(act.resources.iter().map(ResourceId::as_str)).collect();
    let decides = |value: &crate::act::Value| !matches!(family(&value.kind).as_ref(), LINK | TITLE);
    let is_value = |part: &str| act.values.iter().any(|value| value.text == part && decides(value));
    act.content.iter().map(String::as_str).filter(|part| !names.contains(part) && !is_value(part)).collect()
}

#[allow(clippy::too_many_arguments, reason = "one computation over one act, split out only for its length")]
fn shown(
    state: &State,
    caller: &Caller,
    act: &Act,
    audience: &Reach,
    flow: &Flow,
    purpose: &str,
    given: Given,
    facts: &mut Facts,
    flows: &mut Flows,
) {
    // The names of recipients and resources are searched apart: that an address stands in what was read, as an address, does
    // not mean that somebody learns something by it.
    let names: BTreeSet<&str> =
        act.recipients.iter().map(String::as_str).chain(act.resources.iter().map(ResourceId::as_str)).collect();
    let values = act.values.iter().map(|value| value.text.as_str());
    let parts: Vec<&str> = act
        .content
        .iter()
        .map(String::as_str)
        .chain(values)
        .filter(|part| !names.contains(part))
        .map(|part| beside_known_link(state, flow, act, part))
        .collect();
    let is_host_of_known_link = |name: &str| {
        name.strip_prefix("external:").is_some_and(|host| {
            act.values.iter().any(|value| {
                beside_known_link(state, flow, act, &value.text) != value.text && host_of(&value.text).as_deref() == Some(host)
            })
        })
    };
    let names: Vec<&str> =
        names.into_iter().filter(|name| name.len() >= COPY_CHARS_MIN && !is_host_of_known_link(name)).collect();
    let found = flow.index().search(state.key(), &parts);
    let in_names: Vec<Found> = names.iter().map(|name| flow.index().search(state.key(), &[name])).collect();
    let copied = in_names.iter().filter(|found| !found.hits().any(|(kind, ..)| kind == Kind::Token)).flat_map(Found::hits);
    let hits = found.hits().chain(copied);
    let truncated = found.truncated || in_names.iter().any(|found| found.truncated);
    facts.shown = ShownFacts { unsearched: truncated || flow.is_partial(), ..ShownFacts::default() };
    let Some(person) = caller.chain.first() else { return };
    let mut of_label: BTreeMap<LabelId, (Beyond, bool)> = BTreeMap::new();
    let mut judge_read = |number: u32| -> Option<(LabelId, bool)> {
        let (_, id) = flow.read(number)?;
        let (beyond, covered) = of_label.entry(*id).or_insert_with(|| {
            let (label, cleared) = state.label(*id);
            let cleared = cleared_for_task(label, cleared, person, state.principals());
            // The owner's decision counts for what is told word for word as well.
            let is_given = given.by_words && !flow.is_foreign(*id);
            (if is_given { Beyond::default() } else { audience.beyond(&cleared) }, label.purposes.cover(purpose))
        });
        Some((*id, beyond.count() == 0 && *covered))
    };
    let mut items: BTreeSet<&ResourceId> = BTreeSet::new();
    let mut held: BTreeSet<LabelId> = BTreeSet::new();
    for (_, _, reads) in hits {
        // What also stands in something that all of them may have, for this purpose, was not kept from them.
        let is_released = reads.iter().any(|&number| judge_read(number).is_some_and(|(_, free)| free));
        for &number in reads {
            let (Some((label, _)), Some((item, _))) = (judge_read(number), flow.read(number)) else { continue };
            items.insert(item);
            flows.shown.insert(label);
            if !is_released {
                held.insert(label);
            }
        }
    }
    facts.shown.items = items.len() as u64;
    let mut beyond = Beyond::default();
    for id in &held {
        let (label, _) = state.label(*id);
        let (outside, covered) = &of_label[id];
        beyond.absorb(outside);
        facts.shown.unknown += u64::from(label.unknown);
        facts.shown.purpose_uncovered += u64::from(!covered);
    }
    for id in &flows.shown {
        let (label, _) = state.label(*id);
        facts.shown.classification = facts.shown.classification.max(label.classification);
        facts.shown.categories.extend(label.categories.iter().cloned());
    }
    facts.shown.uncleared = beyond.count();
    facts.shown.sample = sample(state, &beyond);
}

/// What a link tells beside where it leads. That its address stands in what was read, as an address, does not mean that somebody learns something by it; what
/// was put behind it does.
fn beside_known_link<'a>(state: &State, flow: &Flow, act: &Act, part: &'a str) -> &'a str {
    let is_link = act.values.iter().any(|value| value.text == part && family(&value.kind) == LINK);
    let end = part.find(['?', '#']).unwrap_or(part.len());
    let is_known = is_link && !flow.index().links(state.key().value(&normal(LINK, &part[..end]))).is_empty();
    if is_known { &part[end..] } else { part }
}

fn sample(state: &State, beyond: &Beyond) -> BTreeSet<Arc<str>> {
    beyond
        .people
        .iter()
        .filter_map(|number| state.principals().name(number))
        .map(|name| Arc::from(name.as_str()))
        .chain(beyond.external.iter().cloned())
        .chain(beyond.public.then(|| Arc::from("public")))
        .take(SAMPLE_PEOPLE_MAX)
        .collect()
}
