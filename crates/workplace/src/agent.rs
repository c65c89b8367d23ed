//! The agent: an MCP client that follows a script.
//!
//! It holds one bearer token and one address. Whether a gateway or the workplace itself is behind the address it cannot
//! tell, except that a gateway may put a prefix before the names of tools.

use std::{future::Future, time::Duration};

use rmcp::{
    ClientLifecycleMode, RoleClient, ServiceError,
    model::{
        CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, ErrorData, Implementation, ProtocolVersion,
        ReadResourceRequestParams, ResourceContents, Tool,
    },
    service::{ClientServiceExt, RunningService},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use crate::script::{Script, Step, benign_script, incident_script};
use crate::{ApiKey, person::http_client};

/// How long the agent waits for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// Which revision of MCP the client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revision {
    /// 2025-11-25: a handshake with `initialize`.
    V2025_11_25,
    /// 2026-07-28: `server/discover`, and each request stands for itself.
    V2026_07_28,
}

/// A connected agent.
pub struct Agent {
    client: RunningService<RoleClient, ClientConfig>,
    prefix: String,
}

/// What came back from a call, as a model would see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The text content, joined by new lines; of a protocol error its message.
    pub text: String,
    /// The structured content, or the data of a protocol error.
    pub structured: Option<Value>,
    /// Whether the result says that it is an error, or a protocol error came instead of a result.
    pub is_error: bool,
    /// The JSON-RPC code when it was a protocol error.
    pub code: Option<i32>,
}

/// One step that was done: what was sent, what came back.
#[derive(Clone, Debug, Serialize)]
pub struct Taken {
    /// What the agent meant to do.
    pub intent: &'static str,
    /// The tool as it was called, with its prefix.
    pub tool: String,
    /// The arguments as they were sent.
    pub arguments: Value,
    /// What came back.
    pub outcome: Outcome,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The server asked for another token (401 or 403).
    #[error("`{url}` did not accept the token")]
    Token {
        /// Where the agent tried to connect.
        url: String,
    },
    /// There was no connection.
    #[error("cannot connect to `{url}`: {reason}")]
    Connect {
        /// Where the agent tried to connect.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// A call did not come back with a result or an error of the protocol.
    #[error("`{tool}` was not answered: {reason}")]
    Call {
        /// The tool, with its prefix, or the method.
        tool: String,
        /// What went wrong.
        reason: String,
    },
    /// The arguments are not a JSON object.
    #[error("the arguments of `{0}` must be an object")]
    Arguments(String),
}

impl Agent {
    /// Connects to the MCP endpoint at `url`; `prefix` is what stands before the names of tools there, such as
    /// `workplace__`, or nothing.
    pub async fn connect(url: &str, token: &ApiKey, prefix: &str, revision: Revision) -> Result<Self, AgentError> {
        let unreachable = |reason: String| AgentError::Connect { url: url.to_owned(), reason };
        let http = http_client().map_err(|error| unreachable(error.to_string()))?;
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token.reveal());
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let (version, lifecycle) = revision.lifecycle();
        let me = ClientConfig::new(ClientCapabilities::default(), Implementation::new("helper", env!("CARGO_PKG_VERSION")))
            .with_protocol_version(version);
        let client = tokio::time::timeout(ANSWER_WAIT, me.serve_with_lifecycle(transport, lifecycle))
            .await
            .map_err(|_| unreachable(format!("no answer within {ANSWER_WAIT:?}")))?
            .map_err(|error| {
                if error.is_authorization_required() || error.auth_challenge().is_some() {
                    AgentError::Token { url: url.to_owned() }
                } else {
                    unreachable(error.to_string())
                }
            })?;
        Ok(Self { client, prefix: prefix.to_owned() })
    }

    /// The revision that both ends agreed on.
    pub fn agreed_revision(&self) -> Option<String> {
        self.client.peer().peer_info().map(|peer| peer.protocol_version.to_string())
    }

    /// The tools that the server shows, with their prefix.
    pub async fn list_tools(&self) -> Result<Vec<Tool>, AgentError> {
        in_time(self.client.list_all_tools()).await.map_err(|error| unanswered("tools/list", &error))
    }

    /// Calls a tool, named without the prefix.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Outcome, AgentError> {
        let tool = format!("{}{tool}", self.prefix);
        let Value::Object(arguments) = arguments else {
            return Err(AgentError::Arguments(tool));
        };
        let ask = CallToolRequestParams::new(tool.clone()).with_arguments(arguments);
        match in_time(self.client.call_tool(ask)).await {
            Ok(result) => Ok(result.into()),
            Err(ServiceError::McpError(error)) => Ok(error.into()),
            Err(error) => Err(unanswered(&tool, &error)),
        }
    }

    /// The URIs of the resources that the server shows.
    pub async fn list_resources(&self) -> Result<Vec<String>, AgentError> {
        let resources = in_time(self.client.list_all_resources()).await.map_err(|error| unanswered("resources/list", &error))?;
        Ok(resources.into_iter().map(|resource| resource.uri).collect())
    }

    /// Reads a resource by the URI that the server shows.
    pub async fn read_resource(&self, uri: &str) -> Result<Outcome, AgentError> {
        let ask = ReadResourceRequestParams::new(uri);
        match in_time(self.client.read_resource(ask)).await {
            Ok(result) => {
                let texts = result.contents.into_iter().filter_map(|contents| match contents {
                    ResourceContents::TextResourceContents { text, .. } => Some(text),
                    // A blob, or what a later SDK adds: nothing that a reader of text could use.
                    _ => None,
                });
                let text = texts.collect::<Vec<_>>().join("\n");
                Ok(Outcome { text, structured: None, is_error: false, code: None })
            }
            Err(ServiceError::McpError(error)) => Ok(error.into()),
            Err(error) => Err(unanswered("resources/read", &error)),
        }
    }

    /// Takes one step, and what the agent does instead when it is refused: one entry per call made.
    pub async fn take(&self, step: &Step) -> Result<Vec<Taken>, AgentError> {
        let mut taken = Vec::new();
        let mut waiting = vec![step];
        while let Some(step) = waiting.pop() {
            let outcome = self.call(step.tool, step.arguments.clone()).await?;
            if outcome.is_error {
                waiting.extend(step.if_refused.iter().rev());
            }
            let tool = format!("{}{}", self.prefix, step.tool);
            taken.push(Taken { intent: step.intent, tool, arguments: step.arguments.clone(), outcome });
        }
        Ok(taken)
    }

    /// Follows a script to its end; a refusal does not end it.
    pub async fn follow(&self, script: &Script) -> Result<Vec<Taken>, AgentError> {
        let mut taken = Vec::new();
        for step in &script.steps {
            taken.extend(self.take(step).await?);
        }
        Ok(taken)
    }

    /// Ends the connection.
    pub async fn leave(self) {
        // The task behind the connection has ended either way.
        let _ = self.client.cancel().await;
    }
}

impl Revision {
    fn lifecycle(self) -> (ProtocolVersion, ClientLifecycleMode) {
        match self {
            Self::V2025_11_25 => (ProtocolVersion::V_2025_11_25, ClientLifecycleMode::Initialize),
            Self::V2026_07_28 => {
                let version = ProtocolVersion::V_2026_07_28;
                (version.clone(), ClientLifecycleMode::Discover { preferred_versions: vec![version] })
            }
        }
    }
}

impl From<CallToolResult> for Outcome {
    fn from(result: CallToolResult) -> Self {
        let texts: Vec<&str> = result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect();
        Self {
            text: texts.join("\n"),
            structured: result.structured_content,
            is_error: result.is_error.unwrap_or(false),
            code: None,
        }
    }
}

impl From<ErrorData> for Outcome {
    fn from(error: ErrorData) -> Self {
        Self { text: error.message.into_owned(), structured: error.data, is_error: true, code: Some(error.code.0) }
    }
}

/// What comes back within [`ANSWER_WAIT`]. A call given up may still have its effect: the server is not told.
async fn in_time<T>(call: impl Future<Output = Result<T, ServiceError>>) -> Result<T, ServiceError> {
    let waited = tokio::time::timeout(ANSWER_WAIT, call).await;
    waited.unwrap_or(Err(ServiceError::Timeout { timeout: ANSWER_WAIT }))
}

fn unanswered(tool: &str, error: &ServiceError) -> AgentError {
    AgentError::Call { tool: tool.to_owned(), reason: error.to_string() }
}
