//! What must not pass, found in bytes as they stream: secrets in requests, the injected credential in answers, hidden
//! instructions, and requests that make a model's servers act. Pure: no file, clock, net or environment.

pub mod answers;
pub mod codec;
pub mod dlp;
mod encode;
mod entities;
pub mod messages;
#[cfg(test)]
mod spellings;
