//! The dashboard, pure: what is known of the bottles becomes rows, rows become cells, cells the characters that change a
//! terminal from one screen to the next. A key becomes a command for the program that has the terminal.

mod cells;
mod draw;
mod keys;
mod model;
mod width;

pub use cells::{Colours, Screen, Size};
pub use draw::{ask_line, detail_window, draw, table};
pub use keys::{Key, KeyReader};
pub use model::{Ask, AskAction, AskKey, Asked, BottleRow, Command, DetailWindow, Model, Preview, PreviewKey};

#[cfg(test)]
mod tests;
