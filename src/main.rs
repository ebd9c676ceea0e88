//! The program: parses, calls, and ends with an exit code. Everything else is in [`kefu::cli`].

use std::process::ExitCode;

/// Small things are made on one thread and dropped on another all the time, which the system's allocator is slow at: this
/// one saves a fifth of the processor time per message, and gives the memory of passivated conversations back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kefu::cli::main()
}
