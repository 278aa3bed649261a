//! WebSockets, frame by frame: nothing passes that was not read.

pub mod frames;
pub mod reframe;
pub mod relay;
