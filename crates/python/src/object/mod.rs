//! What every object has: a handle on something in a space, a pickle, waiting, a lock.

mod acquire;
mod address;
mod class;
mod edit;
mod equal;
mod handle;
mod holding;
mod immutable;
mod initialise;
mod listener;
mod lock;
mod membership;
mod pending;
pub mod subclass;
mod this;
pub mod waiter;
mod waiting;

pub use acquire::{acquire_deadline, follows_multiprocessing, semaphore_deadline};
pub use address::{Address, address};
pub use class::{Object, handle_of, require_handle, test, wait_for};
pub use edit::{Edit, Place, Spot, refuse_none};
pub use equal::equal;
pub use handle::{Handle, Use, keeping_tickets};
pub use holding::{Holding, Last};
pub use immutable::is_immutable;
pub use listener::{
    Listener, Registration, WaitNote, as_owner, attempt, new_owner, note_wait, ready, waits,
};
pub use lock::{Entry, ObjectLock, PLAIN, acquire, release};
pub use pending::{PendingMembers, importing};
pub use this::This;
