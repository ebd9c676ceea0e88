//! The program: parses, calls, and ends with an exit code. Everything else is in [`kefu::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    kefu::cli::main()
}
