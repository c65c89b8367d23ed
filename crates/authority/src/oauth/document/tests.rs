//! Where this server lets itself be sent, and where not.

use super::*;

#[test]
fn only_plain_https_names_are_asked() {
    assert!(address("https://app.example/client.json").is_ok());
    for bad in [
        "http://app.example/client",
        "https://app.example",
        "https://app.example/",
        "https://app.example:8443/client",
        "https://app.example:443/client",
        "https://127.0.0.1/client",
        "https://2130706433/client",
        "https://0x7f.1/client",
        "https://[::1]/client",
        "https://[::ffff:169.254.169.254]/client",
        "https://169.254.169.254/latest/meta-data",
        "https://user@app.example/client",
        "https://app.example/client#x",
        "https://app.example/client?x=1",
        "https://app.example/a/../client",
        "https://APP.example/client",
        "https://app.example\\@evil.example/client",
        "https://app.example/cli ent",
    ] {
        assert!(address(bad).is_err(), "{bad}");
    }
    assert!(address(&format!("https://app.example/{}", "x".repeat(300))).is_err());
}

#[test]
fn networks_of_ones_own_are_not_asked() {
    for open in ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"] {
        assert!(is_public(open.parse().expect("an address")), "{open}");
    }
    for own in [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(!is_public(own.parse().expect("an address")), "{own}");
    }
}

#[tokio::test]
async fn a_name_that_leads_home_is_not_asked() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let documents = Documents::new();
    // It is in every hosts file.
    let refused = documents.of("https://localhost/client", Moment(1)).await.expect_err("it leads to this machine");
    assert_eq!(refused.code(), "invalid_client");
    assert!(documents.remembered.lock().contains_key("https://localhost/client"), "and is not tried again at once");
}

#[test]
fn a_document_is_about_its_own_address() {
    let id = "https://app.example/client";
    assert!(document(id, br#"{"client_id":"https://app.example/client","redirect_uris":["http://localhost/cb"]}"#).is_ok());
    for bad in [r#"{"client_id":"https://other.example/client"}"#, "{}", "[]", "<html>"] {
        assert_eq!(document(id, bad.as_bytes()).expect_err(bad).code(), "invalid_client");
    }
}
