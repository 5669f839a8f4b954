//! `GuardedCell`: a cell that its user may lock for more than one operation.

use crate::argument::Truth;
use crate::cell::{Cell, thread};
use crate::deadline::Limit;
use crate::edit::{Edit, Place};
use crate::error::{named, raise};
use crate::handle::{Address, Handle};
use crate::list::Sequence;
use crate::table::{self, Table};
use crate::vector::GuardedVector;
use crate::waiter::{Deadline, Wait, look_if_due};
use courtyard_core::cell::{self, Entered, Writer};
use courtyard_core::lock::{self, Waiter};
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

/// `threading.TIMEOUT_MAX`, in seconds.
const TIMEOUT_MAX: f64 = 9_223_372_036.0;

/// Whether an object's class follows multiprocessing's rules, not threading's: the drop-in's do.
/// Looked up only where they differ.
pub fn follows_multiprocessing(object: &Bound<'_, PyAny>) -> PyResult<bool> {
    object
        .get_type()
        .hasattr(intern!(object.py(), "_multiprocessing"))
}

/// Resolves the arguments of `object.acquire(blocking, timeout)`; `block` is multiprocessing's
/// name of the first. None: do not wait.
///
/// threading refuses a timeout without blocking and negative ones, and -1 is for ever; for
/// multiprocessing a timeout without blocking means nothing and a negative one is over.
///
/// # Errors
/// `ValueError` and `OverflowError` as threading raises them.
pub fn acquire_deadline(
    object: &Bound<'_, PyAny>,
    blocking: Option<Truth>,
    timeout: Option<f64>,
    block: Option<Truth>,
) -> PyResult<Option<Deadline>> {
    let waits = blocking.or(block).is_none_or(|Truth(waits)| waits);
    if timeout.is_some() && follows_multiprocessing(object)? {
        return match waits {
            true => Deadline::from_timeout(timeout).map(Some),
            false => Ok(None),
        };
    }
    match timeout {
        Some(seconds) if !waits && seconds != -1.0 => Err(PyValueError::new_err(
            "can't specify a timeout for a non-blocking call",
        )),
        _ if !waits => Ok(None),
        None | Some(-1.0) => Ok(Some(Deadline::NEVER)),
        Some(seconds) if seconds < 0.0 => Err(PyValueError::new_err(
            "timeout value must be a non-negative number",
        )),
        Some(seconds) if seconds > TIMEOUT_MAX => {
            Err(PyOverflowError::new_err("timeout value is too large"))
        }
        timeout => Deadline::from_timeout(timeout).map(Some),
    }
}

/// As `acquire_deadline`, with a semaphore's rules: None is for ever for both, a negative timeout
/// is over.
///
/// # Errors
/// `ValueError` as threading raises it.
pub fn semaphore_deadline(
    object: &Bound<'_, PyAny>,
    blocking: Option<Truth>,
    timeout: Option<f64>,
    block: Option<Truth>,
) -> PyResult<Option<Deadline>> {
    let waits = blocking.or(block).is_none_or(|Truth(waits)| waits);
    if waits {
        return Deadline::from_timeout(timeout).map(Some);
    }
    if timeout.is_some() && !follows_multiprocessing(object)? {
        return Err(PyValueError::new_err(
            "can't specify timeout for non-blocking acquire",
        ));
    }
    Ok(None)
}

/// This thread, at a lock that it may hold already.
#[inline(always)]
pub fn thread_writer(cell: u64) -> Writer {
    Writer {
        cell,
        guarded: true,
        thread: thread(),
    }
}

/// A shared value with a lock. `courtyard.Value` is what programs use.
#[pyclass(frozen, subclass, extends = Cell, module = "courtyard._native")]
pub struct GuardedCell;

fn writer(handle: &Handle) -> Writer {
    thread_writer(handle.cell)
}

pub fn acquire(py: Python<'_>, handle: &Handle, deadline: Option<Deadline>) -> PyResult<bool> {
    let (space, writer) = (handle.space, writer(handle));
    let mut flags = lock::cpu_flags();
    let limit = Limit::of(deadline);
    let mut wait = Wait::new(handle, writer.cell);
    let mut waiter = Waiter::new(&space.segment, writer.cell);
    let mut has_looked = false;
    loop {
        let Some(participant) = handle.open_until(py, limit)? else {
            return Ok(false);
        };
        let entered = cell::enter(&space.segment, &participant, writer, flags);
        if entered.map_err(|error| raise(py, error))? == Entered::Yes {
            waiter.acquired();
            return Ok(true);
        }
        let Some(limit) = deadline.and_then(|deadline| deadline.left(waiter.limit())) else {
            // As a `Lock`.
            if !has_looked && look_if_due(py, space)? {
                has_looked = true;
                continue;
            }
            return Ok(false);
        };
        wait.stand(py, limit, || space.stand_slice(&mut waiter, limit))?;
        flags = lock::cpu_flags() | waiter.flags();
    }
}

pub fn release(py: Python<'_>, handle: &Handle) -> PyResult<()> {
    let participant = handle.open(py)?;
    if cell::exit(&handle.space.segment, &participant, writer(handle)) {
        return Ok(());
    }
    let message = "cannot release un-acquired lock: this thread does not hold it";
    Err(named(py, "NotOwned", message.into()))
}

#[pymethods]
impl GuardedCell {
    #[new]
    #[pyo3(signature = (code, length, declared, ctype, address=None))]
    fn new(
        py: Python<'_>,
        code: &str,
        length: u64,
        declared: Py<PyAny>,
        ctype: Py<PyAny>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<GuardedCell>> {
        let cell = Cell::make(py, code, length, declared, ctype, true, address)?;
        Ok(PyClassInitializer::from(cell).add_subclass(GuardedCell))
    }

    /// Acquire the value's lock, get_lock(); see there.
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        slf: &Bound<'_, Self>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(slf, blocking, timeout, block)?;
        acquire(slf.py(), &slf.as_super().get().handle, deadline)
    }

    /// Release the value's lock, get_lock(); see there.
    fn release(slf: &Bound<'_, Self>) -> PyResult<()> {
        release(slf.py(), &slf.as_super().get().handle)
    }

    fn __enter__(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let handle = &slf.as_super().get().handle;
        acquire(slf.py(), handle, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        slf: &Bound<'_, Self>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        release(slf.py(), &slf.as_super().get().handle)
    }

    /// Return a ctypes object on the very memory, as multiprocessing's get_obj().
    ///
    /// Reads and writes through it are plain memory accesses: no lock, no wake-up, and larger
    /// ones may tear. It keeps the value open.
    ///
    /// Raises TypeError for a value not declared by a typecode or a ctypes type.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Value("i", 7).get_obj()
    /// c_int(7)
    fn get_obj<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0("_plain")
    }

    /// Return the value's lock: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait, those of increment() and the like too; reads do
    /// not, and may see what the holder has half done. `with value:` is the same lock.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value("i", 1)
    /// >>> with v.get_lock():
    /// ...     v.value += 1
    /// >>> v.value
    /// 2
    fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
        CellLock::new(Owner::Cell(slf.clone().unbind()))
    }

    /// Change the value in place: `with v.edit() as value:`. What the block made of it is stored.
    ///
    /// Holds get_lock() from before the value is read until it is stored, so that it is exact beside
    /// all other writers, who wait meanwhile. If the block raises, nothing is stored. It is for
    /// values that can be changed in place: a list, an array, an object, a Structure. To assign to
    /// the name in the block has no effect.
    ///
    /// Raises TypeError, before the block, for a value that cannot be changed in place, nor anything in
    /// it: a number, a text, None, a datetime, a tuple of these. mutate() replaces such a value. Raises
    /// what reading and storing raise, which leaves the old value. A process killed in the block has
    /// stored nothing, and the lock is free again.
    ///
    /// >>> import courtyard as cy
    /// >>> v = cy.Value(object, {"seen": []})
    /// >>> with v.edit() as value:
    /// ...     value["seen"].append("a")
    /// >>> v.value
    /// {'seen': ['a']}
    fn edit(slf: &Bound<'_, Self>) -> PyResult<Edit> {
        let py = slf.py();
        let lock = match slf.get_type().getattr_opt(intern!(py, "_given_lock"))? {
            Some(given) => given.call_method1(intern!(py, "__get__"), (slf,))?,
            None => Bound::new(py, GuardedCell::get_lock(slf))?.into_any(),
        };
        Ok(Edit::new(lock, OfCell(slf.clone().unbind())))
    }
}

struct OfCell(Py<GuardedCell>);

impl Place for OfCell {
    fn read<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let value = self.0.bind(py).as_super().get().get(py)?;
        Ok(value.into_bound(py))
    }

    fn store(&self, value: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.bind(value.py()).as_super().get().set(value)
    }
}

/// Whose lock a `CellLock` is.
pub enum Owner {
    Cell(Py<GuardedCell>),
    Vector(Py<GuardedVector>),
    Table(Py<Table>),
    Sequence(Py<Sequence>),
}

/// The lock of a `Value`, an `Array`, a `Dict` or a `List`: recursive, owned by a thread of a process, free when that
/// dies.
// As errors name it: users know no class of it, only that it is a lock, as `_thread.lock`.
#[pyclass(frozen, weakref, name = "lock", module = "courtyard")]
pub struct CellLock {
    owner: Owner,
}

impl CellLock {
    pub fn new(owner: Owner) -> CellLock {
        CellLock { owner }
    }

    fn handle<'a>(&'a self, py: Python<'a>) -> &'a Handle {
        match &self.owner {
            Owner::Cell(cell) => &cell.bind(py).as_super().get().handle,
            Owner::Vector(vector) => &vector.bind(py).as_super().get().handle,
            Owner::Table(table) => &table.bind(py).as_super().get().handle,
            Owner::Sequence(sequence) => &sequence.bind(py).as_super().get().handle,
        }
    }

    fn give(&self, py: Python<'_>) -> PyResult<()> {
        match &self.owner {
            Owner::Table(owner) => table::release(owner.bind(py)),
            _ => release(py, self.handle(py)),
        }
    }

    fn take(&self, py: Python<'_>, deadline: Option<Deadline>) -> PyResult<bool> {
        match &self.owner {
            Owner::Table(owner) => table::acquire(owner.bind(py), deadline),
            _ => acquire(py, self.handle(py), deadline),
        }
    }

    fn object<'a, 'py>(&'a self, py: Python<'py>) -> &'a Bound<'py, PyAny> {
        match &self.owner {
            Owner::Cell(cell) => cell.bind(py).as_any(),
            Owner::Vector(vector) => vector.bind(py).as_any(),
            Owner::Table(table) => table.bind(py).as_any(),
            Owner::Sequence(sequence) => sequence.bind(py).as_any(),
        }
    }
}

#[pymethods]
impl CellLock {
    /// Acquire the lock; return whether that succeeded.
    ///
    /// As threading.RLock: blocking=True waits, up to timeout seconds if that is not -1; `block`
    /// is another name of blocking. The lock of a killed process is acquired from it, and
    /// `recovered` is then true until the release. Ctrl-C works while waiting.
    ///
    /// Raises ValueError for a timeout with blocking=False, or a negative one.
    ///
    /// >>> import courtyard as cy
    /// >>> lock = cy.Value("i").get_lock()
    /// >>> lock.acquire(), lock.acquire(timeout=1), lock.release(), lock.release()
    /// (True, True, None, None)
    #[pyo3(
        signature = (blocking=None, timeout=None, *, block=None),
        text_signature = "($self, /, blocking=True, timeout=-1, *, block=True)"
    )]
    fn acquire(
        &self,
        py: Python<'_>,
        blocking: Option<Truth>,
        timeout: Option<f64>,
        block: Option<Truth>,
    ) -> PyResult<bool> {
        let deadline = acquire_deadline(self.object(py), blocking, timeout, block)?;
        self.take(py, deadline)
    }

    /// Release the lock once. Raises RuntimeError if this thread does not hold it.
    fn release(&self, py: Python<'_>) -> PyResult<()> {
        self.give(py)
    }

    fn __enter__(&self, py: Python<'_>) -> PyResult<bool> {
        self.take(py, Some(Deadline::NEVER))
    }

    #[pyo3(signature = (*_exception))]
    fn __exit__(
        &self,
        py: Python<'_>,
        _exception: &Bound<'_, pyo3::types::PyTuple>,
    ) -> PyResult<()> {
        self.give(py)
    }

    /// Whether the holder before this one died: look after what it left half done.
    #[getter]
    fn recovered(&self, py: Python<'_>) -> PyResult<bool> {
        let handle = self.handle(py);
        let participant = handle.open(py)?;
        let segment = &handle.space.segment;
        Ok(cell::is_recovered(segment, &participant, writer(handle)))
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("<courtyard lock of {}>", self.object(py).repr()?))
    }
}
