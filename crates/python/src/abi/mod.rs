//! CPython's calling convention: the methods that run in tens of nanoseconds.
//!
//! PyO3's convention costs 5 to 15 ns a call: as much as the operation itself. So the classes of
//! `courtyard` get method descriptors made here, which come before the same-named methods of
//! their native bases. Each tries its fast path and leaves everything else, waiting and errors
//! included, to that method. A descriptor checks the type of `self` before it calls.
//!
//! The fast path of a class is in its own folder. Nothing here knows any class.

mod call;
mod method;
mod publish;
mod slot;

pub use call::{Pointer, bound, general, guarded, held, index, native, none, truth};
pub use method::{Fast, base_call, forever, install_methods};
pub use publish::rehome;
pub use slot::{install_items, install_slots};
