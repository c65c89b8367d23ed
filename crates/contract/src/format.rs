//! The contract file: TOML in, compiled contracts out. All errors are found in one pass, each with its place; an unknown key is an error,
//! because a misspelt `recipients` would quietly send to nobody in particular.

use crate::layout::{classification_of, rest_name};
use crate::source::{Base, Origin, Piece, Source, UriPattern};
use crate::{
    Amount, AttestedContract, ChangeSources, Claims, Contracts, ItemContract, Parts, Reads, Resource, ResultContract, Tool,
};
use judge::act::LabelSpec;
use judge::digest::Digest;
use judge::effect::Effect;
use judge::label::Integrity;
use serde_json_path::JsonPath;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest contract file, in bytes.
pub const CONTRACT_BYTES_MAX: usize = 4 << 20;
/// How many errors are told at once.
const ERRORS_MAX: usize = 100;
/// The longest path, in bytes.
const PATH_BYTES_MAX: usize = 1_000;
/// The most brackets and negations of a path: it is compiled by recursive descent, and must not exhaust the stack.
const PATH_BRACKETS_MAX: usize = 40;
/// The most digits of a minor unit.
const DECIMALS_MAX: i64 = 9;

/// Something wrong in a contract file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {place}: {message}")]
pub struct ContractError {
    /// Where, in words: the tool and the key.
    pub place: String,
    /// Where, as bytes of the file.
    pub span: Range<usize>,
    /// Where, as a line of the file, from 1.
    pub line: usize,
    /// What was expected, and what was found.
    pub message: String,
    /// What would help.
    pub help: Option<String>,
}

pub(crate) fn parse(upstream: &str, text: &str) -> Result<Contracts, Vec<ContractError>> {
    let mut reader = Reader { text, errors: Vec::new(), upstream: upstream.into() };
    if text.len() > CONTRACT_BYTES_MAX {
        reader.error("the file", 0..0, format!("it has {} bytes, at most {CONTRACT_BYTES_MAX} are read", text.len()), None);
        return Err(reader.errors);
    }
    let (root, syntax) = DeTable::parse_recoverable(text);
    for error in syntax {
        reader.error("the file", error.span().unwrap_or(0..0), error.message().to_owned(), None);
    }
    if !reader.errors.is_empty() {
        return Err(reader.errors);
    }
    let mut table = Table::of("", root.span(), root.get_ref());
    let mut contracts = Contracts::none(upstream);
    for (index, value) in reader.list(&mut table, "tool").into_iter().enumerate() {
        let place = format!("tool {}", index + 1);
        let Some(tool) = reader.table(&place, value).and_then(|table| reader.tool(table)) else { continue };
        let name = tool.name.clone();
        if contracts.tools.insert(name.clone(), tool).is_some() {
            reader.error(&place, value.span(), format!("`{name}` is there twice"), None);
        }
    }
    for (index, value) in reader.list(&mut table, "resource").into_iter().enumerate() {
        let place = format!("resource {}", index + 1);
        contracts.resources.extend(reader.table(&place, value).and_then(|table| reader.resource(table)));
    }
    reader.finish(table);
    contracts.resources.sort_by_key(|resource| std::cmp::Reverse(resource.uri.fixed_bytes()));
    if reader.errors.is_empty() {
        return Ok(contracts);
    }
    reader.errors.sort_by_key(|error| error.span.start);
    reader.errors.truncate(ERRORS_MAX);
    Err(reader.errors)
}

type Entry<'a> = &'a Spanned<DeValue<'a>>;

/// A table of the file. What nobody asked for is an unknown key.
struct Table<'a> {
    place: String,
    span: Range<usize>,
    entries: BTreeMap<&'a str, (Range<usize>, Entry<'a>)>,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    fn of(place: &str, span: Range<usize>, entries: &'a DeTable<'a>) -> Self {
        let entries = entries.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value))).collect();
        Self { place: place.to_owned(), span, entries, asked: Vec::new() }
    }

    fn take(&mut self, key: &'static str) -> Option<Entry<'a>> {
        self.asked.push(key);
        self.entries.remove(key).map(|(_, value)| value)
    }

    fn at(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_owned() } else { format!("{}, `{key}`", self.place) }
    }
}

struct Reader<'t> {
    text: &'t str,
    errors: Vec<ContractError>,
    upstream: Arc<str>,
}

// ---- what the file consists of

impl Reader<'_> {
    fn tool(&mut self, mut table: Table<'_>) -> Option<Tool> {
        let span = table.span.clone();
        let name = self.needed_text(&mut table, "name");
        if let Some(name) = &name {
            table.place = format!("tool `{name}`");
        }
        let place = table.place.clone();
        let effects = self.effects(&mut table);
        let sends = effects.contains(&Effect::Send);
        let is_reader = effects.contains(&Effect::Read);
        let outward = effects.iter().any(|effect| effect.is_outward());
        let arguments = self.texts(&mut table, "arguments").unwrap_or_default().into_iter().collect();
        let resources = self.sources(&mut table, "resource", Base::Near, true);
        let recipients = self.sources(&mut table, "recipients", Base::Near, sends);
        let values = self.values(&mut table);
        let amount = self.amount(&mut table, effects.contains(&Effect::Spend));
        let reads = self.reads(&mut table);
        let change = self.change(&mut table);
        let result = self.result(&mut table, name.as_deref().unwrap_or_default());
        let pin = self.pin(&mut table);
        let parts = self.parts(&mut table);
        let accepted_at = self.text(&mut table, "accepted_at");
        let accepted_by = self.text(&mut table, "accepted_by");
        let about = self.text(&mut table, "about");
        self.finish(table);
        if outward && resources.is_empty() && recipients.is_empty() {
            let help = Some("without one of them, nobody knows who will see what is sent".to_owned());
            self.error(&place, span.clone(), "`send` and `publish` need `recipients` or `resource`".to_owned(), help);
        }
        if effects.contains(&Effect::Publish) && resources.is_empty() {
            let help = Some(
                "the resource of `publish` is the destination, such as a channel: its audience is looked up by it".to_owned(),
            );
            self.error(&place, span.clone(), "`publish` needs `resource`".to_owned(), help);
        }
        if effects.contains(&Effect::Widen) && change.is_none() {
            let help = Some(
                "for example `change = { add_readers = \"$.readers\" }`, or `change = { audience = { is = \"public\" } }`"
                    .to_owned(),
            );
            self.error(&place, span.clone(), "`widen` needs `change`: who may newly see or do something".to_owned(), help);
        }
        if reads.is_some() && !is_reader {
            self.error(&place, span.clone(), "`reads` is there, and `effects` has no `read`".to_owned(), None);
        }
        if effects.contains(&Effect::Spend) && amount.is_none() {
            let help =
                Some("for example `amount = { at = \"$.amount\", decimals = 2 }`, or `amount = { is = \"500\" }`".to_owned());
            self.error(&place, span, "`spend` needs `amount`".to_owned(), help);
        }
        Some(Tool {
            name: name?,
            effects,
            arguments,
            resources,
            recipients,
            values,
            amount,
            reads,
            change,
            result,
            pin,
            parts,
            accepted_at,
            accepted_by,
            about,
        })
    }

    fn resource(&mut self, mut table: Table<'_>) -> Option<Resource> {
        let uri = self.needed_text(&mut table, "uri");
        if let Some(uri) = &uri {
            table.place = format!("resource `{uri}`");
        }
        let item = self.needed_text(&mut table, "item");
        let is_path = self.form(&mut table);
        let label = self.label(&mut table);
        let accepted_at = self.text(&mut table, "accepted_at");
        let accepted_by = self.text(&mut table, "accepted_by");
        let (place, span) = (table.place.clone(), table.span.clone());
        self.finish(table);
        let (uri, item) = (uri?, item?);
        let Some(pattern) = UriPattern::parse(&uri) else {
            self.error(&place, span, "`uri` has more than one `{}`".to_owned(), None);
            return None;
        };
        if pattern.suffix.is_some() != (item.matches("{}").count() == 1) {
            self.error(&place, span, "`uri` and `item` must both have a `{}`, or neither".to_owned(), None);
        }
        Some(Resource { uri: pattern, item, is_path, label, accepted_at, accepted_by })
    }

    fn effects(&mut self, table: &mut Table<'_>) -> BTreeSet<Effect> {
        let (place, span) = (table.at("effects"), table.span.clone());
        let Some(value) = table.take("effects") else {
            self.error(&place, span, "it is missing".to_owned(), Some(effect_words()));
            return BTreeSet::new();
        };
        let mut effects = BTreeSet::new();
        for (word, span) in self.texts_of(&place, value) {
            match Effect::ALL.into_iter().find(|effect| effect.word() == word) {
                Some(effect) => {
                    effects.insert(effect);
                }
                None => self.error(&place, span, format!("`{word}` is no effect"), Some(effect_words())),
            }
        }
        if effects.is_empty() {
            self.error(&place, value.span(), "at least one effect is needed".to_owned(), Some(effect_words()));
        }
        effects
    }

    fn values(&mut self, table: &mut Table<'_>) -> Vec<(Arc<str>, Source)> {
        let mut values = Vec::new();
        let place = table.at("values");
        for value in self.list(table, "values") {
            let Some(mut entry) = self.table(&place, value) else { continue };
            let kind = self.needed_text(&mut entry, "kind");
            let source = self.source_of_table(entry, Base::Near, false);
            if let (Some(kind), Some(source)) = (kind, source) {
                values.push((Arc::from(kind.as_str()), source));
            }
        }
        values
    }

    fn amount(&mut self, table: &mut Table<'_>, is_required: bool) -> Option<Amount> {
        let place = table.at("amount");
        let value = table.take("amount")?;
        if value.get_ref().is_str() {
            return Some(Amount { source: self.source(&place, value, Base::Near, is_required)?, decimals: 0 });
        }
        let mut entry = self.table(&place, value)?;
        let decimals = match entry.take("decimals").map(|value| (value.span(), integer(value))) {
            None => 0,
            Some((_, Some(number))) if (0..=DECIMALS_MAX).contains(&number) => u32::try_from(number).unwrap_or_default(),
            Some((span, _)) => {
                self.error(&place, span, format!("`decimals` must be a whole number from 0 to {DECIMALS_MAX}"), None);
                0
            }
        };
        let source = self.source_of_table(entry, Base::Near, is_required)?;
        if source.constant().is_some_and(|text| crate::call::minor_units(text, decimals).is_none()) {
            self.error(&place, value.span(), "`is` must be a number that is not negative, in quotes".to_owned(), None);
        }
        Some(Amount { source, decimals })
    }

    fn reads(&mut self, table: &mut Table<'_>) -> Option<Reads> {
        let place = table.at("reads");
        let value = table.take("reads")?;
        let mut entry = self.table(&place, value)?;
        let path = self.needed_text(&mut entry, "at");
        let mut number = |reader: &mut Self, key: &'static str| {
            let found = entry.take(key)?;
            let number = integer(found).and_then(|number| u64::try_from(number).ok());
            if number.is_none() {
                reader.error(&place, found.span(), format!("`{key}` must be a whole number that is not negative"), None);
            }
            number
        };
        let (otherwise, max) = (number(self, "otherwise"), number(self, "max"));
        self.finish(entry);
        let at = Reads::names(&path?);
        if at.is_none() {
            let help = Some(
                "it has to be set where it is too large: a path of plain names, such as `$.limit` or `$.page.size`".to_owned(),
            );
            self.error(&place, value.span(), "`at` must lead to one argument".to_owned(), help);
        }
        Some(Reads { at: at?, otherwise, max })
    }

    fn change(&mut self, table: &mut Table<'_>) -> Option<ChangeSources> {
        let place = table.at("change");
        let value = table.take("change")?;
        let mut entry = self.table(&place, value)?;
        let change = ChangeSources {
            add_readers: self.sources(&mut entry, "add_readers", Base::Near, false),
            remove_readers: self.sources(&mut entry, "remove_readers", Base::Near, false),
            add_members: self.sources(&mut entry, "add_members", Base::Near, false),
            remove_members: self.sources(&mut entry, "remove_members", Base::Near, false),
            audience: self.sources(&mut entry, "audience", Base::Near, false),
        };
        self.finish(entry);
        Some(change)
    }

    fn result(&mut self, table: &mut Table<'_>, tool: &str) -> ResultContract {
        let rest = rest_name(&format!("{}__{tool}", self.upstream));
        let mut result = ResultContract { items: Vec::new(), label: None, created: Vec::new(), attested: Vec::new(), rest };
        let place = table.at("result");
        let Some(mut entry) = table.take("result").and_then(|value| self.table(&place, value)) else { return result };
        result.label = self.label(&mut entry);
        result.created = self.sources(&mut entry, "created", Base::Near, false);
        for (index, value) in self.list(&mut entry, "item").into_iter().enumerate() {
            let place = format!("{place}, item {}", index + 1);
            result.items.extend(self.table(&place, value).and_then(|table| self.item(table)));
        }
        for (index, value) in self.list(&mut entry, "value").into_iter().enumerate() {
            let place = format!("{place}, value {}", index + 1);
            result.attested.extend(self.table(&place, value).and_then(|table| self.attested(table)));
        }
        self.finish(entry);
        result
    }

    fn attested(&mut self, mut table: Table<'_>) -> Option<AttestedContract> {
        let (at_place, value_place) = (table.at("at"), table.at("value"));
        let span = table.span.clone();
        let at = self.needed_text(&mut table, "at").and_then(|text| self.path(&at_place, &text, span));
        let kind = self.needed_text(&mut table, "kind");
        let value = table.take("value").and_then(|value| self.source(&value_place, value, Base::Near, false));
        let names = self.sources(&mut table, "names", Base::Near, false);
        let (parts_place, parts_value) = (table.at("each"), table.take("each"));
        let parts = match parts_value.map(|value| (value.span(), value.get_ref().as_str())) {
            None => Parts::Whole,
            Some((_, Some("member"))) => Parts::Members,
            Some((_, Some("line"))) => Parts::Lines,
            Some((span, _)) => {
                self.error(&parts_place, span, "expected `member` or `line`".to_owned(), None);
                Parts::Whole
            }
        };
        self.finish(table);
        Some(AttestedContract { at: at?, kind: kind?.into(), value, names, parts })
    }

    fn item(&mut self, mut table: Table<'_>) -> Option<ItemContract> {
        let (at_place, id_place, container_place) = (table.at("at"), table.at("id"), table.at("container"));
        let span = table.span.clone();
        let at = self.needed_text(&mut table, "at").and_then(|text| self.path(&at_place, &text, span.clone()));
        let id = match table.take("id") {
            Some(value) => self.source(&id_place, value, Base::Near, true),
            None => {
                self.error(
                    &id_place,
                    span,
                    "it is missing: by its id the directory finds the label of the item".to_owned(),
                    None,
                );
                None
            }
        };
        let container = table.take("container").and_then(|value| self.source(&container_place, value, Base::Near, false));
        let label = self.label(&mut table);
        let claims = self.claims(&mut table);
        let mask_place = table.at("mask");
        let mask = table.take("mask").map(|value| self.texts_of(&mask_place, value)).unwrap_or_default();
        let mask = mask.into_iter().filter_map(|(path, span)| self.path(&mask_place, &path, span)).collect();
        self.finish(table);
        Some(ItemContract { at: at?, id: id?, container, label, claims, mask })
    }

    fn claims(&mut self, table: &mut Table<'_>) -> Claims {
        let place = table.at("claims");
        let Some(mut entry) = table.take("claims").and_then(|value| self.table(&place, value)) else { return Claims::default() };
        let mut claim = |key: &'static str, entry: &mut Table<'_>| {
            let place = entry.at(key);
            let value = entry.take(key)?;
            let source = self.source(&place, value, Base::Near, false)?;
            if source.constant().is_some() {
                let help = Some("what the contract itself says of an item is its `label`".to_owned());
                self.error(&place, value.span(), "a claim is a path: what the result says about itself".to_owned(), help);
            }
            Some(source)
        };
        let claims = Claims {
            readers: claim("readers", &mut entry),
            classification: claim("classification", &mut entry),
            categories: claim("categories", &mut entry),
            purposes: claim("purposes", &mut entry),
            integrity: claim("integrity", &mut entry),
        };
        self.finish(entry);
        claims
    }

    fn label(&mut self, table: &mut Table<'_>) -> Option<LabelSpec> {
        let place = table.at("label");
        let mut entry = table.take("label").and_then(|value| self.table(&place, value))?;
        let span = entry.span.clone();
        let words = |texts: Vec<String>| texts.iter().map(|text| Arc::from(text.as_str())).collect::<BTreeSet<Arc<str>>>();
        let readers = self.texts(&mut entry, "readers");
        let categories = self.texts(&mut entry, "categories").map(words).unwrap_or_default();
        let purposes = self.texts(&mut entry, "purposes").map(words);
        let classification = self.text(&mut entry, "classification").and_then(|word| {
            let found = classification_of(&word);
            if found.is_none() {
                let help = Some("public, internal, confidential or restricted".to_owned());
                self.error(&place, span.clone(), format!("`{word}` is no classification"), help);
            }
            found
        });
        let integrity = self.text(&mut entry, "integrity").and_then(|word| match word.as_str() {
            "trusted" => Some(Integrity::Trusted),
            "untrusted" => Some(Integrity::Untrusted),
            _ => {
                self.error(&place, span, format!("`{word}` is no integrity"), Some("trusted or untrusted".to_owned()));
                None
            }
        });
        self.finish(entry);
        Some(LabelSpec { readers, classification, categories, purposes, integrity })
    }

    fn pin(&mut self, table: &mut Table<'_>) -> Option<Digest> {
        let (place, value) = (table.at("pin"), table.take("pin")?);
        let digest = value
            .get_ref()
            .as_str()
            .and_then(|text| text.strip_prefix("sha256:"))
            .and_then(|hex| Digest::try_from(hex.to_owned()).ok());
        if digest.is_none() {
            self.error(&place, value.span(), "expected `sha256:` and 64 hexadecimal digits".to_owned(), None);
        }
        digest
    }

    fn parts(&mut self, table: &mut Table<'_>) -> BTreeMap<String, String> {
        let place = table.at("pinned_parts");
        let Some(mut entry) = table.take("pinned_parts").and_then(|value| self.table(&place, value)) else {
            return BTreeMap::new();
        };
        let parts =
            crate::definition::PARTS.iter().filter_map(|part| Some(((*part).to_owned(), self.text(&mut entry, part)?))).collect();
        self.finish(entry);
        parts
    }
}

// ---- sources: a path, a path with a template, or a constant

impl Reader<'_> {
    fn sources(&mut self, table: &mut Table<'_>, key: &'static str, near: Base, is_required: bool) -> Vec<Source> {
        let place = table.at(key);
        let Some(value) = table.take(key) else { return Vec::new() };
        match value.get_ref() {
            DeValue::Array(values) => values.iter().filter_map(|value| self.source(&place, value, near, is_required)).collect(),
            _ => self.source(&place, value, near, is_required).into_iter().collect(),
        }
    }

    fn source(&mut self, place: &str, value: Entry<'_>, near: Base, is_required: bool) -> Option<Source> {
        if let Some(written) = value.get_ref().as_str() {
            let path = self.path(place, written, value.span())?;
            let origin = Origin::Path { base: near, path, written: written.to_owned() };
            return Some(Source { origin, template: Vec::new(), is_required, otherwise: None, is_path: false });
        }
        let table = self.table(place, value)?;
        self.source_of_table(table, near, is_required)
    }

    fn source_of_table(&mut self, mut table: Table<'_>, near: Base, is_required: bool) -> Option<Source> {
        let (place, span) = (table.place.clone(), table.span.clone());
        let constant = self.text(&mut table, "is");
        let mut paths = Vec::new();
        for (key, base) in [("at", near), ("argument", Base::Arguments), ("result", Base::Result)] {
            paths.extend(self.text(&mut table, key).map(|written| (base, written)));
        }
        let template = self.text(&mut table, "as");
        let is_required = self.truth(&mut table, "required").unwrap_or(is_required);
        let otherwise = self.text(&mut table, "otherwise");
        let is_path = self.form(&mut table);
        self.finish(table);
        let template = match template {
            Some(text) => self.template(&place, &text, span.clone())?,
            None => Vec::new(),
        };
        let has_gap = template.iter().any(|piece| matches!(piece, Piece::Found));
        let origin = match (constant, paths.as_slice()) {
            (Some(text), []) if template.is_empty() => Origin::Constant(text),
            (None, [(base, written)]) if template.is_empty() || has_gap => {
                Origin::Path { base: *base, path: self.path(&place, written, span)?, written: written.clone() }
            }
            (None, []) if !template.is_empty() && !has_gap => Origin::Template { base: near },
            (None, [_]) => {
                self.error(&place, span, "`as` has no `{}` for what the path finds".to_owned(), None);
                return None;
            }
            (Some(_), _) | (None, _) => {
                let help = Some("for example `\"$.page\"`, `{ at = \"$.page\", as = \"page:{}\" }`, `{ as = \"repo:{$.owner}/{$.name}\" }` or `{ is = \"outbox\" }`".to_owned());
                self.error(
                    &place,
                    span,
                    "expected one of `at`, `argument`, `result` and `is`, or a template with paths".to_owned(),
                    help,
                );
                return None;
            }
        };
        Some(Source { origin, template, is_required, otherwise, is_path })
    }

    fn path(&mut self, place: &str, text: &str, span: Range<usize>) -> Option<JsonPath> {
        if text.len() > PATH_BYTES_MAX {
            self.error(place, span, format!("a path has at most {PATH_BYTES_MAX} bytes"), None);
            return None;
        }
        if text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'!')).count() > PATH_BRACKETS_MAX {
            self.error(place, span, format!("a path has at most {PATH_BRACKETS_MAX} brackets"), None);
            return None;
        }
        match JsonPath::parse(text) {
            Ok(path) => Some(path),
            Err(error) => {
                let help =
                    Some("a path begins with `$`, for example `$.to[*]` (RFC 9535); a constant is `{ is = \"…\" }`".to_owned());
                self.error(
                    place,
                    span,
                    format!("`{text}` is no JSONPath: {} (character {})", error.message(), error.position() + 1),
                    help,
                );
                None
            }
        }
    }

    fn template(&mut self, place: &str, text: &str, span: Range<usize>) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((fixed, after)) = rest.split_once('{') {
            let Some((gap, after)) = after.split_once('}') else {
                self.error(place, span, format!("`{text}` has a `{{` without its `}}`"), None);
                return None;
            };
            if !fixed.is_empty() {
                pieces.push(Piece::Text(fixed.to_owned()));
            }
            pieces.push(if gap.is_empty() { Piece::Found } else { Piece::Path(self.path(place, gap, span.clone())?) });
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        if pieces.iter().all(|piece| matches!(piece, Piece::Text(_))) {
            self.error(place, span, format!("`{text}` has no `{{}}`"), Some("a constant is `{ is = \"…\" }`".to_owned()));
            return None;
        }
        Some(pieces)
    }

    fn form(&mut self, table: &mut Table<'_>) -> bool {
        let (place, span) = (table.at("form"), table.span.clone());
        match self.text(table, "form").as_deref() {
            None => false,
            Some("path") => true,
            Some(word) => {
                self.error(&place, span, format!("`{word}` is no form"), Some("path".to_owned()));
                false
            }
        }
    }
}

// ---- what TOML consists of

impl Reader<'_> {
    fn error(&mut self, place: &str, span: Range<usize>, message: String, help: Option<String>) {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        self.errors.push(ContractError { place: place.to_owned(), span, line, message, help });
    }

    fn expected(&mut self, place: &str, value: Entry<'_>, what: &str) {
        self.error(place, value.span(), format!("expected {what}, found {}", value.get_ref().type_str()), None);
    }

    fn table<'a>(&mut self, place: &str, value: Entry<'a>) -> Option<Table<'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.expected(place, value, "a table");
        }
        table.map(|table| Table::of(place, value.span(), table))
    }

    fn list<'a>(&mut self, table: &mut Table<'a>, key: &'static str) -> Vec<Entry<'a>> {
        let place = table.at(key);
        match table.take(key) {
            None => Vec::new(),
            Some(value) => match value.get_ref().as_array() {
                Some(list) => list.iter().collect(),
                None => {
                    self.expected(&place, value, "a list");
                    Vec::new()
                }
            },
        }
    }

    fn needed_text(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<String> {
        let (place, span, is_there) = (table.at(key), table.span.clone(), table.entries.contains_key(key));
        let text = self.text(table, key);
        if !is_there {
            self.error(&place, span, "it is missing".to_owned(), None);
        }
        text
    }

    fn text(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<String> {
        let place = table.at(key);
        let value = table.take(key)?;
        match value.get_ref().as_str() {
            Some("") => {
                self.error(&place, value.span(), "expected text, found nothing between the quotes".to_owned(), None);
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.expected(&place, value, "text");
                None
            }
        }
    }

    fn truth(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<bool> {
        let place = table.at(key);
        let value = table.take(key)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.expected(&place, value, "true or false");
        }
        truth
    }

    fn texts(&mut self, table: &mut Table<'_>, key: &'static str) -> Option<Vec<String>> {
        let place = table.at(key);
        let value = table.take(key)?;
        Some(self.texts_of(&place, value).into_iter().map(|(text, _)| text).collect())
    }

    fn texts_of(&mut self, place: &str, value: Entry<'_>) -> Vec<(String, Range<usize>)> {
        let Some(list) = value.get_ref().as_array() else {
            self.expected(place, value, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for entry in list.iter() {
            match entry.get_ref().as_str() {
                Some(text) => texts.push((text.to_owned(), entry.span())),
                None => self.expected(place, entry, "text"),
            }
        }
        texts
    }

    fn finish(&mut self, table: Table<'_>) {
        for (key, (span, _)) in &table.entries {
            let help = Some(format!("known here: {}", table.asked.join(", ")));
            self.error(&table.at(key), span.clone(), "unknown key".to_owned(), help);
        }
    }
}

fn integer(value: Entry<'_>) -> Option<i64> {
    value.get_ref().as_integer().and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok())
}

fn effect_words() -> String {
    let words: Vec<&str> = Effect::ALL.iter().map(|effect| effect.word()).collect();
    format!("effects are {}", words.join(", "))
}
