//! Provenance: where each consequential value of an act was chosen (semantics §4).
//!
//! The question is positive. A value is as good as the best place that speaks for it: the requester's own words, an established relation, something
//! of trusted integrity, a field that the system of record fills. That it stands in some text speaks for nothing, because whoever wrote the text may
//! have wanted it there; that no instruction was recognised in the text speaks for nothing either.
//!
//! It refuses to know: tools, norms, and what an agent says about its reasons.

use crate::act::{Act, Change, ValuePrint};
use crate::effect::Effect;
use crate::facts::ValueFacts;
use crate::label::Integrity;
use crate::name::PrincipalId;
use crate::reach::Reach;
use crate::state::{Flow, State, TaskState};
use crate::value::{self, ACCOUNT, LINK, Normal, PERSON, PHONE, SECRET, TITLE, normal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many values of one act are traced; an act with more has the rest as values that nobody chose.
pub const VALUES_MAX: usize = 2_000;
/// An amount may differ by this from what was paid to the same counterpart before, in percent, without being remarkable.
const AMOUNT_MARGIN_PERCENT: u64 = 25;
/// A shorter piece of an address is no name.
const NAME_CHARS_MIN: usize = 3;

/// Where a value was chosen, the best place first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// By the requester: their words, the task's own lists, or a person who was asked.
    Task,
    /// By an established relation: somebody of the organisation, a known destination, somebody the requester dealt with before.
    Directory,
    /// In something whose writers are held to be reliable.
    Trusted,
    /// In a field that the system of record fills, of this very kind.
    Attested,
    /// In something that anyone may have written, and nowhere better.
    Untrusted,
    /// Nowhere that was seen.
    Unseen,
}

/// A value with where it was chosen.
#[derive(Debug, Clone)]
pub(crate) struct Traced {
    pub(crate) normal: Normal,
    pub(crate) text: String,
    pub(crate) print: u64,
    pub(crate) origin: Origin,
    /// Whether the requester named another one of its family.
    pub(crate) elsewhere: bool,
    /// Whether it was named by another of its names, or made by the task itself.
    pub(crate) vouched: bool,
    /// Whether it is an established person whose name was said.
    pub(crate) called: bool,
    /// Whether the requester's own words have it.
    said: bool,
    /// Whether it stands in what leaves, and decides nothing by itself.
    in_text: bool,
}

impl Traced {
    /// Whether it was chosen by somebody or something that may choose it.
    pub(crate) fn is_chosen(&self) -> bool {
        self.origin <= Origin::Attested && !self.elsewhere
    }

    /// Whether the requester named it in words, by whatever name: what the lists of a task let in was not named by that.
    pub(crate) fn is_in_words(&self) -> bool {
        self.said || self.vouched
    }

    /// Whether it decides by itself where something goes or what is hit.
    pub(crate) fn is_addressing(&self) -> bool {
        !self.in_text
    }

    pub(crate) fn record(&self) -> ValuePrint {
        ValuePrint { family: self.normal.family.clone(), print: self.print, origin: self.origin }
    }
}

/// Everything that is needed to say where a value comes from.
pub(crate) struct Tracer<'a> {
    pub(crate) state: &'a State,
    pub(crate) requester: &'a PrincipalId,
    pub(crate) task: &'a TaskState,
    pub(crate) flow: Option<&'a Flow>,
}

impl Tracer<'_> {
    /// The consequential values of an act, each once. Of an act that only reads, the links: what is fetched is told who asks for it, and with what.
    pub(crate) fn trace(&self, act: &Act) -> Vec<Traced> {
        let acts = act.effects.iter().any(|effect| effect.acts());
        let mut traced: Vec<Traced> = Vec::new();
        let mut seen = BTreeSet::new();
        let names_things = self.task.names_things();
        let mut add = |kind: &str, text: &str, in_text: bool| {
            let normal = normal(kind, text);
            if !names_things && !is_address(&normal) {
                return;
            }
            if traced.len() < VALUES_MAX && seen.insert(normal.clone()) {
                traced.push(self.of(normal, text, in_text));
            }
        };
        for value in act.values.iter().filter(|value| acts || value::family(&value.kind) == LINK) {
            add(&value.kind, &value.text, false);
        }
        if acts {
            // What the contract says more of than that it is a recipient is that: an account, a channel.
            let is_value = |recipient: &&String| act.values.iter().any(|value| value.text == **recipient);
            act.recipients.iter().filter(|recipient| !is_value(recipient)).for_each(|recipient| add(PERSON, recipient, false));
            act.change.iter().flat_map(newcomers).for_each(|name| add(PERSON, name, false));
            for part in act.content.iter().filter(|_| act.effects.iter().any(|effect| effect.is_outward())) {
                value::values_in(part).iter().for_each(|(kind, text)| add(kind, text, true));
            }
        }
        traced
    }

    fn of(&self, normal: Normal, text: &str, in_text: bool) -> Traced {
        let print = self.state.key().value(&normal);
        let (origin, elsewhere) = self.origin(&normal, text, print, in_text);
        let vouched = self.is_vouched(&normal, print);
        let called = origin == Origin::Directory && self.is_called(&normal);
        let said = self.task.words.say_normal(&normal, text);
        Traced { normal, text: text.to_owned(), print, origin, elsewhere, vouched, called, said, in_text }
    }

    fn origin(&self, value: &Normal, text: &str, print: u64, in_text: bool) -> (Origin, bool) {
        let family = value.family.as_ref();
        if self.is_of_task(value, text, print, in_text) {
            return (Origin::Task, false);
        }
        let another_named = || {
            self.task.words.name_some(family)
                || self.task.named.contains(family)
                || self.flow.is_some_and(|flow| flow.names_some(family))
                || self.names_some_place(family)
        };
        if self.is_established(value, text, print) {
            return (Origin::Directory, another_named());
        }
        let Some(flow) = self.flow else { return (Origin::Unseen, false) };
        let found = self.found_in(flow, value, text, print);
        if found == Some(Integrity::Trusted) {
            return (Origin::Trusted, false);
        }
        if flow.attests(family, print) {
            return (Origin::Attested, another_named());
        }
        (if found.is_some() { Origin::Untrusted } else { Origin::Unseen }, false)
    }

    /// The requester chose it: by words, by the lists of the task, by another of its names, or by a person who was asked about it. A link that
    /// leaves is said where all of it is: who named a host has not named every page there.
    fn is_of_task(&self, value: &Normal, text: &str, print: u64, in_text: bool) -> bool {
        let TaskState { task, words, .. } = self.task;
        let resource = || format!("{}:{text}", value.family);
        let is_said = match value.family.as_ref() {
            LINK if in_text => words.say_link(text),
            TITLE => self.is_called_so(text),
            _ => words.say_normal(value, text),
        };
        is_said
            || self.is_vouched(value, print)
            || self.task.approved.contains(&print)
            || task.address.iter().any(|name| name == text || normal(PERSON, name) == *value)
            || self.is_in_address(value, text)
            || task.resources.iter().flatten().any(|pattern| {
                pattern != "*" && (pattern == text || crate::pattern::matches(pattern, text) || *pattern == resource())
            })
            || text == self.requester.as_str()
    }

    /// Whether a new thing bears a name by which the requester will know it: half of its words, at least, were said.
    fn is_called_so(&self, text: &str) -> bool {
        let words = &self.task.words;
        let (said, others) = words.said_of_name(text);
        said > 0 && said >= others
    }

    /// Whether the requester said the name of this person, as their address has it: `ann.lee@partner.example` is an Ann.
    fn is_called(&self, value: &Normal) -> bool {
        let local = value.text.split_once('@').map_or(value.text.as_str(), |(local, _)| local);
        value.family.as_ref() == PERSON
            && local
                .split(|c: char| !c.is_alphabetic())
                .any(|name| name.chars().count() >= NAME_CHARS_MIN && self.task.words.call(name))
    }

    /// Whether the requester named a place of this family that the directory knows.
    fn names_some_place(&self, family: &str) -> bool {
        let directory = self.state.directory();
        let is_place = |word: &str| directory.is_established(&format!("{family}:{word}"));
        !matches!(family, PERSON | ACCOUNT | LINK | PHONE | SECRET | TITLE)
            && self.task.words.as_written().take(WORDS_LOOKED_UP_MAX).any(is_place)
    }

    /// The requester named it by another of its names, or the task made it itself.
    fn is_vouched(&self, value: &Normal, print: u64) -> bool {
        self.task.made.contains(&print) || self.flow.is_some_and(|flow| flow.is_named(&value.family, print))
    }

    /// Whoever is reached by it is one of those the answer is for, by another name or as one of a group. Those who see a place were not named one by one.
    fn is_in_address(&self, value: &Normal, text: &str) -> bool {
        let reach = match value.family.as_ref() {
            PERSON => self.state.directory().reach_of_recipient(text),
            LINK => match value::host_of(text) {
                Some(host) => Reach { external: BTreeSet::from([Arc::from(host)]), ..Reach::nobody() },
                None => return false,
            },
            _ => return false,
        };
        let directory = self.state.directory();
        let named = self.task.task.address.iter().map(String::as_str).filter(|name| directory.audience_of(name).is_none());
        !reach.is_nobody()
            && reach.beyond(&self.task.address).count() == 0
            && reach.beyond(&directory.reach_of_all(named)).count() == 0
    }

    /// Facts of the directory and of the past, never of the text at hand.
    fn is_established(&self, value: &Normal, text: &str, print: u64) -> bool {
        let directory = self.state.directory();
        let own_domain = |domain: Option<String>| domain.is_some_and(|domain| directory.is_own_domain(&domain));
        directory.relation(self.requester, value).is_some()
            || self.state.past(self.requester, print).is_some()
            || directory.is_established(text)
            || directory.is_established(&format!("{}:{text}", value.family))
            || match value.family.as_ref() {
                PERSON => {
                    directory.person_named(text).is_some_and(|person| directory.person(person.as_str()).is_some())
                        || own_domain(value::mail_domain(text))
                }
                LINK => {
                    let host = value::host_of(text);
                    let is_related =
                        |host: &String| directory.relation(self.requester, &normal(LINK, host)).is_some() && value::is_bare(text);
                    host.as_ref().is_some_and(is_related) || own_domain(host)
                }
                _ => false,
            }
    }

    /// The best integrity of what it stands in; `None` where it stands in nothing that was read.
    fn found_in(&self, flow: &Flow, value: &Normal, text: &str, print: u64) -> Option<Integrity> {
        let integrity = |number: u32| flow.read(number).map(|(_, label)| self.state.label(*label).0.integrity);
        if value.family.as_ref() == LINK {
            return flow.index().links(print).iter().filter_map(|&number| integrity(number)).max();
        }
        let found = flow.index().search(self.state.key(), &[text]);
        found.hits().flat_map(|(_, _, reads)| reads.iter()).filter_map(|&number| integrity(number)).max()
    }

    /// What a norm may speak of.
    pub(crate) fn facts(&self, act: &Act, traced: &[Traced]) -> ValueFacts {
        let mut facts = ValueFacts::default();
        let acts = act.effects.iter().any(|effect| effect.acts());
        for value in traced {
            let origin = value.origin;
            let counted = match (acts, value.in_text) {
                // Fetching what stands somewhere as it is tells nobody anything; fetching what was put together may.
                (false, _) => (origin == Origin::Unseen).then_some(&mut facts.composed),
                (true, true) => (origin >= Origin::Untrusted).then_some(&mut facts.led),
                (true, false) if value.normal.family.as_ref() == SECRET => {
                    (origin > Origin::Directory).then_some(&mut facts.secrets)
                }
                (true, false) => match origin {
                    Origin::Untrusted => Some(&mut facts.steered),
                    Origin::Unseen => Some(&mut facts.unseen),
                    // Who says how much, and has paid them before, has said which payment it is.
                    _ if value.elsewhere && !(value.normal.family.as_ref() == ACCOUNT && self.says_amount(act)) => {
                        Some(&mut facts.elsewhere)
                    }
                    Origin::Task | Origin::Directory | Origin::Trusted | Origin::Attested => None,
                },
            };
            if let Some(count) = counted {
                *count += 1;
                facts.kinds.insert(value.normal.family.clone());
            }
        }
        if act.values.len() + act.recipients.len() > VALUES_MAX {
            facts.unseen += 1;
        }
        facts.picked = traced.iter().filter(|value| is_object_for_good(act, value)).count() as u64;
        facts.amount_beyond = self.is_amount_beyond(act, traced);
        facts
    }

    /// Whether the requester's words have this amount. Contracts count in minor units, and people in major ones.
    fn says_amount(&self, act: &Act) -> bool {
        let words = &self.task.words;
        act.amount.is_some_and(|amount| {
            words.say_number(&amount.to_string()) || words.say_number(&format!("{}.{:02}", amount / 100, amount % 100))
        })
    }

    /// More than the requester said, than the task's budget lets through, and than what the same counterpart was paid before. A counterpart whom the
    /// requester did not name is paid what it was paid before, and nothing else: a cent may carry a message.
    fn is_amount_beyond(&self, act: &Act, traced: &[Traced]) -> bool {
        let Some(amount) = act.amount.filter(|amount| *amount > 0) else { return false };
        if self.says_amount(act) || self.task.task.budget.amount.is_some() {
            return false;
        }
        let before = traced.iter().filter(|value| !value.in_text).filter_map(|value| {
            let related = self.state.directory().relation(self.requester, &value.normal).flatten();
            related.max(self.state.past(self.requester, value.print).flatten())
        });
        let most = before.max().unwrap_or(0);
        let margin = most.saturating_mul(AMOUNT_MARGIN_PERCENT) / 100;
        let is_unnamed =
            |value: &Traced| value.is_addressing() && value.normal.family.as_ref() == ACCOUNT && value.origin != Origin::Task;
        amount > most.saturating_add(margin) || (amount < most - margin && traced.iter().any(is_unnamed))
    }
}

/// Whether this is what something is done to that cannot be undone, and is one of several that are valid: the requester named none.
fn is_object_for_good(act: &Act, value: &Traced) -> bool {
    let is_for_good = |effect: &Effect| matches!(effect, Effect::Destroy | Effect::Spend);
    let is_object = |resource: &crate::name::ResourceId| {
        resource.as_str() == value.text || resource.as_str().split_once(':').is_some_and(|(_, own)| own == value.text)
    };
    value.is_addressing()
        && matches!(value.origin, Origin::Trusted | Origin::Attested)
        && act.effects.iter().any(is_for_good)
        && act.resources.iter().any(is_object)
}

/// Whether the requester, who owns all that is changed, named each newcomer: the owner has decided then. Groups and everybody are more than was named.
pub(crate) fn is_owners_word(tracer: &Tracer<'_>, act: &Act, traced: &[Traced]) -> bool {
    let Some(change) = act.change.as_ref() else { return false };
    let directory = tracer.state.directory();
    let is_named = |name: &String| {
        let normal = normal(PERSON, name);
        traced.iter().any(|value| value.normal == normal && value.origin == Origin::Task)
    };
    let is_own = |resource: &crate::name::ResourceId| {
        directory.owner_of(resource.as_str()) == Some(tracer.requester)
            || resource
                .as_str()
                .split_once(':')
                .is_some_and(|(kind, own)| tracer.task.made.contains(&tracer.state.key().value(&normal(kind, own))))
    };
    let mut names = change.add_readers.iter().chain(&change.add_members).chain(change.audience.iter().flatten()).peekable();
    names.peek().is_some() && names.all(is_named) && !act.resources.is_empty() && act.resources.iter().all(is_own)
}

/// Whether a value says by itself where something goes, or who may do what: whoever names no things still names these.
fn is_address(value: &Normal) -> bool {
    matches!(value.family.as_ref(), PERSON | ACCOUNT | LINK | PHONE | SECRET)
}

/// Names of those who would newly see or do something. Groups and everybody are for the preview.
fn newcomers(change: &Change) -> impl Iterator<Item = &String> {
    let Change { add_readers, remove_readers: _, add_members, remove_members: _, audience } = change;
    let names = add_readers.iter().chain(add_members).chain(audience.iter().flatten());
    names.filter(|name| !name.starts_with('@') && *name != "public" && !name.starts_with("external:"))
}

/// The families of which a task's words name somebody or something that the directory knows.
pub(crate) fn families_named(state: &State, requester: &PrincipalId, words: &value::Words, text: &str) -> BTreeSet<Arc<str>> {
    let directory = state.directory();
    let mut named: BTreeSet<Arc<str>> = directory
        .relations_of(requester)
        .filter(|value| words.say_normal(value, &value.text))
        .map(|value| value.family.clone())
        .collect();
    let is_person = |word: &str| directory.person_named(word.trim_matches(|c: char| !c.is_alphanumeric())).is_some();
    if text.split_whitespace().take(WORDS_LOOKED_UP_MAX).any(is_person) {
        named.insert(PERSON.into());
    }
    named
}

/// Words of a task that are looked up as people.
const WORDS_LOOKED_UP_MAX: usize = 5_000;
