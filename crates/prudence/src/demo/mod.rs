//! The demonstration: the incident of March 2026, under plain access control and under Prudence, its benign twin, what a copy of the agent's
//! token is worth, and an agent that runs away.
//!
//! Everything is real: a workplace as a process of its own that knows nothing of Prudence, an MCP client of the official SDK as the
//! agent (where it logs in, one of our own: that SDK proves no keys), the gateway and the authorization server that `prudence serve` runs,
//! and a ledger in SQLite. Nothing here decides; what is told is read from the ledger, from answers, and from the workplace's own truth.

mod credential;
mod login;
mod story;
mod tell;
mod world;

use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader, IsTerminal as _, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tell::Teller;

/// How long the workplace may take to say where it listens.
const WORKPLACE_START_MAX: Duration = Duration::from_secs(10);

/// Runs the demonstration. `json` prints the whole story as one document instead of telling it; `keep` leaves everything running until
/// interrupted, and says how to try calls of one's own.
///
/// # Errors
/// When a part cannot be started, or the story does not go as it is told to go: then something is wrong with Prudence.
pub async fn run(json: bool, keep: bool) -> Result<()> {
    let folder = tempfile::tempdir().context("a folder for the demonstration")?;
    let workplace = Workplace::start()?;
    let mut teller = if json { Teller::silent() } else { Teller::on(std::io::stdout().is_terminal()) };
    let (story, running) = story::play(folder.path(), &workplace.url, &mut teller).await?;
    if json {
        let mut out = std::io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &story)?;
        writeln!(out)?;
    }
    story.check()?;
    if keep {
        teller.keep(&running, &workplace.url);
        tokio::signal::ctrl_c().await.context("waiting to be interrupted")?;
    }
    running.stop().await;
    Ok(())
}

/// Serves the workplace in this process until its parent goes away. Prints where it listens.
///
/// # Errors
/// When it cannot listen.
pub async fn serve_workplace() -> Result<()> {
    let ready = |bound: std::net::SocketAddr| println!("http://{bound}");
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    workplace::serve_http(address, ready, workplace::parent_gone()).await.context("serving the workplace")
}

/// The workplace as a process of its own. It ends with this value, and with this process.
struct Workplace {
    child: Child,
    url: String,
}

impl Workplace {
    fn start() -> Result<Self> {
        let program = std::env::current_exe().context("the path of this program")?;
        Self::start_from(&program)
    }

    fn start_from(program: &Path) -> Result<Self> {
        // Its standard input stays open as long as this process lives: that is how it learns that nobody needs it any more.
        let mut child = Command::new(program)
            .arg("demo-workplace")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the workplace")?;
        let stdout = child.stdout.take().context("the workplace's output")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // Nobody listens any more when the wait was over.
            let _ = sender.send(read.map(|_| line));
        });
        let line = receiver.recv_timeout(WORKPLACE_START_MAX).context("the workplace did not say where it listens")??;
        let url = line.trim().to_owned();
        if url.is_empty() {
            bail!("the workplace ended before it listened");
        }
        Ok(Self { child, url })
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
