//! The official Rust SDK at both ends, in both eras.

#![allow(deprecated, reason = "roots are deprecated by the newest revision, and clients of the older use them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gateway::{GatewayConfig, TransportConfig, UpstreamConfig};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ClientConfig, ContentBlock, Implementation,
    ListRootsResult, ListToolsResult, PaginatedRequestParams, ProgressNotificationParam, ProtocolVersion, Root,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{ClientServiceExt as _, NotificationContext, RequestContext};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ClientHandler, ClientLifecycleMode, ErrorData, RoleClient, RoleServer, ServerHandler};
use tokio::net::TcpListener;

use crate::peer::{Running, token_of};
use crate::world::{accepted, contracts};

#[derive(Clone)]
struct Server;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = serde_json::json!({"type": "object"}).as_object().cloned().unwrap_or_default();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("work", "Works.", Arc::new(schema))]))
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if let Some(token) = context.meta.get_progress_token() {
            let _ = context.peer.notify_progress(ProgressNotificationParam::new(token, 1.0)).await;
        }
        let asks = call.arguments.is_some_and(|arguments| arguments.contains_key("ask"));
        if asks {
            let answer = context.peer.list_roots().await.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            let answer = answer.roots.first().map(|root| root.uri.clone());
            return Ok(CallToolResult::success(vec![ContentBlock::text(format!("{answer:?}"))]).into());
        }
        Ok(CallToolResult::success(vec![ContentBlock::text("worked")]).into())
    }
}

#[derive(Clone)]
struct Client {
    config: ClientConfig,
    progress: Arc<AtomicUsize>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(ListRootsResult::new(vec![Root::new("file:///home/bo")]))
    }

    async fn on_progress(&self, _params: ProgressNotificationParam, _context: NotificationContext<RoleClient>) {
        self.progress.fetch_add(1, Ordering::SeqCst);
    }
}

async fn upstream() -> UpstreamConfig {
    let service = StreamableHttpService::new(
        || Ok(Server),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            stream.set_nodelay(true).expect("a socket");
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let service = service.clone();
                    async move { Ok::<_, std::convert::Infallible>(service.handle(request).await) }
                });
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    UpstreamConfig::new("only", TransportConfig::Http { url, headers: Vec::new() })
}

async fn converse(version: ProtocolVersion, mode: ClientLifecycleMode, asks: bool) {
    let upstream = upstream().await;
    let definition = serde_json::json!({"name": "work", "description": "Works.", "inputSchema": {"type": "object"}});
    let contract =
        accepted(&definition, "effects = [\"compute\"]\narguments = [\"ask\"]\n[tool.result]\nlabel = { readers = [\"bo\"] }");
    let config = GatewayConfig { upstreams: vec![upstream], ..GatewayConfig::default() };
    let gateway = Running::with(config, vec![contracts("only", &contract)]).await;
    let http = StreamableHttpClientTransportConfig::with_uri(format!("http://{}/mcp", gateway.address))
        .auth_header(token_of(&gateway.world.tasks[0]));
    let transport = StreamableHttpClientTransport::from_config(http);
    let capabilities = ClientCapabilities::builder().enable_roots().build();
    let config = ClientConfig::new(capabilities, Implementation::new("test", "0")).with_protocol_version(version.clone());
    let client = Client { config, progress: Arc::default() };
    let running = client.clone().serve_with_lifecycle(transport, mode).await.expect("the handshake passes");
    assert_eq!(running.peer().peer_info().map(|info| info.protocol_version.clone()), Some(version));
    let tools = running.list_all_tools().await.expect("the list passes");
    assert_eq!(tools.len(), 1);
    let mut arguments = serde_json::Map::new();
    if asks {
        arguments.insert("ask".to_owned(), true.into());
    }
    let result = running.call_tool(CallToolRequestParams::new("work").with_arguments(arguments)).await.expect("the call passes");
    let text = result.content[0].as_text().expect("text").text.clone();
    assert!(text.contains(if asks { "bo" } else { "worked" }), "{text}");
    assert_eq!(client.progress.load(Ordering::SeqCst), 1);
    running.cancel().await.expect("the session ends");
}

#[tokio::test]
async fn the_older_era_passes_with_progress_and_questions_of_the_server() {
    crate::peer::install_provider();
    converse(ProtocolVersion::V_2025_11_25, ClientLifecycleMode::Initialize, true).await;
}

#[tokio::test]
async fn the_newer_era_passes_with_progress() {
    crate::peer::install_provider();
    let version = ProtocolVersion::V_2026_07_28;
    converse(version.clone(), ClientLifecycleMode::Discover { preferred_versions: vec![version] }, false).await;
}
