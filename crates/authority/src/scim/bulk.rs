//! Many writes in one request (RFC 7644 §3.7). Each is one for itself, in the order given; what names something that the same request makes
//! (`bulkId:…`) waits until that is there.

use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};

use super::error::{Refusal, ScimType};
use super::resource;
use super::schema::{self, Kind};
use super::write::Precondition;
use super::{Caller, Scim};

/// Operations of one request.
pub const OPERATIONS_MAX: usize = 1000;
/// What a reference to something that the request makes begins with.
const REFERENCE: &str = "bulkId:";

/// What an operation does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    fn word(self) -> &'static str {
        match self {
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One operation, read.
struct Operation {
    /// Its place in the request.
    at: usize,
    method: Method,
    kind: Kind,
    /// What it is done to; nothing for something new.
    id: Option<String>,
    bulk_id: Option<String>,
    version: Option<String>,
    data: Value,
}

/// Reads the body: the operations that can be read and the refusals of the others by their place, and after how many errors to stop.
#[expect(clippy::type_complexity, reason = "read here, used once below")]
fn parse(body: Value) -> Result<(Vec<(Value, Result<Operation, Refusal>)>, usize), Refusal> {
    let is_bulk = body["schemas"].as_array().is_some_and(|urns| urns.iter().any(|urn| urn == schema::BULK));
    let Value::Object(mut body) = body else { return Err(Refusal::syntax("expected a JSON object")) };
    let Some(Value::Array(operations)) = body.remove("Operations").filter(|_| is_bulk) else {
        return Err(Refusal::syntax(format!("expected `schemas` with `{}`, and `Operations`", schema::BULK)));
    };
    if operations.len() > OPERATIONS_MAX {
        let why = format!("{} operations, at most {OPERATIONS_MAX} are allowed", operations.len());
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, why));
    }
    let errors_max = match body.get("failOnErrors") {
        None | Some(Value::Null) => usize::MAX,
        Some(number) => {
            let number = number.as_u64().filter(|number| *number > 0);
            let number = number.ok_or_else(|| Refusal::syntax("`failOnErrors`: expected a number above 0"))?;
            usize::try_from(number).unwrap_or(usize::MAX)
        }
    };
    let read = operations.into_iter().enumerate().map(|(at, operation)| {
        let echo = json!({ "method": operation["method"], "bulkId": operation["bulkId"] });
        (echo, self::operation(at, operation))
    });
    Ok((read.collect(), errors_max))
}

fn operation(at: usize, value: Value) -> Result<Operation, Refusal> {
    let Value::Object(mut value) = value else { return Err(Refusal::syntax("expected an operation as a JSON object")) };
    let said = |value: &Map<String, Value>, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let method = match said(&value, "method").unwrap_or_default().to_ascii_uppercase().as_str() {
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return Err(Refusal::syntax("`method`: expected `POST`, `PUT`, `PATCH` or `DELETE`")),
    };
    let path = said(&value, "path").unwrap_or_default();
    let nowhere = || Refusal::bad(ScimType::InvalidValue, format!("`path`: there is no `{path}`"));
    let mut segments = path.strip_prefix('/').ok_or_else(nowhere)?.splitn(2, '/');
    let kind = segments.next().and_then(Kind::at).ok_or_else(nowhere)?;
    let id = segments.next().map(|id| percent_encoding::percent_decode_str(id).decode_utf8_lossy().into_owned());
    if (method == Method::Post) != id.is_none() {
        return Err(nowhere());
    }
    let bulk_id = said(&value, "bulkId").filter(|id| !id.is_empty());
    if method == Method::Post && bulk_id.is_none() {
        return Err(Refusal::bad(ScimType::InvalidValue, "`bulkId` has to be there for something new"));
    }
    let version = said(&value, "version");
    Ok(Operation { at, method, kind, id, bulk_id, version, data: value.remove("data").unwrap_or(Value::Null) })
}

/// Puts the ids of what was made in place of references to it, in whatever text is one and nothing else. Whether all are there now.
fn resolve(value: &mut Value, made: &BTreeMap<String, String>) -> bool {
    match value {
        Value::String(text) => match text.strip_prefix(REFERENCE).map(|reference| made.get(reference)) {
            None => true,
            Some(None) => false,
            Some(Some(id)) => {
                *text = id.clone();
                true
            }
        },
        Value::Array(items) => items.iter_mut().all(|item| resolve(item, made)),
        Value::Object(members) => members.iter_mut().all(|(_, member)| resolve(member, made)),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

impl Scim {
    /// Does the operations, and says of each what became of it.
    pub(super) async fn bulk(&self, caller: &Caller, body: Value) -> Result<Value, Refusal> {
        let (read, errors_max) = parse(body)?;
        let mut answers: BTreeMap<usize, Value> = BTreeMap::new();
        let mut echoes = Vec::with_capacity(read.len());
        let mut open = VecDeque::new();
        let mut made = BTreeMap::new();
        let mut errors = 0;
        for (at, (echo, operation)) in read.into_iter().enumerate() {
            echoes.push(echo);
            match operation {
                Ok(operation) => open.push_back(operation),
                Err(refusal) => {
                    errors += 1;
                    answers.insert(at, failed(&refusal));
                }
            }
        }
        // How many in a row had to wait: when that is all of them, they wait for each other, or for nothing.
        let mut waiting = 0;
        while errors < errors_max
            && let Some(mut operation) = open.pop_front()
        {
            let mut id = operation.id.take().map(Value::String);
            let is_known = id.as_mut().is_none_or(|id| resolve(id, &made));
            let is_ready = resolve(&mut operation.data, &made) && is_known;
            operation.id = id.and_then(|id| id.as_str().map(str::to_owned));
            if !is_ready && waiting < open.len() {
                waiting += 1;
                open.push_back(operation);
                continue;
            }
            waiting = 0;
            let answer = if is_ready {
                self.operate(caller, &mut operation, &mut made).await
            } else {
                let why = format!("it names a `{REFERENCE}…` that nothing in this request makes, or that waits for it");
                Err(Refusal::bad(ScimType::InvalidValue, why).with_status(StatusCode::CONFLICT))
            };
            let answer = answer.unwrap_or_else(|refusal| {
                errors += 1;
                failed(&refusal)
            });
            answers.insert(operation.at, answer);
        }
        // What was not come to, because there were too many errors, is not answered.
        let answered = echoes.into_iter().enumerate().filter_map(|(at, mut echo)| {
            let Value::Object(answer) = answers.remove(&at)? else { return None };
            let echo_members = echo.as_object_mut()?;
            echo_members.retain(|_, value| !value.is_null());
            echo_members.extend(answer);
            Some(echo)
        });
        Ok(json!({ "schemas": [schema::BULK_ANSWER], "Operations": answered.collect::<Vec<_>>() }))
    }

    async fn operate(
        &self,
        caller: &Caller,
        operation: &mut Operation,
        made: &mut BTreeMap<String, String>,
    ) -> Result<Value, Refusal> {
        let Operation { method, kind, version, .. } = operation;
        let (method, kind) = (*method, *kind);
        let precondition = Precondition::version(version.as_deref());
        let data = std::mem::take(&mut operation.data);
        let id = match (method, operation.id.clone()) {
            (Method::Post, _) => {
                let id = self.create(caller, kind, data).await?;
                made.extend(operation.bulk_id.clone().map(|bulk_id| (bulk_id, id.clone())));
                id
            }
            (_, None) => return Err(Refusal::bad(ScimType::InvalidValue, format!("`{}` needs an id", method.word()))),
            (Method::Put, Some(id)) => {
                self.replace(caller, kind, &id, &precondition, data).await?;
                id
            }
            (Method::Patch, Some(id)) => {
                self.edit(caller, kind, &id, &precondition, data).await?;
                id
            }
            (Method::Delete, Some(id)) => {
                self.remove(caller, kind, &id, &precondition).await?;
                return Ok(
                    json!({ "status": StatusCode::NO_CONTENT.as_str(), "location": resource::location(&caller.base, kind, &id) }),
                );
            }
        };
        let status = if method == Method::Post { StatusCode::CREATED } else { StatusCode::OK };
        let directory = self.directory();
        let version = resource::find(&directory, kind, &id).map(|found| found.version(&directory));
        Ok(json!({ "status": status.as_str(), "location": resource::location(&caller.base, kind, &id), "version": version }))
    }
}

fn failed(refusal: &Refusal) -> Value {
    json!({ "status": refusal.status.as_str(), "response": refusal.json() })
}
