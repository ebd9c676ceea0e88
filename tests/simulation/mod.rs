//! A simulated cluster that runs the production step machine, with everything around it going wrong.
//!
//! One seed decides everything: how many nodes, what clients do, which faults happen when. The driver here does what the
//! actix shell does (carries out actions, owns partitions by lease, projects the log), one small step at a time, and may
//! be interrupted between any two of them. [`ledger`] holds what must be true.
//!
//! What a loss of power relaxes (DESIGN, "The log went back"): inputs stored before it may be gone or may have lost their
//! commit; effects of lost commits may be out; effects of commits from before it may be missing or come late (acks are lost, too). Not relaxed: versions
//! without gaps, one commit per input in what is left, one history for everybody, and everything for later inputs.
//!
//! What is assumed, because no code of kefu's could tell otherwise: nothing is archived while an append from before is
//! still under way, before every node's store has it, or before its input is acked; and no request that was sent before a
//! loss of power arrives after it, nor does a machine outlive the connection that the loss ended.

mod aggregates;
mod clients;
#[allow(dead_code)] // The simulation uses half of it.
#[path = "../bad_input/corpus.rs"]
mod corpus;
mod faults;
mod ledger;
mod node;
mod operations;
mod profile;
mod rng;
mod scenario;
mod store;
mod world;

pub use profile::Defect;
pub use scenario::{accounts, conversations};
pub use world::{Scenarios, Stats, run};

/// What simulated defects say when they panic, so that they can be kept out of the tests' output.
pub const SIMULATED: &str = "a simulated defect";
