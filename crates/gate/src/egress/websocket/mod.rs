//! WebSockets, read frame by frame: nothing passes in either direction that was not inspected.

pub mod frames;
pub mod message_filters;
pub mod reframe;
pub mod relay;
