//! OpenTelemetry spans of generative AI: `execute_tool` spans (`gen_ai.*` semantic conventions), as OTLP/JSON in one document, as one such
//! document a line, or as one span a line. A conversation is a trace, or else an OpenTelemetry trace is one.
//!
//! Arguments and results are opt-in in the conventions. A call without them is an error here, not an empty call: what it did cannot be judged.

use super::{Defaults, Errors, ImportError, Imported};
use crate::format::{Step, Trace, Version, json, lines};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Where the requester's words stand, newest convention first.
const PROMPTS: [&str; 2] = ["gen_ai.input.messages", "gen_ai.prompt"];

/// Reads spans.
///
/// # Errors
/// Every line that holds no spans, and every tool call whose arguments or result were not recorded.
pub fn parse(text: &str, defaults: &Defaults) -> Result<Imported, Vec<ImportError>> {
    let mut spans = Spans::default();
    let mut errors = Errors::default();
    // One document may be written over many lines.
    match json(text) {
        Ok(document) => spans.document(1, &document, &mut errors),
        Err(_) => {
            for (number, line) in lines(text) {
                match json(line) {
                    Ok(document) => spans.document(number, &document, &mut errors),
                    Err(message) => errors.add(number, message),
                }
            }
        }
    }
    let (imported, mut wrong) = spans.traces(defaults);
    wrong.0.splice(0..0, errors.0);
    wrong.or(imported)
}

#[derive(Default)]
struct Spans {
    found: Vec<Span>,
    beside: BTreeMap<String, u64>,
}

struct Span {
    line: usize,
    trace: String,
    start_ns: u128,
    attributes: BTreeMap<String, Value>,
    error: Option<String>,
}

impl Spans {
    /// A document of OTLP/JSON (`resourceSpans`), a list of spans, or a span.
    fn document(&mut self, line: usize, value: &Value, errors: &mut Errors) {
        match value {
            Value::Array(entries) => entries.iter().for_each(|entry| self.document(line, entry, errors)),
            Value::Object(members) => {
                let inner: Vec<&Value> =
                    ["resourceSpans", "scopeSpans", "spans"].iter().filter_map(|name| members.get(*name)).collect();
                if !inner.is_empty() {
                    inner.into_iter().for_each(|part| self.document(line, part, errors));
                } else if members.contains_key("attributes") || members.contains_key("spanId") {
                    match Span::of(line, members) {
                        Ok(span) => self.found.push(span),
                        Err(message) => errors.add(line, message),
                    }
                } else {
                    errors.add(line, "expected `resourceSpans`, `spans`, or a span with `attributes`");
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => errors.add(line, "expected spans"),
        }
    }

    fn traces(mut self, defaults: &Defaults) -> (Imported, Errors) {
        self.found.sort_by_key(|span| span.start_ns);
        // A conversation goes on over several traces; a span without its id is of that of its trace.
        let mut conversations: BTreeMap<String, String> = BTreeMap::new();
        for span in &self.found {
            if let Some(id) = span.text("gen_ai.conversation.id") {
                conversations.entry(span.trace.clone()).or_insert(id);
            }
        }
        let mut errors = Errors::default();
        let mut order: Vec<String> = Vec::new();
        let mut steps: BTreeMap<String, Vec<Step>> = BTreeMap::new();
        let mut prompts: BTreeMap<String, String> = BTreeMap::new();
        let mut requesters: BTreeMap<String, String> = BTreeMap::new();
        for span in &self.found {
            let id = conversations.get(&span.trace).unwrap_or(&span.trace).clone();
            if let Some(words) = span.words_of_user() {
                prompts.entry(id.clone()).or_insert(words);
            }
            if let Some(user) = span.text("user.id").or_else(|| span.text("enduser.id")) {
                requesters.entry(id.clone()).or_insert(user);
            }
            if !span.is_tool_call() {
                let operation = span.text("gen_ai.operation.name").unwrap_or_else(|| "other spans".to_owned());
                *self.beside.entry(operation).or_default() += 1;
                continue;
            }
            if !order.contains(&id) {
                order.push(id.clone());
            }
            match span.step() {
                Ok(step) => steps.entry(id).or_default().push(step),
                Err(message) => errors.add(span.line, message),
            }
        }
        let mut notes = Vec::new();
        let mut traces = Vec::new();
        for id in order {
            let prompt = prompts.remove(&id).unwrap_or_else(|| {
                notes.push(format!("`{id}`: no words of the requester were recorded"));
                defaults.prompt.clone()
            });
            let requester = match requesters.get(&id).map(|user| user.parse()) {
                Some(Ok(requester)) => requester,
                Some(Err(_)) | None => defaults.requester.clone(),
            };
            traces.push(Trace { version: Version::V1, steps: steps.remove(&id).unwrap_or_default(), id, requester, prompt });
        }
        (Imported { traces, beside: self.beside, notes }, errors)
    }
}

impl Span {
    fn of(line: usize, members: &Map<String, Value>) -> Result<Self, String> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let attributes = attributes(members.get("attributes").unwrap_or(&Value::Null))?;
        let trace = text("traceId").or_else(|| text("trace_id")).unwrap_or("spans").to_owned();
        let start = ["startTimeUnixNano", "start_time_unix_nano", "start_time"].iter().find_map(|name| members.get(*name));
        let start_ns = match start {
            Some(Value::String(digits)) => digits.parse().unwrap_or(0),
            Some(Value::Number(number)) => u128::from(number.as_u64().unwrap_or(0)),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => 0,
        };
        let status = members.get("status").unwrap_or(&Value::Null);
        let failed = matches!(status.get("code"), Some(Value::Number(code)) if code.as_u64() == Some(2))
            || status.get("code").and_then(Value::as_str).is_some_and(|code| code.ends_with("ERROR"));
        let word = attributes.get("error.type").and_then(Value::as_str);
        let error = (failed || word.is_some()).then(|| {
            let message = status.get("message").and_then(Value::as_str).filter(|text| !text.is_empty());
            message.or(word).unwrap_or("the call failed").to_owned()
        });
        Ok(Self { line, trace, start_ns, attributes, error })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.attributes.get(name)?.as_str().map(str::to_owned)
    }

    fn is_tool_call(&self) -> bool {
        match self.attributes.get("gen_ai.operation.name").and_then(Value::as_str) {
            Some(operation) => operation == "execute_tool",
            None => {
                self.attributes.contains_key("gen_ai.tool.name") && self.attributes.contains_key("gen_ai.tool.call.arguments")
            }
        }
    }

    fn step(&self) -> Result<Step, String> {
        let tool = self.text("gen_ai.tool.name").ok_or("an `execute_tool` span without `gen_ai.tool.name`")?;
        let lacks = |what: &str| format!("`{tool}`: `{what}` was not recorded, and without it nothing can be judged");
        let args = match self.attributes.get("gen_ai.tool.call.arguments").map(unpacked) {
            Some(Value::Object(args)) => args,
            Some(Value::Null) => Map::new(),
            Some(_) => return Err(format!("`{tool}`: `gen_ai.tool.call.arguments` must be an object")),
            None => return Err(lacks("gen_ai.tool.call.arguments")),
        };
        let result = self.attributes.get("gen_ai.tool.call.result");
        if result.is_none() && self.error.is_none() {
            return Err(lacks("gen_ai.tool.call.result"));
        }
        let result_text = match result {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(data) => data.to_string(),
        };
        let result = result.map(unpacked).filter(|data| data.is_object() || data.is_array());
        Ok(Step { args, result_text, result, error: self.error.clone(), by: None, tool })
    }

    /// The first thing that the user said, where messages were recorded.
    fn words_of_user(&self) -> Option<String> {
        let messages = PROMPTS.iter().find_map(|name| self.attributes.get(*name)).map(unpacked)?;
        let Value::Array(messages) = messages else {
            return messages.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        };
        let first = messages.iter().find(|message| message.get("role").and_then(Value::as_str) == Some("user"))?;
        let parts = first.get("parts").and_then(Value::as_array);
        let texts: Vec<&str> = match parts {
            Some(parts) => parts.iter().filter_map(|part| part.get("content").or_else(|| part.get("text"))?.as_str()).collect(),
            None => first.get("content").and_then(Value::as_str).into_iter().collect(),
        };
        Some(texts.join("\n")).filter(|text| !text.is_empty())
    }
}

/// JSON that was put into a text, as most instrumentations do.
fn unpacked(value: &Value) -> Value {
    match value {
        Value::String(text) => contract::strict_json(text).unwrap_or_else(|_| value.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

/// Attributes as OTLP/JSON writes them (a list of keys and values), or as a plain object.
fn attributes(value: &Value) -> Result<BTreeMap<String, Value>, String> {
    match value {
        Value::Null => Ok(BTreeMap::new()),
        Value::Object(members) => Ok(members.iter().map(|(name, value)| (name.clone(), value.clone())).collect()),
        Value::Array(entries) => entries
            .iter()
            .map(|entry| {
                let key = entry.get("key").and_then(Value::as_str).ok_or("an attribute without `key`")?;
                Ok((key.to_owned(), any_value(entry.get("value").unwrap_or(&Value::Null))))
            })
            .collect(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Err("`attributes` must be a list or an object".to_owned()),
    }
}

/// An `AnyValue` of OTLP as the value that it holds.
fn any_value(value: &Value) -> Value {
    let Some(members) = value.as_object() else { return value.clone() };
    let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    match members.iter().next() {
        Some((kind, value)) => match kind.as_str() {
            "stringValue" | "boolValue" | "doubleValue" => value.clone(),
            "intValue" => value.as_str().and_then(|digits| digits.parse::<i64>().ok()).map_or_else(|| value.clone(), Value::from),
            "arrayValue" => Value::Array(list(value, "values").iter().map(any_value).collect()),
            "kvlistValue" => {
                let pair = |entry: &Value| {
                    Some((entry.get("key")?.as_str()?.to_owned(), any_value(entry.get("value").unwrap_or(&Value::Null))))
                };
                Value::Object(list(value, "values").iter().filter_map(pair).collect())
            }
            _ => Value::Object(members.clone()),
        },
        None => Value::Null,
    }
}
