//! A password from whoever sits there, or from a pipe.

use super::super::error::CliError;
use crate::access::password::hash;
use std::io::{self, IsTerminal, Read};

/// Bytes that are read from a pipe, at most: more is no password.
const MAX_BYTES: u64 = 4_096;

/// The hash of a new password for this user.
pub(super) fn ask(user: &str) -> Result<String, CliError> {
    let password = if io::stdin().is_terminal() { twice(user)? } else { piped()? };
    hash(user, &password).map_err(|error| CliError::usage(error.to_string()))
}

fn twice(user: &str) -> Result<String, CliError> {
    let first = rpassword::prompt_password(format!("New password for {user}: ")).map_err(unreadable)?;
    let again = rpassword::prompt_password("The same again: ").map_err(unreadable)?;
    if first == again { Ok(first) } else { Err(CliError::usage("these were two different passwords")) }
}

/// All of the standard input, but for the line's end that `echo` and editors put behind it.
fn piped() -> Result<String, CliError> {
    let mut password = String::new();
    io::stdin().take(MAX_BYTES).read_to_string(&mut password).map_err(unreadable)?;
    let line = password.strip_suffix('\n').unwrap_or(&password);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(CliError::usage("no password came over the standard input")
            .hint("run it in a terminal, or pipe the password in; --no-password makes a user without one"));
    }
    if line.contains(['\n', '\r']) {
        return Err(CliError::usage("a password is one line, and more came over the standard input"));
    }
    Ok(line.to_owned())
}

fn unreadable(error: io::Error) -> CliError {
    CliError::failure(format!("the password could not be read: {error}"))
}
