//! Every refusal of the service, and its one mapping to a SCIM error (RFC 7644 §3.12).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use engine::ChangeDirectoryError;
use judge::directory::DirectoryError;
use serde_json::{Value, json};

use super::{MEDIA_TYPE, schema};

/// How many errors of a batch are told at once.
const ERRORS_TOLD_MAX: usize = 10;

/// A detail error keyword (RFC 7644 §3.12, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// The path of a patch names nothing.
    InvalidPath,
    /// The body has another structure.
    InvalidSyntax,
    /// A value is missing or does not fit.
    InvalidValue,
    /// Only the service says this, or it has to be there.
    Mutability,
    /// The path of a patch reaches no value.
    NoTarget,
    /// More than can be answered at once.
    TooMany,
    /// The name or address is somebody else's.
    Uniqueness,
}

impl ScimType {
    fn word(self) -> &'static str {
        match self {
            ScimType::InvalidFilter => "invalidFilter",
            ScimType::InvalidPath => "invalidPath",
            ScimType::InvalidSyntax => "invalidSyntax",
            ScimType::InvalidValue => "invalidValue",
            ScimType::Mutability => "mutability",
            ScimType::NoTarget => "noTarget",
            ScimType::TooMany => "tooMany",
            ScimType::Uniqueness => "uniqueness",
        }
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    scim_type: Option<ScimType>,
    detail: String,
}

impl Refusal {
    /// With this status and no keyword.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, scim_type: None, detail: detail.into() }
    }

    /// A request that is wrong.
    pub fn bad(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, scim_type: Some(scim_type), detail: detail.into() }
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// A body that is none.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Self::bad(ScimType::InvalidSyntax, detail)
    }

    /// There is no such resource.
    pub fn absent(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is no `{what}`"))
    }

    /// Somebody else has it.
    pub fn taken(detail: impl Into<String>) -> Self {
        Self { status: StatusCode::CONFLICT, scim_type: Some(ScimType::Uniqueness), detail: detail.into() }
    }

    /// The error as a document.
    pub fn json(&self) -> Value {
        let mut json = json!({ "schemas": [schema::ERROR], "status": self.status.as_u16().to_string(), "detail": self.detail });
        if let Some(scim_type) = self.scim_type {
            json["scimType"] = scim_type.word().into();
        }
        json
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = self.json().to_string();
        let mut response = (self.status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<ChangeDirectoryError> for Refusal {
    fn from(error: ChangeDirectoryError) -> Self {
        match error {
            ChangeDirectoryError::Bad(errors) => {
                let told: Vec<_> = errors.iter().take(ERRORS_TOLD_MAX).map(ToString::to_string).collect();
                let (status, scim_type) = errors.first().map_or((StatusCode::CONFLICT, None), kind);
                Self { status, scim_type, detail: told.join("; ") }
            }
            ChangeDirectoryError::Unavailable(error) => Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        }
    }
}

fn kind(error: &DirectoryError) -> (StatusCode, Option<ScimType>) {
    match error {
        DirectoryError::Twice { .. } => (StatusCode::CONFLICT, Some(ScimType::Uniqueness)),
        DirectoryError::Unknown { .. }
        | DirectoryError::Cycle { .. }
        | DirectoryError::Unfit { .. }
        | DirectoryError::Pattern { .. }
        | DirectoryError::Name { .. } => (StatusCode::BAD_REQUEST, Some(ScimType::InvalidValue)),
        DirectoryError::Absent { .. } => (StatusCode::NOT_FOUND, None),
        DirectoryError::InUse { .. } => (StatusCode::CONFLICT, None),
        DirectoryError::Declared { .. } => (StatusCode::FORBIDDEN, None),
    }
}
