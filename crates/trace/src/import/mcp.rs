//! A log of an MCP session: JSON-RPC frames, one a line, bare or in a wrapper with a direction. A `tools/call` and the answer with its id
//! make a step; a call without an answer is an error that the agent saw nothing of.

use super::{Defaults, Errors, ImportError, Imported};
use crate::format::{Step, Trace, Version, json, lines};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Members of a wrapper that hold the frame.
const FRAMES: [&str; 4] = ["message", "frame", "payload", "data"];
/// Members of a wrapper that say which session it is.
const SESSIONS: [&str; 4] = ["session", "session_id", "sessionId", "mcp_session_id"];

/// Reads a log. A session is a trace; frames that name none are of one session.
///
/// # Errors
/// Every line that is no frame.
pub fn parse(text: &str, defaults: &Defaults) -> Result<Imported, Vec<ImportError>> {
    let mut log = Log { sessions: Vec::new(), beside: BTreeMap::new() };
    let mut errors = Errors::default();
    for (number, line) in lines(text) {
        if let Err(message) = json(line).and_then(|value| log.add(&value)) {
            errors.add(number, message);
        }
    }
    errors.or(log.traces(defaults))
}

struct Log {
    sessions: Vec<Session>,
    beside: BTreeMap<String, u64>,
}

#[derive(Default)]
struct Session {
    name: Option<String>,
    steps: Vec<Step>,
    /// Calls that wait for their answer: the place of the step, by the text of the id.
    open: BTreeMap<String, usize>,
}

impl Log {
    fn add(&mut self, value: &Value) -> Result<(), String> {
        let Value::Object(wrapper) = value else { return Err("expected an object, a JSON-RPC frame".to_owned()) };
        let frame = match wrapper.get("jsonrpc") {
            Some(_) => wrapper,
            None => FRAMES
                .iter()
                .find_map(|name| wrapper.get(*name)?.as_object())
                .ok_or("expected a JSON-RPC frame, or a wrapper with one under `message`")?,
        };
        if frame.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err("expected `\"jsonrpc\": \"2.0\"`".to_owned());
        }
        let name = SESSIONS.iter().find_map(|name| wrapper.get(*name)?.as_str()).map(str::to_owned);
        let at = self.sessions.iter().position(|session| session.name == name).unwrap_or_else(|| {
            self.sessions.push(Session { name, ..Session::default() });
            self.sessions.len() - 1
        });
        match self.sessions[at].frame(frame)? {
            None => {}
            Some(beside) => *self.beside.entry(beside).or_default() += 1,
        }
        Ok(())
    }

    fn traces(self, defaults: &Defaults) -> Imported {
        let mut notes = Vec::new();
        let called: Vec<Session> = self.sessions.into_iter().filter(|session| !session.steps.is_empty()).collect();
        let several = called.len() > 1;
        let mut traces = Vec::new();
        for (number, mut session) in called.into_iter().enumerate() {
            let unnamed = if several { format!("{}-{}", defaults.id, number + 1) } else { defaults.id.clone() };
            let id = session.name.unwrap_or(unnamed);
            for at in session.open.into_values() {
                let step = &mut session.steps[at];
                step.error = Some("the log has no answer to this call".to_owned());
                notes.push(format!("`{id}`: step {}, `{}`, has no answer in the log", at + 1, step.tool));
            }
            traces.push(Trace {
                version: Version::V1,
                id,
                requester: defaults.requester.clone(),
                prompt: defaults.prompt.clone(),
                steps: session.steps,
            });
        }
        Imported { traces, beside: self.beside, notes }
    }
}

impl Session {
    /// Takes a frame; what it is when it is no part of a tool call.
    fn frame(&mut self, frame: &Map<String, Value>) -> Result<Option<String>, String> {
        let id = frame.get("id").filter(|id| !id.is_null()).map(Value::to_string);
        match (frame.get("method").and_then(Value::as_str), id) {
            (Some("tools/call"), Some(id)) => {
                let step = called(frame)?;
                self.open.insert(id, self.steps.len());
                self.steps.push(step);
                Ok(None)
            }
            (Some("tools/call"), None) => Err("a `tools/call` without an id: nobody could answer it".to_owned()),
            (Some(method), _) => Ok(Some(method.to_owned())),
            (None, None) => Err("a frame with neither a method nor an id".to_owned()),
            (None, Some(id)) => match self.open.remove(&id) {
                Some(at) => {
                    answered(&mut self.steps[at], frame)?;
                    Ok(None)
                }
                None => Ok(Some("answers to something else".to_owned())),
            },
        }
    }
}

/// A step out of a call and its answer (`CallToolResult`), where they are at hand already.
#[must_use]
pub fn step(tool: String, args: Map<String, Value>, result: &Value) -> Step {
    let mut step = Step { tool, args, ..Step::default() };
    released(&mut step, result);
    step
}

fn called(frame: &Map<String, Value>) -> Result<Step, String> {
    let params = frame.get("params");
    let tool = params.and_then(|params| params.get("name")?.as_str()).ok_or("a `tools/call` without the name of a tool")?;
    let args = match params.and_then(|params| params.get("arguments")) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(args)) => args.clone(),
        Some(_) => return Err("`arguments` must be an object".to_owned()),
    };
    Ok(Step { tool: tool.to_owned(), args, ..Step::default() })
}

fn answered(step: &mut Step, frame: &Map<String, Value>) -> Result<(), String> {
    if let Some(error) = frame.get("error") {
        let message = error.get("message").and_then(Value::as_str).unwrap_or("an error without words");
        step.error = Some(message.to_owned());
        step.result_text = error.to_string();
        return Ok(());
    }
    released(step, frame.get("result").ok_or("an answer with neither `result` nor `error`")?);
    Ok(())
}

/// What the agent saw of a result.
fn released(step: &mut Step, result: &Value) {
    let blocks = result.get("content").and_then(Value::as_array).into_iter().flatten();
    let texts: Vec<String> = blocks
        .map(|block| match block.get("text").and_then(Value::as_str) {
            Some(text) => text.to_owned(),
            // A picture or a link is what the agent saw as well.
            None => block.to_string(),
        })
        .collect();
    step.result_text = texts.join("\n");
    step.result = result.get("structuredContent").filter(|data| !data.is_null()).cloned().or_else(|| match texts.as_slice() {
        [text] => contract::strict_json(text).ok().filter(|data| data.is_object() || data.is_array()),
        [] | [_, ..] => None,
    });
    if result.get("isError").and_then(Value::as_bool) == Some(true) {
        step.error = Some(step.result_text.clone());
    }
}
