//! Where spaces are: a folder of segment files for one user, or a file where the user says.

mod attach;
mod build;
mod list;
mod ownership;
mod place;
mod remove;
mod title;

pub use crate::memory::superblock::{DURABLE, NAMED, PRIVATE};
pub use attach::{Wish, attach, limit_of, look, open_durable, open_named, set_limit};
pub use build::{create, create_limited};
pub use list::{Listed, list, read};
pub use place::{SHARED_MEMORY, open, private_path};
pub use remove::{clean, clean_beside, end, remove, remove_if_dead};
pub use title::{LONGEST_TITLE, file_name};
