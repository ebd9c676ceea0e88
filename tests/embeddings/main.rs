//! Embeddings: the real models, files that are none, the service in front of a model, and servers that misbehave.

#![allow(clippy::unwrap_used)] // A test may panic.

mod local;
mod remote;
mod service;

/// Cosine of vectors of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
