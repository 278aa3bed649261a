//! One vocabulary for all tests: where the program runs (`Place` on the fake engine, `Rig` on the real one), how it is
//! run (`Run`, `Terminal`, `Going`), how anything is waited for (`wait`), and what it is compared with (`snapshot`).

mod fixture;
mod place;
pub mod process;
mod repository;
pub mod rig;
mod run;
pub mod schema;
mod screen;
mod snapshot;
mod terminal;
pub mod wait;

pub use fixture::{MANIFEST, RICH, VARIABLES, WORK, aged, kept, kept_on, rich, whole, with_work};
pub use place::{CERTIFICATE, ENGINES, FAKE, PLAIN, PROGRAM, Place, names, text};
pub use process::{Going, Ran};
pub use repository::Host;
pub use rig::{Rig, Served};
pub use run::{Done, Run};
pub use screen::Screen;
pub use snapshot::compare;
pub use terminal::Terminal;
pub use wait::{WAIT_TIMEOUT, code, until, until_some, wait};
