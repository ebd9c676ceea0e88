//! The command line, as its users have it: the real program with a real nats-server of its own, in a temporary
//! directory, on free ports.

#![allow(clippy::unwrap_used)] // A test may panic.

mod accounts;
mod agent;
mod conversation;
mod faq;
mod program;
mod rejected;
mod rules;
mod serving;
mod settings;
mod usage;
mod user;
