//! PATCH (RFC 7644 §3.5.2): operations on a resource as a JSON object. The members of a group are told apart, because a group may have a
//! hundred thousand of them and an operation touches one.

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, PatchPath, ValFilter};
use serde_json::{Map, Value};

use super::error::{Refusal, ScimType};
use super::filter::{holds_for, parse_path};
use super::schema::{self, Attribute, Holds, Kind, Part};

/// Operations of one request.
pub const OPERATIONS_MAX: usize = 1000;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Add,
    Replace,
    Remove,
}

/// One operation, read.
#[derive(Debug, Clone)]
pub struct Operation {
    verb: Verb,
    path: Option<PatchPath>,
    value: Value,
}

/// How many values an attribute may have after an operation, members apart: each is compared with each that comes.
const VALUES_MAX: usize = 200;

/// What happens to the members of a group.
#[derive(Debug, Clone)]
pub enum MemberEdit {
    /// These come.
    Add(Vec<Value>),
    /// These go.
    Remove(Vec<Value>),
    /// Those go for whom this holds.
    RemoveWhere(ValFilter),
    /// These are the members.
    Replace(Vec<Value>),
}

/// Reads the body of a PATCH.
///
/// # Errors
/// What is wrong with it.
pub fn parse(body: Value) -> Result<Vec<Operation>, Refusal> {
    let Value::Object(body) = body else { return Err(Refusal::syntax("expected a JSON object")) };
    let mut operations = None;
    let mut is_patch = false;
    for (name, value) in body {
        if name.eq_ignore_ascii_case("schemas") {
            is_patch = value.as_array().is_some_and(|urns| urns.iter().any(|urn| urn == schema::PATCH));
        } else if name.eq_ignore_ascii_case("Operations") {
            operations = Some(value);
        }
    }
    let (true, Some(Value::Array(operations))) = (is_patch, operations) else {
        return Err(Refusal::syntax(format!("expected `schemas` with `{}`, and `Operations`", schema::PATCH)));
    };
    match operations.len() {
        0 => Err(Refusal::syntax("`Operations` is empty")),
        1..=OPERATIONS_MAX => operations.into_iter().map(operation).collect(),
        many => Err(Refusal::new(
            axum::http::StatusCode::PAYLOAD_TOO_LARGE,
            format!("{many} operations, at most {OPERATIONS_MAX} are allowed"),
        )),
    }
}

fn operation(value: Value) -> Result<Operation, Refusal> {
    let Value::Object(members) = value else { return Err(Refusal::syntax("expected an operation as a JSON object")) };
    let (mut verb, mut path, mut value) = (None, None, Value::Null);
    for (name, member) in members {
        match (name.to_ascii_lowercase().as_str(), member) {
            // Its case is not everybody's.
            ("op", Value::String(word)) => {
                verb = match word.to_ascii_lowercase().as_str() {
                    "add" => Some(Verb::Add),
                    "replace" => Some(Verb::Replace),
                    "remove" => Some(Verb::Remove),
                    _ => None,
                };
            }
            ("path", Value::String(text)) => path = Some(parse_path(&text)?),
            ("path", Value::Null) => {}
            ("path", _) => return Err(Refusal::bad(ScimType::InvalidPath, "`path`: expected text")),
            ("value", member) => value = member,
            _ => {}
        }
    }
    let verb = verb.ok_or_else(|| Refusal::syntax("`op`: expected `add`, `remove` or `replace`"))?;
    if verb == Verb::Remove && path.is_none() {
        return Err(Refusal::bad(ScimType::NoTarget, "a removal needs a path"));
    }
    Ok(Operation { verb, path, value })
}

/// Makes the operations on a resource, all or none, and tells what happens to members.
///
/// # Errors
/// The first that cannot be made.
pub fn apply(kind: Kind, resource: &mut Map<String, Value>, operations: &[Operation]) -> Result<Vec<MemberEdit>, Refusal> {
    let mut patch = Patch { kind, resource, members: Vec::new() };
    for Operation { verb, path, value } in operations {
        match path {
            Some(path) => patch.at(*verb, path, value.clone())?,
            None => patch.all(*verb, value.clone())?,
        }
    }
    let members = patch.members;
    schema::complete(kind, resource)?;
    Ok(members)
}

struct Patch<'r> {
    kind: Kind,
    resource: &'r mut Map<String, Value>,
    members: Vec<MemberEdit>,
}

/// An attribute, found by a path.
#[derive(Clone, Copy)]
struct Target {
    extension: Option<&'static str>,
    attribute: &'static Attribute,
    sub: Option<&'static Attribute>,
}

impl Patch<'_> {
    /// Without a path: each member of the value is one (RFC 7644 §3.5.2.1). What only the service says is passed over.
    fn all(&mut self, verb: Verb, value: Value) -> Result<(), Refusal> {
        let Value::Object(members) = value else {
            return Err(Refusal::bad(ScimType::InvalidValue, "without a path, expected a value with attributes"));
        };
        for (name, value) in members {
            let path = match self.kind.part(&name) {
                Some(Part { extension: Some(urn), .. }) => {
                    self.extension(verb, urn, value)?;
                    continue;
                }
                Some(_) | None => parse_path(&name)?,
            };
            let PatchPath::Attr(attribute) = &path else {
                self.at(verb, &path, value)?;
                continue;
            };
            let is_the_services = self.target(attribute).is_ok_and(|target| target.attribute.read_only);
            if !is_the_services {
                self.at(verb, &path, value)?;
            }
        }
        Ok(())
    }

    fn extension(&mut self, verb: Verb, urn: &'static str, value: Value) -> Result<(), Refusal> {
        if verb == Verb::Remove || value.is_null() {
            self.resource.remove(urn);
            return Ok(());
        }
        let Value::Object(members) = value else {
            return Err(Refusal::bad(ScimType::InvalidValue, format!("`{urn}`: expected an object")));
        };
        for (name, value) in members.into_iter().filter(|(name, _)| !name.eq_ignore_ascii_case("schemas")) {
            let path = AttrPath { uri: Some(urn.to_owned()), name, sub_attr: None };
            self.at(verb, &PatchPath::Attr(path), value)?;
        }
        Ok(())
    }

    fn at(&mut self, verb: Verb, path: &PatchPath, value: Value) -> Result<(), Refusal> {
        match path {
            PatchPath::Attr(path) => {
                // An extension as a whole ends in what looks like an attribute's name.
                let whole = path.uri.as_ref().map(|urn| format!("{urn}:{}", path.name));
                if let Some(Part { extension: Some(urn), .. }) = whole.and_then(|urn| self.kind.part(&urn)) {
                    return self.extension(verb, urn, value);
                }
                let target = self.target(path)?;
                self.writable(target)?;
                if self.is_members(target) {
                    return self.edit_members(verb, target, None, value);
                }
                self.set(verb, target, value)
            }
            PatchPath::Value(value_path) => {
                let mut target = self.target(&value_path.attr)?;
                if !target.attribute.many {
                    let why = format!("`{}` has one value, so there is nothing to choose from", target.attribute.name);
                    return Err(Refusal::bad(ScimType::InvalidPath, why));
                }
                target.sub = value_path.sub_attr.as_deref().map(|sub| sub_of(target.attribute, sub)).transpose()?;
                self.writable(target)?;
                if self.is_members(target) {
                    return self.edit_members(verb, target, Some(&value_path.filter), value);
                }
                self.set_where(verb, target, &value_path.filter, value)
            }
        }
    }

    fn target(&self, path: &AttrPath) -> Result<Target, Refusal> {
        let unknown = || Refusal::bad(ScimType::InvalidPath, format!("`{path}` is no attribute of a {}", self.kind.name()));
        let part = match &path.uri {
            Some(urn) => self.kind.part(urn).ok_or_else(unknown)?,
            None => Part::core(self.kind),
        };
        let attribute = part.attribute(&path.name).ok_or_else(unknown)?;
        let sub = path.sub_attr.as_deref().map(|sub| sub_of(attribute, sub)).transpose()?;
        Ok(Target { extension: part.extension, attribute, sub })
    }

    fn writable(&self, target: Target) -> Result<(), Refusal> {
        let is_the_services = target.attribute.read_only || target.sub.is_some_and(|sub| sub.read_only);
        if !is_the_services {
            return Ok(());
        }
        Err(Refusal::bad(ScimType::Mutability, format!("`{}` is said by the service alone", target.attribute.name)))
    }

    fn is_members(&self, target: Target) -> bool {
        self.kind == Kind::Group && target.attribute.name == "members"
    }

    fn edit_members(&mut self, verb: Verb, target: Target, filter: Option<&ValFilter>, value: Value) -> Result<(), Refusal> {
        if target.sub.is_some() {
            return Err(Refusal::bad(ScimType::Mutability, "what a member is does not change: remove it, and add another"));
        }
        // One alone is as good as a list of one.
        let value = if value.is_object() { Value::Array(vec![value]) } else { value };
        let given = match schema::value_of(target.attribute, value)? {
            Value::Array(given) => given,
            _ => Vec::new(),
        };
        let edit = match (verb, filter) {
            (Verb::Add, None) => MemberEdit::Add(given),
            (Verb::Replace, None) => MemberEdit::Replace(given),
            (Verb::Remove, Some(filter)) => MemberEdit::RemoveWhere(filter.clone()),
            // Some clients name whom they mean in the value: everyone else must not go with them.
            (Verb::Remove, None) if !given.is_empty() => MemberEdit::Remove(given),
            (Verb::Remove, None) => MemberEdit::Replace(Vec::new()),
            (Verb::Add | Verb::Replace, Some(_)) => {
                return Err(Refusal::bad(ScimType::Mutability, "what a member is does not change: remove it, and add another"));
            }
        };
        self.members.push(edit);
        Ok(())
    }

    /// The object in which the attribute is, made where it is not there.
    fn container(&mut self, extension: Option<&'static str>) -> &mut Map<String, Value> {
        match extension {
            None => self.resource,
            Some(urn) => {
                let entry = self.resource.entry(urn).or_insert_with(|| Value::Object(Map::new()));
                object(entry)
            }
        }
    }

    fn set(&mut self, verb: Verb, target: Target, value: Value) -> Result<(), Refusal> {
        let Target { extension, attribute, sub } = target;
        let is_removal = verb == Verb::Remove || value.is_null();
        if is_removal && sub.is_none() && attribute.required {
            return Err(Refusal::bad(ScimType::Mutability, format!("`{}` has to be there", attribute.name)));
        }
        let container = self.container(extension);
        match sub {
            Some(sub) if is_removal => {
                for element in elements(container, attribute) {
                    object(element).remove(sub.name);
                }
            }
            Some(sub) => {
                let value = schema::value_of(sub, value)?;
                if !container.contains_key(attribute.name) {
                    let empty = Value::Object(Map::new());
                    let empty = if attribute.many { Value::Array(vec![empty]) } else { empty };
                    container.insert(attribute.name.to_owned(), empty);
                }
                for element in elements(container, attribute) {
                    object(element).insert(sub.name.to_owned(), value.clone());
                }
            }
            None if is_removal && verb == Verb::Remove && attribute.many && !value.is_null() => {
                // As with members: only what the value names.
                let gone = schema::value_of(attribute, as_list(value))?;
                let gone = gone.as_array().map_or(&[][..], Vec::as_slice);
                if let Some(Value::Array(kept)) = container.get_mut(attribute.name) {
                    kept.retain(|element| !gone.iter().any(|gone| is_same(element, gone)));
                }
            }
            None if is_removal => drop(container.remove(attribute.name)),
            None if attribute.many => {
                // One alone is as good as a list of one.
                let Value::Array(given) = schema::value_of(attribute, as_list(value))? else { return Ok(()) };
                let known = if verb == Verb::Replace { None } else { container.remove(attribute.name) };
                let mut all = match known {
                    Some(Value::Array(known)) => known,
                    _ => Vec::new(),
                };
                if all.len() + given.len() > VALUES_MAX {
                    let why = format!("`{}`: expected at most {VALUES_MAX} values", attribute.name);
                    return Err(Refusal::bad(ScimType::InvalidValue, why));
                }
                for element in given {
                    add(&mut all, element);
                }
                container.insert(attribute.name.to_owned(), Value::Array(all));
            }
            None => {
                let value = schema::value_of(attribute, value)?;
                match (container.get_mut(attribute.name), value) {
                    (Some(Value::Object(known)), Value::Object(given)) => known.extend(given),
                    (_, value) => drop(container.insert(attribute.name.to_owned(), value)),
                }
            }
        }
        self.tidy(extension, attribute);
        Ok(())
    }

    fn set_where(&mut self, verb: Verb, target: Target, filter: &ValFilter, value: Value) -> Result<(), Refusal> {
        let Target { extension, attribute, sub } = target;
        let value = match (verb, sub) {
            (Verb::Remove, _) => Value::Null,
            (_, Some(sub)) => schema::value_of(sub, value)?,
            (_, None) => match value {
                Value::Array(mut only) if only.len() == 1 => schema::one(attribute, only.remove(0))?,
                value => schema::one(attribute, value)?,
            },
        };
        let all = self.container(extension).entry(attribute.name).or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(all) = all else { return Ok(()) };
        let chosen: Vec<usize> = (0..all.len()).filter(|at| holds_for(filter, Some(attribute), &all[*at])).collect();
        if chosen.is_empty() {
            let made = (verb == Verb::Add).then(|| demanded(filter, attribute)).flatten();
            let Some(mut made) = made else {
                self.tidy(extension, attribute);
                return Err(Refusal::bad(ScimType::NoTarget, format!("no value of `{}` is meant by the path", attribute.name)));
            };
            match (sub, value) {
                (Some(sub), value) => drop(made.insert(sub.name.to_owned(), value)),
                (None, Value::Object(given)) => made.extend(given),
                (None, _) => {}
            }
            add(all, Value::Object(made));
        } else if verb == Verb::Remove {
            match sub {
                Some(sub) => chosen.iter().for_each(|at| drop(object(&mut all[*at]).remove(sub.name))),
                None => {
                    let mut at = 0;
                    all.retain(|_| {
                        at += 1;
                        !chosen.contains(&(at - 1))
                    });
                }
            }
        } else {
            let is_primary = |value: &Value| sub.map_or(value["primary"] == true, |sub| sub.name == "primary" && *value == true);
            if is_primary(&value) {
                all.iter_mut().for_each(not_primary);
            }
            for at in chosen {
                match (sub, &value) {
                    (Some(sub), value) => drop(object(&mut all[at]).insert(sub.name.to_owned(), value.clone())),
                    (None, Value::Object(given)) if verb == Verb::Add => object(&mut all[at]).extend(given.clone()),
                    (None, value) => all[at] = value.clone(),
                }
            }
        }
        self.tidy(extension, attribute);
        Ok(())
    }

    /// What holds nothing is not assigned (RFC 7643 §2.5).
    fn tidy(&mut self, extension: Option<&'static str>, attribute: &Attribute) {
        let container = self.container(extension);
        if let Some(Value::Array(elements)) = container.get_mut(attribute.name) {
            elements.retain(|element| !schema::is_unassigned(element));
        }
        if container.get(attribute.name).is_some_and(schema::is_unassigned) {
            container.remove(attribute.name);
        }
        if let Some(urn) = extension
            && self.resource.get(urn).is_some_and(schema::is_unassigned)
        {
            self.resource.remove(urn);
        }
    }
}

fn sub_of(attribute: &'static Attribute, name: &str) -> Result<&'static Attribute, Refusal> {
    let unknown = || Refusal::bad(ScimType::InvalidPath, format!("`{name}` is no part of `{}`", attribute.name));
    attribute.sub(name).ok_or_else(unknown)
}

fn as_list(value: Value) -> Value {
    match value {
        Value::Array(_) | Value::Null => value,
        one => Value::Array(vec![one]),
    }
}

/// The value as an object, which it becomes when it is none.
fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut().expect("it was made one just now")
}

fn elements<'v>(container: &'v mut Map<String, Value>, attribute: &Attribute) -> &'v mut [Value] {
    match container.get_mut(attribute.name) {
        Some(Value::Array(elements)) => elements,
        Some(value) => std::slice::from_mut(value),
        None => &mut [],
    }
}

/// Whether a value of many is the one that is named: the same, or the same `value`.
fn is_same(element: &Value, named: &Value) -> bool {
    element == named || (named.get("value").is_some() && element.get("value") == named.get("value"))
}

/// Another value beside these; one primary value ends the other's being so (RFC 7644 §3.5.2).
fn add(all: &mut Vec<Value>, element: Value) {
    if all.contains(&element) {
        return;
    }
    if element["primary"] == true {
        all.iter_mut().for_each(not_primary);
    }
    all.push(element);
}

fn not_primary(element: &mut Value) {
    if element["primary"] == true {
        object(element).insert("primary".to_owned(), false.into());
    }
}

/// The value that a filter describes, where it says what is equal to what and nothing else.
fn demanded(filter: &ValFilter, attribute: &'static Attribute) -> Option<Map<String, Value>> {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, value)) => {
            let sub = attribute.sub(&path.name)?;
            let value = match value {
                CompValue::Str(text) => Value::String(text.clone()),
                CompValue::True => Value::Bool(true),
                CompValue::False => Value::Bool(false),
                CompValue::Number(_) | CompValue::Null => return None,
            };
            let value = match sub.holds {
                Holds::Complex(_) => return None,
                _ => schema::value_of(sub, value).ok()?,
            };
            Some(Map::from_iter([(sub.name.to_owned(), value)]))
        }
        ValFilter::And(all) => all.iter().try_fold(Map::new(), |mut made, filter| {
            made.extend(demanded(filter, attribute)?);
            Some(made)
        }),
        ValFilter::Attr(_) | ValFilter::Not(_) | ValFilter::Or(_) => None,
    }
}
