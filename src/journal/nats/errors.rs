//! From the client library's errors to the port's.

use super::connect::chain;
use crate::journal::{AppendError, JournalError};
use async_nats::jetstream::{
    self, ErrorCode,
    context::{PublishError, PublishErrorKind, RequestError, RequestErrorKind},
};
use std::error::Error as _;

/// "wrong last sequence", with the found one in its text.
const WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same, with a constant text (newer servers).
const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10164;
/// "maximum messages exceeded", "maximum messages per subject exceeded", "maximum bytes exceeded": a full stream.
const STORE_FAILED: u64 = 10077;
/// "message size exceeds maximum allowed".
const MESSAGE_TOO_LARGE: u64 = 10054;

/// What the server said about one publish.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The expectation does not hold.
    Conflict,
    /// The stream is full; its words.
    Full(String),
    /// It will never be stored.
    Never(String),
    /// It was not heard, or the server cannot now.
    Unknown(String),
}

pub(super) fn refusal(error: &PublishError) -> Refusal {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => Refusal::Conflict,
        PublishErrorKind::MaxPayloadExceeded => Refusal::Never(chain(error)),
        PublishErrorKind::Other => match error.source().and_then(|source| source.downcast_ref::<jetstream::Error>()) {
            Some(answer) => refusal_of(answer),
            None => Refusal::Unknown(chain(error)),
        },
        _ => Refusal::Unknown(chain(error)),
    }
}

fn refusal_of(answer: &jetstream::Error) -> Refusal {
    match answer.error_code() {
        ErrorCode(WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT) => Refusal::Conflict,
        ErrorCode(MESSAGE_TOO_LARGE) => Refusal::Never(answer.to_string()),
        ErrorCode(STORE_FAILED) if answer.to_string().contains("maximum") => Refusal::Full(answer.to_string()),
        _ if answer.code() >= 500 => Refusal::Unknown(answer.to_string()),
        _ => Refusal::Never(answer.to_string()),
    }
}

pub(super) fn append_error(error: &PublishError) -> AppendError {
    match refusal(error) {
        Refusal::Conflict => AppendError::Conflict,
        Refusal::Never(text) => AppendError::Refused(text),
        // A full log is mended by a person making room: until then the same append is worth another try.
        Refusal::Full(text) | Refusal::Unknown(text) => AppendError::Unknown(text),
    }
}

pub(super) fn publish_error(what: &str, error: &PublishError) -> JournalError {
    match refusal(error) {
        Refusal::Conflict => JournalError::Refused(format!("{what}: the expected sequence does not hold")),
        Refusal::Never(text) => JournalError::Refused(format!("{what}: {text}")),
        Refusal::Full(text) | Refusal::Unknown(text) => JournalError::Unavailable(format!("{what}: {text}")),
    }
}

pub(in crate::journal) fn request_error(what: &str, error: &RequestError) -> JournalError {
    match error.kind() {
        RequestErrorKind::InvalidSubject => JournalError::Refused(format!("{what}: {}", chain(error))),
        _ => JournalError::Unavailable(format!("{what}: {}", chain(error))),
    }
}

/// The server's answer "no" to a request of its own interface.
pub(super) fn api_error(what: &str, error: &jetstream::Error) -> JournalError {
    if error.code() >= 500 {
        JournalError::Unavailable(format!("{what}: {error}"))
    } else {
        JournalError::Refused(format!("{what}: {error}"))
    }
}
