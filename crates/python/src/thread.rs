//! Which thread this is, as shared memory knows it.

use courtyard_core::object::Writer;
use courtyard_core::offset;
use courtyard_core::sync::{AtomicU32, Ordering};

/// Serials of threads, our own: the kernel's are reused, and differ between PID namespaces.
pub fn thread() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    thread_local! {
        static SERIAL: u32 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    SERIAL.with(|serial| *serial)
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
