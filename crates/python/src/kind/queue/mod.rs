//! `courtyard.Queue` and its kin.

mod back;
mod batch;
mod class;
mod clear;
mod fast;
mod front;
mod item;
mod lease;
mod order;
mod state;
mod tail;

pub use fast::install;
pub use item::Piece;
pub use lease::Lease;
pub use state::Queue;
