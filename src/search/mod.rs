//! What is looked for by what it says: embeddings, and indexes of text and vectors.

pub mod embed;
