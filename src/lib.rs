//! kefu: an event-sourced customer-service engine.
#![recursion_limit = "256"]
pub mod aggregate;
pub mod journal;
pub mod runtime;
pub mod store;
