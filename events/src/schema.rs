//! The generated JSON Schemas and the AsyncAPI document.
