//! Which thread or task this is, as shared memory knows it.

use courtyard_core::name::Name;
use courtyard_core::object::Writer;
use courtyard_core::offset;
use courtyard_core::sync::{AtomicU32, Ordering};
use courtyard_core::waiting::{self, Who};
use pyo3::prelude::*;
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

/// Says who this thread is in the notes of its waits, where that is not said yet.
pub fn introduce(py: Python<'_>) {
    let serial = thread();
    if waiting::introduced().serial != serial {
        let name = (!is_task(serial)).then(|| name_of_thread(py).ok());
        let name = name.flatten().unwrap_or_default();
        waiting::introduce(Who { serial, name });
    }
}

/// Who a task is, of asyncio, or of trio, where the name is a field.
///
/// # Errors
/// What is raised where asyncio's tasks are in Python: a signal handler may run there.
pub fn task(serial: u32, task: &Bound<'_, PyAny>) -> PyResult<Who> {
    let name = match task.getattr_opt("get_name")? {
        Some(get) => Some(get.call0()?),
        None => task.getattr_opt("name")?,
    };
    let name = name
        .and_then(|name| name_of(&name).ok())
        .unwrap_or_default();
    Ok(Who { serial, name })
}

/// The name of this thread, if `threading` has started it. Runs no Python code: that would handle signals.
fn name_of_thread(py: Python<'_>) -> PyResult<Name> {
    let modules = py.import("sys")?.getattr("modules")?;
    let threading = modules.get_item("threading")?;
    let number = threading.getattr("get_ident")?.call0()?;
    let thread = threading.getattr("_active")?.get_item(number)?;
    name_of(&thread.getattr("_name")?)
}

fn name_of(text: &Bound<'_, PyAny>) -> PyResult<Name> {
    Ok(Name::new(
        &text.cast::<pyo3::types::PyString>()?.to_string_lossy(),
    ))
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
