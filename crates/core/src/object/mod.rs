//! Objects: how they are found and held, and what the first words of each are.

pub mod cell;
pub mod directory;
pub mod holding;
pub mod kind;
pub mod link;
pub mod rows;
pub mod sample;
