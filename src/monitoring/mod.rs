//! What machines are told of a running kefu: figures for Prometheus.
//!
//! [`catalogue`](crate::telemetry::catalogue) lists all of them. Some are counted where they happen (the runtime's, the
//! bridge's). The others come from here:
//!
//! - [`talks`]: what commits say of waits and replies, pure;
//! - `observer`: follows the commits that the store folds, and counts;
//! - `streams`: how full the bus is;
//! - `probe`: what is measured when somebody asks.
//!
//! A node counts the commits of the partitions that it owns, so that sums over nodes are right. It decides nothing and
//! remembers nothing: a restart begins at 0, which is what counters are for.

mod observer;
mod probe;
mod streams;
pub mod talks;

pub use observer::{Observed, Observer};
pub use probe::figures;
pub use streams::{StreamSizes, watch_streams};
