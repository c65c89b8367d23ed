//! Writes: each is one entry of the ledger, made of the directory as it is at that moment, or nothing.

use axum::http::{HeaderMap, StatusCode, header};
use judge::directory::{Directory, DirectoryChange};
use judge::event::DirectoryChanged;
use judge::moment::Moment;
use serde_json::Value;

use super::error::Refusal;
use super::resource::{self, Found, Wanted};
use super::schema::{self, Kind};
use super::{Caller, Scim, patch};
use crate::keys::random;

/// Where changes say that they come from.
const SOURCE: &str = "scim";

/// The version that a client wants to change, where it says so (RFC 7644 §3.14).
#[derive(Default)]
pub struct Precondition(Option<String>);

impl Precondition {
    /// As a request says it.
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned))
    }

    /// As an operation of a bulk says it.
    pub fn version(version: Option<&str>) -> Self {
        Self(version.map(str::to_owned))
    }

    fn check(&self, directory: &Directory, found: Found<'_>) -> Result<(), Refusal> {
        match &self.0 {
            Some(wanted) if !matches(wanted, &found.version(directory)) => {
                Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "it has changed since; read it again"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a list of versions names this one, by weak comparison (RFC 9110 §8.8.3.2).
pub fn matches(list: &str, version: &str) -> bool {
    let plain = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    list.split(',').any(|tag| tag.trim() == "*" || plain(tag) == plain(version))
}

impl Scim {
    /// Makes a resource, and says its id.
    pub(super) async fn create(&self, caller: &Caller, kind: Kind, body: Value) -> Result<String, Refusal> {
        let wanted = Wanted::whole(kind, whole(kind, body)?, None);
        let no_id = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no id for it");
        let otherwise = hex::encode(random::<16>().map_err(no_id)?);
        self.change(caller, |directory, now| resource::create(directory, now, kind, &wanted, &otherwise)).await
    }

    /// Puts a resource in place of what it was.
    pub(super) async fn replace(
        &self,
        caller: &Caller,
        kind: Kind,
        id: &str,
        precondition: &Precondition,
        body: Value,
    ) -> Result<(), Refusal> {
        let resource = whole(kind, body)?;
        let edit = |directory: &Directory, now| {
            let found = there(directory, kind, id, precondition)?;
            let wanted = Wanted::whole(kind, resource.clone(), Some(found));
            Ok((resource::update(directory, now, found, &wanted)?, ()))
        };
        self.change(caller, edit).await
    }

    /// Makes the operations of a patch, all or none.
    pub(super) async fn edit(
        &self,
        caller: &Caller,
        kind: Kind,
        id: &str,
        precondition: &Precondition,
        body: Value,
    ) -> Result<(), Refusal> {
        let operations = patch::parse(body)?;
        let edit = |directory: &Directory, now| {
            let found = there(directory, kind, id, precondition)?;
            let mut resource = found.resource();
            let members = patch::apply(kind, &mut resource, &operations)?;
            Ok((resource::update(directory, now, found, &Wanted { resource, members })?, ()))
        };
        self.change(caller, edit).await
    }

    /// Removes a resource. What something else still names stays in the directory as nobody: it is in no audience, is not shown, and its
    /// name is never given again.
    pub(super) async fn remove(&self, caller: &Caller, kind: Kind, id: &str, precondition: &Precondition) -> Result<(), Refusal> {
        let edit = |directory: &Directory, _| {
            let found = there(directory, kind, id, precondition)?;
            let removal = resource::removal(directory, found);
            let goes = directory.may_record(&removal).is_ok() && directory.change(&removal).is_ok();
            Ok((if goes { removal } else { resource::retirement(directory, found) }, ()))
        };
        self.change(caller, edit).await
    }

    async fn change<T>(
        &self,
        caller: &Caller,
        edit: impl Fn(&Directory, Moment) -> Result<(Vec<DirectoryChange>, T), Refusal>,
    ) -> Result<T, Refusal> {
        let batch = |changes: Vec<DirectoryChange>| {
            let changed = DirectoryChanged { source: SOURCE.to_owned(), by: Some(caller.client.clone()), changes };
            // What is so already is no event.
            if changed.changes.is_empty() { Vec::new() } else { vec![changed] }
        };
        let edit = |directory: &Directory, now| edit(directory, now).map(|(changes, out)| (batch(changes), out));
        self.engine.edit_directory::<T, Refusal>(edit).await
    }
}

fn there<'d>(directory: &'d Directory, kind: Kind, id: &str, precondition: &Precondition) -> Result<Found<'d>, Refusal> {
    let found = resource::find(directory, kind, id).ok_or_else(|| Refusal::absent(id))?;
    precondition.check(directory, found)?;
    Ok(found)
}

fn whole(kind: Kind, body: Value) -> Result<serde_json::Map<String, Value>, Refusal> {
    let resource = schema::read(kind, body)?;
    schema::complete(kind, &resource)?;
    Ok(resource)
}
