//! kefu: an event-sourced customer-service engine.
#![recursion_limit = "256"]
pub mod aggregate;
pub mod contact;
pub mod conversation;
pub mod journal;
pub mod settings;
