//! What is left on the engine by this home and belongs to no session on this disk.

use crate::docker::{Docker, HomeContainer, Stray, StrayQuery};
use crate::exit::EngineError;
use crate::state::Home;

/// What is on the engine and belongs to no session of this home; nothing where the home has no id yet.
///
/// # Errors
/// `EngineError` where the engine does not answer.
pub fn strays(docker: &Docker, home: &Home) -> Result<Vec<Stray>, EngineError> {
    let Some(id) = home.id() else { return Ok(Vec::new()) };
    let is_known = |identity: &str| home.folder(identity).path().exists();
    let engine = docker.engine();
    let kind = home.known_engine(engine).map_or(engine.kind, |facts| facts.kind);
    let is_awaited = |reader: &HomeContainer| home.folder(&reader.identity).is_read_by(&reader.name);
    docker.strays(&StrayQuery { home_id: &id, is_known: &is_known, is_awaited: &is_awaited, kind })
}
