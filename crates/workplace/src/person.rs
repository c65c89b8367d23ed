//! People, as clients of the workplace: an employee in front of the web console, and the narrator who may see the truth.
//!
//! Plain HTTP with their own key; no agent and no MCP is in between.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{ApiKey, Directory, Record, truth::Truth};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An employee with their own key.
pub struct Person(Desk);

impl Person {
    /// `base` is the address of the workplace, such as `http://127.0.0.1:4100`.
    pub fn at(base: &str, key: ApiKey) -> Result<Self, PersonError> {
        Desk::at(base, key).map(Self)
    }

    /// Reads a thread of the forum.
    pub async fn read_thread(&self, thread: &str) -> Result<Value, PersonError> {
        self.0.send(Method::GET, &["threads", thread], None).await
    }

    /// Adds readers to a dataset.
    pub async fn add_readers(&self, dataset: &str, readers: &[&str]) -> Result<Value, PersonError> {
        self.0.send(Method::POST, &["datasets", dataset, "readers"], Some(json!({ "add": readers }))).await
    }

    /// Takes readers off a dataset.
    pub async fn remove_readers(&self, dataset: &str, readers: &[&str]) -> Result<Value, PersonError> {
        self.0.send(Method::POST, &["datasets", dataset, "readers"], Some(json!({ "remove": readers }))).await
    }
}

/// Whoever tells the story: sees what is true, and can begin again.
pub struct Narrator(Desk);

impl Narrator {
    /// `base` is the address of the workplace; the key is the operator's.
    pub fn at(base: &str, key: ApiKey) -> Result<Self, PersonError> {
        Desk::at(base, key).map(Self)
    }

    /// What is true at this moment.
    pub async fn truth(&self) -> Result<Truth, PersonError> {
        self.0.send(Method::GET, &["truth"], None).await
    }

    /// People and groups.
    pub async fn directory(&self) -> Result<Directory, PersonError> {
        self.0.send(Method::GET, &["directory"], None).await
    }

    /// Every forum, thread, runbook and dataset with its access list as it stands.
    pub async fn records(&self) -> Result<Vec<Record>, PersonError> {
        self.0.send(Method::GET, &["records"], None).await
    }

    /// Puts everything back to how it began.
    pub async fn reset(&self) -> Result<(), PersonError> {
        self.0.request(Method::POST, &["reset"], None).await.map(drop)
    }
}

/// Why a person did not get what they asked for.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The address is not one.
    #[error("`{0}` is not the address of a workplace")]
    Address(String),
    /// The workplace refused.
    #[error("the workplace answered {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its words.
        reason: String,
    },
    /// No answer, or none that can be read.
    #[error("the workplace did not answer: {0}")]
    Unanswered(#[from] reqwest::Error),
}

struct Desk {
    base: reqwest::Url,
    key: ApiKey,
    http: Client,
}

impl Desk {
    fn at(base: &str, key: ApiKey) -> Result<Self, PersonError> {
        let parsed: Option<reqwest::Url> = base.parse().ok().filter(|url: &reqwest::Url| !url.cannot_be_a_base());
        let base = parsed.ok_or_else(|| PersonError::Address(base.to_owned()))?;
        Ok(Self { base, key, http: http_client()? })
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<T, PersonError> {
        Ok(self.request(method, path, body).await?.json().await?)
    }

    async fn request(&self, method: Method, path: &[&str], body: Option<Value>) -> Result<reqwest::Response, PersonError> {
        let mut url = self.base.clone();
        // Segment by segment, so that no id can climb out of its place in the path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        let request = self.http.request(method, url).bearer_auth(self.key.reveal()).timeout(TIMEOUT);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await?;
        match response.status() {
            StatusCode::OK | StatusCode::NO_CONTENT => Ok(response),
            status => Err(PersonError::Refused { status: status.as_u16(), reason: response.text().await.unwrap_or_default() }),
        }
    }
}

/// Straight to the address: a proxy from the environment has no business between two processes of one demonstration.
/// No time limit of its own, as an MCP stream may stay open; whoever asks limits their own request.
pub(crate) fn http_client() -> Result<Client, reqwest::Error> {
    Client::builder().no_proxy().tcp_nodelay(true).build()
}
