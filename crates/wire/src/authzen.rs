//! Questions of enforcement points and the answers to them: OpenID AuthZEN Authorization API 1.0, with the drafts of its profiles
//! for obligations and for access requests.
//!
//! Unknown members are ignored (§10.1.1 "forward compatibility"); a member that stands twice is refused, because two readers could read it
//! differently. What a subject may do is not known here.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::canonical::{self, Digest};
use crate::frame::{FrameError, Limits};
use crate::strict;

/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// How many questions one request may ask.
pub const EVALUATIONS_MAX: usize = 1_000;
/// How many bytes of defaults all questions of one request may inherit together.
pub const INHERITED_BYTES_MAX: usize = 4 << 20;
/// How many attributes one entity may state, each element of an array counted.
pub const ATTRIBUTES_MAX: usize = 256;
/// The longest attribute, name and value together, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 1_024;
/// How deep properties may be nested.
const PROPERTIES_DEPTH_MAX: usize = 8;

fn limits() -> Limits {
    Limits { bytes_max: BODY_BYTES_MAX, depth_max: 32, values_max: 100_000, ..Limits::default() }
}

/// Why a body is no request. The sentence is for whoever wrote the enforcement point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// Not one JSON object within the limits, or a member stands twice.
    #[error(transparent)]
    Json(#[from] FrameError),
    /// Too many bytes.
    #[error("expected at most {BODY_BYTES_MAX} bytes, found {found}")]
    Bytes {
        /// How many.
        found: usize,
    },
    /// Not text.
    #[error("expected UTF-8")]
    Text,
    /// A required member is missing, or has another type.
    #[error("{0}")]
    Shape(String),
    /// More questions than one request may ask.
    #[error("expected at most {EVALUATIONS_MAX} evaluations, found {found}")]
    Evaluations {
        /// How many.
        found: usize,
    },
    /// Properties that cannot be compared with.
    #[error("the properties of the {entity}: {why}")]
    Properties {
        /// Of what.
        entity: &'static str,
        /// Why.
        why: String,
    },
}

/// Who acts (§5.1).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which; unique within the type.
    pub id: String,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// What is acted on (§5.2).
pub type Resource = Subject;

/// What is done (§5.3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// Its name.
    pub name: String,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// One question (§6.1).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    /// Who.
    pub subject: Subject,
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// The environment.
    #[serde(default)]
    pub context: Context,
}

/// What this program reads of the environment of a question; the rest of it does not decide anything.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Context {
    /// The task token of the chain that acts: the only word on who acts for whom that is believed.
    pub task_token: Option<String>,
    /// The types of obligation that the enforcement point can carry out (obligations profile, "Negotiation").
    pub supported_obligations: Option<BTreeSet<String>>,
    /// The approval that a person gave (access request profile, "Completion Semantics").
    pub approval: Option<ApprovalReference>,
}

/// An approval, as it was given to the enforcement point.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ApprovalReference {
    /// Which.
    pub id: String,
}

/// How several questions are answered (§7.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    /// All of them.
    #[default]
    ExecuteAll,
    /// Up to the first that is refused.
    DenyOnFirstDeny,
    /// Up to the first that is permitted.
    PermitOnFirstPermit,
}

/// Several questions, or one (§7.1).
#[derive(Debug, Clone, PartialEq)]
pub enum Evaluations {
    /// Without `evaluations` it is one question.
    One(Box<Evaluation>),
    /// Each question, or what is wrong with it alone.
    Many {
        /// In their order.
        questions: Vec<Result<Evaluation, String>>,
        /// How they are answered.
        semantic: Semantic,
    },
}

/// The wanted part of the results of a search (§8.2.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Page {
    /// Where to go on.
    pub token: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// An entity of which only the type is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sought {
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Attributes.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

/// Who may do this? (§8.4)
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct SubjectSearch {
    /// Of this type.
    pub subject: Sought,
    /// What is done.
    pub action: Action,
    /// To what.
    pub resource: Resource,
    /// Which part of the results.
    #[serde(default)]
    pub page: Page,
}

/// What may be done this to? (§8.5)
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ResourceSearch {
    /// By whom.
    pub subject: Subject,
    /// What is done.
    pub action: Action,
    /// To things of this type.
    pub resource: Sought,
    /// Which part of the results.
    #[serde(default)]
    pub page: Page,
}

/// What may be done? (§8.6)
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ActionSearch {
    /// By whom.
    pub subject: Subject,
    /// To what.
    pub resource: Resource,
    /// Which part of the results.
    #[serde(default)]
    pub page: Page,
}

/// A request that a person decides (access request profile, "Access Request Submission"), for one question.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AccessRequest {
    /// The question that was refused.
    #[serde(flatten)]
    pub question: Evaluation,
    /// The refusal.
    pub denial: Denial,
    /// Several questions in one request; not supported, and so refused rather than overlooked.
    #[serde(default)]
    pub items: Option<Value>,
}

/// The refusal that a request is about.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Denial {
    /// Which evaluation refused.
    #[serde(default)]
    pub evaluation_id: Option<String>,
}

/// An answer (§5.5).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// May it?
    pub decision: bool,
    /// Why not, and what goes with it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
}

impl Answer {
    /// A question that could not be understood is refused, and says why (§7.2.1).
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let error = json!({ "status": status, "message": message });
        Self { decision: false, context: Map::from_iter([("error".to_owned(), error)]) }
    }
}

/// Reads one question.
///
/// # Errors
/// [`BadRequest`]
pub fn evaluation(body: &[u8]) -> Result<Evaluation, BadRequest> {
    read(body)
}

/// Reads several questions, or one.
///
/// # Errors
/// [`BadRequest`] when the whole cannot be read; what is wrong with one question alone is in its place.
pub fn evaluations(body: &[u8]) -> Result<Evaluations, BadRequest> {
    #[derive(Deserialize)]
    struct Options {
        #[serde(default)]
        evaluations_semantic: Semantic,
    }
    let whole: Map<String, Value> = read(body)?;
    let items = match whole.get("evaluations") {
        None => &[][..],
        Some(Value::Array(items)) => items.as_slice(),
        Some(_) => return Err(BadRequest::Shape("`evaluations`: expected an array".to_owned())),
    };
    if items.is_empty() {
        return shaped(Value::Object(whole)).map(|one| Evaluations::One(Box::new(one)));
    }
    if items.len() > EVALUATIONS_MAX {
        return Err(BadRequest::Evaluations { found: items.len() });
    }
    let semantic = match whole.get("options") {
        Some(options) => shaped::<Options>(options.clone())?.evaluations_semantic,
        None => Semantic::default(),
    };
    let defaults = ["subject", "action", "resource", "context"].map(|name| (name, whole.get(name)));
    // Every question has its own copy of what it inherits.
    let inherited: usize = defaults.iter().filter_map(|(_, default)| Some(default.as_ref()?.to_string().len())).sum();
    if inherited.saturating_mul(items.len()) > INHERITED_BYTES_MAX {
        let sentence = format!("expected defaults of at most {INHERITED_BYTES_MAX} bytes, counted once for each evaluation");
        return Err(BadRequest::Shape(sentence));
    }
    let questions = items.iter().map(|item| {
        let Value::Object(item) = item else { return Err("expected an object".to_owned()) };
        // A member that is given replaces the default as a whole.
        let given = |(name, default): (&str, Option<&Value>)| Some((name.to_owned(), item.get(name).or(default)?.clone()));
        let merged: Map<String, Value> = defaults.into_iter().filter_map(given).collect();
        shaped(Value::Object(merged)).map_err(|error| error.to_string())
    });
    Ok(Evaluations::Many { questions: questions.collect(), semantic })
}

/// Reads a search for subjects, resources or actions, or an access request.
///
/// # Errors
/// [`BadRequest`]
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, BadRequest> {
    if body.len() > BODY_BYTES_MAX {
        return Err(BadRequest::Bytes { found: body.len() });
    }
    let text = std::str::from_utf8(body).map_err(|_| BadRequest::Text)?;
    strict::check(text, &limits())?;
    serde_json::from_str(text).map_err(|error| BadRequest::Shape(error.to_string()))
}

fn shaped<T: DeserializeOwned>(value: Value) -> Result<T, BadRequest> {
    serde_json::from_value(value).map_err(|error| BadRequest::Shape(error.to_string()))
}

/// Properties as attributes, each as `name=value`; a nested name is joined by dots, and each element of an array is an attribute of its
/// own.
///
/// # Errors
/// When they are too many, too long or too deep, or a name holds a `=`, so that it could be read in two ways.
pub fn attributes(entity: &'static str, properties: &Map<String, Value>) -> Result<BTreeSet<Arc<str>>, BadRequest> {
    let mut found = BTreeSet::new();
    flatten(String::new(), properties, PROPERTIES_DEPTH_MAX, &mut found).map_err(|why| BadRequest::Properties { entity, why })?;
    Ok(found)
}

fn flatten(path: String, properties: &Map<String, Value>, depth: usize, found: &mut BTreeSet<Arc<str>>) -> Result<(), String> {
    if depth == 0 {
        return Err(format!("expected at most {PROPERTIES_DEPTH_MAX} levels"));
    }
    for (name, value) in properties {
        if name.contains(['=', '.']) {
            return Err("expected names without `=` and `.`".to_owned());
        }
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Object(nested) => flatten(path, nested, depth - 1, found)?,
            Value::Array(elements) => {
                for element in elements {
                    // Objects in arrays cannot be compared with one value.
                    if let Some(text) = scalar(element) {
                        keep(format!("{path}={text}"), found)?;
                    }
                }
            }
            scalar_value => {
                if let Some(text) = scalar(scalar_value) {
                    keep(format!("{path}={text}"), found)?;
                }
            }
        }
    }
    Ok(())
}

fn keep(attribute: String, found: &mut BTreeSet<Arc<str>>) -> Result<(), String> {
    if attribute.len() > ATTRIBUTE_BYTES_MAX {
        return Err(format!("expected at most {ATTRIBUTE_BYTES_MAX} bytes in a name and its value"));
    }
    found.insert(attribute.into());
    if found.len() > ATTRIBUTES_MAX { Err(format!("expected at most {ATTRIBUTES_MAX} values")) } else { Ok(()) }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Evaluation {
    /// The digest of the question: what an approval binds to. The environment is not part of it.
    ///
    /// # Errors
    /// When a number in it means different things to different readers.
    pub fn digest(&self) -> Result<Digest, BadRequest> {
        let whole = json!({ "subject": self.subject, "action": self.action, "resource": self.resource });
        canonical::digest(&whole).map_err(|error| BadRequest::Shape(error.to_string()))
    }
}
