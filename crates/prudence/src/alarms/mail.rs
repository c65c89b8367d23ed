//! A mail over SMTP: under TLS from the first byte (`smtps`) or before anything is said (`smtp`, STARTTLS required); in clear to this machine alone.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use url::{Host, Url};

use super::NotTaken;
use super::message::Message;
use crate::config::settings;
use crate::failure::Failure;

const TIME_MAX: Duration = Duration::from_secs(10);

/// Where mails go.
pub struct Mail {
    from: Mailbox,
    to: Vec<Mailbox>,
    /// What ids of mails end with.
    host: String,
    server: AsyncSmtpTransport<Tokio1Executor>,
}

impl Mail {
    /// The mail of the channel `name`.
    ///
    /// # Errors
    /// A password that is not there, an address that is none.
    pub fn new(name: &str, settings: &settings::Mail) -> anyhow::Result<Self> {
        let helpless = |sentence: String, help: &str| Failure::Helpless { sentence, help: help.to_owned() };
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|_| helpless(format!("`{text}` of alarm `{name}` is no mail address"), "as in `ann@example.com`"))
        };
        let (url, security) = server(&settings.server).map_err(|what| {
            helpless(
                format!("the mail server of alarm `{name}`: {what}"),
                "as in `smtps://mail.example.com` (TLS) or `smtp://mail.example.com:587` (STARTTLS)",
            )
        })?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let transport = match security {
            Security::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&host)?,
            Security::StartTls => AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&host)?,
            Security::ClearToThisMachine => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&host),
        };
        let transport = match url.port() {
            Some(port) => transport.port(port),
            None => transport,
        };
        let transport = match (&settings.user, &settings.password_from_env) {
            (Some(user), Some(variable)) => {
                let password = std::env::var(variable).map_err(|_| {
                    helpless(
                        format!("alarm `{name}` needs the environment variable `{variable}`, which is not set"),
                        "it holds the password for the mail server",
                    )
                })?;
                transport.credentials(Credentials::new(user.clone(), password))
            }
            (None, _) | (_, None) => transport,
        };
        let to: Result<Vec<Mailbox>, _> = settings.to.iter().map(|to| mailbox(to)).collect();
        Ok(Self { from: mailbox(&settings.from)?, to: to?, host, server: transport.timeout(Some(TIME_MAX)).build() })
    }

    /// Sends it once, to all.
    ///
    /// # Errors
    /// When the server did not take it.
    pub async fn send(&self, message: &Message) -> Result<(), NotTaken> {
        let head = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.headline())
            // The same in every attempt: where two arrive, one of them is seen to be a copy.
            .message_id(Some(format!("<{}@{}>", message.id, self.host)));
        let head = self.to.iter().fold(head, |head, to| head.to(to.clone()));
        let mail = head
            .header(ContentType::TEXT_PLAIN)
            .body(message.text())
            .map_err(|_| NotTaken("no mail can be made of it".to_owned()))?;
        match self.server.send(mail).await {
            Ok(answer) if answer.is_positive() => Ok(()),
            Ok(answer) => Err(NotTaken(format!("the mail server answered {}", answer.code()))),
            Err(error) if error.is_permanent() || error.is_transient() => Err(NotTaken(match error.status() {
                Some(code) => format!("the mail server answered {code}"),
                None => "the mail server refused it".to_owned(),
            })),
            Err(_) => Err(NotTaken("the mail server cannot be reached".to_owned())),
        }
    }
}

/// How a mail server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Tls,
    StartTls,
    ClearToThisMachine,
}

/// Reads the address of a mail server.
///
/// # Errors
/// What is wrong with it.
pub fn server(text: &str) -> Result<(Url, Security), &'static str> {
    let url = Url::parse(text).map_err(|_| "expected an absolute address")?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if !is_plain || !matches!(url.path(), "" | "/") {
        return Err("expected a host, and a port at most");
    }
    // The scheme is none that URLs know by themselves, so that numbers are not read as such.
    let is_here = match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|number| number.is_loopback())
        }
        Some(Host::Ipv4(number)) => number.is_loopback(),
        Some(Host::Ipv6(number)) => number.is_loopback(),
        None => return Err("expected an address with a host"),
    };
    match url.scheme() {
        "smtps" => Ok((url, Security::Tls)),
        "smtp" if is_here => Ok((url, Security::ClearToThisMachine)),
        "smtp" => Ok((url, Security::StartTls)),
        _ => Err("expected `smtps` or `smtp`"),
    }
}
