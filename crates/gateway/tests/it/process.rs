//! Servers that are child processes, and clients on standard streams.

use std::time::Duration;

use gateway::{GatewayConfig, TransportConfig, UpstreamConfig};
use http::{Method, StatusCode};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf};

use crate::peer::{Running, gateway, next_chunk, token_of};

/// A server in a few lines of shell: it says what it was told, and its environment; it can be made to die.
const SERVER: &str = r#"
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed -n 's/.*"id":\([^,}]*\).*/\1/p')
  case "$line" in
    *die*) echo 'last words' >&2; exit 3 ;;
    *slow*) printf '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7}}\n'
            printf '{"jsonrpc":"2.0","id":"never-asked","result":{}}\n'
            printf '{"jsonrpc":"2.0","id":%s,"result":{"slow":true}}\n' "$id" ;;
    *environment*) printf '{"jsonrpc":"2.0","id":%s,"result":{"secret":"%s","given":"%s"}}\n' "$id" "$CARGO_MANIFEST_DIR" "$GIVEN" ;;
    *'"id"'*) printf '{"jsonrpc":"2.0","id":%s,"result":{"pid":%s}}\n' "$id" "$$" ;;
    *initialized*) printf '{"jsonrpc":"2.0","method":"notifications/unasked","params":{}}\n' ;;
  esac
done
"#;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","method":"initialize","params":{},"id":1}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

fn config() -> GatewayConfig {
    let env = vec![("GIVEN".to_owned(), "yes".to_owned())];
    let transport = TransportConfig::Stdio { command: "sh".to_owned(), args: vec!["-c".to_owned(), SERVER.to_owned()], env };
    GatewayConfig { upstreams: vec![UpstreamConfig::new("only", transport)], ..GatewayConfig::default() }
}

/// A client on standard streams.
struct Typist {
    say: WriteHalf<DuplexStream>,
    hear: Lines<BufReader<ReadHalf<DuplexStream>>>,
}

impl Typist {
    async fn start() -> Self {
        let (gateway, world) = gateway(config()).await;
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (stdin, stdout) = tokio::io::split(theirs);
        tokio::spawn(async move { gateway.serve_stdio(stdin, stdout, &token_of(&world.tasks[0])).await });
        let (hear, say) = tokio::io::split(ours);
        Self { say, hear: BufReader::new(hear).lines() }
    }

    async fn say(&mut self, line: &str) {
        self.say.write_all(format!("{line}\n").as_bytes()).await.expect("the gateway reads");
    }

    async fn hear(&mut self) -> String {
        let heard = tokio::time::timeout(Duration::from_secs(20), self.hear.next_line()).await;
        heard.expect("the gateway answers in time").expect("the stream holds").expect("the gateway is there")
    }
}

#[tokio::test]
async fn a_conversation_on_standard_streams_reaches_the_process_and_back() {
    let mut client = Typist::start().await;
    client.say(INITIALIZE).await;
    assert!(client.hear().await.contains(r#""id":1,"result":{"pid":"#));
    client.say(INITIALIZED).await;
    assert_eq!(client.hear().await, r#"{"jsonrpc":"2.0","method":"notifications/unasked","params":{}}"#);
    client.say(r#"{"jsonrpc":"2.0","method":"slow","params":{"_meta":{"progressToken":7}},"id":"two"}"#).await;
    assert!(client.hear().await.contains(r#""progressToken":7"#));
    assert_eq!(client.hear().await, r#"{"jsonrpc":"2.0","id":"two","result":{"slow":true}}"#);
    client.say("{ nonsense").await;
    assert!(client.hear().await.contains("-32700"));
}

#[tokio::test]
async fn the_environment_of_the_gateway_stays_with_it() {
    let mut client = Typist::start().await;
    client.say(r#"{"jsonrpc":"2.0","method":"environment","id":1}"#).await;
    assert_eq!(client.hear().await, r#"{"jsonrpc":"2.0","id":1,"result":{"secret":"","given":"yes"}}"#);
}

#[tokio::test]
async fn a_process_that_dies_leaves_its_call_ambiguous_and_is_started_again() {
    let mut client = Typist::start().await;
    client.say(INITIALIZE).await;
    let first = client.hear().await;
    client.say(INITIALIZED).await;
    client.hear().await;
    client.say(r#"{"jsonrpc":"2.0","method":"die","id":2}"#).await;
    let lost = client.hear().await;
    assert!(lost.contains(r#""id":2,"error""#) && lost.contains("outcome is unknown"), "{lost}");
    client.say(r#"{"jsonrpc":"2.0","method":"who","id":3}"#).await;
    let mut second = client.hear().await;
    if second.contains("unasked") {
        second = client.hear().await;
    }
    assert!(second.contains(r#""id":3,"result":{"pid":"#), "{second}");
    assert_ne!(first.replace(r#""id":1"#, ""), second.replace(r#""id":3"#, ""));
}

#[tokio::test]
async fn over_http_each_session_has_a_process_and_its_own_stream() {
    let gateway = Running::start(config()).await;
    let client = gateway.client();
    assert_eq!(client.post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await.0, StatusCode::BAD_REQUEST, "no session");
    let mut pids = Vec::new();
    for _ in 0..2 {
        let (status, headers, body) = client.post(INITIALIZE).await;
        assert_eq!(status, StatusCode::OK);
        pids.push(body);
        let session = client.clone().with("mcp-session-id", headers["mcp-session-id"].to_str().expect("ascii"));
        let mut unasked = session.send(Method::GET, "").await;
        assert_eq!(session.post(INITIALIZED).await.0, StatusCode::ACCEPTED);
        assert!(next_chunk(&mut unasked).await.expect("a message").contains("notifications/unasked"));
        let mut slow = session
            .send(Method::POST, r#"{"jsonrpc":"2.0","method":"slow","params":{"_meta":{"progressToken":7}},"id":5}"#)
            .await;
        assert!(next_chunk(&mut slow).await.expect("progress").contains("progressToken"));
        assert!(next_chunk(&mut slow).await.expect("the answer").contains(r#""id":5,"result""#));
    }
    assert_ne!(pids[0], pids[1]);
}
