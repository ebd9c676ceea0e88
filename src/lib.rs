//! kefu: an event-sourced customer-service engine.
pub mod journal;
