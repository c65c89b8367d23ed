//! Claims about kept-alive connections, against a server that plays a script, on the test's own thread: what it sends and closes has
//! arrived when the test goes on.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{IDLE_MAX, IDLE_TIME_MAX};
use crate::config::Limits;
use crate::upstream::http::HttpUpstream;
use crate::upstream::{Failure, Reply, ReplyBody};

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
const CHUNKS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
const UNTIL_CLOSED: &str = "HTTP/1.1 200 OK\r\n\r\n{}";
const NOTHING: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
const INFORMED: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const EVENT: &str = "a\r\ndata: {}\n\n\r\n";
const BIG: usize = 8 << 20;
const RESULT_BYTES_MAX: usize = 1 << 10;

/// What a server does on one connection, step by step; after the last it closes it.
#[derive(Clone, Copy)]
enum Step {
    /// Waits for a request with a body of at most a few bytes.
    Hear,
    /// Waits for the beginning of a request, and leaves the rest unread.
    HearInPart,
    Say(&'static str),
    /// Says the body of the request that was heard last.
    Echo,
    /// Waits until the test says so.
    Wait,
    /// Waits until the client has closed the connection.
    HearEnd,
}
use Step::{Echo, Hear, HearEnd, HearInPart, Say, Wait};

struct Server {
    upstream: HttpUpstream,
    seen: Arc<Mutex<Seen>>,
    go: Arc<Notify>,
    closed: Arc<Notify>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Server {
    /// Plays `scripts`, one for each connection, the last for all further ones.
    async fn start(scripts: &'static [&'static [Step]]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("bound"));
        let upstream = HttpUpstream::new("up", &url, &[], &Limits { result_bytes_max: RESULT_BYTES_MAX, ..Limits::default() });
        let upstream = upstream.expect("a good url");
        let server = Self { upstream, seen: Arc::default(), go: Arc::default(), closed: Arc::default() };
        let (seen, go, closed) = (Arc::clone(&server.seen), Arc::clone(&server.go), Arc::clone(&server.closed));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = seen.lock().connections;
                seen.lock().connections += 1;
                let script = scripts[number.min(scripts.len() - 1)];
                tokio::spawn(play(stream, script, Arc::clone(&seen), Arc::clone(&go), Arc::clone(&closed)));
            }
        });
        server
    }

    async fn ask(&self) -> Result<Reply, Failure> {
        self.ask_with(Bytes::from_static(b"{}")).await
    }

    async fn ask_with(&self, body: Bytes) -> Result<Reply, Failure> {
        self.upstream.send(Method::POST, HeaderMap::new(), body, None).await
    }

    async fn is_answered(&self, with: &str) -> bool {
        matches!(self.ask().await.expect("it answers").body, ReplyBody::Whole(body) if body == with)
    }

    fn connections(&self) -> usize {
        self.seen.lock().connections
    }

    fn requests(&self) -> usize {
        self.seen.lock().requests.len()
    }
}

async fn play(mut stream: TcpStream, script: &[Step], seen: Arc<Mutex<Seen>>, go: Arc<Notify>, closed: Arc<Notify>) {
    let mut buffer = vec![0; 16 << 10];
    let mut heard = String::new();
    for step in script {
        match step {
            Hear | HearInPart => {
                let read = stream.read(&mut buffer).await.unwrap_or_default();
                if read == 0 {
                    closed.notify_one();
                    return;
                }
                heard = String::from_utf8_lossy(&buffer[..read]).into_owned();
                seen.lock().requests.push(heard.clone());
            }
            Say(text) => stream.write_all(text.as_bytes()).await.expect("it listens"),
            Echo => {
                let body = heard.split("\r\n\r\n").nth(1).unwrap_or_default();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.expect("it listens");
            }
            Wait => go.notified().await,
            HearEnd => {
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
                closed.notify_one();
            }
        }
    }
}

/// Lets the server go on, and its words arrive.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_is_used_again_until_its_server_closes_it_and_no_request_is_lost_by_that() {
    const THREE: &[&[Step]] = &[&[Hear, Say(WHOLE), Hear, Say(CHUNKS), Hear, Say(WHOLE)]];
    let server = Server::start(THREE).await;
    for _ in 0..7 {
        assert!(server.is_answered("{}").await);
    }
    assert_eq!((server.connections(), server.requests()), (3, 7));
}

#[tokio::test]
async fn an_answer_without_a_body_gives_its_connection_back() {
    let server = Server::start(&[&[Hear, Say(NOTHING), Hear, Say(NOTHING), Hear]]).await;
    for _ in 0..2 {
        assert!(matches!(server.ask().await.expect("it answers").body, ReplyBody::Empty));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_after_which_its_server_closes_is_whole_and_its_connection_is_not_kept() {
    for script in [&[Hear, Say(LAST), HearEnd] as &[Step], &[Hear, Say(UNTIL_CLOSED)]] {
        let server = Server::start(Box::leak(Box::new([script]))).await;
        for _ in 0..2 {
            assert!(server.is_answered("{}").await);
            assert!(server.upstream.pool.idle() == 0);
        }
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn the_end_of_a_body_may_come_after_its_last_piece() {
    let script: &[Step] = &[
        Hear,
        Say("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        Wait,
        Say("0\r\n\r\n"),
        Hear,
        Say(WHOLE),
        Hear,
    ];
    let server = Server::start(Box::leak(Box::new([script]))).await;
    let (first, ()) = tokio::join!(server.is_answered("{}"), async {
        settle().await;
        server.go.notify_one();
    });
    assert!(first && server.is_answered("{}").await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn what_a_server_says_unasked_is_never_the_answer_to_the_next_request() {
    const POISON: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    const LATE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
    for script in [&[Hear, Say(POISON), HearEnd] as &[Step], &[Hear, Say(WHOLE), Wait, Say(LATE), HearEnd]] {
        let server = Server::start(Box::leak(Box::new([script, &[Hear, Say(WHOLE), Hear]]))).await;
        assert!(server.is_answered("{}").await);
        server.go.notify_one();
        settle().await;
        assert!(server.is_answered("{}").await);
        assert_eq!((server.connections(), server.requests()), (2, 2));
    }
}

#[tokio::test]
async fn a_request_that_may_have_arrived_is_lost_and_not_sent_again() {
    // On a new connection and on a kept one; heard and not answered, answered in part, answered by nonsense.
    for ending in [
        &[] as &[Step],
        &[Say("HTTP/1.1 200 OK\r\ncontent-le")],
        &[Say("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}")],
        &[Say("?")],
    ] {
        let new = [&[Hear], ending].concat();
        let kept = [&[Hear, Say(WHOLE), Hear], ending].concat();
        for (before, script) in [(0, new), (1, kept)] {
            let server = Server::start(Box::leak(Box::new([&*script.leak(), &[Hear, Say(WHOLE), Hear]]))).await;
            for _ in 0..before {
                assert!(server.is_answered("{}").await);
            }
            assert!(matches!(server.ask().await, Err(Failure::Lost(_))));
            assert_eq!((server.connections(), server.requests()), (1, before + 1));
            assert!(server.is_answered("{}").await);
        }
    }
}

#[tokio::test]
async fn a_request_of_which_a_part_was_sent_is_lost_and_not_sent_again() {
    for script in [&[HearInPart] as &[Step], &[Hear, Say(WHOLE), HearInPart]] {
        let server = Server::start(Box::leak(Box::new([script, &[Hear, Say(WHOLE), Hear]]))).await;
        if script.len() > 1 {
            assert!(server.is_answered("{}").await);
        }
        assert!(matches!(server.ask_with(vec![b' '; BIG].into()).await, Err(Failure::Lost(_))));
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_server_may_answer_before_it_has_read_the_request() {
    let server = Server::start(&[&[HearInPart, Say(WHOLE), HearEnd], &[Hear, Say(WHOLE), Hear]]).await;
    let reply = server.ask_with(vec![b' '; BIG].into()).await.expect("it answers");
    assert!(matches!(reply.body, ReplyBody::Whole(body) if body == "{}"));
    // The rest is still owed on that connection.
    server.closed.notified().await;
    assert!(server.is_answered("{}").await);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn nobody_is_reached_where_nobody_listens() {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/mcp", free.local_addr().expect("bound"));
    drop(free);
    let upstream = HttpUpstream::new("up", &url, &[], &Limits::default()).expect("a good url");
    let sent = upstream.send(Method::POST, HeaderMap::new(), Bytes::new(), None).await;
    assert!(matches!(sent, Err(Failure::NotSent(_))));
}

#[tokio::test]
async fn words_before_the_answer_are_no_answer() {
    let server = Server::start(&[&[Hear, Say(INFORMED), Wait, Say(WHOLE), Hear, Say(WHOLE), Hear]]).await;
    server.go.notify_one();
    assert!(server.is_answered("{}").await && server.is_answered("{}").await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_speaks_another_protocol_is_not_kept() {
    let server = Server::start(&[&[Hear, Say(SWITCHED), HearEnd], &[Hear, Say(WHOLE), Hear]]).await;
    let reply = server.ask().await.expect("it answers");
    assert!(reply.status.as_u16() == 101 && matches!(reply.body, ReplyBody::Empty));
    server.closed.notified().await;
    assert!(server.is_answered("{}").await);
}

#[tokio::test]
async fn events_arrive_one_by_one_and_their_end_gives_the_connection_back() {
    let script: &[Step] =
        &[Hear, Say(STREAM), Wait, Say(EVENT), Wait, Say(EVENT), Say(EVENT), Wait, Say("0\r\n\r\n"), Hear, Say(WHOLE), Hear];
    let server = Server::start(Box::leak(Box::new([script]))).await;
    let ReplyBody::Events(mut events) = server.ask().await.expect("it answers").body else { panic!("a stream") };
    for count in [1, 2] {
        assert!(poll_fn(|context| Poll::Ready(events.poll_next_unpin(context))).await.is_pending());
        server.go.notify_one();
        for _ in 0..count {
            assert!(events.next().await.expect("an event").is_ok());
        }
    }
    server.go.notify_one();
    assert!(events.next().await.is_none());
    assert!(server.is_answered("{}").await);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_stream_that_breaks_off_says_so() {
    let server = Server::start(&[&[Hear, Say(STREAM), Say(EVENT)]]).await;
    let ReplyBody::Events(mut events) = server.ask().await.expect("it answers").body else { panic!("a stream") };
    assert!(events.next().await.expect("an event").is_ok());
    assert!(matches!(events.next().await, Some(Err(Failure::Lost(_)))));
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn letting_go_of_an_answer_closes_its_connection() {
    let server = Server::start(&[&[Hear, Say(STREAM), Say(EVENT), HearEnd], &[Hear, Say(WHOLE), Hear]]).await;
    let ReplyBody::Events(mut events) = server.ask().await.expect("it answers").body else { panic!("a stream") };
    assert!(events.next().await.expect("an event").is_ok());
    drop(events);
    server.closed.notified().await;
    assert!(server.is_answered("{}").await);
}

#[tokio::test]
async fn an_answer_that_is_too_long_closes_its_connection() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n{:1$}", "", RESULT_BYTES_MAX + 1).leak();
    let server = Server::start(Box::leak(Box::new([&*vec![Hear, Say(long), HearEnd].leak()]))).await;
    assert!(matches!(server.ask().await, Err(Failure::Unusable(_))));
    server.closed.notified().await;
}

#[tokio::test]
async fn whoever_is_cancelled_at_any_point_leaves_no_answer_for_another() {
    const ECHO: &[Step] = &[Hear, Echo, Hear, Echo, Hear, Echo, Hear, Echo];
    let server = Server::start(&[ECHO]).await;
    for turn in 0..60 {
        let mut cancelled = Box::pin(server.ask_with(format!("cancelled {turn}").into()));
        // Polled a few times, with more or less of the world moving in between.
        for _ in 0..turn % 6 {
            if poll_fn(|context| Poll::Ready(cancelled.as_mut().poll(context))).await.is_ready() {
                break;
            }
            for _ in 0..turn / 6 {
                tokio::task::yield_now().await;
            }
        }
        drop(cancelled);
        let mine = format!("mine {turn}");
        let reply = server.ask_with(mine.clone().into()).await.expect("it answers");
        assert!(matches!(reply.body, ReplyBody::Whole(body) if body == mine), "turn {turn}");
    }
    let requests = server.seen.lock().requests.clone();
    let times = |body: String| requests.iter().filter(|request| request.ends_with(&format!("\r\n\r\n{body}"))).count();
    for turn in 0..60 {
        assert!(times(format!("mine {turn}")) == 1 && times(format!("cancelled {turn}")) <= 1);
    }
}

#[tokio::test]
async fn a_task_that_waits_is_woken_however_often_it_was_polled_before() {
    // Many at once on one thread, each of them more polls than a task's budget.
    const ECHO: &[Step] = &[Hear, Wait, Echo, Hear];
    let server = Server::start(&[ECHO]).await;
    let all = join_all((0..200).map(|number| server.ask_with(number.to_string().into())));
    let release = async {
        while server.requests() < 200 {
            tokio::task::yield_now().await;
        }
        for _ in 0..200 {
            settle().await;
            server.go.notify_one();
        }
    };
    let (replies, ()) = tokio::join!(all, release);
    for (number, reply) in replies.into_iter().enumerate() {
        assert!(matches!(reply.expect("it answers").body, ReplyBody::Whole(body) if body == number.to_string()));
    }
}

#[tokio::test]
async fn only_so_many_connections_are_kept_and_only_so_long() {
    let server = Server::start(&[&[Hear, Wait, Say(WHOLE), Hear]]).await;
    let all = join_all((0..IDLE_MAX + 10).map(|_| server.ask()));
    let release = async {
        while server.requests() < IDLE_MAX + 10 {
            tokio::task::yield_now().await;
        }
        server.go.notify_waiters();
    };
    let (replies, ()) = tokio::join!(all, release);
    assert!(replies.iter().all(Result::is_ok));
    assert_eq!(server.upstream.pool.idle(), IDLE_MAX);
    let pool = &server.upstream.pool;
    pool.sweep(Instant::now());
    assert_eq!(server.upstream.pool.idle(), IDLE_MAX);
    pool.sweep(Instant::now() + IDLE_TIME_MAX);
    assert_eq!(server.upstream.pool.idle(), 0);
    server.closed.notified().await;
}
