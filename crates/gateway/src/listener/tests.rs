//! Clients that take their time, with time or without.

use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::DropGuard;

use super::*;
use crate::tls::tests::{connector, server};
use crate::tls::{ClientCertificates, Tls};

/// Short enough to wait for.
const READ_TIME_MAX: Duration = Duration::from_millis(100);

/// Answers with how long the body was, and whether the request came over TLS.
async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_secure = request.extensions().get::<Secure>().is_some();
    let read = InTime::of(request, READ_TIME_MAX).into_body().collect().await;
    let (status, said) = match read {
        Ok(body) => (StatusCode::OK, format!("{} {is_secure}", body.to_bytes().len())),
        Err(error) => (StatusCode::REQUEST_TIMEOUT, error.to_string()),
    };
    let mut response = Response::new(Full::new(Bytes::from(said)));
    *response.status_mut() = status;
    Ok(response)
}

/// Where something listens, with one place.
async fn listening(tls: Option<Tls>) -> (std::net::SocketAddr, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let limits = Limits { read_time_max: READ_TIME_MAX, connections_max: 1, ..Limits::default() };
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    tokio::spawn(async move { serve(listener, tls, &limits, respond, stop).await });
    (address, shutdown.drop_guard())
}

/// What is answered to these bytes, until the other side closes.
async fn answered(mut stream: impl AsyncRead + AsyncWrite + Unpin, sent: &str) -> String {
    stream.write_all(sent.as_bytes()).await.expect("it is open");
    let mut answer = Vec::new();
    // A connection that is reset has answered what it has.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_takes_too_long_loses_the_place_to_the_next() {
    let (address, _stop) = listening(None).await;
    let connect = || TcpStream::connect(address);
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\n";
    for slow in ["", "POST / HT", "POST / HTTP/1.1\r\nhost: x\r\n"] {
        let said = answered(connect().await.expect("it listens"), slow).await;
        assert!(!said.contains("200"), "{slow:?}: {said}");
    }
    let said = answered(connect().await.expect("it listens"), &format!("{head}12")).await;
    assert!(said.starts_with("HTTP/1.1 408") && said.ends_with("the body did not arrive in time"), "{said}");
    let said = answered(connect().await.expect("it listens"), &format!("{head}1234")).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("4 false"), "{said}");
}

#[tokio::test]
async fn over_tls_the_same_holds_and_the_request_says_so() {
    let (tls, own) = server(ClientCertificates::Unasked);
    let (address, _stop) = listening(Some(tls)).await;
    for (sent, begins, ends) in [
        ("GET / HTTP/1.1\r\nhost: x\r\n", "", ""),
        ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "HTTP/1.1 200", "0 true"),
    ] {
        let stream = TcpStream::connect(address).await.expect("it listens");
        let name = rustls::pki_types::ServerName::try_from("localhost").expect("a name");
        let stream = connector(&own, None, &rustls::version::TLS13).connect(name, stream).await.expect("hands are shaken");
        let said = answered(stream, sent).await;
        assert!(said.starts_with(begins) && said.ends_with(ends) && said.is_empty() == begins.is_empty(), "{sent}: {said}");
    }
}
