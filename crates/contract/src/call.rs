//! From arguments to an act. Every leaf of every argument is content, whether the contract covers it or not: an argument that nobody
//! thought of cannot carry anything out unjudged.

use crate::source::{PickError, Scope, Source};
use crate::{Amount, ChangeSources, Resource, Tool};
use judge::act::{Act, Change, RESOURCES_MAX, Stated, Value as ActValue};
use judge::decision::Code;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::name::{NameError, ResourceId, ToolId};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// How deep arguments may be nested.
pub const ARGUMENT_DEPTH_MAX: usize = 64;
/// How many strings, numbers and names the arguments of one call may hold.
pub const ARGUMENT_LEAVES_MAX: usize = 100_000;
/// How many recipients one call may name.
pub const RECIPIENTS_MAX: usize = 1_000;

/// Why a call cannot be read the way its contract says. It is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody accepted the contract yet.
    #[error("the contract of `{tool}` is a draft that nobody accepted")]
    Draft {
        /// Which tool or resource.
        tool: String,
    },
    /// MCP: `arguments` is an object.
    #[error("the arguments of `{tool}` must be an object")]
    NotAnObject {
        /// Which tool.
        tool: String,
    },
    /// A path of the contract does not find what it must find.
    #[error("`{what}` of `{tool}`: {why}")]
    Path {
        /// Which tool.
        tool: String,
        /// The contract's key.
        what: &'static str,
        /// Which path, and what was expected.
        why: String,
    },
    /// What was found is no name.
    #[error("`{what}` of `{tool}`: {why}")]
    Name {
        /// Which tool.
        tool: String,
        /// The contract's key.
        what: &'static str,
        /// Why.
        why: NameError,
    },
    /// The act would go to nobody that can be named.
    #[error("`{tool}` sends or publishes, and this call names neither a recipient nor a resource")]
    Nowhere {
        /// Which tool.
        tool: String,
    },
    /// The act would change nothing that can be named.
    #[error("`{tool}` changes who may see or do something, and this call does not say who")]
    NoChange {
        /// Which tool.
        tool: String,
    },
    /// Not an amount of whole minor units.
    #[error("`amount` of `{tool}` must be one number that is not negative, with at most {decimals} digits after the point")]
    Amount {
        /// Which tool.
        tool: String,
        /// The contract's minor unit.
        decimals: u32,
    },
    /// Not a number of items.
    #[error("`{path}` of `{tool}` must be a whole number of items that is not negative")]
    Reads {
        /// Which tool.
        tool: String,
        /// Where it stands.
        path: String,
    },
    /// Too much of something.
    #[error("the call of `{tool}` has too many {what}, at most {max} are allowed")]
    TooMany {
        /// Which tool.
        tool: String,
        /// Of what.
        what: &'static str,
        /// The bound.
        max: usize,
    },
}

impl CallError {
    /// The code of the refusal.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            CallError::TooMany { .. } => Code::Bounds,
            CallError::Draft { .. }
            | CallError::NotAnObject { .. }
            | CallError::Path { .. }
            | CallError::Name { .. }
            | CallError::Nowhere { .. }
            | CallError::NoChange { .. }
            | CallError::Reads { .. }
            | CallError::Amount { .. } => Code::Contract,
        }
    }
}

impl Tool {
    /// Reads a call. `digest` is that of the exact call: what an approval and a permit bind to.
    ///
    /// # Errors
    /// [`CallError`] when the call is not what the contract says, or the contract is only a draft.
    pub fn act(&self, tool: ToolId, arguments: &Value, digest: Digest) -> Result<Act, CallError> {
        if !self.is_accepted() {
            return Err(CallError::Draft { tool: self.name.clone() });
        }
        let nothing = Value::Object(Map::new());
        let arguments = match arguments {
            Value::Object(_) => arguments,
            Value::Null => &nothing,
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Err(CallError::NotAnObject { tool: self.name.clone() });
            }
        };
        let content = self.content(arguments)?;
        let scope = Scope { near: arguments, arguments, result: &Value::Null };
        let resources = self.resource_ids(scope)?;
        let recipients = self.picked("recipients", &self.recipients, scope, RECIPIENTS_MAX)?;
        if self.effects.iter().any(|effect| effect.is_outward()) && resources.is_empty() && recipients.is_empty() {
            return Err(CallError::Nowhere { tool: self.name.clone() });
        }
        let mut values = Vec::new();
        for (kind, source) in &self.values {
            let texts = self.pick("values", source, scope)?;
            values.extend(texts.into_iter().map(|text| ActValue { kind: kind.clone(), text }));
        }
        // What the call says it is done to decides as much as any value does.
        for source in self.resources.iter().filter(|source| source.constant().is_none()) {
            for text in self.pick("resource", source, scope)? {
                let (kind, own) = text.split_once(':').unwrap_or(("resource", &text));
                if !values.iter().any(|value| value.text == own) && !recipients.iter().any(|recipient| recipient == own) {
                    values.push(ActValue { kind: kind.into(), text: own.to_owned() });
                }
            }
        }
        Ok(Act {
            stated: Stated::default(),
            tool,
            effects: self.effects.clone(),
            resources,
            recipients,
            content,
            values,
            amount: self.amount.as_ref().map_or(Ok(None), |amount| self.minor_units(amount, scope))?,
            reads: self.items_asked(arguments)?,
            change: self.change.as_ref().map(|change| self.changed(change, scope)).transpose()?,
            because: None,
            digest,
        })
    }

    fn resource_ids(&self, scope: Scope<'_>) -> Result<Vec<ResourceId>, CallError> {
        let texts = self.picked("resource", &self.resources, scope, RESOURCES_MAX)?;
        texts
            .iter()
            .map(|text| ResourceId::parse(text).map_err(|why| CallError::Name { tool: self.name.clone(), what: "resource", why }))
            .collect()
    }

    fn changed(&self, change: &ChangeSources, scope: Scope<'_>) -> Result<Change, CallError> {
        let picked = |sources: &[Source]| self.picked("change", sources, scope, RECIPIENTS_MAX);
        let audience = picked(&change.audience)?;
        let change = Change {
            add_readers: picked(&change.add_readers)?,
            remove_readers: picked(&change.remove_readers)?,
            add_members: picked(&change.add_members)?,
            remove_members: picked(&change.remove_members)?,
            audience: (!audience.is_empty()).then_some(audience),
        };
        if change == Change::default() && self.effects.contains(&Effect::Widen) {
            return Err(CallError::NoChange { tool: self.name.clone() });
        }
        Ok(change)
    }

    fn minor_units(&self, amount: &Amount, scope: Scope<'_>) -> Result<Option<u64>, CallError> {
        let refuse = || CallError::Amount { tool: self.name.clone(), decimals: amount.decimals };
        match self.pick("amount", &amount.source, scope)?.as_slice() {
            [] => Ok(None),
            [one] => minor_units(one, amount.decimals).map(Some).ok_or_else(refuse),
            [_, _, ..] => Err(refuse()),
        }
    }

    fn picked(&self, what: &'static str, sources: &[Source], scope: Scope<'_>, max: usize) -> Result<Vec<String>, CallError> {
        let mut texts = Vec::new();
        for source in sources {
            texts.extend(self.pick(what, source, scope)?);
        }
        if texts.len() > max {
            return Err(CallError::TooMany { tool: self.name.clone(), what, max });
        }
        Ok(texts)
    }

    fn pick(&self, what: &'static str, source: &Source, scope: Scope<'_>) -> Result<Vec<String>, CallError> {
        source.pick(scope).map_err(|why| path_error(&self.name, what, &why))
    }

    /// All leaves in document order. Names of arguments that the contract lists are the server's; any other name is the caller's, and content.
    fn content(&self, arguments: &Value) -> Result<Vec<String>, CallError> {
        let mut leaves = Leaves { tool: &self.name, texts: Vec::new() };
        if let Value::Object(members) = arguments {
            for (name, value) in members {
                if !self.arguments.contains(name) {
                    leaves.push(name.clone())?;
                }
                leaves.walk(value, 1)?;
            }
        }
        Ok(leaves.texts)
    }
}

impl Resource {
    /// A `resources/read` of `uri` as an act: a read of one item. The URI itself reaches the server, so it is content.
    ///
    /// # Errors
    /// [`CallError`] when the contract is only a draft, or the URI makes no name.
    pub fn act(&self, tool: ToolId, uri: &str, digest: Digest) -> Result<Act, CallError> {
        let refuse = |why| CallError::Path { tool: tool.to_string(), what: "uri", why };
        if !self.is_accepted() {
            return Err(CallError::Draft { tool: tool.to_string() });
        }
        let id = self
            .id_of(uri)
            .ok_or_else(|| refuse("the URI does not fit the contract's pattern, or climbs with `..`".to_owned()))?;
        Ok(Act {
            stated: Stated::default(),
            effects: BTreeSet::from([Effect::Read]),
            resources: vec![id],
            recipients: Vec::new(),
            content: vec![uri.to_owned()],
            values: Vec::new(),
            amount: None,
            reads: None,
            change: None,
            because: None,
            digest,
            tool,
        })
    }

    /// The item that `uri` is.
    #[must_use]
    pub fn id_of(&self, uri: &str) -> Option<ResourceId> {
        let gap = self.uri.gap(uri)?;
        let gap = if self.is_path { crate::source::plain_path(gap)? } else { gap.to_owned() };
        ResourceId::parse(&self.item.replacen("{}", &gap, 1)).ok()
    }
}

struct Leaves<'t> {
    tool: &'t str,
    texts: Vec<String>,
}

impl Leaves<'_> {
    fn push(&mut self, text: String) -> Result<(), CallError> {
        if self.texts.len() == ARGUMENT_LEAVES_MAX {
            return Err(CallError::TooMany { tool: self.tool.to_owned(), what: "strings and numbers", max: ARGUMENT_LEAVES_MAX });
        }
        self.texts.push(text);
        Ok(())
    }

    fn walk(&mut self, value: &Value, depth: usize) -> Result<(), CallError> {
        if depth > ARGUMENT_DEPTH_MAX {
            return Err(CallError::TooMany { tool: self.tool.to_owned(), what: "levels of nesting", max: ARGUMENT_DEPTH_MAX });
        }
        match value {
            Value::Null => Ok(()),
            Value::Bool(truth) => self.push(truth.to_string()),
            Value::Number(number) => self.push(number.to_string()),
            Value::String(text) => self.push(text.clone()),
            Value::Array(entries) => entries.iter().try_for_each(|entry| self.walk(entry, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.push(name.clone())?;
                self.walk(value, depth + 1)
            }),
        }
    }
}

/// A decimal number as whole minor units; nothing when that would round, or when it is written with an exponent.
pub(crate) fn minor_units(text: &str, decimals: u32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals as usize {
        return None;
    }
    let scale = |power: usize| 10_u64.checked_pow(u32::try_from(power).ok()?);
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale(decimals as usize)?)?;
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?.checked_mul(scale(decimals as usize - fraction.len())?)?
    };
    whole.checked_add(part)
}

fn path_error(tool: &str, what: &'static str, why: &PickError) -> CallError {
    CallError::Path { tool: tool.to_owned(), what, why: why.to_string() }
}
