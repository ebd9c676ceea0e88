//! kefu: an event-sourced customer-service engine.
pub mod aggregate;
pub mod journal;
pub mod runtime;
pub mod store;
