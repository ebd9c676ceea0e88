//! What the system tests share: real processes, a reader of the whole log with its invariants, and two ways to put
//! load on the bus.
//!
//! Each test uses a part of it only.
#![allow(dead_code)]

pub mod adapter;
pub mod kefu;
pub mod load;
pub mod log;
pub mod socket;

use std::{
    future::Future,
    time::{Duration, Instant},
};

/// Long enough for the busiest machine; nothing waits so long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Short enough to measure a recovery by.
const POLL: Duration = Duration::from_millis(20);

/// Waits until `look` sees something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "not seen within {PATIENCE:?}: {what}");
        pause().await;
    }
}

/// Between two looks at something that does not announce itself.
pub async fn pause() {
    // waits because that is all that can be done
    tokio::time::sleep(POLL).await;
}

/// Whether the long variants of tests are wanted.
pub fn long() -> bool {
    std::env::var("KEFU_TEST_LONG").is_ok_and(|value| !value.is_empty() && value != "0")
}

/// Says that a test did not run, and why, so that nobody takes it for passed.
pub fn skip(test: &str, reason: &str) {
    eprintln!("SKIPPED {test}: {reason}");
}
