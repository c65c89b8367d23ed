//! What a person says on the command line holds at once, in a server that runs and without one.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::json;

use crate::house::{House, codes, free_port, http};
use crate::{done, prudence};

#[test]
fn a_running_server_stops_at_the_word_and_goes_on_after_another() {
    let port = free_port();
    let house = House::new("prudence.db", &format!("api_listen = \"127.0.0.1:{port}\""));
    let (ended, token) = (house.task("bo"), house.task("bo"));
    let serving = house.serve();
    let called = |token: &str| serving.client(token).call("read", &json!({ "note": "note:secret" })).expect("an answer");
    assert_eq!(codes(&called(&ended)), [""; 0]);

    done(house.path(), &["kill", "agent:helper", "--by", "ann", "--why", "it runs away"]);
    assert_eq!(codes(&called(&ended)), ["authentication"], "its tasks are ended");
    done(house.path(), &["reset", "agent:helper", "--by", "ann"]);
    assert_eq!(codes(&called(&ended)), ["authentication"], "and stay so");
    let again = prudence(house.path(), &["reset", "agent:helper", "--by", "ann"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("agent helper is not stopped"), "{again:?}");
    let nobody = prudence(house.path(), &["kill", "agent:helper", "--by", "eve"]);
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("`eve` is no active person"), "{nobody:?}");
    assert_eq!(codes(&called(&token)), ["authentication"], "every task of the agent was ended");

    let api = ([127, 0, 0, 1], port).into();
    let word = r#"{"target":"owner:bo","by":"bo"}"#;
    assert_eq!(http(api, "POST", "/v1/kill", &token, word).expect("an answer").0, 401, "an agent stops nobody");
    serving.stop();

    impostor(port);
    done(house.path(), &["kill", "agent:helper", "--by", "ann"]);
    let refused = prudence(house.path(), &["task", "start", "--requester", "bo", "--agent", "helper", "--purpose", "work"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("agent helper is stopped"), "{refused:?}");
}

/// Says yes to whatever comes first to the port of a server that does not run.
fn impostor(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free again");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the command line comes");
        let mut heard = [0; 4096];
        let _read = stream.read(&mut heard).expect("a request");
        let body = r#"{"killed":"agent:helper","by":"ann","seal":"eyJhbGciOiJub25lIn0.e30."}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).expect("the answer");
    });
}
