//! Figures that follow from the log: what is counted, what it means, and how it is read.
//!
//! - [`metric`]: measures, and definitions of figures over them: pure;
//! - `rollup`: the projection that adds them up by minute, hour and day; `task`: what feeds it, beside the projector;
//! - `reports`: figures of a stretch of time, and the sessions behind them; `span`: which cells that takes; `open`: which
//!   conversations were open at a moment.
//!
//! Figures are kept apart from what customers wait for: a thread of low priority folds what the projector has read, writes once a
//! second, and has a checkpoint of its own in the store. So reports are a second behind, and never in anybody's way.
//!
//! It may not know NATS, nor who may see which figure: whoever asks has been asked for permission.

pub mod metric;
mod open;
mod reports;
mod rollup;
mod span;
mod task;

pub use reports::{
    Asked, AskedSessions, Column, Definition, MAX_SESSIONS, Report, ReportError, Reports, Row, Sessions, ShownSession,
    Step, definitions,
};
pub use rollup::{Rollup, VERSION};
pub use task::{NoRebuild, Progress, Rebuild, ReportingStatus, ReportingTask};
