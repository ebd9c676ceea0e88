//! kefu: an event-sourced customer-service engine.
pub mod aggregate;
pub mod bridge;
pub mod cli;
pub mod config;
pub mod contact;
pub mod conversation;
pub mod engine;
pub mod journal;
pub mod runtime;
pub mod settings;
pub mod store;
pub mod telemetry;
