//! What a space holds and who uses it, as `courtyard._statistics` makes classes of it.

use super::description::described;
use crate::deadline::{self, Limit};
use crate::error::{self, named};
use crate::object::require_handle;
use courtyard_core::census::{self, Census};
use courtyard_core::directory;
use courtyard_core::inspect;
use courtyard_core::layout::superblock;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::space::Space;
use courtyard_core::waiting;
use pyo3::prelude::*;

/// A thread or task: its number, and its name if that is known.
type Who = (u32, Option<String>);
/// Who waits: a slot, since when, by the boot clock, and the thread or task.
type Wait = (u64, u64, Who);
/// Slot, PID, boot clock at its start, whether it lives, handles, whether it ended by itself.
type Process = (u64, u64, u64, bool, u64, bool);

/// An object, as a dict.
#[derive(IntoPyObject)]
pub struct Object<'py> {
    /// Its row and serial.
    key: (u64, u64),
    name: Option<String>,
    /// What its name says that it was declared as.
    described: Option<Bound<'py, PyAny>>,
    /// The class that its memory shows.
    base: &'static str,
    /// Bytes in place.
    length: u64,
    nbytes: u64,
    blocks: u64,
    /// Entries, items, permits.
    count: Option<u64>,
    /// How many items a queue or a deque may have now; None: any number.
    most: Option<u64>,
    /// Of a queue that is bounded in bytes, what its items count and may count.
    counted: Option<(u64, u64)>,
    version: u64,
    references: u64,
    contention: u64,
    /// The slots of those who have handles, one entry a handle.
    users: Vec<u64>,
    /// Its lock's holder: slot and thread.
    holder: Option<(u64, Who)>,
    /// Slots, and how much each has of it.
    holdings: Vec<(u64, u64)>,
    waits: Vec<Wait>,
}

/// Processes, objects, and who waits until a name is given, as an object's `waits`.
pub type View<'py> = (Vec<Process>, Vec<Object<'py>>, Vec<Wait>);

/// Looks at all objects of a space, or at one, and at its processes.
///
/// # Errors
/// `CorruptError`, `OSError`.
pub fn view<'py>(
    py: Python<'py>,
    space: &'static Space,
    only: Option<ObjectId>,
) -> PyResult<View<'py>> {
    let view = error::waiting(py, |wait| inspect::view(space, wait, only))?;
    let processes = view.processes.iter().map(|process| {
        (
            process.slot,
            process.process_id,
            process.started,
            process.alive,
            process.handles,
            process.ended,
        )
    });
    let objects: PyResult<Vec<_>> = view.objects.into_iter().map(|o| object(py, o)).collect();
    let waits = view.waits.iter().map(shown);
    Ok((processes.collect(), objects?, waits.collect()))
}

fn shown(wait: &waiting::Wait) -> Wait {
    (wait.slot, wait.since, who(wait.who))
}

fn who(who: waiting::Who) -> Who {
    (who.serial, who.name.text())
}

fn object(py: Python<'_>, seen: inspect::Object) -> PyResult<Object<'_>> {
    let (name, described) = match seen.name {
        Some(entry) => {
            let described = described(py, &entry.named.description)?;
            (Some(entry.name), Some(described))
        }
        None => (None, None),
    };
    let held = seen.holdings.iter();
    let waits = seen.waits.iter();
    Ok(Object {
        key: (seen.id.row, seen.id.serial),
        name,
        described,
        base: seen.class,
        length: seen.length,
        nbytes: seen.bytes,
        blocks: seen.blocks,
        count: seen.count,
        most: seen.most,
        counted: seen.counted,
        version: seen.version,
        references: seen.references,
        contention: seen.contention,
        users: seen.users,
        holder: seen.holder.map(|holder| (holder.slot, who(holder.who))),
        holdings: held.map(|held| (held.slot, held.amount)).collect(),
        waits: waits.map(shown).collect(),
    })
}

/// Proves that a space does not contradict itself.
///
/// # Errors
/// `CorruptError` with the first contradiction.
pub fn check_space(py: Python<'_>, space: &'static Space) -> PyResult<()> {
    error::waiting(py, |wait| courtyard_core::check::check(space, wait)).map(drop)
}

/// Counts what a space holds; `recover`: once what the dead held is given back.
///
/// # Errors
/// `CorruptError` where what is counted makes no sense.
pub fn census(py: Python<'_>, space: &'static Space, recover: bool) -> PyResult<[u64; 10]> {
    let count = if recover { census::count } else { census::look };
    let census = error::waiting(py, |wait| count(space, wait))?;
    let Census {
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        names,
        tickets,
        participants,
        free,
        taken,
    } = census;
    Ok([
        size,
        used,
        live_blocks,
        idle_blocks,
        objects,
        names,
        tickets,
        participants,
        free,
        taken,
    ])
}

/// Raises CorruptError if an object's space contradicts itself.
///
/// # Errors
/// `CorruptError`, `Closed`, `OSError`.
#[pyfunction]
pub fn check(object: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, handle) = (object.py(), require_handle(object)?);
    let _open = handle.open(py)?;
    check_space(py, handle.space)
}

/// How many references an object has: handles, links of stored values, pickles under way, a name.
///
/// # Errors
/// `Closed`, `OSError`.
#[pyfunction]
pub fn references(object: &Bound<'_, PyAny>) -> PyResult<u64> {
    let (py, handle) = (object.py(), require_handle(object)?);
    let _open = handle.open(py)?;
    error::waiting(py, |wait| {
        handle.space.caller(wait)?.run(|operation| {
            operation.lock(superblock::DIRECTORY_LOCK)?;
            let listed = directory::listed(operation, handle.id());
            Ok(listed.map_or(0, |object| object.references))
        })
    })
}

/// Calls `work()` so that all it waits for, beside a stopped process, is a tenth of a second; None: that
/// was not enough. For what tidies up after a call that Ctrl-C ended.
///
/// # Errors
/// What `work` raises.
#[pyfunction]
pub fn soon<'py>(work: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    deadline::until(work.py(), Limit::soon(), || work.call0())
}

/// The census of an object's space, the processes there, and the object.
///
/// # Errors
/// `CorruptError`, `Closed`, `OSError`.
#[pyfunction]
pub fn figures<'py>(
    object: &Bound<'py, PyAny>,
) -> PyResult<([u64; 10], Vec<Process>, Object<'py>)> {
    let (py, handle) = (object.py(), require_handle(object)?);
    let _open = handle.open(py)?;
    let census = census(py, handle.space, true)?;
    let (processes, mut objects, _) = view(py, handle.space, Some(handle.id()))?;
    let found = objects.pop().ok_or_else(|| {
        let why = "the directory does not list an object that is open".into();
        named(py, "CorruptError", why)
    })?;
    Ok((census, processes, found))
}
