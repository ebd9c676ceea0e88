//! The runtime.

pub mod projector;
