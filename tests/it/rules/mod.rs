//! The repository's own rules, held by reading its files: layers, conventions, packages, documents, formats.

mod circles;
mod conventions;
pub mod docs;
pub mod formats;
mod language;
mod layers;
mod machine;
mod packages;
mod sources;
