//! Facts: everything computed about an act or an observation that a norm may speak of.
//!
//! The table below is the only place where a fact is declared: the record, the Cedar schema, the Cedar context and the
//! `{placeholders}` of sentences all come from it. Adding a concern means stating a fact here and writing a norm that reads it.

use crate::condition::{Fact, Value};
use crate::label::Classification;
use cedar_policy::RestrictedExpression;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// How a type of fact looks in Cedar and in a sentence.
trait FactType {
    const CEDAR_TYPE: &'static str;
    fn value(&self) -> Value<'_>;
    fn text(&self) -> String;
}

impl FactType for bool {
    const CEDAR_TYPE: &'static str = "Bool";
    fn value(&self) -> Value<'_> {
        Value::Bool(*self)
    }
    fn text(&self) -> String {
        (if *self { "yes" } else { "no" }).to_owned()
    }
}

impl FactType for u64 {
    const CEDAR_TYPE: &'static str = "Long";
    /// Saturates: a count beyond what Cedar can hold is as much over every limit.
    fn value(&self) -> Value<'_> {
        Value::Long(i64::try_from(*self).unwrap_or(i64::MAX))
    }
    fn text(&self) -> String {
        self.to_string()
    }
}

impl FactType for String {
    const CEDAR_TYPE: &'static str = "String";
    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }
    fn text(&self) -> String {
        self.clone()
    }
}

impl FactType for BTreeSet<Arc<str>> {
    const CEDAR_TYPE: &'static str = "Set<String>";
    fn value(&self) -> Value<'_> {
        Value::Words(self)
    }
    fn text(&self) -> String {
        match self.len() {
            0 => "none".to_owned(),
            _ => self.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(", "),
        }
    }
}

/// In Cedar a classification is its level: 0 public, 1 internal, 2 confidential, 3 restricted.
impl FactType for Classification {
    const CEDAR_TYPE: &'static str = "Long";
    fn value(&self) -> Value<'_> {
        Value::Long(*self as i64)
    }
    fn text(&self) -> String {
        self.word().to_owned()
    }
}

impl Wanted {
    /// Adds every fact that a policy speaks of, given in Cedar's JSON format.
    pub(crate) fn add_policy(&mut self, policy: &serde_json::Value) {
        match policy {
            serde_json::Value::Object(members) => {
                if let Some((section, fact)) = fact_access(members) {
                    self.add(section, fact);
                    return;
                }
                let is_context = members.get("Var").is_some_and(|name| name == "context");
                self.everything |= is_context;
                members.values().for_each(|value| self.add_policy(value));
            }
            serde_json::Value::Array(values) => values.iter().for_each(|value| self.add_policy(value)),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
}

/// `context.section.fact`, as Cedar's JSON format has it: an attribute of an attribute of the variable.
fn fact_access(expression: &serde_json::Map<String, serde_json::Value>) -> Option<(&str, &str)> {
    let access = expression.get(".")?;
    let (left, fact) = (access.get("left")?.as_object()?, access.get("attr")?.as_str()?);
    let inner = left.get(".")?;
    let section = inner.get("attr")?.as_str()?;
    (inner.get("left")?.get("Var")? == "context").then_some((section, fact))
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

macro_rules! facts {
    ($(
        $(#[$section_doc:meta])*
        $section:ident: $record:ident { $( $(#[$fact_doc:meta])* $fact:ident: $type:ty, )* }
    )*) => {
        $(
            $(#[$section_doc])*
            #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
            #[serde(default)]
            pub struct $record {
                $( $(#[$fact_doc])* #[serde(skip_serializing_if = "is_default")] pub $fact: $type, )*
            }

            impl $record {
                /// The bit of a fact of this section.
                fn bit(fact: &str) -> Option<u64> {
                    #[allow(non_camel_case_types, reason = "these are the facts' own names")]
                    enum At { $($fact,)* }
                    match fact {
                        $( stringify!($fact) => Some(1 << (At::$fact as u32)), )*
                        _ => None,
                    }
                }

                fn expression(&self, wanted: u64) -> RestrictedExpression {
                    #[allow(non_camel_case_types, reason = "these are the facts' own names")]
                    enum At { $($fact,)* }
                    let mut facts = Vec::with_capacity(wanted.count_ones() as usize);
                    $(
                        if wanted & (1 << (At::$fact as u32)) != 0 {
                            facts.push((stringify!($fact).to_owned(), FactType::value(&self.$fact).into()));
                        }
                    )*
                    RestrictedExpression::new_record(facts).expect("the facts of a section have different names")
                }
            }
        )*

        /// The facts that some policies speak of. Making a context is a large part of what a decision costs, and what no policy
        /// speaks of cannot change its answer.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Wanted {
            $( $section: u64, )*
            /// Something was said about the context that is not one fact: then everything is wanted.
            everything: bool,
        }

        impl Wanted {
            fn add(&mut self, section: &str, fact: &str) {
                let bit = match section {
                    $( stringify!($section) => $record::bit(fact).map(|bit| self.$section |= bit), )*
                    _ => None,
                };
                self.everything |= bit.is_none();
            }
        }

        /// All facts of one act or observation. What is not said has its default.
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Facts {
            $( $(#[$section_doc])* #[serde(skip_serializing_if = "is_default")] pub $section: $record, )*
        }

        impl Facts {
            /// The Cedar type of the context: one record a section.
            #[must_use]
            pub fn cedar_context_type() -> String {
                let mut text = String::from("{\n");
                $(
                    text.push_str(concat!("  ", stringify!($section), ": {\n"));
                    $( let _ = writeln!(text, "    {}: {},", stringify!($fact), <$type as FactType>::CEDAR_TYPE); )*
                    text.push_str("  },\n");
                )*
                text.push('}');
                text
            }

            /// The Cedar context, section by section, of the facts that are wanted.
            #[must_use]
            pub fn cedar_context(&self, wanted: &Wanted) -> Vec<(String, RestrictedExpression)> {
                let mut sections = Vec::new();
                $(
                    let facts = if wanted.everything { u64::MAX } else { wanted.$section };
                    if facts != 0 {
                        sections.push((stringify!($section).to_owned(), self.$section.expression(facts)));
                    }
                )*
                sections
            }

            /// How the fact at this path below `context` is taken; `None` when there is no such fact.
            pub(crate) fn find(path: &[&str]) -> Option<Fact<Facts>> {
                match path {
                    $( $( [stringify!($section), stringify!($fact)] => Some(|facts| FactType::value(&facts.$section.$fact)), )* )*
                    _ => None,
                }
            }

            /// The fact at `section.fact` as a word for a sentence; `None` when there is no such fact.
            #[must_use]
            pub fn text(&self, path: &str) -> Option<String> {
                let (section, fact) = path.split_once('.')?;
                match (section, fact) {
                    $( $( (stringify!($section), stringify!($fact)) => Some(FactType::text(&self.$section.$fact)), )* )*
                    _ => None,
                }
            }

            /// Every fact as `section.fact` with its word, for people and for reference pages.
            #[must_use]
            pub fn table(&self) -> Vec<(&'static str, String)> {
                vec![$( $( (concat!(stringify!($section), ".", stringify!($fact)), FactType::text(&self.$section.$fact)), )* )*]
            }
        }
    };
}

facts! {
    /// Who acts for whom.
    chain: ChainFacts {
        /// The person at the head of the chain.
        person: String,
        /// The agent that calls; empty when a person does.
        agent: String,
        /// Links: 1 is a person alone.
        depth: u64,
    }
    /// The task that the credential names.
    task: TaskFacts {
        /// Whether there is one.
        present: bool,
        /// What for.
        purpose: String,
        /// Who the answer is for.
        address: BTreeSet<Arc<str>>,
        /// Whether the task names this effect, or none in particular.
        effect_named: bool,
        /// Whether the task names all the resources, or none in particular.
        resources_named: bool,
        /// Whether the task names each resource by itself, not by a pattern.
        objects_named: bool,
        /// Whether the task names this tool, or none in particular.
        tool_named: bool,
        /// Whether an amount fits into what is left of the task's budget.
        amount_within: bool,
        /// Whether the lease has run out, or has not begun.
        lapsed: bool,
        /// Whether the requester and the agents' owners are still here.
        owners_here: bool,
    }
    /// The credential with which the call came (semantics §7).
    credential: CredentialFacts {
        /// Whether the caller proved a key.
        bound: bool,
        /// Whether that key is none of those that were given credentials for this task.
        foreign_key: bool,
        /// Whether an agent outside of the chain has credentials for the same key.
        shared_key: bool,
        /// Whether the registration of an agent of the chain has run out.
        registration_lapsed: bool,
        /// Whether an agent of the chain is registered for less than this effect, or for other purposes or tools.
        beyond_registration: bool,
        /// Whether the key or the client of the call is none of those that the agent is registered with.
        unregistered: bool,
        /// Whether the owner of an agent of the chain is not here any more.
        owner_gone: bool,
        /// Agents of the chain whose owner is not here any more.
        ownerless: BTreeSet<Arc<str>>,
        /// Agents whose registration has run out.
        lapsed: BTreeSet<Arc<str>>,
        /// Agents that are registered for less.
        beyond: BTreeSet<Arc<str>>,
        /// Who answers for these agents: their owners and sponsors who are here, an administrator where there is nobody.
        answerable: BTreeSet<Arc<str>>,
    }
    /// The lease of a task that is to be earned again (action `renew`), since a person last looked: when it began, or was renewed by somebody.
    lease: LeaseFacts {
        /// How many minutes ago that was.
        minutes: u64,
        /// How often it was renewed by rule.
        renewals: u64,
        /// Calls that were denied, sub-tasks included.
        denials: u64,
        /// Asks that a person said no to.
        noes: u64,
        /// Alarms.
        alarms: u64,
    }
    /// How fast, how much, and how unlike before, with this call counted (semantics §6). Counts are of the effect that is furthest from what is usual.
    tempo: TempoFacts {
        /// Whether this would use up more of a budget than is left.
        over_budget: bool,
        /// Which budget that is.
        budget: String,
        /// How many items this would read at most, where the call says so.
        reads: u64,
        /// The same, where that is more than what is left of the budget, and less would be within it: what is left; else 0.
        items_left: u64,
        /// The same, where that is more than 60 and than three times what is usual in a busy hour: what is left of that in this minute; else 0.
        pace_left: u64,
        /// Whether it is known what is usual for an agent of the chain, or for its owner.
        known: bool,
        /// Whether what is usual rests on days enough, or was stated.
        seasoned: bool,
        /// Whether a person has stated what is usual.
        stated: bool,
        /// The effect that is furthest from what is usual.
        effect: String,
        /// Whose pace that is.
        whose: String,
        /// What is usual in a busy hour.
        usual: u64,
        /// In the last minute.
        minute: u64,
        /// How many times what is usual in an hour that is.
        minute_ratio: u64,
        /// In the last ten minutes.
        ten_minutes: u64,
        /// How many times what is usual in an hour that is.
        ten_minutes_ratio: u64,
        /// In the last hour.
        hour: u64,
        /// How many times what is usual that is.
        hour_ratio: u64,
        /// In the last day.
        day: u64,
        /// How many times what is usual that is.
        day_ratio: u64,
        /// In the last week.
        week: u64,
        /// How many times what is usual that is.
        week_ratio: u64,
        /// How often all agents of the owner together did this in the last hour.
        owner_hour: u64,
        /// How many times what is usual for them in a busy hour that is; 0 while that is not known.
        owner_hour_ratio: u64,
        /// Text that leaves in an hour, in kibibytes, each act rounded up.
        kilobytes: u64,
        /// How many times what is usual in a busy hour that is; 0 while that is not known.
        kilobytes_ratio: u64,
        /// Money spent in a day, in hundreds of the minor unit, each act rounded up.
        spent: u64,
        /// How many times what is usual in a day that is; 0 while that is not known.
        spent_ratio: u64,
        /// Distinct recipients of the root task.
        recipients: u64,
        /// Irreversible acts of the root task in the last ten minutes.
        irreversible: u64,
        /// Denials of the root task in the last ten minutes.
        denials: u64,
        /// Sub-tasks of the root task, of all depths.
        subtasks: u64,
        /// Whether the agent never used this tool before.
        new_tool: bool,
        /// Whether it never touched this region of data before.
        new_region: bool,
        /// Whether it never sent to this domain before.
        new_domain: bool,
        /// Items that it read today in regions that it first touched today.
        new_items: u64,
        /// How often it sent today to domains that it first wrote to today.
        new_domains: u64,
        /// What is usual of that on a day on which it happens.
        usual_new_domains: u64,
        /// Items that it read today of kinds that it first touched today.
        new_kind_items: u64,
        /// Whether it never did anything about this time of the day, on any day before.
        off_hours: bool,
        /// What it did today at such times.
        off_hours_items: u64,
        /// What it usually does in a day, over all effects; 0 while that is not known.
        usual_day: u64,
        /// Whether a breaker has tripped in this task before, and a person let it go on.
        half_open: bool,
    }
    /// What is done.
    act: ActFacts {
        /// How many resources.
        resources: u64,
        /// How many named recipients.
        recipients: u64,
        /// Money.
        amount: u64,
        /// Whether something of Prudence's own authority is touched: grants, policies, agents, tasks, approvals, evidence;
        /// or an agent is given membership or access.
        governance: bool,
        /// Whether a freeze window is open for a resource.
        freeze_window: bool,
    }
    /// Who chose the consequential values of the act (semantics §4).
    values: ValueFacts {
        /// How many were found in what anyone may have written, and nowhere better.
        steered: u64,
        /// How many were found nowhere.
        unseen: u64,
        /// How many are valid, where the requester named another one.
        elsewhere: u64,
        /// How many are valid objects, among others, of something that cannot be undone.
        picked: u64,
        /// How many links, addresses and accounts in what leaves nobody vouches for.
        led: u64,
        /// How many links to be fetched were put together by the agent.
        composed: u64,
        /// How many are secrets that the requester did not give for this, or are written in what leaves.
        secrets: u64,
        /// Whether more money would leave than was said, budgeted, or paid to the same counterpart before; to a counterpart that was not named, other money.
        amount_beyond: bool,
        /// Which kinds of values these are.
        kinds: BTreeSet<Arc<str>>,
    }
    /// Who will see it.
    audience: AudienceFacts {
        /// How many known people.
        people: u64,
        /// How many of all are not among those the answer is for.
        beyond_address: u64,
        /// Whether everyone can see it.
        public: bool,
        /// How many outside addresses and domains.
        external: u64,
    }
    /// What is found, word for word, in what is about to leave.
    shown: ShownFacts {
        /// How many items.
        items: u64,
        /// How many of the audience are not cleared for one of them.
        uncleared: u64,
        /// How many of the audience are not cleared for something that goes along by its name alone: a file that is attached.
        attached: u64,
        /// Some of those.
        sample: BTreeSet<Arc<str>>,
        /// How many of the items have unknown readers.
        unknown: u64,
        /// The highest classification.
        classification: Classification,
        /// All categories.
        categories: BTreeSet<Arc<str>>,
        /// How many of the items may not be used for the task's purpose.
        purpose_uncovered: u64,
        /// Whether the content was too much to search in full.
        unsearched: bool,
        /// How many credentials that were read stand in the call, and were not given by the requester.
        secrets: u64,
    }
    /// What the task has read and could have put there.
    possible: PossibleFacts {
        /// How many items.
        items: u64,
        /// How many of the audience are not cleared for one of them.
        uncleared: u64,
        /// Some of those.
        sample: BTreeSet<Arc<str>>,
        /// How many of the items have unknown readers.
        unknown: u64,
        /// The highest classification.
        classification: Classification,
        /// All categories.
        categories: BTreeSet<Arc<str>>,
        /// How many of the items may not be used for the task's purpose.
        purpose_uncovered: u64,
    }
    /// Who would newly see what, where the act changes who may see something (semantics §5).
    change: ChangeFacts {
        /// How many known people would see something that they cannot see now.
        newcomers: u64,
        /// How many items somebody would newly see.
        items: u64,
        /// Pairs of a person and an item that would become visible.
        pairs: u64,
        /// How many of those pairs are not cleared.
        uncleared_pairs: u64,
        /// How many people would see something that they are not cleared for.
        uncleared: u64,
        /// Some of those.
        sample: BTreeSet<Arc<str>>,
        /// The highest classification of what they would see.
        classification: Classification,
        /// All categories of it.
        categories: BTreeSet<Arc<str>>,
        /// The worst of it.
        worst: BTreeSet<Arc<str>>,
        /// Whether everyone would newly see something that is not for everyone.
        public: bool,
        /// How many outside addresses and domains would newly see something that is not for everyone.
        external: u64,
        /// Of how many things it is not known who may see them, or what would change.
        unknown: u64,
        /// Who decides about what would be seen.
        owners: BTreeSet<Arc<str>>,
        /// Whether the change rests on what an agent wrote.
        advised: bool,
        /// Whether a person approved what the agent wrote.
        reviewed: bool,
        /// Whether the requester owns what is changed, and named each newcomer.
        by_owner: bool,
    }
    /// What is about to be read, where the directory knows it beforehand.
    reading: ReadingFacts {
        /// How many of the resources the directory knows as items.
        items: u64,
        /// How many of those the person at the head of the chain is not cleared for.
        uncleared: u64,
    }
    /// One item of a result, before the agent sees it (action `observe`).
    item: ItemFacts {
        /// Whether its readers are known.
        known: bool,
        /// Whether the person at the head of the chain is cleared for it; of unknown readers, whether they are not ruled out.
        cleared: bool,
        /// How sensitive.
        classification: Classification,
        /// Kinds of sensitive data.
        categories: BTreeSet<Arc<str>>,
        /// Whether it may be used for the task's purpose.
        purpose_covered: bool,
        /// Whether it is of trusted integrity.
        trusted: bool,
    }
}
