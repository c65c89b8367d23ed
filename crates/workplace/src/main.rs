//! The workplace as a process of its own, for whoever wants to put a gateway in front of it by hand.
//!
//! It knows how to start, and nothing of what is served.

use std::{net::SocketAddr, process::ExitCode};

use workplace::{ApiKey, KEY_VARIABLE, serve_http, serve_stdio};

const USAGE: &str = "expected `http [ADDRESS] [--with-parent]` or `stdio`";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("workplace: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Vec<String>) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["stdio"] => {
            let key = std::env::var(KEY_VARIABLE).map_err(|_| format!("`{KEY_VARIABLE}` must hold an API key"))?;
            serve_stdio(&ApiKey::from(key.as_str())).await.map_err(|error| error.to_string())
        }
        ["http"] => http("127.0.0.1:0", false).await,
        ["http", "--with-parent"] => http("127.0.0.1:0", true).await,
        ["http", address] => http(address, false).await,
        ["http", address, "--with-parent"] => http(address, true).await,
        _ => Err(USAGE.to_owned()),
    }
}

async fn http(address: &str, with_parent: bool) -> Result<(), String> {
    let address: SocketAddr = address.parse().map_err(|_| format!("`{address}` is not an address such as `127.0.0.1:4100`"))?;
    // One line, which a parent process can read to learn the port.
    let ready = |bound| println!("http://{bound}");
    let served = if with_parent {
        serve_http(address, ready, workplace::parent_gone()).await
    } else {
        serve_http(address, ready, std::future::pending()).await
    };
    served.map_err(|error| error.to_string())
}
