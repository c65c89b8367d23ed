//! The service, as its clients meet it.

use super::*;
use axum::body::Body;
use engine::{Clock, Node, Options};
use judge::directory::{AgentRecord, ClearanceRule, DirectoryChange, DirectoryDocument, PersonRecord};
use judge::effect::Effect;
use judge::event::{Bundle, DirectoryChanged};
use judge::label::Classification;
use judge::moment::Moment;
use judge::policy::PolicySources;
use judge::registration::{Terms, register, suspend};
use proptest::prelude::*;
use std::collections::BTreeSet;
use tower::ServiceExt as _;
use wire::token::SCIM_AUDIENCE;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

struct Service {
    router: Router,
    engine: Engine,
    clients: Clients,
    token: String,
    store: Arc<ledger::MemoryLedger>,
    keys: crate::Keys,
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    json: Value,
}

fn name(text: &str) -> PrincipalId {
    PrincipalId::parse(text).expect("a name")
}

/// A service over a directory in which the configuration states `ann`, her group, an item, and that Finance is cleared for it.
async fn service() -> Service {
    service_on(Arc::new(ledger::MemoryLedger::default()), crate::Keys::ephemeral().expect("keys")).await
}

async fn service_on(store: Arc<ledger::MemoryLedger>, keys: crate::Keys) -> Service {
    let engine =
        Engine::open(store.clone(), keys.content.clone(), Clock::System, Node::alone(), Options::default()).expect("an engine");
    let directory = DirectoryDocument {
        people: vec![PersonRecord::new(name("ann"))],
        items: vec![
            serde_json::from_value(json!({ "id": "dataset:pay", "readers": [], "classification": "restricted" }))
                .expect("an item"),
        ],
        groups: [("declared".parse().expect("a name"), vec!["ann".to_owned()])].into(),
        clearance: vec![ClearanceRule {
            when: [("department".into(), "Finance".into())].into(),
            level: Some(Classification::Restricted),
            categories: BTreeSet::new(),
        }],
        ..DirectoryDocument::default()
    };
    engine.configure(Bundle { directory, policies: PolicySources::shipped(), ..Bundle::default() }).await.expect("right");
    let issuer = Issuer::new("prudence", &keys);
    let token = issuer.client_token(&name("okta"), SCIM_AUDIENCE, engine.now(), 600_000).expect("a token");
    let clients = Clients::at(SCIM_AUDIENCE, [name("okta")].into());
    let url = Some("https://prudence.example".to_owned());
    Service { router: router(engine.clone(), issuer, clients.clone(), url), engine, clients, token, store, keys }
}

impl Service {
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{PATH}{path}"));
        request = request.header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let response = self.router.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &[], Some(body)).await
    }

    async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.send("PATCH", path, &[], Some(json!({ "schemas": [schema::PATCH], "Operations": operations }))).await
    }

    async fn user(&self, user_name: &str, more: Value) -> Answer {
        let mut body = json!({ "schemas": [USER], "userName": user_name });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
        self.post("/Users", body).await
    }

    async fn group(&self, display_name: &str, members: &[&str]) -> Answer {
        let members: Vec<_> = members.iter().map(|id| json!({ "value": id })).collect();
        self.post("/Groups", json!({ "schemas": [GROUP], "displayName": display_name, "members": members })).await
    }

    /// The user names, display names or agent names that a filter finds.
    async fn found(&self, endpoint: &str, filter: &str) -> Vec<String> {
        let filter = percent_encoding::utf8_percent_encode(filter, percent_encoding::NON_ALPHANUMERIC);
        let answer = self.get(&format!("/{endpoint}?filter={filter}")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        names(&answer.json)
    }

    fn sees<T>(&self, look: impl FnOnce(&Directory) -> T) -> T {
        self.engine.view(|state, _| look(state.directory()))
    }

    fn is_member(&self, group: &str, person: &str) -> bool {
        self.sees(|directory| directory.person(person).is_some_and(|person| directory.is_member(group, person)))
    }
}

fn names(list: &Value) -> Vec<String> {
    let resources = list["Resources"].as_array().expect("a list");
    let name = |resource: &Value| {
        ["userName", "agentUserName", "displayName"].iter().find_map(|name| resource[*name].as_str()).expect("a name").to_owned()
    };
    resources.iter().map(name).collect()
}

fn refused(answer: &Answer, status: u16, scim_type: Option<&str>) {
    assert_eq!(answer.status, status, "{}", answer.json);
    assert_eq!(answer.json["schemas"][0], schema::ERROR);
    assert_eq!(answer.json["status"], status.to_string());
    assert_eq!(answer.json["scimType"].as_str(), scim_type, "{}", answer.json);
}

#[tokio::test]
async fn nobody_gets_in_without_a_token_for_this_door_of_a_client_that_is_still_listed() {
    let mut service = service().await;
    assert_eq!(service.get("/Users").await.status, 200);
    service.clients.set(BTreeSet::new());
    let answer = service.get("/Users").await;
    refused(&answer, 401, None);
    assert!(answer.headers.contains_key("www-authenticate"));
    service.clients.set([name("okta")].into());
    service.token.push('x');
    for path in ["/Users", "/ServiceProviderConfig", "/nothing"] {
        refused(&service.get(path).await, 401, None);
    }
}

#[tokio::test]
async fn a_user_is_made_shown_replaced_and_removed() {
    let service = service().await;
    let made =
        service.user("bo@example.com", json!({ "name": { "givenName": "Bo" }, "externalId": "E1", "password": "secret" })).await;
    assert_eq!(made.status, 201, "{}", made.json);
    assert_eq!(made.headers["content-type"], MEDIA_TYPE);
    assert_eq!(made.headers["location"], "https://prudence.example/scim/v2/Users/bo@example.com");
    assert_eq!(made.headers["etag"].to_str().ok(), made.json["meta"]["version"].as_str());
    assert_eq!((&made.json["id"], &made.json["active"]), (&json!("bo@example.com"), &json!(true)));
    assert!(made.json["meta"]["created"].is_string() && made.json.get("password").is_none());
    assert_eq!(service.get("/Users/bo@example.com").await.json, made.json);
    refused(&service.user("BO@example.com", json!({})).await, 409, Some("uniqueness"));

    let body = json!({ "schemas": [USER], "userName": "bo@example.com", "active": false });
    let replaced = service.send("PUT", "/Users/bo@example.com", &[], Some(body.clone())).await;
    assert_eq!((replaced.status, &replaced.json["active"]), (200, &json!(false)));
    assert!(replaced.json.get("name").is_none(), "a PUT leaves nothing of what was");
    assert!(service.sees(|directory| directory.person("bo@example.com").is_none()));
    let silent = json!({ "schemas": [USER], "userName": "bo@example.com", "nickName": "B" });
    let answer = service.send("PUT", "/Users/bo@example.com", &[], Some(silent)).await;
    assert_eq!(answer.json["active"], json!(false), "who says nothing about it brings nobody back");
    let here = service.patch("/Users/bo@example.com", json!([{ "op": "replace", "path": "active", "value": "True" }])).await;
    assert_eq!(here.json["active"], json!(true));
    let taken = service.patch("/Users/bo@example.com", json!([{ "op": "remove", "path": "active" }])).await;
    assert!(taken.json.get("active").is_none(), "{}", taken.json);
    assert!(service.sees(|directory| directory.person("bo@example.com").is_none()), "nobody says that they are here");

    assert_eq!(service.send("DELETE", "/Users/bo@example.com", &[], None).await.status, 204);
    refused(&service.get("/Users/bo@example.com").await, 404, None);
    let again = service.user("bo@example.com", json!({})).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.json["id"], "bo@example.com", "an id is never given again");
}

#[tokio::test]
async fn attributes_clear_from_the_next_decision_on() {
    let service = service().await;
    let enterprise = json!({ schema::ENTERPRISE: { "department": "Finance" }, "emails": [{ "value": "Bo.B@Example.com" }] });
    assert_eq!(service.user("bo", enterprise).await.status, 201);
    let is_cleared = |service: &Service| {
        service.sees(|directory| {
            let label = directory.label_of(&"dataset:pay".parse().expect("a name")).expect("it is stated");
            directory.cleared_for(label).people.bits().contains(directory.person("bo").expect("they are here"))
        })
    };
    assert!(is_cleared(&service));
    assert!(service.sees(|directory| directory.by_address("bo.b@example.com").is_some()));
    let whole =
        json!([{ "op": "add", "path": schema::ENTERPRISE, "value": { "schemas": [schema::ENTERPRISE], "division": "East" } }]);
    assert_eq!(
        service.patch("/Users/bo", whole).await.json[schema::ENTERPRISE],
        json!({ "department": "Finance", "division": "East" })
    );
    let path = format!("{}:department", schema::ENTERPRISE);
    let answer = service.patch("/Users/bo", json!([{ "op": "replace", "path": path, "value": "Sales" }])).await;
    assert_eq!((answer.status, &answer.json[schema::ENTERPRISE]["department"]), (200, &json!("Sales")));
    assert!(!is_cleared(&service));
}

#[tokio::test]
async fn what_the_configuration_states_is_shown_and_not_changed() {
    let service = service().await;
    let shown = service.get("/Users/ann").await;
    assert_eq!((shown.status, &shown.json["userName"]), (200, &json!("ann")));
    assert_eq!(shown.json["groups"][0]["value"], "declared");
    refused(&service.send("DELETE", "/Users/ann", &[], None).await, 403, None);
    refused(&service.patch("/Users/ann", json!([{ "op": "replace", "path": "active", "value": false }])).await, 403, None);
    refused(&service.patch("/Groups/declared", json!([{ "op": "remove", "path": "members" }])).await, 403, None);
    assert!(service.is_member("declared", "ann"));
    refused(&service.user("ANN", json!({})).await, 409, Some("uniqueness"));
}

#[tokio::test]
async fn groups_nest_and_never_in_a_circle() {
    let service = service().await;
    for user in ["bo", "cy"] {
        assert_eq!(service.user(user, json!({})).await.status, 201);
    }
    assert_eq!(service.group("inner", &["bo"]).await.status, 201);
    let outer = service.group("outer", &["inner", "cy"]).await;
    assert_eq!(outer.status, 201, "{}", outer.json);
    assert_eq!(outer.json["members"].as_array().map(Vec::len), Some(2));
    assert!(service.is_member("outer", "bo"));
    let bo = service.get("/Users/bo").await.json;
    let of = |how: &str| {
        bo["groups"].as_array().into_iter().flatten().find(|group| group["type"] == how).map(|group| group["value"].clone())
    };
    assert_eq!((of("direct"), of("indirect")), (Some(json!("inner")), Some(json!("outer"))));
    let circle = json!([{ "op": "add", "path": "members", "value": [{ "value": "outer" }] }]);
    refused(&service.patch("/Groups/inner", circle).await, 400, Some("invalidValue"));
    let nobody = json!([{ "op": "add", "path": "members", "value": [{ "value": "nobody" }] }]);
    refused(&service.patch("/Groups/inner", nobody).await, 400, Some("invalidValue"));
}

#[tokio::test]
async fn members_come_and_go_in_every_way_that_clients_write_it() {
    let service = service().await;
    for user in ["bo", "cy", "dee"] {
        service.user(user, json!({})).await;
    }
    service.group("team", &["bo"]).await;
    let members = |answer: &Answer| {
        let members = answer.json["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    for (operations, expected) in [
        (json!([{ "op": "Add", "path": "members", "value": [{ "value": "cy" }, { "value": "dee" }] }]), vec!["bo", "cy", "dee"]),
        (json!([{ "op": "remove", "path": "members[value eq \"cy\"]" }]), vec!["bo", "dee"]),
        (json!([{ "op": "Remove", "path": "members", "value": [{ "value": "dee" }] }]), vec!["bo"]),
        (json!([{ "op": "add", "value": { "members": [{ "value": "dee" }] } }]), vec!["bo", "dee"]),
        (json!([{ "op": "replace", "path": "members", "value": [{ "value": "cy" }] }]), vec!["cy"]),
        (json!([{ "op": "remove", "path": "members" }]), vec![]),
    ] {
        let answer = service.patch("/Groups/team", operations.clone()).await;
        assert_eq!((answer.status, members(&answer)), (200, expected.iter().map(ToString::to_string).collect()), "{operations}");
    }
}

#[tokio::test]
async fn a_user_is_patched_as_large_identity_providers_write_it() {
    let service = service().await;
    service.user("bo", json!({ "emails": [{ "type": "work", "value": "bo@example.com" }] })).await;
    let of = |name: &str| format!("{}:{name}", schema::ENTERPRISE);
    let operations = json!([
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@example.com" },
        { "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1" },
        { "op": "Replace", "value": { "id": "x", "name.givenName": "Bo", of("department"): "Sales", "displayName": "Bo B" } },
        { "op": "Add", "path": of("manager"), "value": "ann" },
        { "op": "Replace", "path": of("manager"), "value": [{ "value": "cy" }] },
        { "op": "Add", "path": "roles", "value": [{ "value": "clerk", "primary": "True" }] },
        { "op": "Replace", "path": "active", "value": "False" },
    ]);
    let answer = service.patch("/Users/bo", operations).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let told = |pointer: &str| answer.json.pointer(pointer).cloned().unwrap_or_default();
    for (pointer, expected) in [
        ("/id", json!("bo")),
        ("/emails", json!([{ "type": "work", "value": "b@example.com" }])),
        ("/phoneNumbers", json!([{ "type": "mobile", "value": "1" }])),
        ("/name", json!({ "givenName": "Bo" })),
        ("/displayName", json!("Bo B")),
        (&format!("/{}", schema::ENTERPRISE), json!({ "department": "Sales", "manager": { "value": "cy" } })),
        ("/roles", json!([{ "value": "clerk", "primary": true }])),
        ("/active", json!(false)),
    ] {
        assert_eq!(told(pointer), expected, "{pointer}");
    }
}

#[tokio::test]
async fn a_patch_that_fails_changes_nothing() {
    let service = service().await;
    let before = service.user("bo", json!({ "title": "Clerk" })).await.json;
    for (operations, scim_type) in [
        (
            json!([{ "op": "replace", "path": "title", "value": "Boss" }, { "op": "replace", "path": "id", "value": "x" }]),
            "mutability",
        ),
        (
            json!([{ "op": "replace", "path": "title", "value": "Boss" }, { "op": "add", "path": "nothing", "value": 1 }]),
            "invalidPath",
        ),
        (json!([{ "op": "replace", "path": "emails[type eq \"work\"].value", "value": "a@b" }]), "noTarget"),
        (json!([{ "op": "remove", "path": "userName" }]), "mutability"),
        (json!([{ "op": "replace", "path": "active", "value": "perhaps" }]), "invalidValue"),
        (json!([{ "op": "remove" }]), "noTarget"),
        (json!([{ "op": "dance", "path": "title" }]), "invalidSyntax"),
        (json!([{ "op": "add", "path": "emails[type eq", "value": "x" }]), "invalidPath"),
    ] {
        let answer = service.patch("/Users/bo", operations.clone()).await;
        refused(&answer, 400, Some(scim_type));
    }
    assert_eq!(service.get("/Users/bo").await.json, before);
}

#[tokio::test]
async fn a_write_holds_only_for_the_version_that_it_names() {
    let service = service().await;
    let made = service.user("bo", json!({})).await;
    let version = made.json["meta"]["version"].as_str().expect("a version").to_owned();
    let unchanged = service.send("GET", "/Users/bo", &[("if-none-match", &version)], None).await;
    assert_eq!((unchanged.status, unchanged.json), (304, Value::Null));
    let body = |title: &str| Some(json!({ "schemas": [USER], "userName": "bo", "title": title }));
    let first = service.send("PUT", "/Users/bo", &[("if-match", &version)], body("Clerk")).await;
    assert_eq!(first.status, 200);
    assert_ne!(first.json["meta"]["version"], version);
    for (method, body) in [("PUT", body("Boss")), ("DELETE", None)] {
        refused(&service.send(method, "/Users/bo", &[("if-match", &version)], body).await, 412, None);
    }
    assert_eq!(service.send("GET", "/Users/bo", &[("if-none-match", &version)], None).await.status, 200);
    assert_eq!(service.send("DELETE", "/Users/bo", &[("if-match", "*")], None).await.status, 204);
}

#[tokio::test]
async fn what_changes_nothing_is_no_event() {
    let service = service().await;
    let made = service.user("bo", json!({ "title": "Clerk" })).await.json;
    let body = json!({ "schemas": [USER], "userName": "bo", "title": "Clerk" });
    let again = service.send("PUT", "/Users/bo", &[], Some(body)).await;
    assert_eq!(again.json, made, "not even the moment of the last change");
    let patched = service.patch("/Users/bo", json!([{ "op": "add", "path": "title", "value": "Clerk" }])).await;
    assert_eq!(patched.json, made);
}

#[tokio::test]
async fn a_service_that_starts_again_has_what_it_had() {
    let first = service().await;
    first.user("Bo", json!({ "externalId": "E1", "active": false })).await;
    first.user("cy", json!({ schema::ENTERPRISE: { "department": "Finance" } })).await;
    first.group("team", &["cy"]).await;
    first.post("/Agents", json!({ "schemas": [AGENT], "agentUserName": "helper", "owners": [{ "value": "cy" }] })).await;
    first.send("DELETE", "/Users/cy", &[], None).await;
    let again = service_on(first.store.clone(), first.keys.clone()).await;
    let everything = json!({ "schemas": [schema::SEARCH] });
    assert_eq!(again.post("/.search", everything.clone()).await.json, first.post("/.search", everything).await.json);
    refused(&again.user("BO", json!({})).await, 409, Some("uniqueness"));
    refused(&again.get("/Users/cy").await, 404, None);
}

#[tokio::test]
async fn filters_find_what_they_say() {
    let service = service().await;
    let emails = |address: &str| json!([{ "value": address, "type": "work", "primary": true }]);
    service.user("bo", json!({ "title": "Clerk", "emails": emails("bo@a.example"), "externalId": "E1" })).await;
    service.user("Cy", json!({ "title": "Boss", "emails": emails("cy@b.example"), "externalId": "e1", "active": false })).await;
    service.user("dee", json!({ "externalId": "E\"2" })).await;
    service.group("team", &["bo"]).await;
    for (filter, expected) in [
        ("userName eq \"BO\"", &["bo"][..]),
        ("userName eq \"bo\" and title eq \"Boss\"", &[]),
        ("userName ne \"bo\" and userName ne \"ann\"", &["Cy", "dee"]),
        ("externalId eq \"E1\"", &["bo"]),
        ("externalId eq \"E\\\"2\" and active eq true", &["dee"]),
        ("externalId eq \"E1\" or externalId eq \"e1\"", &["bo", "Cy"]),
        ("emails.value co \"b.example\"", &["Cy"]),
        ("emails[type eq \"work\" and value sw \"bo\"]", &["bo"]),
        ("not (title pr)", &["ann", "dee"]),
        ("title pr and (active eq false or userName sw \"b\")", &["bo", "Cy"]),
        ("title gt \"boss\"", &["bo"]),
        ("groups.value eq \"team\"", &["bo"]),
        ("urn:ietf:params:scim:schemas:core:2.0:User:userName eq \"cy\"", &["Cy"]),
        ("meta.created gt \"2020-01-01T00:00:00Z\"", &["bo", "Cy", "dee"]),
        ("nickName eq \"x\"", &[]),
        ("id eq \"bo\"", &["bo"]),
        ("id eq \"BO\"", &[]),
    ] {
        assert_eq!(service.found("Users", filter).await, expected, "{filter}");
    }
    assert_eq!(service.found("Groups", "members.value eq \"bo\"").await, ["team"]);
    assert_eq!(service.found("Groups", "displayName eq \"TEAM\"").await, ["team"]);
}

#[tokio::test]
async fn filters_made_to_explode_are_refused() {
    let service = service().await;
    let deep = format!("{}title pr{}", "(".repeat(5_000), ")".repeat(5_000));
    let nested = format!("{}title pr{}", "not (".repeat(600), ")".repeat(600));
    let wide = vec!["title pr"; 2_000].join(" or ");
    for filter in [deep.as_str(), &nested, &wide, "title eq", "title foo \"x\"", "active gt true", "", "\u{0}"] {
        let body = json!({ "schemas": [schema::SEARCH], "filter": filter });
        refused(&service.post("/Users/.search", body).await, 400, Some("invalidFilter"));
    }
}

#[tokio::test]
async fn a_search_that_would_look_at_too_much_is_refused() {
    let people = (0..COMPARED).map(|number| PersonRecord::new(name(&format!("p{number}"))));
    const COMPARED: usize = 9_000;
    let document = DirectoryDocument { people: people.collect(), ..DirectoryDocument::default() };
    let directory = Directory::of(&document).expect("right");
    let look = |filter: String| {
        let query = Query::of_body(json!({ "schemas": [schema::SEARCH], "filter": filter, "count": 5 })).expect("a query");
        query::list(&directory, &[Kind::User], &query, "")
    };
    let found = look("userName sw \"p\"".to_owned()).expect("few comparisons");
    assert_eq!((&found["totalResults"], &found["itemsPerPage"]), (&json!(COMPARED), &json!(5)));
    let refused = look(vec!["a eq 1"; 900].join(" or ")).expect_err("many comparisons");
    assert_eq!(refused.json()["scimType"], "tooMany");
}

#[tokio::test]
async fn pages_and_order_are_as_asked() {
    let service = service().await;
    for (user, title) in [("d", "A"), ("b", "b"), ("c", "C")] {
        service.user(user, json!({ "title": title })).await;
    }
    for (query, expected) in [
        ("sortBy=userName", &["ann", "b", "c", "d"][..]),
        ("sortBy=title&sortOrder=descending", &["c", "b", "d", "ann"]),
        ("sortBy=userName&startIndex=2&count=2", &["b", "c"]),
        ("startIndex=0&count=1", &["ann"]),
        ("count=0", &[]),
        ("count=-1", &[]),
        ("startIndex=9", &[]),
    ] {
        let answer = service.get(&format!("/Users?{query}")).await;
        assert_eq!(names(&answer.json), expected, "{query}");
        assert_eq!(answer.json["totalResults"], 4, "{query}");
        assert_eq!(answer.json["itemsPerPage"], expected.len(), "{query}");
    }
    refused(&service.get("/Users?count=many").await, 400, Some("invalidValue"));
    refused(&service.get("/Users?sortBy=userName&sortOrder=up").await, 400, Some("invalidValue"));
    let everything = service.post("/.search", json!({ "schemas": [schema::SEARCH] })).await;
    assert_eq!(everything.json["totalResults"], 5);
}

#[tokio::test]
async fn only_the_attributes_that_are_asked_for_are_told() {
    let service = service().await;
    service.user("bo", json!({ "title": "Clerk", "name": { "givenName": "Bo", "familyName": "B" }, "nickName": "B" })).await;
    service.group("team", &["bo"]).await;
    let told = service.get("/Users/bo?attributes=userName,name.givenName").await.json;
    assert_eq!(told, json!({ "schemas": [USER], "id": "bo", "userName": "bo", "name": { "givenName": "Bo" } }));
    let told = service.get("/Users/bo?excludedAttributes=name.familyName,meta,groups,id,active").await.json;
    let expected = json!({
        "schemas": [USER], "id": "bo", "userName": "bo", "title": "Clerk", "name": { "givenName": "Bo" }, "nickName": "B",
    });
    assert_eq!(told, expected);
    assert!(service.get("/Groups/team?excludedAttributes=members").await.json.get("members").is_none());
    assert!(service.get("/Groups/team?attributes=displayName").await.json.get("members").is_none());
    refused(&service.get("/Users/bo?attributes=id&excludedAttributes=meta").await, 400, Some("invalidValue"));
}

#[tokio::test]
async fn an_agent_has_an_owner_who_answers_for_it() {
    let service = service().await;
    let body = |owners: Value| json!({ "schemas": [AGENT], "agentUserName": "helper", "description": "helps", "owners": owners });
    refused(&service.post("/Agents", body(json!([]))).await, 400, Some("invalidValue"));
    refused(&service.post("/Agents", body(json!([{ "value": "nobody" }]))).await, 400, Some("invalidValue"));
    service.user("bo", json!({})).await;
    let made = service.post("/Agents", body(json!([{ "value": "bo" }, { "value": "ann", "primary": true }]))).await;
    assert_eq!((made.status, &made.json["meta"]["resourceType"]), (201, &json!("Agent")), "{}", made.json);
    assert_eq!(service.sees(|directory| directory.agent("helper").map(|agent| agent.owner.to_string())), Some("ann".to_owned()));
    service.patch("/Agents/helper", json!([{ "op": "replace", "value": { "active": false } }])).await;
    assert!(service.sees(|directory| directory.agent("helper").is_none()), "out of use is as not registered");
    assert_eq!(service.found("Agents", "active eq false").await, ["helper"]);
    refused(&service.user("helper", json!({})).await, 409, Some("uniqueness"));
    assert_eq!(service.send("DELETE", "/Agents/helper", &[], None).await.status, 204);
}

/// A provisioning service says who owns an agent and whether it is in use; what it is registered for, and that somebody suspended it, is not its to say.
#[tokio::test]
async fn an_agent_keeps_its_registration_whatever_is_provisioned() {
    let service = service().await;
    let body =
        |active: bool| json!({ "schemas": [AGENT], "agentUserName": "helper", "active": active, "owners": [{ "value": "ann" }] });
    service.user("cy", json!({})).await;
    assert_eq!(service.post("/Agents", body(true)).await.status, 201);
    let terms = Terms {
        owner: name("ann"),
        sponsor: Some(name("cy")),
        about: String::new(),
        purposes: Some(["work".into()].into()),
        effects: Some([Effect::Read].into()),
        tools: None,
        keys: Some(["k1".into()].into()),
        clients: None,
        lease_ms: 60_000,
    };
    let put = |agent: AgentRecord| DirectoryChanged {
        source: "test".to_owned(),
        by: Some(name("ann")),
        changes: vec![DirectoryChange::PutAgent(agent.into())],
    };
    let registered = service.sees(|directory| register(directory, &name("helper"), &terms, &name("ann"), Moment(0)));
    service.engine.change_directory(vec![put(registered.expect("it is right"))]).await.expect("it fits");
    let suspended = service.sees(|directory| suspend(directory, &name("helper"), "too eager", &name("cy"), Moment(0)));
    service.engine.change_directory(vec![put(suspended.expect("cy is here"))]).await.expect("it fits");
    let registration = || service.sees(|directory| directory.agent_record("helper").map(|agent| agent.registration.clone()));
    let before = registration().expect("it is there");
    assert!(before.suspended.is_some() && before.keys.is_some() && before.ends.is_some());
    for active in [false, true] {
        let replaced = service.send("PUT", "/Agents/helper", &[], Some(body(active))).await;
        assert_eq!(replaced.status, 200, "{}", replaced.json);
        assert_eq!(registration(), Some(before.clone()));
    }
    service.patch("/Agents/helper", json!([{ "op": "replace", "value": { "description": "helps", "active": true } }])).await;
    assert_eq!(registration(), Some(before));
    assert!(service.sees(|directory| directory.agent("helper").is_none()), "who provisions it does not let it go on");
    assert_eq!(service.send("DELETE", "/Users/cy", &[], None).await.status, 204, "who vouches for it can leave");
    assert!(service.sees(|directory| !directory.knows_person("cy") || directory.person("cy").is_none()));
}

#[tokio::test]
async fn who_is_deleted_and_still_named_is_nobody_from_then_on() {
    let service = service().await;
    service.user("bo", json!({})).await;
    service.group("team", &["bo"]).await;
    let agent = json!({ "schemas": [AGENT], "agentUserName": "helper", "owners": [{ "value": "bo" }] });
    assert_eq!(service.post("/Agents", agent).await.status, 201);
    assert_eq!(service.send("DELETE", "/Users/bo", &[], None).await.status, 204);
    refused(&service.get("/Users/bo").await, 404, None);
    assert!(service.found("Users", "userName eq \"bo\"").await.is_empty());
    assert!(!service.is_member("team", "bo"));
    assert!(service.get("/Groups/team").await.json.get("members").is_none());
    assert_ne!(service.user("bo", json!({})).await.json["id"], "bo");

    service.group("outer", &["team"]).await;
    assert_eq!(service.send("DELETE", "/Groups/team", &[], None).await.status, 204);
    refused(&service.get("/Groups/team").await, 404, None);
    assert!(service.get("/Groups/outer").await.json.get("members").is_none());
}

#[tokio::test]
async fn a_bulk_makes_what_refers_to_each_other_in_any_order() {
    let service = service().await;
    let operations = json!([
        { "method": "POST", "path": "/Groups", "bulkId": "g", "data": {
            "schemas": [GROUP], "displayName": "team", "members": [{ "value": "bulkId:u" }],
        } },
        { "method": "POST", "path": "/Users", "bulkId": "u", "data": { "schemas": [USER], "userName": "bo" } },
        { "method": "PATCH", "path": "/Users/bulkId:u", "data": {
            "schemas": [schema::PATCH], "Operations": [{ "op": "add", "path": "title", "value": "Clerk" }],
        } },
        { "method": "POST", "path": "/Users", "bulkId": "v", "data": { "schemas": [USER], "userName": "BO" } },
        { "method": "DELETE", "path": "/Users/nobody" },
        { "method": "PUT", "path": "/Nothing/1", "data": {} },
        { "method": "POST", "path": "/Groups", "bulkId": "h", "data": {
            "schemas": [GROUP], "displayName": "lost", "members": [{ "value": "bulkId:nothing" }],
        } },
    ]);
    let answer = service.post("/Bulk", json!({ "schemas": [schema::BULK], "Operations": operations })).await;
    assert_eq!(answer.status, 200, "{}", answer.json);
    let told = answer.json["Operations"].as_array().expect("operations");
    let statuses: Vec<_> = told.iter().map(|operation| operation["status"].as_str().expect("a status")).collect();
    assert_eq!(statuses, ["201", "201", "200", "409", "404", "400", "409"], "{}", answer.json);
    assert_eq!((&told[0]["bulkId"], &told[0]["location"]), (&json!("g"), &json!("https://prudence.example/scim/v2/Groups/team")));
    assert_eq!(told[3]["response"]["scimType"], "uniqueness");
    assert!(service.is_member("team", "bo"));
    assert_eq!(service.get("/Users/bo").await.json["title"], "Clerk");
}

#[tokio::test]
async fn a_bulk_stops_after_so_many_errors_and_is_bounded() {
    let service = service().await;
    let wrong = json!({ "method": "DELETE", "path": "/Users/nobody" });
    let right = json!({ "method": "POST", "path": "/Users", "bulkId": "u", "data": { "schemas": [USER], "userName": "bo" } });
    let body = json!({ "schemas": [schema::BULK], "failOnErrors": 1, "Operations": [wrong, right] });
    let answer = service.post("/Bulk", body).await;
    assert_eq!(answer.json["Operations"].as_array().map(Vec::len), Some(1));
    refused(&service.get("/Users/bo").await, 404, None);
    let many = vec![wrong; super::bulk::OPERATIONS_MAX + 1];
    refused(&service.post("/Bulk", json!({ "schemas": [schema::BULK], "Operations": many })).await, 413, None);
    let large = "x".repeat(BODY_BYTES_MAX);
    refused(&service.user("bo", json!({ "nickName": large })).await, 413, None);
    let large = "x".repeat(judge::directory::PROFILE_BYTES_MAX);
    refused(&service.user("bo", json!({ "nickName": large })).await, 413, None);
}

#[tokio::test]
async fn the_service_says_what_it_can() {
    let service = service().await;
    let config = service.get("/ServiceProviderConfig").await.json;
    for feature in ["patch", "bulk", "filter", "sort", "etag"] {
        assert_eq!(config[feature]["supported"], true, "{feature}");
    }
    let types = service.get("/ResourceTypes").await.json;
    assert_eq!(types["totalResults"], 3);
    for one in types["Resources"].as_array().expect("types") {
        let name = one["name"].as_str().expect("a name");
        assert_eq!(service.get(&format!("/ResourceTypes/{name}")).await.json, *one);
        assert_eq!(service.get(one["endpoint"].as_str().expect("an endpoint")).await.status, 200);
        let urn = one["schema"].as_str().expect("a schema");
        assert_eq!(service.get(&format!("/Schemas/{urn}")).await.json["id"], urn);
    }
    assert_eq!(service.get("/Schemas").await.json["totalResults"], 4);
    refused(&service.get("/Schemas?filter=id%20pr").await, 403, None);
    refused(&service.get("/Schemas/nothing").await, 404, None);
    refused(&service.get("/nothing/at/all").await, 404, None);
    refused(&service.get("/Me").await, 501, None);
    refused(&service.send("DELETE", "/Schemas", &[], None).await, 405, None);
}

#[tokio::test]
async fn what_is_no_resource_is_refused() {
    let service = service().await;
    for (body, scim_type) in [
        (json!([]), "invalidSyntax"),
        (json!({ "userName": "bo" }), "invalidSyntax"),
        (json!({ "schemas": [GROUP], "userName": "bo" }), "invalidSyntax"),
        (json!({ "schemas": [USER] }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": " " }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": 7 }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "bo", "USERNAME": "cy" }), "invalidSyntax"),
        (json!({ "schemas": [USER], "userName": "bo", "emails": "bo@example.com" }), "invalidValue"),
        (json!({ "schemas": [USER], "userName": "bo", "emails": [{ "primary": true }, { "primary": true }] }), "invalidValue"),
    ] {
        refused(&service.post("/Users", body.clone()).await, 400, Some(scim_type));
    }
    let answer = service.send("POST", "/Users", &[("content-type", "text/plain")], Some(json!({}))).await;
    refused(&answer, 415, None);
}

#[tokio::test]
async fn names_that_mean_something_else_are_no_ids() {
    let service = service().await;
    for odd in ["public", "@team", "a/b", "channel:x", "x*", "external:example.com", "declared"] {
        let made = service.user(odd, json!({})).await;
        assert_eq!((made.status, &made.json["userName"]), (201, &json!(odd)), "{}", made.json);
        assert_ne!(made.json["id"], odd);
        let id = made.json["id"].as_str().expect("an id").to_owned();
        assert_eq!(service.get(&format!("/Users/{id}")).await.status, 200);
    }
    assert_eq!(service.group("team one", &[]).await.json["id"], "team one");
    assert_eq!(service.get("/Groups/team%20one").await.status, 200);
}

/// Texts that are nearly filters, paths and names.
fn nearly() -> impl Strategy<Value = String> {
    let words = [
        "userName",
        "emails",
        "members",
        "name.givenName",
        "active",
        "meta.created",
        "$ref",
        "eq",
        "ne",
        "co",
        "gt",
        "pr",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        ".",
        ":",
        "\"x\"",
        "\"2020-01-01T00:00:00Z\"",
        "true",
        "null",
        "1e9",
        "value",
        schema::ENTERPRISE,
        "\\",
        "\"",
        "\u{0}",
    ];
    let word = prop_oneof![8 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,4}"];
    (proptest::collection::vec(word, 0..12), proptest::bool::ANY)
        .prop_map(|(words, spaced)| words.join(if spaced { " " } else { "" }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_filter_or_a_path_says_is_done_or_refused(text in nearly(), value in "[a-z]{0,3}") {
        let user = json!({
            "userName": "x", "active": true, "emails": [{ "value": "x", "primary": true }, { "value": "y" }], "name": { "givenName": "x" },
            schema::ENTERPRISE: { "department": "x" },
        });
        let user = user.as_object().expect("an object");
        if let Ok(filter) = filter::parse(&text) {
            let _ = filter::holds(&filter, Kind::User, user);
        }
        for op in ["add", "replace", "remove"] {
            for value in [json!(value), json!([{ "value": value }]), json!({ "value": value, "primary": true }), Value::Null] {
                let body = json!({ "schemas": [schema::PATCH], "Operations": [{ "op": op, "path": text, "value": value }] });
                let mut resource = user.clone();
                if patch::parse(body).and_then(|operations| patch::apply(Kind::User, &mut resource, &operations)).is_ok() {
                    prop_assert_eq!(schema::complete(Kind::User, &resource), Ok(()));
                }
            }
        }
    }
}
