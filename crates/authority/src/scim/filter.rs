//! Filters (RFC 7644 §3.4.2.2): read by `scim_v2`, held here against a resource.
//!
//! A filter is bounded three times before it meets a resource: in bytes here, in depth and in terms by the parser. Text is compared without
//! case unless the schema says that case counts; what a resource does not have matches nothing.

use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, PatchPath, ValFilter};
use serde_json::{Map, Value};

use super::error::{Refusal, ScimType};
use super::schema::{Attribute, Holds, Kind, Part};

/// The longest filter, and the longest path of a patch, in bytes.
pub const FILTER_BYTES_MAX: usize = 16 << 10;

/// Reads a filter.
///
/// # Errors
/// `invalidFilter` when it cannot be read, is too long or too deep, or orders what has no order.
pub fn parse(text: &str) -> Result<Filter, Refusal> {
    let invalid = |why: String| Refusal::bad(ScimType::InvalidFilter, format!("the filter cannot be read: {why}"));
    if text.len() > FILTER_BYTES_MAX {
        return Err(invalid(format!("it has {} bytes, at most {FILTER_BYTES_MAX} are allowed", text.len())));
    }
    let filter: Filter = text.parse().map_err(|error: scim_v2::filter::ParseError| invalid(error.to_string()))?;
    check(&filter).map_err(|why| invalid(why.to_owned()))?;
    Ok(filter)
}

/// Reads the path of a patch.
///
/// # Errors
/// `invalidPath` when it cannot be read, `invalidFilter` when the filter in it compares what cannot be compared.
pub fn parse_path(text: &str) -> Result<PatchPath, Refusal> {
    let invalid = |why: String| Refusal::bad(ScimType::InvalidPath, format!("the path cannot be read: {why}"));
    if text.len() > FILTER_BYTES_MAX {
        return Err(invalid(format!("it has {} bytes, at most {FILTER_BYTES_MAX} are allowed", text.len())));
    }
    let path: PatchPath = text.parse().map_err(|error: scim_v2::filter::ParseError| invalid(error.to_string()))?;
    if let PatchPath::Value(value) = &path {
        check_values(&value.filter).map_err(|why| Refusal::bad(ScimType::InvalidFilter, why))?;
    }
    Ok(path)
}

fn check(filter: &Filter) -> Result<(), &'static str> {
    match filter {
        Filter::Attr(expression) => check_expression(expression),
        Filter::ValuePath(path) => check_values(&path.filter),
        Filter::Not(inner) => check(inner),
        Filter::And(all) | Filter::Or(all) => all.iter().try_for_each(check),
    }
}

fn check_values(filter: &ValFilter) -> Result<(), &'static str> {
    match filter {
        ValFilter::Attr(expression) => check_expression(expression),
        ValFilter::Not(inner) => check_values(inner),
        ValFilter::And(all) | ValFilter::Or(all) => all.iter().try_for_each(check_values),
    }
}

fn check_expression(expression: &AttrExp) -> Result<(), &'static str> {
    let AttrExp::Comparison(_, operator, value) = expression else { return Ok(()) };
    match (operator, value) {
        (CompareOp::Eq | CompareOp::Ne, _) | (_, CompValue::Str(_)) => Ok(()),
        (CompareOp::Gt | CompareOp::Lt | CompareOp::Ge | CompareOp::Le, CompValue::Number(_)) => Ok(()),
        (CompareOp::Gt | CompareOp::Lt | CompareOp::Ge | CompareOp::Le, _) => Err("`true`, `false` and `null` have no order"),
        (CompareOp::Co | CompareOp::Sw | CompareOp::Ew, _) => Err("`co`, `sw` and `ew` compare text"),
    }
}

/// Whether the filter speaks of this attribute.
pub fn mentions(filter: &Filter, name: &str) -> bool {
    let names = |path: &AttrPath| path.name.eq_ignore_ascii_case(name);
    match filter {
        Filter::Attr(AttrExp::Present(path) | AttrExp::Comparison(path, _, _)) => names(path),
        Filter::ValuePath(path) => names(&path.attr),
        Filter::Not(inner) => mentions(inner, name),
        Filter::And(all) | Filter::Or(all) => all.iter().any(|filter| mentions(filter, name)),
    }
}

/// The text that an attribute must be equal to for the filter to hold, where it says so of one.
pub fn demanded<'f>(filter: &'f Filter, name: &str) -> Option<&'f str> {
    match filter {
        Filter::Attr(AttrExp::Comparison(path, CompareOp::Eq, CompValue::Str(text)))
            if path.sub_attr.is_none() && path.name.eq_ignore_ascii_case(name) =>
        {
            Some(text)
        }
        Filter::And(all) => all.iter().find_map(|filter| demanded(filter, name)),
        Filter::Attr(_) | Filter::ValuePath(_) | Filter::Not(_) | Filter::Or(_) => None,
    }
}

/// How many comparisons the filter makes of one resource.
pub fn terms(filter: &Filter) -> usize {
    match filter {
        Filter::Attr(_) => 1,
        Filter::ValuePath(path) => value_terms(&path.filter),
        Filter::Not(inner) => terms(inner),
        Filter::And(all) | Filter::Or(all) => all.iter().map(terms).sum(),
    }
}

pub fn value_terms(filter: &ValFilter) -> usize {
    match filter {
        ValFilter::Attr(_) => 1,
        ValFilter::Not(inner) => value_terms(inner),
        ValFilter::And(all) | ValFilter::Or(all) => all.iter().map(value_terms).sum(),
    }
}

/// What a resource is sorted by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SortKey {
    /// A moment, as time goes.
    Moment(jiff::Timestamp),
    /// Text, without case unless the schema says that it counts.
    Text(String),
}

/// The value of the path by which a resource is sorted: of many the primary one, else the first (RFC 7644 §3.4.2.3).
pub fn first(path: &AttrPath, kind: Kind, resource: &Map<String, Value>) -> Option<SortKey> {
    let place = Place::of(kind, path)?;
    let elements = place.elements(resource);
    let chosen = elements.iter().find(|element| element["primary"] == true).or_else(|| elements.first())?;
    let value = match (chosen, place.sub) {
        (Value::Object(members), sub) => member(members, sub.unwrap_or("value"))?,
        (simple, _) => simple,
    };
    let attribute = place.compared();
    match value {
        Value::String(text) => match text.parse() {
            Ok(moment) if attribute.is_some_and(|attribute| attribute.holds == Holds::Moment) => Some(SortKey::Moment(moment)),
            _ if attribute.is_some_and(|attribute| attribute.exact) => Some(SortKey::Text(text.clone())),
            _ => Some(SortKey::Text(text.to_lowercase())),
        },
        Value::Bool(_) | Value::Number(_) => Some(SortKey::Text(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether the filter holds for a resource.
pub fn holds(filter: &Filter, kind: Kind, resource: &Map<String, Value>) -> bool {
    match filter {
        Filter::Attr(expression) => {
            let path = path_of(expression);
            let Some(place) = Place::of(kind, path) else { return is_absent_wanted(expression) };
            place.compares(expression, place.values(resource))
        }
        Filter::ValuePath(value_path) => {
            let Some(place) = Place::of(kind, &value_path.attr) else { return false };
            place.elements(resource).iter().any(|element| holds_for(&value_path.filter, place.attribute, element))
        }
        Filter::Not(inner) => !holds(inner, kind, resource),
        Filter::And(all) => all.iter().all(|filter| holds(filter, kind, resource)),
        Filter::Or(all) => all.iter().any(|filter| holds(filter, kind, resource)),
    }
}

/// Whether the filter of a value path holds for one value of the attribute.
pub fn holds_for(filter: &ValFilter, attribute: Option<&'static Attribute>, element: &Value) -> bool {
    match filter {
        ValFilter::Attr(expression) => {
            let path = path_of(expression);
            let sub = attribute.and_then(|attribute| attribute.sub(&path.name));
            let value = match element {
                Value::Object(members) => member(members, &path.name),
                // A simple value is its own `value`.
                simple => path.name.eq_ignore_ascii_case("value").then_some(simple),
            };
            Place { container: None, name: &path.name, sub: None, attribute: sub }
                .compares(expression, value.into_iter().collect())
        }
        ValFilter::Not(inner) => !holds_for(inner, attribute, element),
        ValFilter::And(all) => all.iter().all(|filter| holds_for(filter, attribute, element)),
        ValFilter::Or(all) => all.iter().any(|filter| holds_for(filter, attribute, element)),
    }
}

fn path_of(expression: &AttrExp) -> &AttrPath {
    match expression {
        AttrExp::Present(path) | AttrExp::Comparison(path, _, _) => path,
    }
}

/// Whether an attribute that is not there satisfies the expression.
fn is_absent_wanted(expression: &AttrExp) -> bool {
    match expression {
        AttrExp::Comparison(_, CompareOp::Eq, value) => *value == CompValue::Null,
        AttrExp::Comparison(_, CompareOp::Ne, value) => *value != CompValue::Null,
        AttrExp::Comparison(..) | AttrExp::Present(_) => false,
    }
}

/// A member by its name, whatever its case.
pub fn member<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members.get(name).or_else(|| members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// What a path of a filter names.
struct Place<'p> {
    container: Option<&'static str>,
    name: &'p str,
    sub: Option<&'p str>,
    attribute: Option<&'static Attribute>,
}

impl<'p> Place<'p> {
    /// `None` when the path is of another schema.
    fn of(kind: Kind, path: &'p AttrPath) -> Option<Self> {
        let part = match &path.uri {
            Some(urn) => kind.part(urn)?,
            None => Part::core(kind),
        };
        let attribute = part.attribute(&path.name);
        Some(Self { container: part.extension, name: &path.name, sub: path.sub_attr.as_deref(), attribute })
    }

    fn elements<'v>(&self, resource: &'v Map<String, Value>) -> &'v [Value] {
        let members = match self.container {
            Some(urn) => resource.get(urn).and_then(Value::as_object),
            None => Some(resource),
        };
        match members.and_then(|members| member(members, self.name)) {
            Some(Value::Array(items)) => items,
            Some(value) => std::slice::from_ref(value),
            None => &[],
        }
    }

    /// The simple values that the path reaches; of a complex attribute its `value`s, when it names no other.
    fn values<'v>(&self, resource: &'v Map<String, Value>) -> Vec<&'v Value> {
        let elements = self.elements(resource).iter();
        elements
            .filter_map(|element| match (element, self.sub) {
                (Value::Object(members), Some(sub)) => member(members, sub),
                (Value::Object(members), None) => member(members, "value").or(Some(element)),
                (simple, None) => Some(simple),
                (_, Some(_)) => None,
            })
            .collect()
    }

    /// What the schema knows of the values that are compared.
    fn compared(&self) -> Option<&'static Attribute> {
        match (self.attribute, self.sub) {
            (Some(attribute), Some(sub)) => attribute.sub(sub),
            (Some(attribute), None) => attribute.sub("value").or(Some(attribute)),
            (None, _) => None,
        }
    }

    fn compares(&self, expression: &AttrExp, values: Vec<&Value>) -> bool {
        let attribute = self.compared();
        match expression {
            AttrExp::Present(_) => values.iter().any(|value| is_present(value)),
            AttrExp::Comparison(_, CompareOp::Ne, value) => {
                !compares(attribute, &CompareOp::Eq, value, &values) && (*value != CompValue::Null || !values.is_empty())
            }
            AttrExp::Comparison(_, operator, value) => compares(attribute, operator, value, &values),
        }
    }
}

fn is_present(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        other => !super::schema::is_unassigned(other),
    }
}

fn compares(attribute: Option<&Attribute>, operator: &CompareOp, wanted: &CompValue, values: &[&Value]) -> bool {
    if *wanted == CompValue::Null {
        return values.is_empty();
    }
    values.iter().any(|value| match (value, wanted) {
        (Value::String(found), CompValue::Str(wanted)) => compare_text(attribute, operator, found, wanted),
        (Value::Bool(found), CompValue::True) => *operator == CompareOp::Eq && *found,
        (Value::Bool(found), CompValue::False) => *operator == CompareOp::Eq && !*found,
        (Value::Number(found), CompValue::Number(wanted)) => match (found.as_f64(), wanted.as_f64()) {
            (Some(found), Some(wanted)) => compare(operator, &found, &wanted),
            _ => false,
        },
        _ => false,
    })
}

fn compare_text(attribute: Option<&Attribute>, operator: &CompareOp, found: &str, wanted: &str) -> bool {
    if attribute.is_some_and(|attribute| attribute.holds == Holds::Moment)
        && let (Ok(found), Ok(wanted)) = (found.parse::<jiff::Timestamp>(), wanted.parse::<jiff::Timestamp>())
    {
        return compare(operator, &found, &wanted);
    }
    let is_exact = attribute.is_some_and(|attribute| attribute.exact);
    let (found, wanted) =
        if is_exact { (found.to_owned(), wanted.to_owned()) } else { (found.to_lowercase(), wanted.to_lowercase()) };
    match operator {
        CompareOp::Co => found.contains(&wanted),
        CompareOp::Sw => found.starts_with(&wanted),
        CompareOp::Ew => found.ends_with(&wanted),
        _ => compare(operator, &found, &wanted),
    }
}

fn compare<T: PartialOrd>(operator: &CompareOp, found: &T, wanted: &T) -> bool {
    match operator {
        CompareOp::Eq => found == wanted,
        CompareOp::Ne => found != wanted,
        CompareOp::Gt => found > wanted,
        CompareOp::Ge => found >= wanted,
        CompareOp::Lt => found < wanted,
        CompareOp::Le => found <= wanted,
        CompareOp::Co | CompareOp::Sw | CompareOp::Ew => false,
    }
}
