#![doc = include_str!("../README.md")]

pub mod atomic;
mod directory;
mod intern;
mod mutex;
mod once_per_second;
mod random;
mod striped;

pub use crate::directory::{Directory, Entry};
pub use crate::intern::intern;
pub use crate::mutex::{Mutex, MutexGuard};
pub use crate::once_per_second::OncePerSecond;
pub use crate::random::Random;
pub use crate::striped::Striped;
