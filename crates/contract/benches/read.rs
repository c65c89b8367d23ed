//! How long it takes to apply a contract to a call of 1 KB, and to its result.

use contract::Contracts;
use judge::digest::Digest;
use judge::name::ToolId;
use serde_json::{Value, json};

const CONTRACT: &str = r#"
[[tool]]
name = "forum_post_reply"
effects = ["publish"]
arguments = ["forum", "thread", "text"]
resource = "$.forum"
values = [{ at = "$.thread", kind = "id" }]
pin = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
accepted_at = "2026-03-01"
accepted_by = "hal"
[[tool.result.item]]
at = "$.posts[*]"
id = "$.post"
container = { result = "$.forum" }
"#;

fn main() {
    divan::main();
}

fn contracts() -> Contracts {
    Contracts::parse("workplace", CONTRACT).expect("the contract above is well formed")
}

#[divan::bench]
fn act_of_1_kb(bencher: divan::Bencher) {
    let contracts = contracts();
    let tool = contracts.tool("forum_post_reply").expect("it is there");
    let id = ToolId::parse("workplace__forum_post_reply").expect("a name");
    let arguments = json!({"forum": "forum:eng-help", "thread": "thread:4811", "text": "x ".repeat(480)});
    let digest = Digest::of(b"call");
    bencher.bench(|| tool.act(id.clone(), divan::black_box(&arguments), digest));
}

#[divan::bench]
fn result_of_20_posts(bencher: divan::Bencher) {
    let contracts = contracts();
    let tool = contracts.tool("forum_post_reply").expect("it is there");
    let posts: Vec<Value> = (0..20).map(|n| json!({"post": format!("post:{n}"), "text": "y ".repeat(200)})).collect();
    let document = json!({"forum": "forum:eng-help", "posts": posts});
    let result = json!({"structuredContent": document, "content": [{"type": "text", "text": document.to_string()}]});
    bencher.bench(|| tool.observe(&Value::Null, divan::black_box(&result)));
}
