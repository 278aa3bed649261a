//! Real Claude Code in a bottle, driven by the scripted model.
