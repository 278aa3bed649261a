//! The only place that runs the engine's program. Every child but the terminal's is in a process group of its own and
//! dies with this process; spawn from the main thread only.

mod ask;
mod build;
mod errors;
mod info;
mod remove;
mod run;
mod shown;

pub use ask::{
    ContainerState, Containers, HomeContainer, InspectedContainer, Stray, StrayKind, StrayQuery, VolumeSizes,
};
pub use build::{BuildEnd, build};
pub use errors::{has_nothing_to_copy, seccomp_hint};
pub use info::EngineDetails;
pub use run::{Call, Docker, ScopedStream, Stream};
