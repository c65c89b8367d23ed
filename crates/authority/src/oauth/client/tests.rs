//! Where answers may go, and what clients may say of themselves.

use serde_json::json;

use super::*;
use crate::oauth::testing::{client, key, name};

#[test]
fn answers_go_to_registered_addresses_only() {
    let app = Client {
        redirects: vec![
            "https://app.example/callback".into(),
            "http://127.0.0.1/cb".into(),
            "http://localhost:3000/cb".into(),
            "com.example.app:/cb".into(),
        ],
        ..client("app", "helper")
    };
    for good in [
        "https://app.example/callback",
        "http://127.0.0.1/cb",
        "http://127.0.0.1:49152/cb",
        "http://localhost:3001/cb",
        "com.example.app:/cb",
    ] {
        assert!(app.may_redirect_to(good), "{good}");
    }
    for bad in [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/callback#x",
        "https://app.example/callback/../evil",
        "https://app.example/%63allback",
        "https://APP.example/callback",
        "https://app.example:8443/callback",
        "https://app.example.evil.example/callback",
        "https://app.example@evil.example/callback",
        "http://app.example/callback",
        "http://127.0.0.1:1@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:49152/cb2",
        "http://127.0.0.1:49152/cb?x=1",
        "http://127.0.0.2:49152/cb",
        "http://[::1]:49152/cb",
        "https://127.0.0.1/cb",
        "com.example.app:/cb2",
        "http:\\\\127.0.0.1\\cb",
        "",
    ] {
        assert!(!app.may_redirect_to(bad), "{bad}");
    }
}

#[test]
fn nobody_registers_an_address_that_is_none_or_not_theirs_alone() {
    for bad in [
        "callback",
        "//app.example/callback",
        "http://app.example/callback",
        "http://169.254.169.254/callback",
        "https://app.example/callback#",
        "https://user@app.example/callback",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "myapp:/callback",
        "https://app.example/call back",
        "https://app.example/callback\n",
    ] {
        assert_eq!(redirect(bad).expect_err(bad).code(), "invalid_redirect_uri");
    }
}

#[test]
fn the_word_of_an_unknown_client_is_cut_to_what_holds() {
    let read = |metadata| Client::of_metadata("id", &name("guest"), Origin::Registered, &metadata);
    let told = read(json!({
        "redirect_uris": ["http://localhost/cb"], "client_name": "Help\u{202e}er\n", "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"], "scope": "spend",
    }))
    .expect("it is right");
    assert_eq!((told.name.as_str(), told.method, told.agent.as_str()), ("Helper", Method::None, "guest"));
    assert!(told.standing.is_none() && !told.introspects);
    assert_eq!(told.metadata()["token_endpoint_auth_method"], "none");
    let robot = key();
    let keyed = read(
        json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [robot.public()] } }),
    );
    assert_eq!(keyed.expect("it is right").keys.len(), 1);
    let mutual = |more: Value| {
        let mut metadata = json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "tls_client_auth" });
        metadata.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        read(metadata)
    };
    let by_name = mutual(json!({ "tls_client_auth_san_dns": "robot.example.org" })).expect("it is right");
    assert_eq!((by_name.method, by_name.certificate.clone()), (Method::Tls, Some(Known::Dns("robot.example.org".to_owned()))));
    let again =
        Client::of_metadata("id", &name("guest"), Origin::Registered, &by_name.metadata()).expect("what is kept is read again");
    assert_eq!(again.certificate, by_name.certificate);
    for wrong in [
        json!({}),
        json!({ "tls_client_auth_subject_dn": "CN=a", "tls_client_auth_san_uri": "https://a.example" }),
        json!({ "tls_client_auth_san_ip": "10.0.0.1" }),
        json!({ "tls_client_auth_san_dns": "" }),
        json!({ "tls_client_auth_san_dns": 1 }),
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth" }),
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": { "keys": [robot.public()] } }),
    ] {
        assert_eq!(mutual(wrong.clone()).expect_err("it is wrong").code(), "invalid_client_metadata", "{wrong}");
    }
    let mut private = robot.public().clone();
    private["d"] = "AAAA".into();
    let cases = [
        (json!({}), "invalid_client_metadata"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": vec!["http://localhost/cb"; 17] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://evil.example/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [1] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["http://localhost/cb"], "client_secret": "x" }), "invalid_client_metadata"),
        (json!({ "redirect_uris": ["http://localhost/cb"], "jwks_uri": "https://evil.example/keys" }), "invalid_client_metadata"),
        (
            json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
        ),
        (
            json!({ "redirect_uris": ["http://localhost/cb"], "token_endpoint_auth_method": "private_key_jwt", "jwks": { "keys": [private] } }),
            "invalid_client_metadata",
        ),
    ];
    for (metadata, code) in cases {
        assert_eq!(read(metadata.clone()).expect_err("it is wrong").code(), code, "{metadata}");
    }
}
