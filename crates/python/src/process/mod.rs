//! What this process has to do with spaces: which it has open, and what becomes of them at forks and
//! at its end.

mod ending;
mod folder;
mod fork;
mod open;

pub use ending::{end_by_itself, leave, leave_at_exit};
pub use folder::{clean, own_folder};
pub use fork::{after_fork_in_child, after_fork_in_parent, before_fork};
pub use open::{
    Way, another, attached, catch_up, durable, enter, exit, home, is_at, leave_home, look_back,
    looked_at, named, within,
};
