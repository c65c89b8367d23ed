//! Configurations, right and wrong, and what is said about them.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::commands::TEMPLATE;

/// Everything that is wrong with a configuration of these files, as people are shown it; nothing when it is right.
fn problems(files: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("own folder");
        std::fs::write(path, text).expect("own file");
    }
    let shown = match load_with_contracts(&folder.path().join("prudence.toml")) {
        Ok(_) => String::new(),
        Err(problems) => problems.render(false),
    };
    shown.replace(&folder.path().display().to_string(), "…")
}

#[test]
fn what_init_writes_is_right() {
    assert_eq!(problems(&[("prudence.toml", TEMPLATE)]), "");
}

#[test]
fn tls_and_who_is_known_by_a_certificate_are_checked_with_everything_else() {
    let server = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("it signs");
    let (pem, key) = (server.cert.pem(), server.signing_key.serialize_pem());
    let house = |tls: &str, clients: &str| {
        format!(
            "[server]\napi_listen = \"127.0.0.1:8788\"\n{tls}\n[authorization]\n[[people]]\nid = \"bo\"\n[[agents]]\nid = \"helper\"\nowner = \"bo\"\n{clients}"
        )
    };
    let client = |id: &str, known: &str| format!("[[oauth_clients]]\nid = \"{id}\"\nagent = \"helper\"\n{known}\n");
    let tls = "[server.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"";
    let with_authorities = format!("{tls}\nclient_authorities = \"server.pem\"");
    let files = [("server.pem", pem.as_str()), ("server.key", &key)];
    let shown = |config: &str| problems(&[&[("prudence.toml", config)][..], &files].concat());
    let right = [
        client("a", "tls_client_auth_subject_dn = 'CN=robot,O=Example\\, Inc.'"),
        client("b", "tls_client_auth_san_dns = \"robot.example.org\""),
        client("c", "tls_client_auth_san_uri = \"https://example.org/robot\""),
        client("d", "certificates = \"server.pem\"\npurpose = \"nightly\""),
        client("e", "spiffe = \"spiffe://example.org/robot\"\npurpose = \"nightly\""),
    ];
    assert_eq!(shown(&house(&with_authorities, &right.concat())), "");
    assert_eq!(shown(&house(tls, &right[3])), "");
    let wrong = [
        client("a", "tls_client_auth_subject_dn = \"CN=robot, O=Example\"\ntls_client_auth_san_dns = \"robot.example.org\""),
        client("b", "spiffe = \"spiffe://Example.org/robot\""),
        client("c", "certificates = \"server.key\""),
        client("d", "certificates = \"gone.pem\""),
    ];
    insta::assert_snapshot!(shown(&house(tls, &wrong.concat())));
    insta::assert_snapshot!(shown(&house(
        "[server.tls]\ncertificate = \"server.key\"\nkey = \"server.key\"",
        &client("a", "certificates = \"server.pem\"")
    )));
    insta::assert_snapshot!(shown(&house("[server.tls]\ncertificate = \"server.pem\"\nkey = \"gone.key\"", "")));
    insta::assert_snapshot!(shown(&house("", &right[3])));
}

#[test]
fn an_authorization_server_is_checked_with_everything_else() {
    let good = r#"
[server]
api_listen = "127.0.0.1:8788"

[authorization]
guest_agent = "helper"
registration = true

[[people]]
id = "bo"

[[agents]]
id = "helper"
owner = "bo"

[[oauth_clients]]
id = "app"
agent = "helper"
redirects = ["http://127.0.0.1/callback", "com.example.app:/callback"]
"#;
    assert_eq!(problems(&[("prudence.toml", good)]), "");
    let bad = r#"
[authorization]
issuer = "http://auth.example.com/path"
resource = "http://gate.example.com/mcp"
client_documents = true

[[people]]
id = "bo"

[[oauth_clients]]
id = "app"
agent = "nobody"
redirects = ["javascript:alert(1)"]
purpose = "nightly"

[[oauth_clients]]
id = "app"
agent = "bo"
keys = "private.json"
"#;
    let private =
        r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "AAAA"}]}"#;
    insta::assert_snapshot!(problems(&[("prudence.toml", bad), ("private.json", private)]));
    let alone = "[[oauth_clients]]\nid = \"app\"\nagent = \"helper\"\n";
    assert!(problems(&[("prudence.toml", alone)]).contains("`[authorization]` is not"));
}

#[test]
fn what_an_upstream_wants_to_see_is_checked_with_everything_else() {
    let good = r#"
[[upstreams]]
name = "crm"
url = "https://crm.example/mcp"
[upstreams.credential]
kind = "oauth"
client_id = "prudence"
authorization_endpoint = "https://login.example/authorize"
token_endpoint = "http://127.0.0.1:9/token"
scopes = ["read"]
redirect = "http://127.0.0.1:8765/callback"

[[upstreams]]
name = "wiki"
url = "http://127.0.0.1:9000/mcp"
credential = { kind = "api-key", per = "upstream", header = "X-Api-Key" }

[[upstreams]]
name = "bare"
url = "https://bare.example/mcp"
credential = { kind = "client-credentials", client_id = "prudence", token_endpoint = "https://login.example/token", client_auth = "form", resource = "" }
"#;
    assert_eq!(problems(&[("prudence.toml", good)]), "");
    let bad = r#"
[[upstreams]]
name = "clear"
url = "http://crm.example/mcp"
headers_from_env = { authorization = "TOKEN" }
[upstreams.credential]
kind = "api-key"
prefix = "\u0000"
client_id = "prudence"

[[upstreams]]
name = "process"
command = "server"
credential = { kind = "api-key", header = "Mcp-Session-Id" }

[[upstreams]]
name = "half"
url = "https://half.example/mcp"
[upstreams.credential]
kind = "oauth"
per = "upstream"
secret = "hush"
token_endpoint = "http://login.example/token"
redirect = "https://prudence.example/callback"
scopes = ["read write"]

[[upstreams]]
name = "bare"
url = "https://bare.example/mcp"
credential = { kind = "client-credentials", issuer = "https://login.example" }
"#;
    insta::assert_snapshot!(problems(&[("prudence.toml", bad)]));
}

#[test]
fn an_empty_file_is_a_configuration_in_which_nobody_may_do_anything() {
    assert_eq!(problems(&[("prudence.toml", "")]), "");
}

#[test]
fn unknown_settings_and_wrong_values_are_reported_all_at_once_with_their_place() {
    let text = r#"
[server]
lisen = "127.0.0.1:1"
store = 7

[limits]
body_bytes_max = 12
session_idle = "soon"
answer_time_max = "400d"

[[upstreams]]
name = "files"
mode = "observer"

[[agents]]
id = "helper"

[[grants]]
to = "bo"
may = ["raed"]
on = "*"

[[freezes]]
on = ["*"]
from = "tomorrow"
until = 2026-12-20T18:00:00Z
"#;
    insta::assert_snapshot!(problems(&[("prudence.toml", text)]));
}

#[test]
fn what_does_not_hold_together_is_reported_where_it_was_written() {
    let text = r#"
[[people]]
id = "bo"
[[people]]
id = "bo"

[groups]
a = ["@b"]
b = ["@a"]
c = ["bob"]

[[agents]]
id = "helper"
owner = "bu"

[[items]]
id = "file:*.txt"
readers = ["@c", "@d"]

[[grants]]
to = "bo"
may = ["read"]
on = ["*"]

[[grants]]
to = "helpr"
may = ["read"]
on = ["a*b"]

[[upstreams]]
name = "forum"
prefix = "forum_"
url = "forum.example"
command = "forum"

[[upstreams]]
name = "forum"
url = "ftp://forum.example"
args = ["x"]
contract = "contracts/forum.toml"

[policies]
norms = "norms"
"#;
    insta::assert_snapshot!(problems(&[("prudence.toml", text)]));
}

/// One thing that cannot be read does not hide what the others mean, and is not reported a second time as missing.
#[test]
fn shape_and_meaning_are_reported_in_one_run() {
    let text = r#"
directory = "directory.toml"

[server]
lisen = "127.0.0.1:1"
listen = "nowhere"

[[people]]
id = "bo"

[[people]]
id = "ann\u0007"

[[agents]]
id = "helper"

[[agents]]
id = "writer"
owner = "nobody"

[[grants]]
to = "helper"
may = "read"
on = ["*"]

[[grants]]
to = "helper"
may = ["raed"]
on = ["a*b"]

[[grants]]
to = "wrtier"
may = ["read"]
on = ["*"]

[[upstreams]]
name = "forum"
url = 7

[[upstreams]]
name = "mail"
url = "ftp://mail.example"
contract = "contracts/mail.toml"

[policies]
norms = "gone"
"#;
    let directory = "[[grants]]\nto = 1\n\n[[grants]]\nto = \"eve\"\nmay = [\"read\"]\non = [\"*\"]\n";
    let contract = "[[tool]]\nname = \"send\"\nefects = [\"send\"]\n";
    insta::assert_snapshot!(problems(&[
        ("prudence.toml", text),
        ("directory.toml", directory),
        ("contracts/mail.toml", contract)
    ]));
}

#[test]
fn errors_of_an_included_directory_are_shown_in_that_file() {
    let main = "directory = \"directory.toml\"\n[[grants]]\nto = \"bo\"\nmay = [\"read\"]\non = [\"*\"]\n";
    let directory = "[[people]]\nid = \"bo\"\n\n[[grants]]\nto = \"nobody\"\nmay = [\"read\"]\non = [\"*\"]\n";
    insta::assert_snapshot!(problems(&[("prudence.toml", main), ("directory.toml", directory)]));
}

#[test]
fn a_missing_directory_and_a_folder_without_policies_are_reported_at_the_setting() {
    insta::assert_snapshot!(problems(&[("prudence.toml", "directory = \"gone.toml\"\n")]));
}

#[test]
fn what_is_not_toml_is_shown_with_its_place() {
    insta::assert_snapshot!(problems(&[("prudence.toml", "[server\nlisten = 1\n")]));
}

#[test]
fn a_norm_that_does_not_validate_is_shown_with_its_span() {
    let norm = "@id(\"x\")\n@norm(\"x\")\n@outcome(\"deny\")\n@reason(\"no\")\nforbid (principal, action, resource)\nwhen { context.shown.uncleard > 0 };\n";
    insta::assert_snapshot!(problems(&[("prudence.toml", "[policies]\nnorms = \"norms\"\n"), ("norms/x.cedar", norm)]));
}

#[test]
fn every_word_of_the_schema_is_one_that_the_check_reads() {
    fn walk(schema: &serde_json::Value, unknown: &mut BTreeSet<String>) {
        match schema {
            serde_json::Value::Object(members) => {
                for (key, value) in members {
                    if !shape::KEYWORDS.contains(&key.as_str()) {
                        unknown.insert(key.clone());
                    }
                    match key.as_str() {
                        "properties" | "$defs" => {
                            value.as_object().expect("a table").values().for_each(|value| walk(value, unknown))
                        }
                        "default" | "enum" | "const" => {}
                        _ => walk(value, unknown),
                    }
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(item, unknown)),
            _ => {}
        }
    }
    let mut unknown = BTreeSet::new();
    walk(&schema(), &mut unknown);
    walk(&directory_schema(), &mut unknown);
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn every_setting_has_a_sentence() {
    let mut silent = Vec::new();
    let schema = schema();
    for (place, of) in schema["$defs"].as_object().expect("tables").iter().chain([(&"top".to_owned(), &schema)]) {
        for (name, value) in of["properties"].as_object().into_iter().flatten() {
            if value["description"].as_str().is_none_or(str::is_empty) {
                silent.push(format!("{place}.{name}"));
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
}

#[test]
fn the_words_of_closed_lists_are_the_judges_own() {
    use judge::directory::Status;
    use judge::effect::Effect;
    use judge::label::{Classification, Integrity};
    fn words<T: schemars::JsonSchema>() -> Vec<String> {
        let schema = schemars::schema_for!(T).to_value();
        shape::words(&schema).expect("a closed list").into_iter().map(str::to_owned).collect()
    }
    fn all_read<T: serde::de::DeserializeOwned>(words: &[String]) -> bool {
        words.iter().all(|word| serde_json::from_value::<T>(word.as_str().into()).is_ok())
    }
    let effects = words::<settings::EffectWord>();
    assert_eq!(effects, Effect::ALL.map(|effect| effect.word().to_owned()));
    let classifications = words::<settings::ClassificationWord>();
    assert!(classifications.len() == 4 && all_read::<Classification>(&classifications));
    let integrities = words::<settings::IntegrityWord>();
    assert!(integrities.len() == 2 && all_read::<Integrity>(&integrities));
    let statuses = words::<settings::StatusWord>();
    assert!(statuses.len() == 2 && all_read::<Status>(&statuses));
}

#[test]
fn what_a_list_of_files_may_hold_is_what_the_file_may_hold() {
    let (whole, part) = (schema(), directory_schema());
    for (name, value) in part["properties"].as_object().expect("settings") {
        assert_eq!(&whole["properties"][name], value, "{name}");
    }
    assert_eq!(whole["$defs"]["Grant"], part["$defs"]["Grant"]);
}

#[test]
fn the_reference_page_is_the_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = reference(&schema());
    if std::env::var_os("PRUDENCE_UPDATE").is_some() {
        std::fs::write(&path, &page).expect("own file");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(written, page, "docs/configuration.md is old: run this test with PRUDENCE_UPDATE=1");
}

#[test]
fn spans_are_read_as_they_are_shown() {
    for text in ["15m", "1h 30m", "7d", "2s", "250ms", "0s", "1d 1h 1m 1s 1ms"] {
        assert_eq!(text.parse::<Span>().expect("a span").to_string(), text);
    }
    for text in ["", "15", "m", "15 m", "-1m", "1y", "99999999999999999999s", "400000d", "1m2"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
}
