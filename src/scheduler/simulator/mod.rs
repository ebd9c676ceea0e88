//! A contact centre in discrete events, over the same [`Floor`](super::Floor) and the same policies as production.
//!
//! Pure: a [`Scenario`] and a seed in, an [`Outcome`] out; files are read and written by the caller. Arrivals, work and
//! patience are drawn from streams of their own, in the order of arrivals, so that every policy meets the same
//! customers (common random numbers). Figures come with 99 % confidence intervals by batch means.
//!
//! The simulator may know the truth (who works how fast); a policy sees only what the floor would see in production.
//!
//! - [`scenario`][]: the TOML file;
//! - [`random`][]: distributions;
//! - [`arrivals`][]: who comes when, generated or [`recorded`], or a tenant's own [`history`] with its [`patience`];
//! - [`world`][]: the events;
//! - [`statistics`][]: batch means, Student's t, quantiles;
//! - [`outcome`][]: what is reported; [`plot`] draws it;
//! - [`theory`][]: closed forms that tell whether the simulator is right;
//! - [`tune`][]: a search for weights.

pub mod arrivals;
pub mod history;
pub mod outcome;
pub mod patience;
pub mod plot;
pub mod random;
pub mod recorded;
pub mod scenario;
pub mod statistics;
pub mod theory;
pub mod tune;
pub mod world;

pub use history::{History, Staffing};
pub use outcome::Outcome;
pub use scenario::Scenario;
pub use world::{Run, replay, run};
