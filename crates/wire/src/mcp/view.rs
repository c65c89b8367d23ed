//! Typed views of what a gate decides on. Each borrows from its frame; whatever is not named here is still in the frame's bytes.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Method;
use crate::frame::{Frame, Kind};

/// Subscriptions that one frame may name.
const URIS_MAX: usize = 10_000;

/// Why a frame is not what its method promises. Answered with [`super::code::INVALID_PARAMS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// The frame is something else.
    #[error("expected a message of `{method}`, found another")]
    Other {
        /// The method.
        method: &'static str,
    },
    /// Parameters are missing or of another type.
    #[error("expected the parameters of `{method}`, found others")]
    Params {
        /// The method.
        method: &'static str,
    },
    /// The result is of another type.
    #[error("expected a result of `{method}`, found another")]
    Result {
        /// The method.
        method: &'static str,
    },
    /// `_meta` is not what the revision says.
    #[error("expected `_meta` to be an object with members of their types")]
    Meta,
}

/// `params` of `tools/call`.
#[derive(Debug)]
pub struct ToolCall<'a> {
    /// The tool.
    pub name: Cow<'a, str>,
    /// The arguments' text, an object; None where there are none.
    pub arguments_raw: Option<&'a str>,
    /// Legacy: asks for a task instead of a result.
    pub task_raw: Option<&'a str>,
    /// Modern: answers to what the server asked for. Content that leaves.
    pub input_responses_raw: Option<&'a str>,
    /// Modern: the server's own words back to it.
    pub request_state: Option<Cow<'a, str>>,
}

impl<'a> ToolCall<'a> {
    /// Reads a `tools/call`.
    pub fn of(frame: &'a Frame) -> Result<ToolCall<'a>, ViewError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Params<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            arguments: Option<&'a RawValue>,
            #[serde(borrow)]
            task: Option<&'a RawValue>,
            #[serde(borrow)]
            input_responses: Option<&'a RawValue>,
            #[serde(borrow)]
            request_state: Option<Cow<'a, str>>,
        }
        let method = Method::ToolsCall;
        let Params { name, arguments, task, input_responses, request_state } = params(frame, method)?;
        if arguments.is_some_and(|arguments| !arguments.get().starts_with('{')) {
            return Err(ViewError::Params { method: method.name() });
        }
        let [arguments_raw, task_raw, input_responses_raw] = [arguments, task, input_responses].map(|raw| raw.map(RawValue::get));
        Ok(ToolCall { name, arguments_raw, task_raw, input_responses_raw, request_state })
    }

    /// The arguments as a tree, built on each call; an empty object where there are none.
    pub fn arguments(&self) -> Value {
        let tree = |raw| serde_json::from_str(raw).expect("the frame's text was read before");
        self.arguments_raw.map_or_else(|| Value::Object(serde_json::Map::new()), tree)
    }
}

/// `params` of `resources/read`, and of `resources/subscribe` and `resources/unsubscribe`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceRead<'a> {
    /// The resource.
    #[serde(borrow)]
    pub uri: Cow<'a, str>,
    /// Modern: answers to what the server asked for. Content that leaves.
    #[serde(borrow)]
    pub input_responses: Option<&'a RawValue>,
}

impl<'a> ResourceRead<'a> {
    /// Reads a message that names one resource.
    pub fn of(frame: &'a Frame) -> Result<ResourceRead<'a>, ViewError> {
        match Method::of(frame) {
            Some(method @ (Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe)) => {
                params(frame, method)
            }
            _ => Err(ViewError::Other { method: Method::ResourcesRead.name() }),
        }
    }
}

/// `params` of `prompts/get`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PromptGet<'a> {
    /// The prompt.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// Its arguments, an object of strings. Content that leaves.
    #[serde(borrow)]
    pub arguments: Option<&'a RawValue>,
    /// Modern: answers to what the server asked for. Content that leaves.
    #[serde(borrow)]
    pub input_responses: Option<&'a RawValue>,
}

impl<'a> PromptGet<'a> {
    /// Reads a `prompts/get`.
    pub fn of(frame: &'a Frame) -> Result<PromptGet<'a>, ViewError> {
        params(frame, Method::PromptsGet)
    }
}

/// `params` of `completion/complete`.
#[derive(Debug, Deserialize)]
pub struct Completion<'a> {
    /// A prompt or a resource template.
    #[serde(borrow, rename = "ref")]
    pub reference: &'a RawValue,
    /// `name`, and `value`: what was typed so far. Content that leaves.
    #[serde(borrow)]
    pub argument: &'a RawValue,
    /// What was chosen before. Content that leaves.
    #[serde(borrow)]
    pub context: Option<&'a RawValue>,
}

impl<'a> Completion<'a> {
    /// Reads a `completion/complete`.
    pub fn of(frame: &'a Frame) -> Result<Completion<'a>, ViewError> {
        params(frame, Method::Complete)
    }

    /// The prompt's name or the template's URI.
    pub fn target(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Reference<'a> {
            #[serde(borrow)]
            name: Option<Cow<'a, str>>,
            #[serde(borrow)]
            uri: Option<Cow<'a, str>>,
        }
        let Reference { name, uri } = serde_json::from_str(self.reference.get()).ok()?;
        name.or(uri)
    }
}

/// `params` of `tasks/…`: which of the protocol's tasks is meant. Not to be mixed up with the task of a token.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRef<'a> {
    /// The server's id of it.
    #[serde(borrow)]
    pub task_id: Cow<'a, str>,
    /// Modern `tasks/update`: content that leaves.
    #[serde(borrow)]
    pub input_responses: Option<&'a RawValue>,
}

impl<'a> TaskRef<'a> {
    /// Reads a message that names one task.
    pub fn of(frame: &'a Frame) -> Result<TaskRef<'a>, ViewError> {
        match Method::of(frame) {
            Some(method @ (Method::TasksGet | Method::TasksResult | Method::TasksUpdate | Method::TasksCancel)) => {
                params(frame, method)
            }
            _ => Err(ViewError::Other { method: Method::TasksGet.name() }),
        }
    }
}

/// The resources whose changes `subscriptions/listen` asks for.
pub fn subscribed_uris(frame: &Frame) -> Result<Vec<Cow<'_, str>>, ViewError> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        notifications: Filter<'a>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Filter<'a> {
        #[serde(borrow, default)]
        resource_subscriptions: Vec<Text<'a>>,
    }
    let method = Method::SubscriptionsListen;
    let uris = params::<Params>(frame, method)?.notifications.resource_subscriptions;
    if uris.len() > URIS_MAX {
        return Err(ViewError::Params { method: method.name() });
    }
    Ok(uris.into_iter().map(|Text(uri)| uri).collect())
}

/// `params._meta` of a request or notification.
#[derive(Debug, Default, Deserialize)]
pub struct Meta<'a> {
    /// The revision of this request. Required since 2026-07-28.
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    pub protocol_version: Option<Cow<'a, str>>,
    /// What the client can. Required since 2026-07-28.
    #[serde(borrow, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub client_capabilities: Option<&'a RawValue>,
    /// Who the client says it is. Not to be relied on.
    #[serde(borrow, rename = "io.modelcontextprotocol/clientInfo")]
    pub client_info: Option<&'a RawValue>,
    /// The least of the log entries that the client wants.
    #[serde(borrow, rename = "io.modelcontextprotocol/logLevel")]
    pub log_level: Option<Cow<'a, str>>,
    /// A string or a number, chosen by the requester; progress comes back under it.
    #[serde(borrow, rename = "progressToken")]
    pub progress_token: Option<&'a RawValue>,
    /// On notifications of a subscription: the id of the `subscriptions/listen` request.
    #[serde(borrow, rename = "io.modelcontextprotocol/subscriptionId")]
    pub subscription_id: Option<&'a RawValue>,
}

/// Reads `params._meta`; empty where there is none.
pub fn meta(frame: &Frame) -> Result<Meta<'_>, ViewError> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow, rename = "_meta")]
        meta: Option<Meta<'a>>,
    }
    let Some(params) = frame.params_raw() else {
        return Ok(Meta::default());
    };
    let params: Params = serde_json::from_str(params).map_err(|_| ViewError::Meta)?;
    Ok(params.meta.unwrap_or_default())
}

/// One tool of a `tools/list` result.
#[derive(Debug)]
pub struct Tool<'a> {
    /// The whole definition as it came: what a pin is made of.
    pub raw: &'a str,
    /// The name.
    pub name: Cow<'a, str>,
    /// For people.
    pub title: Option<Cow<'a, str>>,
    /// For models.
    pub description: Option<Cow<'a, str>>,
    /// JSON Schema of the arguments.
    pub input_schema: &'a RawValue,
    /// JSON Schema of `structuredContent`.
    pub output_schema: Option<&'a RawValue>,
    /// Hints, to be mistrusted.
    pub annotations: Option<&'a RawValue>,
}

impl<'a> Tool<'a> {
    /// Reads one definition.
    pub fn of(raw: &'a str) -> Result<Tool<'a>, ViewError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            #[serde(borrow)]
            name: Cow<'a, str>,
            #[serde(borrow)]
            title: Option<Cow<'a, str>>,
            #[serde(borrow)]
            description: Option<Cow<'a, str>>,
            #[serde(borrow)]
            input_schema: &'a RawValue,
            #[serde(borrow)]
            output_schema: Option<&'a RawValue>,
            #[serde(borrow)]
            annotations: Option<&'a RawValue>,
        }
        let members = serde_json::from_str(raw).map_err(|_| ViewError::Result { method: Method::ToolsList.name() })?;
        let Members { name, title, description, input_schema, output_schema, annotations } = members;
        Ok(Tool { raw, name, title, description, input_schema, output_schema, annotations })
    }
}

/// The tools of a `tools/list` result. One that cannot be read spoils the list: it is not known what it would be.
pub fn tools(frame: &Frame) -> Result<Vec<Tool<'_>>, ViewError> {
    let other = ViewError::Result { method: Method::ToolsList.name() };
    let array = frame.at("/result/tools").ok_or(other)?;
    let items: Vec<&RawValue> = serde_json::from_str(array).map_err(|_| other)?;
    items.into_iter().map(|item| Tool::of(item.get())).collect()
}

/// A JSON string's text, borrowed where it can be.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text>(raw).ok().map(|Text(text)| text)
}

/// serde borrows a `Cow` only where it is a field of its own.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn params<'a, T: Deserialize<'a>>(frame: &'a Frame, method: Method) -> Result<T, ViewError> {
    let is_asked = matches!(frame.kind(), Kind::Request | Kind::Notification);
    if !is_asked || frame.method() != Some(method.name()) {
        return Err(ViewError::Other { method: method.name() });
    }
    let raw = frame.params_raw().ok_or(ViewError::Params { method: method.name() })?;
    serde_json::from_str(raw).map_err(|_| ViewError::Params { method: method.name() })
}
