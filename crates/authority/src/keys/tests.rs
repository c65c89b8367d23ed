//! Key files: for their owner alone, never overwritten, never shown.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

fn paths(dir: &Path) -> KeyPaths {
    KeyPaths { signing: dir.join("signing.pem"), content: dir.join("content.key"), operator: dir.join("operator.secret") }
}

#[test]
fn generated_keys_are_for_their_owner_alone_and_read_back_the_same() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    let made = Keys::generate(&paths).expect("keys");
    for path in [&paths.signing, &paths.content, &paths.operator] {
        assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
    }
    let read = Keys::load(&paths).expect("keys");
    assert_eq!(made.signing.id(), read.signing.id());
    assert_eq!(made.signing.public(), read.signing.public());
    assert_eq!(format!("{made:?}"), format!("{read:?}"));
}

#[test]
fn keys_are_never_overwritten() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    let made = Keys::generate(&paths).expect("keys");
    assert!(matches!(Keys::generate(&paths), Err(KeysError::File { .. })));
    assert_eq!(Keys::load(&paths).expect("keys").signing.id(), made.signing.id());
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    Keys::generate(&paths).expect("keys");
    std::fs::set_permissions(&paths.content, std::fs::Permissions::from_mode(0o640)).expect("own file");
    let error = Keys::load(&paths).expect_err("too open");
    assert!(matches!(&error, KeysError::Open { mode: 0o640, .. }), "{error}");
    assert!(error.help().is_some_and(|help| help.contains("chmod 600")));
}

#[test]
fn what_is_no_key_is_refused_without_being_quoted() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    Keys::generate(&paths).expect("keys");
    for (path, text) in [
        (&paths.signing, "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n"),
        (&paths.content, "zz"),
        (&paths.operator, "short"),
    ] {
        let before = std::fs::read(path).expect("there");
        std::fs::write(path, text).expect("own file");
        let error = Keys::load(&paths).expect_err("no key").to_string();
        assert!(error.contains("is not a key"), "{error}");
        assert!(!error.contains(text.trim()), "{error}");
        std::fs::write(path, before).expect("own file");
    }
}

#[test]
fn debug_shows_fingerprints_only() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    let keys = Keys::generate(&paths).expect("keys");
    let shown = format!("{keys:?}");
    for path in [&paths.content, &paths.operator] {
        let secret = std::fs::read_to_string(path).expect("text");
        assert!(!shown.contains(secret.trim()), "{shown}");
    }
}

#[test]
fn the_operators_secret_is_itself_only() {
    let keys = Keys::ephemeral().expect("keys");
    let secret = keys.operator.0.clone();
    assert!(keys.operator.is(&secret));
    assert!(!keys.operator.is(&secret[1..]));
    assert!(!keys.operator.is(""));
}

#[test]
fn a_rotated_key_signs_no_more_and_its_tokens_are_still_believed() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let paths = paths(dir.path());
    let old = Keys::generate(&paths).expect("keys");
    let person = judge::name::PrincipalId::parse("bo").expect("a name");
    let now = judge::moment::Moment(1_800_000_000_000);
    let token = crate::Issuer::new("here", &old).person_token(&person, now, 60_000).expect("a token");
    let retired = Keys::rotate(&paths.signing).expect("another key");
    let new = Keys::load(&paths).expect("keys");
    assert_ne!(new.signing.id(), old.signing.id());
    assert!(crate::Issuer::new("here", &new).person(&token, now).is_err(), "not without being told");
    let both = new.retire(&retired).expect("a public key").retire(&retired).expect("and once");
    let issuer = crate::Issuer::new("here", &both);
    assert_eq!(issuer.person(&token, now).expect("believed"), person);
    let ids: Vec<_> = issuer.jwks()["keys"].as_array().expect("keys").iter().map(|key| key["kid"].clone()).collect();
    assert_eq!(ids, [both.signing.id(), old.signing.id()]);
    let text = std::fs::read_to_string(&retired).expect("there");
    assert!(text.starts_with("-----BEGIN PUBLIC KEY-----"), "the private half is gone: {text}");
    assert!(both.retire(&paths.signing).is_err(), "a private key is no public one");
}
