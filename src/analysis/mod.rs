//! Questions to the kernel that are more than a run: each makes packets, sends them by a run, and tells what
//! came of it. It formats nothing.

pub mod doctor;
pub mod explain;
pub mod suggest;
mod vocabulary;
