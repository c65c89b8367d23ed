//! From a result to labelled items: which part of it is which item, and what is left over.
//!
//! A part belongs to the innermost selection around it. What no selection covers is one more item, the rest, so that nothing reaches
//! an agent unlabelled: not a member that the contract forgot, not a second text block, not an image.

use crate::source::{Scope, Source};
use crate::{Claims, Contracts, ItemContract, Parts, Resource, Tool, strict};
use judge::act::{Attested, Chosen, ITEMS_MAX, LabelSpec, NamedBy, ObservedItem, RESOURCES_MAX, REST, Value as ActValue};
use judge::label::{Classification, Integrity};
use judge::name::ResourceId;
use serde_json::{Map, Value};
use serde_json_path::NormalizedPath;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The longest name of a member that is taken for a field's name, in bytes. Longer or odder ones are data.
const FIELD_NAME_BYTES_MAX: usize = 32;
/// Digits from which on a name of a member looks like an account, a key or an id, which is data.
const FIELD_NAME_DIGITS_MAX: usize = 3;
/// Members of `_meta` with this prefix are the protocol's (MCP, basic, `_meta`), and no model reads them.
const PROTOCOL_META: &str = "io.modelcontextprotocol/";
/// How many parts of a result one contract of values looks at, and how many values a result attests.
const ATTESTED_PARTS_MAX: usize = 10_000;
const ATTESTED_MAX: usize = 20_000;
/// How many sensitive fields one path may find in an item.
const FIELDS_MAX: usize = 10_000;
/// How deep an item may lie in a result; what is deeper belongs to the item around it.
const RESULT_DEPTH_MAX: usize = 128;

/// A result, read the way its contract says.
pub struct ReadResult {
    /// What is in it.
    pub items: Vec<ObservedItem>,
    /// What the call made, by the server's word.
    pub created: Vec<ResourceId>,
    /// Values that the system of record states, where the tool did not fail.
    pub attested: Vec<Attested>,
    /// Whether the tool says that it failed.
    pub failed: bool,
    pub(crate) layout: Layout,
}

impl std::fmt::Debug for ReadResult {
    /// Text of items is secret until it is labelled.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ids: Vec<&ResourceId> = self.items.iter().map(|item| &item.id).collect();
        f.debug_struct("ReadResult")
            .field("items", &ids)
            .field("created", &self.created)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Which part of the result belongs to which item, so that exactly that can be taken out.
pub(crate) struct Layout {
    pub(crate) document: Document,
    pub(crate) root: Node,
    /// Who owns each content block.
    pub(crate) blocks: Vec<Block>,
    /// The item that owns what no selection covers; it may not be in the list of items, when nothing is left over.
    pub(crate) rest: usize,
    /// Items that are the same part as another one: owner, and place in the list of items.
    pub(crate) also: Vec<(usize, usize)>,
}

/// Where the data of a result stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Document {
    /// In `structuredContent`.
    Structured,
    /// In this text block, as JSON.
    Block(usize),
    /// In the text blocks, as they are.
    Words,
    /// In `contents`, of a resource.
    Contents,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    /// The document once more.
    Copy,
    /// Belongs to this item.
    Of(usize),
}

/// A place in the document, with the item that is selected there.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub(crate) owner: Option<usize>,
    /// The item of which this is a sensitive field.
    pub(crate) field_of: Option<usize>,
    pub(crate) members: BTreeMap<String, Node>,
    pub(crate) entries: BTreeMap<usize, Node>,
}

impl Node {
    fn at(&mut self, path: &NormalizedPath<'_>) -> &mut Node {
        path.iter().fold(self, |node, step| match (step.as_name(), step.as_index()) {
            (Some(name), _) => node.members.entry(name.to_owned()).or_default(),
            (None, Some(index)) => node.entries.entry(index).or_default(),
            (None, None) => node,
        })
    }
}

/// The values of a part.
fn values_of(part: &Value, parts: Parts) -> Vec<String> {
    match (parts, part) {
        (Parts::Whole, part) => scalar(part).into_iter().collect(),
        (Parts::Members, Value::Object(members)) => members.keys().cloned().collect(),
        (Parts::Lines, Value::String(text)) => {
            let heading = text.lines().next().and_then(|first| first.find(": ")).map_or(0, |at| at + 2);
            text[heading..].lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        (Parts::Members | Parts::Lines, _) => Vec::new(),
    }
}

/// A text or a number, as text.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Tool {
    /// Reads a `CallToolResult`.
    #[must_use]
    pub fn observe(&self, arguments: &Value, result: &Value) -> ReadResult {
        let (kind, document) = document_of(result);
        let document: &Value = &document;
        let scope = Scope { near: document, arguments, result: document };
        let mut reader = Reader { named: self.named(arguments), ..Reader::default() };
        for contract in &self.result.items {
            reader.select(contract, document, scope);
        }
        // Prose where the contract expects data is not what its word for the rest was meant for.
        reader.is_broken |= kind == Document::Words && reader.items.is_empty() && !self.result.items.is_empty();
        let failed = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
        let created =
            if failed { Vec::new() } else { self.result.created.iter().flat_map(|source| names(source, scope)).collect() };
        let otherwise = if reader.is_broken { None } else { self.result.label.clone() };
        let attested = if failed { Vec::new() } else { self.attested(document, scope) };
        ReadResult { attested, ..reader.finish(result, kind, document, &self.result.rest, otherwise, created, failed) }
    }

    /// What stands in the fields that the contract says the system of record fills.
    fn attested(&self, document: &Value, scope: Scope<'_>) -> Vec<Attested> {
        let mut found = Vec::new();
        for contract in &self.result.attested {
            for part in contract.at.query(document).all().into_iter().take(ATTESTED_PARTS_MAX) {
                let near = Scope { near: part, ..scope };
                let texts = match &contract.value {
                    Some(source) => source.pick(near).unwrap_or_default(),
                    None => values_of(part, contract.parts),
                };
                let names: Vec<String> = contract.names.iter().flat_map(|source| source.pick(near).unwrap_or_default()).collect();
                let value = |text| Attested { value: ActValue { kind: contract.kind.clone(), text }, names: names.clone() };
                found.extend(texts.into_iter().map(value));
            }
        }
        found.truncate(ATTESTED_MAX);
        found
    }
}

impl Tool {
    /// What the arguments name by themselves: no constant, and nothing that stands for an argument that is not there.
    fn named(&self, arguments: &Value) -> Vec<ResourceId> {
        let scope = Scope { near: arguments, arguments, result: &Value::Null };
        let mut named: Vec<ResourceId> = self
            .resources
            .iter()
            .flat_map(|source| source.called(scope))
            .filter_map(|text| ResourceId::parse(&text).ok())
            .take(RESOURCES_MAX)
            .collect();
        named.sort();
        named.dedup();
        named
    }
}

impl Contracts {
    /// Reads a `ReadResourceResult` of `uri`. Parts with another URI are what the contracts say of that URI, and no looser than what they
    /// say of `uri`.
    #[must_use]
    pub fn observe_resource(&self, uri: &str, result: &Value) -> ReadResult {
        let contents = result.get("contents").unwrap_or(&Value::Null);
        let asked = self.accepted_resource(uri);
        let mut reader = Reader { named: asked.iter().map(|(id, _)| id.clone()).collect(), ..Reader::default() };
        let otherwise = asked.as_ref().and_then(|(_, resource)| resource.label.clone());
        let chosen = Arc::new(reader.chosen(NamedBy::Server, NamedBy::Call, otherwise));
        for (index, part) in contents.as_array().into_iter().flatten().enumerate().take(ITEMS_MAX) {
            let of = part.get("uri").and_then(Value::as_str).unwrap_or(uri);
            let Some((id, resource)) = self.accepted_resource(of) else { continue };
            reader.root.entries.entry(index).or_default().owner = Some(reader.items.len());
            let chosen = (of != uri).then(|| chosen.clone());
            reader.items.push(item_of_resource(id, resource, chosen));
        }
        let rest = rest_name(&format!("{}__resources/read", self.upstream));
        reader.finish(result, Document::Contents, contents, &rest, None, Vec::new(), false)
    }

    fn accepted_resource(&self, uri: &str) -> Option<(ResourceId, &Resource)> {
        let resource = self.resource(uri).filter(|resource| resource.is_accepted())?;
        Some((resource.id_of(uri)?, resource))
    }
}

fn item_of_resource(id: ResourceId, resource: &Resource, chosen: Option<Arc<Chosen>>) -> ObservedItem {
    ObservedItem { otherwise: resource.label.clone(), chosen, ..ObservedItem::new(id, String::new()) }
}

/// What the parts of a result are called that no contract speaks of.
pub(crate) fn rest_name(tool: &str) -> ResourceId {
    let name: String = format!("{REST}:{tool}").chars().filter(|c| !c.is_control()).take(120).collect();
    ResourceId::parse(&name)
        .expect("it begins with `result:`, has no control character, and 120 characters are at most 480 bytes")
}

#[derive(Default)]
struct Reader {
    /// What the call names by itself.
    named: Vec<ResourceId>,
    root: Node,
    items: Vec<ObservedItem>,
    /// More names of a selected part: a call for several files may answer with one text, which is as sensitive as each of them.
    also: Vec<(usize, ResourceId)>,
    /// A part was selected that no item can be made of: the contract's word for the rest is not trusted with it.
    is_broken: bool,
}

impl Reader {
    fn chosen(&self, id: NamedBy, container: NamedBy, otherwise: Option<LabelSpec>) -> Chosen {
        Chosen { id, container, named: self.named.clone(), otherwise }
    }

    fn select(&mut self, contract: &ItemContract, document: &Value, scope: Scope<'_>) {
        let (id_by, container_by) = contract.named_by();
        let is_all_of_the_call = id_by == NamedBy::Call && container_by != NamedBy::Server;
        let chosen = (!is_all_of_the_call).then(|| Arc::new(self.chosen(id_by, container_by, contract.label.clone())));
        for found in contract.at.query_located(document).iter() {
            let scope = Scope { near: found.node(), ..scope };
            let mut ids = names(&contract.id, scope).into_iter();
            let id = ids.next();
            let is_too_much =
                self.items.len() + self.also.len() + ids.len() >= ITEMS_MAX || found.location().len() > RESULT_DEPTH_MAX;
            let (Some(id), false) = (id, is_too_much) else {
                self.is_broken = true;
                continue;
            };
            let node = self.root.at(found.location());
            if node.owner.is_some() {
                // The first selection of a place stands, as the contract is read from the top.
                continue;
            }
            node.owner = Some(self.items.len());
            for path in &contract.mask {
                for field in path.query_located(found.node()).iter().take(FIELDS_MAX) {
                    node.at(field.location()).field_of = Some(self.items.len());
                }
            }
            self.also.extend(ids.map(|id| (self.items.len(), id)));
            self.items.push(ObservedItem {
                id,
                text: String::new(),
                container: contract.container.as_ref().and_then(|source| names(source, scope).into_iter().next()),
                otherwise: contract.label.clone(),
                claimed: claimed(&contract.claims, scope),
                chosen: chosen.clone(),
                maskable: !contract.mask.is_empty(),
            });
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the end of one computation, shared by tools and resources")]
    fn finish(
        mut self,
        result: &Value,
        kind: Document,
        document: &Value,
        rest_id: &ResourceId,
        otherwise: Option<LabelSpec>,
        created: Vec<ResourceId>,
        failed: bool,
    ) -> ReadResult {
        let rest = self.items.len();
        let outermost = self.root.owner.unwrap_or(rest);
        let mut texts = Texts(vec![String::new(); rest + 1]);
        if kind != Document::Words {
            texts.walk(document, Some(&self.root), outermost);
        }
        let blocks = texts.blocks(result, kind, document, &self.root, outermost);
        for (name, value) in result.as_object().into_iter().flatten() {
            match name.as_str() {
                "structuredContent" | "isError" | "resultType" => {}
                "content" if value.is_array() => {}
                "contents" if kind == Document::Contents => {}
                "_meta" => texts.meta(value, outermost),
                _ => texts.walk(value, None, outermost),
            }
        }
        // Prose beside the data may say the same as an item, so the contract's word for the rest is not enough for it.
        let is_retold = rest > 0 && blocks.contains(&Block::Of(rest));
        let otherwise = otherwise.filter(|_| !is_retold);
        let mut texts = texts.0.into_iter();
        for (item, text) in self.items.iter_mut().zip(&mut texts) {
            item.text = text;
        }
        if let Some(text) = texts.next().filter(|text| !text.is_empty()) {
            // What the contract says of the rest is true of a part of what the call names, and a server can put anything there.
            let chosen = (!self.named.is_empty()).then(|| Arc::new(self.chosen(NamedBy::Contract, NamedBy::Contract, None)));
            self.items.push(ObservedItem { otherwise, chosen, ..ObservedItem::new(rest_id.clone(), text) });
        }
        let mut also = Vec::new();
        for (owner, id) in self.also {
            also.push((owner, self.items.len()));
            self.items.push(ObservedItem { id, ..self.items[owner].clone() });
        }
        let attested = Vec::new();
        ReadResult {
            items: self.items,
            created,
            attested,
            failed,
            layout: Layout { document: kind, root: self.root, blocks, rest, also },
        }
    }
}

/// The data of a result, and where it stands. Without structured content it is JSON in a text block, or else the text.
fn document_of(result: &Value) -> (Document, Cow<'_, Value>) {
    if let Some(structured) = result.get("structuredContent").filter(|value| !value.is_null()) {
        return (Document::Structured, Cow::Borrowed(structured));
    }
    let texts: Vec<(usize, &str)> = text_blocks(result).collect();
    let json = texts.iter().find_map(|(index, text)| Some((Document::Block(*index), Cow::Owned(strict::document(text)?))));
    json.unwrap_or_else(|| {
        let words: Vec<&str> = texts.into_iter().map(|(_, text)| text).collect();
        (Document::Words, Cow::Owned(Value::String(words.join("\n"))))
    })
}

pub(crate) fn text_blocks(result: &Value) -> impl Iterator<Item = (usize, &str)> {
    let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten().enumerate();
    blocks.filter_map(|(index, block)| Some((index, text_of_block(block)?)))
}

fn text_of_block(block: &Value) -> Option<&str> {
    block.get("text").and_then(Value::as_str).filter(|_| block.get("type").and_then(Value::as_str) == Some("text"))
}

/// The text of each item.
struct Texts(Vec<String>);

impl Texts {
    fn add(&mut self, owner: usize, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.0[owner].is_empty() {
            self.0[owner].push('\n');
        }
        self.0[owner].push_str(text);
    }

    fn walk(&mut self, value: &Value, node: Option<&Node>, around: usize) {
        let owner = node.and_then(|node| node.owner).unwrap_or(around);
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => self.add(owner, &number.to_string()),
            Value::String(text) => self.add(owner, text),
            Value::Array(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    self.walk(entry, node.and_then(|node| node.entries.get(&index)), owner);
                }
            }
            Value::Object(members) => {
                for (name, value) in members {
                    // A name that says that its value is a credential belongs to what is told.
                    if !is_field_name(name) || judge::content::names_credential(name) {
                        self.add(owner, name);
                    }
                    self.walk(value, node.and_then(|node| node.members.get(name)), owner);
                }
            }
        }
    }

    /// Gives every content block to somebody.
    fn blocks(&mut self, result: &Value, kind: Document, document: &Value, root: &Node, outermost: usize) -> Vec<Block> {
        let blocks = result.get("content").and_then(Value::as_array);
        let mut owners = Vec::new();
        for (index, block) in blocks.into_iter().flatten().enumerate() {
            let text = text_of_block(block);
            let is_copy = match kind {
                Document::Block(own) if own == index => true,
                Document::Structured | Document::Block(_) => {
                    text.and_then(strict::document).is_some_and(|copy| copy == *document)
                }
                Document::Words | Document::Contents => false,
            };
            let owner = match text {
                Some(_) if is_copy => Block::Copy,
                Some(text) if kind != Document::Words => match owner_of_text(document, Some(root), outermost, text) {
                    Some(owner) => Block::Of(owner),
                    None => self.own(outermost, text),
                },
                Some(text) => self.own(outermost, text),
                None => Block::Of(outermost),
            };
            owners.push(owner);
            for (name, value) in block.as_object().into_iter().flatten() {
                let is_known = name == "type" || (name == "text" && text.is_some());
                if !is_known {
                    self.walk(value, None, outermost);
                }
            }
        }
        owners
    }

    fn own(&mut self, owner: usize, text: &str) -> Block {
        self.add(owner, text);
        Block::Of(owner)
    }

    fn meta(&mut self, meta: &Value, owner: usize) {
        for (name, value) in meta.as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with(PROTOCOL_META)) {
            if !is_field_name(name) {
                self.add(owner, name);
            }
            self.walk(value, None, owner);
        }
    }
}

/// Who owns the part of the document that is this very text: many servers repeat a member of the structured content as a text block.
fn owner_of_text(value: &Value, node: Option<&Node>, around: usize, text: &str) -> Option<usize> {
    let owner = node.and_then(|node| node.owner).unwrap_or(around);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
        Value::String(part) => (part == text).then_some(owner),
        Value::Array(entries) => entries
            .iter()
            .enumerate()
            .find_map(|(index, entry)| owner_of_text(entry, node.and_then(|node| node.entries.get(&index)), owner, text)),
        Value::Object(members) => members
            .iter()
            .find_map(|(name, value)| owner_of_text(value, node.and_then(|node| node.members.get(name)), owner, text)),
    }
}

/// Names such as `created_at` are the server's vocabulary, and in every result; anything else in their place is data.
pub(crate) fn is_field_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'/');
    name.len() <= FIELD_NAME_BYTES_MAX
        && name.bytes().all(is_plain)
        && name.bytes().filter(u8::is_ascii_digit).count() <= FIELD_NAME_DIGITS_MAX
}

/// The names that a source yields; what is no name is left out.
fn names(source: &Source, scope: Scope<'_>) -> Vec<ResourceId> {
    source.pick(scope).unwrap_or_default().iter().filter_map(|text| ResourceId::parse(text).ok()).collect()
}

/// What a part says about itself. What cannot be understood counts as the strictest thing that could be meant.
fn claimed(claims: &Claims, scope: Scope<'_>) -> Option<LabelSpec> {
    if claims.is_empty() {
        return None;
    }
    let classification = words(claims.classification.as_ref(), scope).map(|words| {
        words
            .iter()
            .map(|word| classification_of(word).unwrap_or(Classification::Restricted))
            .max()
            .unwrap_or(Classification::Restricted)
    });
    let integrity = words(claims.integrity.as_ref(), scope).map(|words| {
        let all_trusted = !words.is_empty() && words.iter().all(|word| &**word == "trusted");
        if all_trusted { Integrity::Trusted } else { Integrity::Untrusted }
    });
    Some(LabelSpec {
        readers: words(claims.readers.as_ref(), scope).map(|words| words.iter().map(|word| word.to_string()).collect()),
        classification,
        categories: words(claims.categories.as_ref(), scope).unwrap_or_default().into_iter().collect(),
        purposes: words(claims.purposes.as_ref(), scope).map(|words| words.into_iter().collect::<BTreeSet<_>>()),
        integrity,
    })
}

/// `None` when nothing is there to claim anything; an empty list claims that there is nobody and nothing.
fn words(source: Option<&Source>, scope: Scope<'_>) -> Option<Vec<Arc<str>>> {
    let nodes: Vec<&Value> = source?.nodes(scope).into_iter().filter(|node| !node.is_null()).collect();
    if nodes.is_empty() {
        return None;
    }
    let word = |value: &Value| -> Arc<str> {
        match value {
            Value::String(text) => text.as_str().into(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string().into(),
        }
    };
    let entries = nodes.into_iter().flat_map(|node| match node {
        Value::Array(entries) => entries.iter().map(word).collect::<Vec<_>>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => vec![word(node)],
    });
    Some(entries.collect())
}

pub(crate) fn classification_of(word: &str) -> Option<Classification> {
    [Classification::Public, Classification::Internal, Classification::Confidential, Classification::Restricted]
        .into_iter()
        .find(|level| level.word() == word)
}

/// Nothing at all, in the shape of the value: used where a whole document is taken out.
pub(crate) fn emptied(value: &Value) -> Value {
    match value {
        Value::Object(_) => Value::Object(Map::new()),
        Value::Array(_) => Value::Array(Vec::new()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Value::Null,
    }
}
