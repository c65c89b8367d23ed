//! Looking for resources (RFC 7644 §3.4.2), and which of their attributes are told (§3.9).
//!
//! What a search looks at is bounded, not only what it gives: a filter is held against so many resources and no more.

use judge::directory::Directory;
use scim_v2::filter::{AttrPath, Filter, PatchPath};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

use super::error::{Refusal, ScimType};
use super::filter::{self, FILTER_BYTES_MAX};
use super::resource::{self, Found, Shown};
use super::schema::{self, Kind, Part};

/// Resources on a page.
pub const RESOURCES_MAX: usize = 1000;
/// Resources on a page when the client does not say.
const RESOURCES_USUAL: usize = 100;
/// Members on a page, of all groups on it together.
const MEMBERS_MAX: u64 = 250_000;
/// How many comparisons a search makes at most: resources times terms of the filter.
pub const COMPARISONS_MAX: usize = 8_000_000;
/// How many attributes a request names.
const ATTRIBUTES_MAX: usize = 100;

/// What a client looks for, and how it wants it told.
pub struct Query {
    /// Which resources.
    pub filter: Option<Filter>,
    sort: Option<Sort>,
    /// From 1.
    start: usize,
    count: usize,
    /// Which attributes.
    pub projection: Projection,
}

struct Sort {
    by: AttrPath,
    is_descending: bool,
}

/// Which attributes are told.
#[derive(Default)]
pub struct Projection {
    wanted: Vec<AttrPath>,
    unwanted: Vec<AttrPath>,
}

/// As a client writes it in a body (RFC 7644 §3.4.3).
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    attributes: Vec<String>,
    excluded_attributes: Vec<String>,
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
}

impl Query {
    /// Reads the query of a URL. Parameters that nobody knows are passed over.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of_url(query: Option<&str>) -> Result<Self, Refusal> {
        let names = |value: &str| value.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
        let number = |name: &str, value: &str| {
            let unfit = || Refusal::bad(ScimType::InvalidValue, format!("`{name}`: expected a number"));
            value.trim().parse().map(Some).map_err(|_| unfit())
        };
        let mut asked = Asked::default();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match name.to_ascii_lowercase().as_str() {
                "attributes" => asked.attributes = names(&value),
                "excludedattributes" => asked.excluded_attributes = names(&value),
                "filter" => asked.filter = Some(value.into_owned()),
                "sortby" => asked.sort_by = Some(value.into_owned()),
                "sortorder" => asked.sort_order = Some(value.into_owned()),
                "startindex" => asked.start_index = number(&name, &value)?,
                "count" => asked.count = number(&name, &value)?,
                _ => {}
            }
        }
        Self::of(asked)
    }

    /// Reads the body of a search.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn of_body(body: Value) -> Result<Self, Refusal> {
        let is_search = body["schemas"].as_array().is_some_and(|urns| urns.iter().any(|urn| urn == schema::SEARCH));
        if !is_search {
            return Err(Refusal::syntax(format!("expected `schemas` with `{}`", schema::SEARCH)));
        }
        Self::of(serde_json::from_value(body).map_err(|error| Refusal::syntax(error.to_string()))?)
    }

    fn of(asked: Asked) -> Result<Self, Refusal> {
        if !asked.attributes.is_empty() && !asked.excluded_attributes.is_empty() {
            return Err(Refusal::bad(ScimType::InvalidValue, "`attributes` and `excludedAttributes` exclude each other"));
        }
        let is_descending = match asked.sort_order.as_deref() {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => return Err(Refusal::bad(ScimType::InvalidValue, "`sortOrder`: expected `ascending` or `descending`")),
        };
        let by = asked.sort_by.as_deref().filter(|by| !by.is_empty()).map(attribute).transpose()?;
        // Numbers below the least are the least (RFC 7644 §3.4.2.4).
        let count = asked.count.map_or(RESOURCES_USUAL, |count| usize::try_from(count.max(0)).unwrap_or(usize::MAX));
        Ok(Self {
            filter: asked.filter.as_deref().map(filter::parse).transpose()?,
            sort: by.map(|by| Sort { by, is_descending }),
            start: usize::try_from(asked.start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX),
            count: count.min(RESOURCES_MAX),
            projection: Projection { wanted: attributes(&asked.attributes)?, unwanted: attributes(&asked.excluded_attributes)? },
        })
    }
}

fn attributes(names: &[String]) -> Result<Vec<AttrPath>, Refusal> {
    if names.len() > ATTRIBUTES_MAX {
        return Err(Refusal::bad(ScimType::InvalidValue, format!("at most {ATTRIBUTES_MAX} attributes can be named")));
    }
    names.iter().map(|name| attribute(name)).collect()
}

fn attribute(name: &str) -> Result<AttrPath, Refusal> {
    let unfit = || Refusal::bad(ScimType::InvalidValue, "expected the name of an attribute");
    if name.len() > FILTER_BYTES_MAX {
        return Err(unfit());
    }
    match name.parse() {
        Ok(PatchPath::Attr(path)) => Ok(path),
        Ok(PatchPath::Value(_)) | Err(_) => Err(unfit()),
    }
}

/// A page of what is looked for, as a list (RFC 7644 §3.4.2).
///
/// # Errors
/// `tooMany` when the search would look at too much.
pub fn list(directory: &Directory, kinds: &[Kind], query: &Query, base: &str) -> Result<Value, Refusal> {
    let mut found = matching(directory, kinds, query, base)?;
    if let Some(sort) = &query.sort {
        sorted(directory, &mut found, sort, base);
    }
    let mut members = 0;
    let mut page: Vec<Found<'_>> = Vec::new();
    for resource in found.iter().skip(query.start - 1).take(query.count) {
        members += if query.projection.shows_members() { resource.members() } else { 0 };
        // A page may be shorter than what was asked for, and the next begins where it ends.
        if members > MEMBERS_MAX && !page.is_empty() {
            break;
        }
        page.push(*resource);
    }
    let page = page.into_iter();
    let resources: Vec<Value> = page
        .map(|resource| represent(directory, resource, base, &query.projection).map(Value::Object))
        .collect::<Result<_, _>>()?;
    Ok(json!({
        "schemas": [schema::LIST],
        "totalResults": found.len(),
        "startIndex": query.start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    }))
}

fn matching<'d>(directory: &'d Directory, kinds: &[Kind], query: &Query, base: &str) -> Result<Vec<Found<'d>>, Refusal> {
    let Some(filter) = &query.filter else {
        return Ok(kinds.iter().flat_map(|kind| resource::all(directory, *kind)).collect());
    };
    let shown = Shown {
        members: filter::mentions(filter, "members"),
        groups: filter::mentions(filter, "groups"),
        meta: filter::mentions(filter, "meta"),
    };
    let terms = filter::terms(filter);
    let mut comparisons = 0_usize;
    let mut holds = |found: &Found<'_>| {
        let members = if shown.members { usize::try_from(found.members()).unwrap_or(usize::MAX) } else { 0 };
        comparisons = comparisons.saturating_add(terms.saturating_mul(members.saturating_add(1)));
        if comparisons > COMPARISONS_MAX {
            let why =
                "the filter would have to be held against too much; one that says `eq` of a user name, or of an id, is cheap";
            return Err(Refusal::bad(ScimType::TooMany, why));
        }
        Ok(filter::holds(filter, found.kind(), &found.partly(directory, base, shown)))
    };
    // Provisioning services look for everyone by it. What was kept as it came says it in so many letters, or it is another's.
    let external = filter::demanded(filter, "externalId").map(|id| format!("\"externalId\":{}", Value::from(id)));
    let may_hold = |found: &Found<'_>| {
        external.as_deref().is_none_or(|external| found.profile().is_some_and(|profile| profile.contains(external)))
    };
    let mut matching = Vec::new();
    for kind in kinds {
        if let Some(name) = filter::demanded(filter, "id") {
            matching.extend(resource::find(directory, *kind, name));
        } else if *kind != Kind::Group
            && let Some(name) = filter::demanded(filter, kind.naming())
        {
            matching.extend(resource::find_named(directory, *kind, name));
        } else {
            for found in resource::all(directory, *kind) {
                if may_hold(&found) && holds(&found)? {
                    matching.push(found);
                }
            }
            continue;
        }
        // What is demanded may be only a part of it.
        if let Some(found) = matching.pop_if(|found| found.kind() == *kind)
            && holds(&found)?
        {
            matching.push(found);
        }
    }
    Ok(matching)
}

/// Puts them in order; what has no value comes last (RFC 7644 §3.4.2.3).
fn sorted(directory: &Directory, found: &mut Vec<Found<'_>>, sort: &Sort, base: &str) {
    let is = |name: &str| sort.by.name.eq_ignore_ascii_case(name);
    let shown = Shown { members: is("members"), groups: is("groups"), meta: is("meta") };
    let key = |found: &Found<'_>| filter::first(&sort.by, found.kind(), &found.partly(directory, base, shown));
    let mut keyed: Vec<_> = found.drain(..).map(|found| (key(&found), found)).collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) if sort.is_descending => b.cmp(a),
        (Some(a), Some(b)) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    });
    found.extend(keyed.into_iter().map(|(_, found)| found));
}

/// The resource with the attributes that are wanted of it.
///
/// # Errors
/// `tooMany` when it has more members than one answer holds.
pub fn represent(
    directory: &Directory,
    found: Found<'_>,
    base: &str,
    projection: &Projection,
) -> Result<Map<String, Value>, Refusal> {
    let with_members = projection.shows_members();
    if with_members && found.members() > MEMBERS_MAX {
        let why = format!("the group has more than {MEMBERS_MAX} members; ask with `excludedAttributes=members`");
        return Err(Refusal::bad(ScimType::TooMany, why));
    }
    Ok(projection.of(found.kind(), found.represent(directory, base, with_members)))
}

impl Projection {
    /// Whether nothing was said.
    pub fn is_everything(&self) -> bool {
        self.wanted.is_empty() && self.unwanted.is_empty()
    }

    fn shows_members(&self) -> bool {
        let names =
            |paths: &[AttrPath]| paths.iter().any(|path| path.name.eq_ignore_ascii_case("members") && path.sub_attr.is_none());
        let is_wanted = self.wanted.iter().any(|path| path.name.eq_ignore_ascii_case("members"));
        if self.wanted.is_empty() { !names(&self.unwanted) } else { is_wanted }
    }

    fn of(&self, kind: Kind, mut resource: Map<String, Value>) -> Map<String, Value> {
        if !self.wanted.is_empty() {
            let mut kept = Map::new();
            for name in ["schemas", "id"] {
                kept.extend(resource.get(name).map(|value| (name.to_owned(), value.clone())));
            }
            for path in &self.wanted {
                keep(kind, &resource, path, &mut kept);
            }
            kept.retain(|_, value| !schema::is_unassigned(value));
            return kept;
        }
        for path in &self.unwanted {
            leave_out(kind, &mut resource, path);
        }
        resource
    }
}

/// The extension that a path names or is in, and whether it names it as a whole.
fn extension_of(kind: Kind, path: &AttrPath) -> (Option<&'static str>, bool) {
    let urn = path.uri.as_deref();
    let whole = urn.map(|urn| format!("{urn}:{}", path.name)).and_then(|urn| kind.part(&urn));
    if let Some(Part { extension: Some(urn), .. }) = whole {
        return (Some(urn), true);
    }
    (urn.and_then(|urn| kind.part(urn)).and_then(|part| part.extension), false)
}

fn keep(kind: Kind, resource: &Map<String, Value>, path: &AttrPath, kept: &mut Map<String, Value>) {
    let (extension, is_whole) = extension_of(kind, path);
    let (from, into) = match extension {
        Some(urn) => {
            let Some(Value::Object(from)) = resource.get(urn) else { return };
            if is_whole {
                kept.insert(urn.to_owned(), Value::Object(from.clone()));
                return;
            }
            let into = kept.entry(urn).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(into) = into else { return };
            (from, into)
        }
        None => (resource, kept),
    };
    let Some((name, value)) = from.iter().find(|(name, _)| name.eq_ignore_ascii_case(&path.name)) else { return };
    match &path.sub_attr {
        None => drop(into.insert(name.clone(), value.clone())),
        Some(sub) => keep_sub(into.entry(name.clone()).or_insert(Value::Null), value, sub),
    }
}

/// Beside the other parts of the same attribute that are kept.
fn keep_sub(into: &mut Value, from: &Value, sub: &str) {
    match from {
        Value::Object(from) => {
            if into.is_null() {
                *into = Value::Object(Map::new());
            }
            if let (Value::Object(into), Some((name, value))) =
                (into, from.iter().find(|(name, _)| name.eq_ignore_ascii_case(sub)))
            {
                into.insert(name.clone(), value.clone());
            }
        }
        Value::Array(from) => {
            if into.is_null() {
                *into = Value::Array(vec![Value::Object(Map::new()); from.len()]);
            }
            if let Value::Array(into) = into {
                into.iter_mut().zip(from).for_each(|(into, from)| keep_sub(into, from, sub));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn leave_out(kind: Kind, resource: &mut Map<String, Value>, path: &AttrPath) {
    let (extension, is_whole) = extension_of(kind, path);
    let container = match extension {
        Some(urn) if is_whole => {
            resource.remove(urn);
            return;
        }
        Some(urn) => resource.get_mut(urn).and_then(Value::as_object_mut),
        None => Some(resource),
    };
    // These are always told.
    let is_always = extension.is_none() && ["id", "schemas"].iter().any(|name| path.name.eq_ignore_ascii_case(name));
    let Some(container) = container.filter(|_| !is_always) else { return };
    let Some(name) = container.keys().find(|name| name.eq_ignore_ascii_case(&path.name)).cloned() else { return };
    match (&path.sub_attr, container.get_mut(&name)) {
        (None, _) => drop(container.remove(&name)),
        (Some(sub), Some(Value::Array(elements))) => elements.iter_mut().for_each(|element| without(element, sub)),
        (Some(sub), Some(value)) => without(value, sub),
        (Some(_), None) => {}
    }
}

fn without(element: &mut Value, sub: &str) {
    if let Value::Object(members) = element {
        members.retain(|name, _| !name.eq_ignore_ascii_case(sub));
    }
}
