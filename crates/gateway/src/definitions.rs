//! Which tools a server shows now, and how each stands to its contract. The list is asked for in the caller's own session, believed for a
//! bounded time, and brought up to date by every list that passes.

use std::collections::HashMap;
use std::sync::Arc;

use contract::{Contracts, Standing};
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use wire::frame::{Frame, Kind};
use wire::mcp::tools;

use crate::Core;
use crate::exchange::Upward;
use crate::mcp_fields::is_modern;
use crate::session::Link;
use crate::upstream::Failure;

const TOOLS_MAX: usize = 10_000;
const PAGES_MAX: usize = 100;
const OWN_REQUEST: &str = "prudence-definitions";

/// What is known of a server's tools.
#[derive(Default)]
pub struct Definitions {
    standings: HashMap<String, Standing>,
    /// When the whole list was read last.
    read_at: Option<Instant>,
    /// The contracts that it was compared with.
    contracts: Option<Arc<Contracts>>,
}

impl Link {
    /// The list is no longer believed.
    pub fn forget_definitions(&self) {
        self.definitions.lock().read_at = None;
    }

    /// A list passes that shows this tool.
    pub fn shows(&self, contracts: &Contracts, definition: &Value) -> Standing {
        let standing = contracts.check(definition);
        if let Some(name) = definition.get("name").and_then(Value::as_str) {
            let mut known = self.definitions.lock();
            if known.standings.len() < TOOLS_MAX {
                known.standings.insert(name.to_owned(), standing.clone());
            }
        }
        standing
    }
}

impl Core {
    /// How the tool that upstream number `index` calls `name` stands to its contract now; [`Standing::Unknown`] if it is not shown.
    pub async fn standing(
        self: &Arc<Self>,
        up: &Upward<'_>,
        index: usize,
        name: &str,
        headers: &HeaderMap,
    ) -> Result<Standing, Failure> {
        let link = &up.scope.links[index];
        let contracts = self.contracts(index);
        if let Some(standing) = self.known(link, &contracts, name) {
            return Ok(standing);
        }
        let _one_at_a_time = link.reading_definitions.lock().await;
        if let Some(standing) = self.known(link, &contracts, name) {
            return Ok(standing);
        }
        let standings = self.read_definitions(up, index, &contracts, headers).await?;
        let standing = standings.get(name).cloned().unwrap_or(Standing::Unknown);
        *link.definitions.lock() = Definitions { standings, read_at: Some(Instant::now()), contracts: Some(contracts) };
        Ok(standing)
    }

    fn known(&self, link: &Link, contracts: &Arc<Contracts>, name: &str) -> Option<Standing> {
        let known = link.definitions.lock();
        let is_fresh = known.read_at.is_some_and(|at| at.elapsed() < self.config.limits.definitions_age_max);
        let is_same = known.contracts.as_ref().is_some_and(|of| Arc::ptr_eq(of, contracts));
        (is_fresh && is_same).then(|| known.standings.get(name).cloned().unwrap_or(Standing::Unknown))
    }

    async fn read_definitions(
        self: &Arc<Self>,
        up: &Upward<'_>,
        index: usize,
        contracts: &Contracts,
        headers: &HeaderMap,
    ) -> Result<HashMap<String, Standing>, Failure> {
        let mut own_headers = HeaderMap::new();
        for name in ["mcp-protocol-version", "accept"] {
            if let Some(value) = headers.get(name) {
                own_headers.insert(name, value.clone());
            }
        }
        if headers.contains_key("mcp-method") {
            own_headers.insert("mcp-method", HeaderValue::from_static("tools/list"));
        }
        let mut standings = HashMap::new();
        let mut cursor: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let request = own_request(&up.frame, cursor.as_deref());
            let request = Frame::parse(request, &self.request_frames).map_err(|error| Failure::NotSent(error.to_string()))?;
            let asking = Upward { caller: up.caller, scope: up.scope, frame: request.clone(), headers: own_headers.clone() };
            let frame = self.part(&asking, index, request).await.answer?;
            if frame.kind() != Kind::Result {
                return Err(Failure::Unusable("it refuses to list its tools".to_owned()));
            }
            for tool in tools(&frame).map_err(|error| Failure::Unusable(error.to_string()))? {
                let definition: Value = serde_json::from_str(tool.raw).map_err(|error| Failure::Unusable(error.to_string()))?;
                let standing = contracts.check(&definition);
                if standings.len() >= TOOLS_MAX || standings.insert(tool.name.into_owned(), standing).is_some() {
                    return Err(Failure::Unusable("it lists too many tools, or one twice".to_owned()));
                }
            }
            cursor =
                frame.at("/result/nextCursor").and_then(|cursor| serde_json::from_str::<Option<String>>(cursor).ok().flatten());
            if cursor.is_none() {
                return Ok(standings);
            }
        }
        Err(Failure::Unusable(format!("its list of tools has more than {PAGES_MAX} pages")))
    }
}

/// The gateway's own `tools/list`, in the era of the call that needs it.
fn own_request(call: &Frame, cursor: Option<&str>) -> String {
    let mut params = Map::new();
    if is_modern(call) {
        let meta = call.params()["_meta"].take();
        let kept = meta.as_object().into_iter().flatten().filter(|(name, _)| name.starts_with("io.modelcontextprotocol/"));
        params.insert("_meta".to_owned(), Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect()));
    }
    if let Some(cursor) = cursor {
        params.insert("cursor".to_owned(), cursor.into());
    }
    json!({ "jsonrpc": "2.0", "id": OWN_REQUEST, "method": "tools/list", "params": params }).to_string()
}
