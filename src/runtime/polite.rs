//! Threads that go behind whoever waits for an answer.

use std::{io, thread};

/// How much nicer they are than others.
const NICER: i32 = 10;

/// Runs something on such a thread; without the right to say so it is only less polite.
///
/// # Errors
/// The system has no thread for it.
pub fn politely<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(|| {
        let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICER);
        body()
    })
}
