//! What is answered where something is wrong: `{"error": {"code", "message", "permission"?}}`, with a fitting status.

use crate::{
    access::{AuthError, Denied},
    journal::JournalError,
    store::StoreError,
};
use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use kefu_events::{Refusal, query::QueryError};
use serde_json::json;
use std::fmt;

/// A request that was not carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    status: StatusCode,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub message: String,
    permission: Option<&'static str>,
    retry_after_s: Option<u64>,
}

impl Failure {
    fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), permission: None, retry_after_s: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    }

    /// It may succeed later.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { retry_after_s: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message) }
    }

    /// Too often: not before so many seconds.
    pub fn too_many(message: impl Into<String>, retry_after_s: u64) -> Self {
        let retry_after_s = Some(retry_after_s);
        Self { retry_after_s, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message) }
    }

    /// The same under a more exact code.
    pub fn named(self, code: &str) -> Self {
        Self { code: code.to_owned(), ..self }
    }

    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request could not be answered");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this failed here; the node's log says why")
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(permission) = self.permission {
            error["permission"] = permission.into();
        }
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header(("Retry-After", seconds.to_string()));
        }
        response.json(json!({ "error": error }))
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Self {
        let permission = Some(denied.permission.as_str());
        Self { permission, ..Self::forbidden(denied.to_string()) }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        Self::unauthenticated(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        if error.is_transient() { Self::unavailable(error.to_string()) } else { Self::internal(&error) }
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let status = match error.code.as_str() {
            "not_found" | "unknown_query" => StatusCode::NOT_FOUND,
            "invalid" => StatusCode::BAD_REQUEST,
            "not_ready" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, &error.code, error.message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(StatusCode::CONFLICT, &refusal.code, refusal.message)
    }
}
