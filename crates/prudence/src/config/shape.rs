//! Holds a TOML document against the schema of the settings, and reports everything that does not fit, each with its place.
//!
//! Serde stops at the first error; whoever writes a configuration wants them all. This reads the schema that the settings generate, and knows
//! exactly the words that occur in it: a test fails when the settings start to use another.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Schema;
use serde_json::{Map, Value as Json};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::Problem;
use super::span::Span;

/// How unlike a known word an unknown one may be to be taken for a slip, from 0 (anything) to 1 (the same).
const LIKENESS_MIN: f64 = 0.7;
/// Problems of one file that are reported; beyond that it is another kind of file.
pub const PROBLEMS_MAX: usize = 100;

/// The words of JSON Schema that this module reads; any other in a generated schema would be silently ignored.
#[cfg(test)]
pub const KEYWORDS: &[&str] = &[
    "$schema",
    "$id",
    "$defs",
    "$ref",
    "title",
    "description",
    "default",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "oneOf",
    "anyOf",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "format",
    "uniqueItems",
    "x-min",
    "x-max",
];

/// Everything in `table` that does not fit `schema`, and where what stands in the way of reading the rest.
pub fn check(schema: &Schema, table: &Spanned<DeTable<'_>>) -> (Vec<Problem>, Unfit) {
    let mut walk = Walk { root: schema, path: Vec::new(), problems: Vec::new(), unfit: Unfit::default() };
    walk.table(schema, table.get_ref(), table.span());
    walk.problems.truncate(PROBLEMS_MAX);
    (walk.problems, walk.unfit)
}

/// The smallest values without which the rest can be read, by depth (1 for a section) and place in the file: so that what the rest means
/// is checked in the same run as the shape of the whole. A list of tables has the place of its first, so that a place alone is not enough.
#[derive(Debug, Default)]
pub struct Unfit(BTreeSet<(usize, usize, usize)>);

/// What was left out of a document, so that nobody complains that it is missing.
#[derive(Debug, Default)]
pub struct LeftOut {
    names: BTreeSet<String>,
    sections: bool,
}

impl LeftOut {
    /// Whether something of this name, or a whole section in which it could have been, was left out.
    pub fn may_be(&self, name: &str) -> bool {
        self.sections || self.names.contains(name.trim_start_matches('@'))
    }

    fn note(&mut self, depth: usize, key: Option<&str>, value: &DeValue<'_>) {
        self.sections |= depth == 1;
        self.names.extend(key.map(str::to_owned));
        for member in ["id", "name"] {
            self.names.extend(value.get(member).and_then(|name| name.get_ref().as_str()).map(str::to_owned));
        }
    }
}

impl Unfit {
    fn insert(&mut self, depth: usize, value: &Spanned<DeValue<'_>>) {
        self.0.insert((depth, value.span().start, value.span().end));
    }

    /// Notes the part of `table` that `span` is in: an element of a section that is a list, else an entry of a section. False when there is none.
    pub fn insert_around(&mut self, table: &DeTable<'_>, span: &Range<usize>) -> bool {
        let Some((_, section)) = table.iter().find(|(_, value)| covers(value, span)) else { return false };
        let part = match section.get_ref() {
            DeValue::Array(items) => items.iter().find(|item| covers(item, span)),
            DeValue::Table(entries) => entries.iter().map(|(_, value)| value).find(|value| covers(value, span)),
            _ => None,
        };
        match part {
            Some(part) => self.insert(2, part),
            None => self.insert(1, section),
        }
        true
    }

    /// The whole document without these values.
    pub fn without<'t>(&self, table: &DeTable<'t>, left_out: &mut LeftOut) -> DeTable<'t> {
        self.table(table, 1, left_out)
    }

    fn table<'t>(&self, table: &DeTable<'t>, depth: usize, left_out: &mut LeftOut) -> DeTable<'t> {
        let mut kept = DeTable::new();
        for (key, value) in table.iter() {
            if self.is(depth, value) {
                left_out.note(depth, Some(key.get_ref()), value.get_ref());
            } else {
                kept.insert(key.clone(), self.value(value, depth, left_out));
            }
        }
        kept
    }

    fn is(&self, depth: usize, value: &Spanned<DeValue<'_>>) -> bool {
        self.0.contains(&(depth, value.span().start, value.span().end))
    }

    fn value<'t>(&self, value: &Spanned<DeValue<'t>>, depth: usize, left_out: &mut LeftOut) -> Spanned<DeValue<'t>> {
        let inside = match value.get_ref() {
            DeValue::Table(table) => DeValue::Table(self.table(table, depth + 1, left_out)),
            DeValue::Array(items) => {
                let mut kept = DeArray::new();
                for item in items.iter() {
                    if self.is(depth + 1, item) {
                        left_out.note(depth + 1, None, item.get_ref());
                    } else {
                        kept.push(self.value(item, depth + 1, left_out));
                    }
                }
                DeValue::Array(kept)
            }
            other => other.clone(),
        };
        Spanned::new(value.span(), inside)
    }
}

/// Whether `span` is inside. The place of a table is that of its header alone.
fn covers(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let own = value.span();
    (own.start <= span.start && span.end <= own.end)
        || match value.get_ref() {
            DeValue::Table(table) => table.iter().any(|(_, value)| covers(value, span)),
            DeValue::Array(items) => items.iter().any(|item| covers(item, span)),
            _ => false,
        }
}

/// Follows a `$ref` and takes `null` out of an optional one: in TOML what is not said is left out.
pub fn resolve<'s>(root: &'s Schema, schema: &'s Schema) -> &'s Schema {
    if let Some(name) = schema["$ref"].as_str() {
        return root.pointer(name.trim_start_matches('#')).unwrap_or(schema);
    }
    match schema["anyOf"].as_array() {
        Some(options) => options.iter().find(|option| option["type"] != "null").map_or(schema, |option| resolve(root, option)),
        None => schema,
    }
}

/// The words of a closed list, when it is one.
pub fn words(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(words) = schema["enum"].as_array() {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    schema["oneOf"].as_array().map(|options| {
        options
            .iter()
            .flat_map(|option| {
                option["const"]
                    .as_str()
                    .into_iter()
                    .chain(option["enum"].as_array().into_iter().flatten().filter_map(Json::as_str))
            })
            .collect()
    })
}

/// The type's word: the one that is not `null`.
pub fn type_of(schema: &Schema) -> Option<&str> {
    match &schema["type"] {
        Json::String(word) => Some(word),
        Json::Array(words) => words.iter().filter_map(Json::as_str).find(|word| *word != "null"),
        _ => None,
    }
}

struct Walk<'s> {
    root: &'s Schema,
    path: Vec<String>,
    problems: Vec<Problem>,
    unfit: Unfit,
}

impl<'s> Walk<'s> {
    fn wrong(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem { message, help, span: Some(span) });
    }

    fn place(&self) -> String {
        if self.path.is_empty() { "the file".to_owned() } else { format!("`{}`", self.path.join(".")) }
    }

    /// Whether what is left of it can be read.
    fn value(&mut self, schema: &'s Schema, value: &Spanned<DeValue<'_>>) -> bool {
        let schema = resolve(self.root, schema);
        let before = self.problems.len();
        if let Some(words) = words(schema) {
            self.word(&words, value);
            return self.problems.len() == before;
        }
        match (type_of(schema), value.get_ref()) {
            (Some("object"), DeValue::Table(table)) => return self.table(schema, table, value.span()),
            (Some("array"), DeValue::Array(array)) => {
                for (at, item) in array.iter().enumerate() {
                    self.path.push(format!("{}", at + 1));
                    if !self.value(&schema["items"], item) {
                        self.unfit.insert(self.path.len(), item);
                    }
                    self.path.pop();
                }
                return true;
            }
            (Some("string"), DeValue::String(text)) => self.text(schema, text, value.span()),
            (Some("boolean"), DeValue::Boolean(_)) => {}
            (Some("integer"), DeValue::Integer(number)) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => self.number(schema, number, value.span()),
                Err(_) => self.expected(schema, "a number that is too large", value.span()),
            },
            (_, found) => self.expected(schema, kind(found), value.span()),
        }
        self.problems.len() == before
    }

    fn expected(&mut self, schema: &Schema, found: &str, span: Range<usize>) {
        let expected = match type_of(schema) {
            Some("object") => "a table",
            Some("array") => "a list",
            Some("string") if schema["format"] == "span" => "a span of time in quotes, like \"15m\"",
            Some("string") => "a text in quotes",
            Some("boolean") => "`true` or `false`",
            Some("integer") => "a whole number",
            _ => "something else",
        };
        let place = self.place();
        self.wrong(span, format!("{place}: expected {expected}, found {found}"), None);
    }

    fn word(&mut self, words: &[&str], value: &Spanned<DeValue<'_>>) {
        let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let place = self.place();
        match value.get_ref() {
            DeValue::String(word) if words.contains(&word.as_ref()) => {}
            DeValue::String(word) => {
                self.wrong(
                    value.span(),
                    format!("{place}: expected one of {list}, found `{}`", short(word)),
                    suggest(word, words.iter().copied()),
                );
            }
            other => self.wrong(value.span(), format!("{place}: expected one of {list}, found {}", kind(other)), None),
        }
    }

    /// Whether what is left of it can be read: everything that must be there is.
    fn table(&mut self, schema: &'s Schema, table: &DeTable<'_>, span: Range<usize>) -> bool {
        let required = |name: &str| schema["required"].as_array().into_iter().flatten().any(|required| required == name);
        let mut is_whole = true;
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        for (key, value) in table.iter() {
            let name = key.get_ref().as_ref();
            self.path.push(name.to_owned());
            let fits = match (properties.get(name), &schema["additionalProperties"]) {
                (Some(_), _) => self.value(&schema["properties"][name], value),
                (None, Json::Object(_)) => self.value(&schema["additionalProperties"], value),
                (None, _) => {
                    self.path.pop();
                    self.unfit.insert(self.path.len() + 1, value);
                    let place = self.place();
                    self.wrong(key.span(), format!("{place} has no setting `{}`", short(name)), unknown(name, properties));
                    continue;
                }
            };
            self.path.pop();
            if !fits && required(name) {
                is_whole = false;
            } else if !fits {
                self.unfit.insert(self.path.len() + 1, value);
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Json::as_str) {
            if !table.iter().any(|(key, _)| key.get_ref() == name) {
                let place = self.place();
                let help = properties
                    .get(name)
                    .and_then(|known| known["description"].as_str())
                    .map(|sentence| format!("`{name}`: {sentence}"));
                self.wrong(span.clone(), format!("{place} has no `{name}`"), help);
                is_whole = false;
            }
        }
        is_whole
    }

    fn text(&mut self, schema: &Schema, text: &str, span: Range<usize>) {
        let place = self.place();
        let length = text.chars().count() as u64;
        if schema["minLength"].as_u64().is_some_and(|least| length < least) {
            self.wrong(span.clone(), format!("{place} is empty"), None);
        }
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            self.wrong(span.clone(), format!("{place} has {length} characters, at most {most} are allowed"), None);
        }
        match schema["format"].as_str() {
            Some("span") => self.span_of_time(schema, text, span),
            Some("date-time") if text.parse::<jiff::Timestamp>().is_err() => {
                self.wrong(
                    span,
                    format!("{place}: expected a moment like `2026-12-20T18:00:00Z`, found `{}`", short(text)),
                    None,
                );
            }
            Some(_) | None => {}
        }
    }

    fn span_of_time(&mut self, schema: &Schema, text: &str, span: Range<usize>) {
        let place = self.place();
        match text.parse::<Span>() {
            Err(error) => self.wrong(span, format!("{place}: {error}"), None),
            Ok(found) => {
                let bound = |name: &str| schema[name].as_str().and_then(|text| text.parse::<Span>().ok());
                if bound("x-min").is_some_and(|least| found < least) || bound("x-max").is_some_and(|most| found > most) {
                    let range =
                        format!("{} to {}", schema["x-min"].as_str().unwrap_or("0s"), schema["x-max"].as_str().unwrap_or("any"));
                    self.wrong(span, format!("{place}: expected {range}, found `{found}`"), None);
                }
            }
        }
    }

    fn number(&mut self, schema: &Schema, number: i64, span: Range<usize>) {
        let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            let place = self.place();
            let range = match (least, most) {
                (Some(least), Some(most)) => format!("{least} to {most}"),
                (Some(least), None) => format!("at least {least}"),
                (None, Some(most)) => format!("at most {most}"),
                (None, None) => "a number".to_owned(),
            };
            self.wrong(span, format!("{place}: expected {range}, found `{number}`"), None);
        }
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What is quoted of a file in a message.
fn short(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The known word that `found` is most likely meant to be.
pub fn suggest<'w>(found: &str, words: impl IntoIterator<Item = &'w str>) -> Option<String> {
    nearest(found, words).map(|word| format!("did you mean `{word}`?"))
}

fn nearest<'w>(found: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    words
        .into_iter()
        .map(|word| (strsim::jaro_winkler(found, word), word))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, word)| word)
}

fn unknown(name: &str, properties: &Map<String, Json>) -> Option<String> {
    suggest(name, properties.keys().map(String::as_str)).or_else(|| {
        let list = properties.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        (!list.is_empty()).then(|| format!("it has {list}"))
    })
}
