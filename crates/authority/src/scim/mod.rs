//! The directory as a SCIM 2.0 service (RFC 7643, RFC 7644), under `/scim/v2`: a provisioning service keeps people, groups and agents in it.
//!
//! A resource is a view of the directory, and a write is a change of it: recorded in the ledger before it is answered, in force for the next
//! decision, and refused where the directory refuses it. What the configuration file states is shown here and changed there. Everyone who
//! knocks has a client token and is on the configuration's list. Every answer is bounded: a page in resources and in members, a search in
//! what it looks at, a body in bytes.

mod bulk;
mod error;
mod filter;
mod patch;
mod query;
mod resource;
mod schema;
#[cfg(test)]
mod tests;
mod write;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Extension, Path, RawQuery, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use engine::Engine;
use judge::directory::Directory;
use judge::name::PrincipalId;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Semaphore;
use wire::certificate::Secure;

use crate::bearer::bearer;
use crate::clients::Clients;
use crate::tokens::Issuer;
use error::Refusal;
use query::{Projection, Query};
use schema::Kind;
use write::Precondition;

/// What bodies are, both ways (RFC 7644 §8.1).
const MEDIA_TYPE: &str = "application/scim+json";
/// Where the service is.
const PATH: &str = "/scim/v2";
/// The largest body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 8 << 20;
/// How many searches run at a time; each takes a processor for itself.
const SEARCHES_MAX: usize = 2;

#[derive(Clone)]
struct Scim {
    engine: Engine,
    issuer: Issuer,
    clients: Clients,
    /// Where clients reach it, where that is said.
    url: Option<Arc<str>>,
    searches: Arc<Semaphore>,
}

/// Who asks, and where they reached the service.
#[derive(Clone)]
struct Caller {
    client: PrincipalId,
    base: Arc<str>,
}

type Answered = Result<Response, Refusal>;

/// The service's routes. `url` is where clients reach the listener, as in `https://prudence.example.com`; without one, the host that a
/// request names.
pub fn router(engine: Engine, issuer: Issuer, clients: Clients, url: Option<String>) -> Router {
    let url = url.map(|url| format!("{}{PATH}", url.trim_end_matches('/')).into());
    let scim = Scim { engine, issuer, clients, url, searches: Arc::new(Semaphore::new(SEARCHES_MAX)) };
    let routes = Router::new()
        .route("/ServiceProviderConfig", get(provider))
        .route("/ResourceTypes", get(types))
        .route("/ResourceTypes/{name}", get(one_type))
        .route("/Schemas", get(schemas))
        .route("/Schemas/{urn}", get(one_schema))
        .route("/Me", any(me))
        .route("/Bulk", post(bulk))
        .route("/.search", post(search_all))
        .route("/{endpoint}", get(list).post(create))
        .route("/{endpoint}/.search", post(search))
        .route("/{endpoint}/{id}", get(show).put(replace).patch(edit).delete(remove))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(scim.clone(), admit))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(scim);
    Router::new().nest(PATH, routes)
}

/// Nobody gets further without a token that still opens this door.
async fn admit(Shared(scim): Shared<Scim>, mut request: Request, next: Next) -> Response {
    let client = bearer(request.headers()).and_then(|token| scim.clients.admit(&scim.issuer, token, scim.engine.now()));
    let Some(client) = client else {
        return Refusal::new(StatusCode::UNAUTHORIZED, "expected a valid client token").into_response();
    };
    let scheme = if request.extensions().get::<Secure>().is_some() { "https" } else { "http" };
    let base = scim.url.clone().unwrap_or_else(|| format!("{scheme}://{}{PATH}", host(&request)).into());
    request.extensions_mut().insert(Caller { client, base });
    next.run(request).await
}

/// By which name the client reached the service.
fn host(request: &Request) -> &str {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str())).unwrap_or("localhost")
}

impl Scim {
    /// The directory as it is now. What is looked at takes time, and decisions do not wait for it.
    fn directory(&self) -> Directory {
        self.engine.view(|state, _| state.directory().clone())
    }

    /// Looks for resources beside whatever else is done.
    async fn find(&self, caller: &Caller, kinds: Vec<Kind>, query: Query) -> Answered {
        let refused = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the search was given up");
        let _turn = self.searches.acquire().await.map_err(|_| refused())?;
        let (directory, base) = (self.directory(), caller.base.clone());
        let found =
            tokio::task::spawn_blocking(move || query::list(&directory, &kinds, &query, &base).map(|list| list.to_string()));
        Ok(text(StatusCode::OK, found.await.map_err(|_| refused())??))
    }

    /// A resource as it is now, after a write or for itself. A group of many takes a while.
    async fn shown(&self, caller: &Caller, kind: Kind, id: &str, projection: Projection, status: StatusCode) -> Answered {
        let (directory, base, id) = (self.directory(), caller.base.clone(), id.to_owned());
        let shown = tokio::task::spawn_blocking(move || {
            let found = resource::find(&directory, kind, &id).ok_or_else(|| Refusal::absent(&id))?;
            let shown = query::represent(&directory, found, &base, &projection)?;
            Ok::<_, Refusal>((Value::Object(shown).to_string(), found.version(&directory), found.location(&base)))
        });
        let (shown, version, location) =
            shown.await.map_err(|_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the answer was given up"))??;
        let mut response = text(status, shown);
        for (name, value) in [(header::ETAG, version), (header::LOCATION, location)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        Ok(response)
    }
}

fn text(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response()
}

fn kind_at(endpoint: &str) -> Result<Kind, Refusal> {
    Kind::at(endpoint).ok_or_else(|| Refusal::absent(endpoint))
}

/// The body as JSON.
fn body(headers: &HeaderMap, bytes: Result<Bytes, BytesRejection>) -> Result<Value, Refusal> {
    let bytes = bytes.map_err(|error| Refusal::new(error.status(), error.body_text()))?;
    let said = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = said.and_then(|said| said.split(';').next()).map(str::trim);
    if !essence.is_none_or(|essence| [MEDIA_TYPE, "application/json"].iter().any(|known| essence.eq_ignore_ascii_case(known))) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected `{MEDIA_TYPE}`")));
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::syntax(format!("the body is no JSON: {error}")))
}

async fn list(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path(endpoint): Path<String>,
    RawQuery(asked): RawQuery,
) -> Answered {
    scim.find(&caller, vec![kind_at(&endpoint)?], Query::of_url(asked.as_deref())?).await
}

async fn search(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path(endpoint): Path<String>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    scim.find(&caller, vec![kind_at(&endpoint)?], Query::of_body(body(&headers, bytes)?)?).await
}

async fn search_all(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    scim.find(&caller, Kind::ALL.to_vec(), Query::of_body(body(&headers, bytes)?)?).await
}

async fn show(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path((endpoint, id)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
) -> Answered {
    let kind = kind_at(&endpoint)?;
    let projection = Query::of_url(asked.as_deref())?.projection;
    let shown = scim.shown(&caller, kind, &id, projection, StatusCode::OK).await?;
    // RFC 7644 §3.14.
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let version = shown.headers().get(header::ETAG).and_then(|value| value.to_str().ok());
    if let (Some(known), Some(version)) = (known, version)
        && write::matches(known, version)
    {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, version.to_owned())]).into_response());
    }
    Ok(shown)
}

async fn create(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path(endpoint): Path<String>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    let kind = kind_at(&endpoint)?;
    let projection = Query::of_url(asked.as_deref())?.projection;
    let id = scim.create(&caller, kind, body(&headers, bytes)?).await?;
    scim.shown(&caller, kind, &id, projection, StatusCode::CREATED).await
}

async fn replace(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path((endpoint, id)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    let kind = kind_at(&endpoint)?;
    let projection = Query::of_url(asked.as_deref())?.projection;
    scim.replace(&caller, kind, &id, &Precondition::of(&headers), body(&headers, bytes)?).await?;
    scim.shown(&caller, kind, &id, projection, StatusCode::OK).await
}

async fn edit(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path((endpoint, id)): Path<(String, String)>,
    RawQuery(asked): RawQuery,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    let kind = kind_at(&endpoint)?;
    let projection = Query::of_url(asked.as_deref())?.projection;
    scim.edit(&caller, kind, &id, &Precondition::of(&headers), body(&headers, bytes)?).await?;
    // A group of many is not told for every member that comes (RFC 7644 §3.5.2 allows it).
    const MEMBERS_TOLD_MAX: u64 = 1000;
    let is_large = projection.is_everything()
        && resource::find(&scim.directory(), kind, &id).is_some_and(|found| found.members() > MEMBERS_TOLD_MAX);
    if is_large {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    scim.shown(&caller, kind, &id, projection, StatusCode::OK).await
}

async fn remove(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    Path((endpoint, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answered {
    scim.remove(&caller, kind_at(&endpoint)?, &id, &Precondition::of(&headers)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn bulk(
    Shared(scim): Shared<Scim>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    bytes: Result<Bytes, BytesRejection>,
) -> Answered {
    let answer = scim.bulk(&caller, body(&headers, bytes)?).await?;
    Ok(text(StatusCode::OK, answer.to_string()))
}

/// A client is no resource here (RFC 7644 §3.11).
async fn me() -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "a client is no resource of this service")
}

async fn nowhere(request: Request) -> Refusal {
    Refusal::absent(request.uri().path())
}

async fn not_so(request: Request) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, format!("`{}` is not done here", request.method()))
}

/// Everything of one sort, on one page; none of these can be searched (RFC 7644 §4).
fn whole_list(asked: Option<&str>, resources: Vec<Value>) -> Answered {
    if Query::of_url(asked)?.filter.is_some() {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "this is not filtered"));
    }
    let many = resources.len();
    let list = json!({
        "schemas": [schema::LIST], "totalResults": many, "startIndex": 1, "itemsPerPage": many, "Resources": resources,
    });
    Ok(text(StatusCode::OK, list.to_string()))
}

async fn types(Extension(caller): Extension<Caller>, RawQuery(asked): RawQuery) -> Answered {
    whole_list(asked.as_deref(), Kind::ALL.into_iter().map(|kind| schema::type_json(kind, &caller.base)).collect())
}

async fn one_type(Extension(caller): Extension<Caller>, Path(name): Path<String>) -> Answered {
    let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| Refusal::absent(&name))?;
    Ok(text(StatusCode::OK, schema::type_json(kind, &caller.base).to_string()))
}

async fn schemas(Extension(caller): Extension<Caller>, RawQuery(asked): RawQuery) -> Answered {
    whole_list(asked.as_deref(), schema::schemas_json(&caller.base))
}

async fn one_schema(Extension(caller): Extension<Caller>, Path(urn): Path<String>) -> Answered {
    let schema = schema::schema_json(&urn, &caller.base).ok_or_else(|| Refusal::absent(&urn))?;
    Ok(text(StatusCode::OK, schema.to_string()))
}

/// What the service does (RFC 7643 §5).
async fn provider(Extension(caller): Extension<Caller>) -> Response {
    let config = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": bulk::OPERATIONS_MAX, "maxPayloadSize": BODY_BYTES_MAX },
        "filter": { "supported": true, "maxResults": query::RESOURCES_MAX },
        "changePassword": { "supported": false },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "Bearer token",
            "description": "A client token (`prudence client token NAME --door scim`)",
            "primary": true,
        }],
        "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{}/ServiceProviderConfig", caller.base) },
    });
    text(StatusCode::OK, config.to_string())
}
