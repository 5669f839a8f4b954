//! Values as a space keeps them, over the codec: stored ones, and the courtyard objects in them.

pub mod reference;
pub mod stored;

pub use stored::View;
