//! Spaces, and a look at what is in them.

mod class;
mod description;
mod inspect;

pub use class::{
    Space, folder_of_spaces, place_of, remove_orphan, remove_space, same_object, space_at,
    space_path, spaces,
};
pub use inspect::{check, figures, references, soon};
