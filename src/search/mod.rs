//! What is looked for by what it says.

pub mod lexical;
pub mod text;
pub mod vectors;
