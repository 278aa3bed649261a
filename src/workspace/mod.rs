//! A host directory on its way into a workspace: a survey finds what goes in, and packing writes it as one tar stream.
//!
//! Invariant: nothing named `.git` is ever copied. A repository is exported instead, and an export contains no credential,
//! no hook and nothing that runs. Links are kept and never followed.

mod content;
mod export;
mod objects;
mod pack;
mod survey;
mod tar;

pub use pack::{Packed, pack_folder};
pub use survey::{Survey, survey};
pub use tar::{Archive, Stamp};
