//! One file per table.

pub mod clock;
pub mod exec;
pub mod exit;
pub mod fork;
pub mod frame;
pub mod loss;
pub mod mapping;
pub mod overhead;
pub mod process;
pub mod sample;
pub mod stack;
pub mod symbol;
