//! The workplace as an MCP server: tools and runbooks as resources, for both protocol revisions.
//!
//! Who is calling was settled before: by the HTTP edge for each request, or once for a stdio process.

use std::sync::Arc;

use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams, ReadResourceRequestParams,
        ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate, ServerCapabilities, ServerConfig,
        Tool,
    },
    service::RequestContext,
};
use serde_json::json;

use crate::{
    ApiKey,
    access::Caller,
    tools,
    world::{Runbook, World, seeded},
};

/// Serves one client on standard input and output, as the account of `key`, until the client closes the input.
pub async fn serve_stdio(key: &ApiKey) -> Result<(), StdioError> {
    let seeded = seeded();
    let caller = seeded.accounts.caller(key.reveal()).ok_or(StdioError::Key)?;
    let server = Server { world: Arc::new(Mutex::new(seeded.world.clone())), pinned: Some(caller) };
    let running = server.serve(rmcp::transport::stdio()).await.map_err(|error| StdioError::Protocol(error.to_string()))?;
    running.waiting().await.map_err(|error| StdioError::Protocol(error.to_string()))?;
    Ok(())
}

/// Why the stdio server ended early.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The key belongs to no account.
    #[error("the key belongs to no account of the workplace")]
    Key,
    /// The client did not speak MCP, or the server stopped unexpectedly.
    #[error("the client could not be served: {0}")]
    Protocol(String),
}

/// The resource URI of a runbook is its id with another first part.
const RUNBOOK_SCHEME: &str = "runbook://";

#[derive(Clone)]
pub(crate) struct Server {
    pub world: Arc<Mutex<World>>,
    /// The caller of a stdio process. Over HTTP it is `None`, and each request names its own.
    pub pinned: Option<Caller>,
}

impl Server {
    /// Fails closed: a request that reached here without a caller is a fault of this program.
    fn caller(&self, context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
        let of_request =
            context.extensions.get::<axum::http::request::Parts>().and_then(|parts| parts.extensions.get::<Caller>());
        of_request.or(self.pinned.as_ref()).cloned().ok_or_else(|| ErrorData::internal_error("the request has no caller", None))
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("workplace", env!("CARGO_PKG_VERSION")))
            .with_instructions("Forum, runbooks, datasets, mail and calendar of a small company.")
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        // The same for everybody: what a role may not call is refused when it is called.
        Ok(ListToolsResult::with_all_items(tools::definitions().cloned().collect()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::definition(name).cloned()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let caller = self.caller(&context)?;
        let outcome = tools::call(&mut self.world.lock(), &caller, &call.name, call.arguments.unwrap_or_default());
        match outcome {
            None => Err(ErrorData::invalid_params(format!("there is no tool `{}`", call.name), None)),
            Some(Ok(answer)) => Ok(CallToolResult::structured(answer).into()),
            // A result that a model can read, as a protocol error often never reaches it.
            Some(Err(refusal)) => Ok(CallToolResult::error(vec![ContentBlock::text(refusal.to_string())]).into()),
        }
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let caller = self.caller(&context)?;
        let resources = self.world.lock().runbooks_of(&caller).map(resource).collect();
        Ok(ListResourcesResult::with_all_items(resources).with_cache_scope(CacheScope::Private))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new(format!("{RUNBOOK_SCHEME}{{name}}"), "runbook").with_mime_type(TEXT);
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        ask: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let caller = self.caller(&context)?;
        // One answer for what is not there and for what is not for this caller: names of runbooks tell something too.
        let refuse = || ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": ask.uri })));
        let name = ask.uri.strip_prefix(RUNBOOK_SCHEME).ok_or_else(refuse)?;
        if !caller.may_call("runbook_read") {
            return Err(refuse());
        }
        let page = self.world.lock().runbook_read(&caller, &format!("runbook:{name}")).map_err(|_| refuse())?;
        let contents = ResourceContents::text(page.text, ask.uri.clone()).with_mime_type(TEXT);
        Ok(ReadResourceResult::new(vec![contents]).with_cache_scope(CacheScope::Private).into())
    }
}

const TEXT: &str = "text/plain";

fn resource(runbook: &Runbook) -> Resource {
    let name = runbook.runbook.trim_start_matches("runbook:");
    Resource::new(format!("{RUNBOOK_SCHEME}{name}"), runbook.runbook.clone())
        .with_title(runbook.title.clone())
        .with_description(format!("owned by {}, {}", runbook.owner, runbook.classification))
        .with_mime_type(TEXT)
        .with_size(runbook.text.len() as u64)
}
