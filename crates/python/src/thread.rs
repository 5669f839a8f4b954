//! Which thread or task this is, as shared memory knows it.

use courtyard_core::object::Writer;
use courtyard_core::offset;
use courtyard_core::sync::{AtomicU32, Ordering};
use std::cell::Cell;

/// Set in the serials of tasks.
const TASK: u32 = 1 << 31;

/// A new serial. The kernel's are reused, and differ between PID namespaces.
fn new() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) & !TASK
}

/// A new serial of a task, which owns locks as a thread does.
pub fn new_task() -> u32 {
    new() | TASK
}

pub fn is_task(serial: u32) -> bool {
    serial & TASK != 0
}

thread_local! {
    static SERIAL: Cell<u32> = Cell::new(new());
}

/// The serial of this thread, or of the task in whose name it acts.
pub fn thread() -> u32 {
    SERIAL.get()
}

/// Acts in the name of a task.
pub fn as_owner<T>(serial: u32, work: impl FnOnce() -> T) -> T {
    struct Back(u32);
    impl Drop for Back {
        fn drop(&mut self) {
            SERIAL.set(self.0);
        }
    }
    let _back = Back(SERIAL.replace(serial));
    work()
}

/// This thread, at a lock that it may hold already.
#[inline(always)]
pub fn thread_writer(object: offset::Object) -> Writer {
    Writer {
        object,
        guarded: true,
        thread: thread(),
    }
}
