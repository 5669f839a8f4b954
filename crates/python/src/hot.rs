//! The methods that run in tens of nanoseconds, through CPython's own calling convention.
//!
//! PyO3's convention costs 5 to 15 ns a call: as much as the operation itself. So the classes of
//! `courtyard` get method descriptors made here, which stand before the same-named methods of
//! their native bases. Each tries the one fast path and leaves everything else, waiting and
//! errors included, to that method. A descriptor checks the type of `self` before it calls.

use crate::cell::Cell;
use crate::format::{self, Format};
use crate::guard::GuardedCell;
use crate::mutex::{Mutex, RMutex};
use crate::primitive::Primitive;
use crate::queue::Queue;
use crate::semaphore::Semaphore;
use crate::table::{self, Table};
use crate::vector::{self, Vector};
use courtyard_core::cell::{DATA, change_alone};
use courtyard_core::participant::Participant;
use courtyard_core::queue::Put;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyType};
use std::ffi::{CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

pub type Object = *mut ffi::PyObject;

/// `self` as the native class whose layout it has.
///
/// # Safety
/// `slf` is alive, an instance of `T`'s Python class, and the GIL is held.
#[inline(always)]
pub unsafe fn native<'a, T: pyo3::PyClass<Frozen = pyo3::pyclass::boolean_struct::True> + Sync>(
    slf: Object,
) -> &'a T {
    let py = held();
    // SAFETY: the caller keeps `slf` alive during the call.
    let object = unsafe { Borrowed::from_ptr(py, slf) };
    // SAFETY: the descriptor checked the type.
    let object = unsafe { object.cast_unchecked::<T>() };
    let native: *const T = object.get();
    // SAFETY: frozen data of an object that the caller keeps alive.
    unsafe { &*native }
}

/// Runs the general method; its result or exception becomes CPython's.
#[cold]
pub fn general(work: impl FnOnce(Python<'_>) -> PyResult<Py<PyAny>>) -> Object {
    Python::attach(|py| {
        let result = catch_unwind(AssertUnwindSafe(|| work(py))).unwrap_or_else(|_| {
            Err(pyo3::exceptions::PyRuntimeError::new_err(
                "courtyard panicked; please report it",
            ))
        });
        match result {
            Ok(object) => object.into_ptr(),
            Err(error) => {
                error.restore(py);
                ptr::null_mut()
            }
        }
    })
}

/// The GIL, which whoever calls a method holds.
#[inline(always)]
pub fn held<'py>() -> Python<'py> {
    // SAFETY: only called from methods, which the interpreter calls with the GIL.
    unsafe { Python::assume_attached() }
}

fn none() -> Object {
    held().None().into_ptr()
}

pub fn bound<'py>(py: Python<'py>, object: Object) -> Bound<'py, PyAny> {
    // SAFETY: an argument of the running call: alive, and borrowed.
    unsafe { Bound::from_borrowed_ptr(py, object) }
}

/// A scalar's bits as a new reference, for the formats met most; None for the others.
#[inline(always)]
pub fn decode(format: Format, bits: u64) -> Option<Object> {
    let number = match format {
        Format::Integer {
            width: 4,
            signed: true,
        } => i64::from(bits as i32),
        Format::Integer {
            width: 8,
            signed: true,
        }
        | Format::Exact => bits as i64,
        Format::Float { width: 8 } => {
            // SAFETY: the GIL is held; a new reference, or null with MemoryError.
            return Some(unsafe { ffi::PyFloat_FromDouble(f64::from_bits(bits)) });
        }
        _ => return None,
    };
    // SAFETY: as above.
    Some(unsafe { ffi::PyLong_FromLongLong(number) })
}

/// A Python object's bits, for exact ints and floats that convert at once; None for the others.
#[inline(always)]
pub fn encode(format: Format, value: Object) -> Option<u64> {
    match format {
        Format::Integer { .. } | Format::Exact => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyLong_CheckExact(value) } == 0 {
                return None;
            }
            let mut overflow: c_int = 0;
            // SAFETY: an exact int never raises here.
            let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(value, &raw mut overflow) };
            (overflow == 0).then_some(number as u64)
        }
        Format::Float { width: 8 } => {
            // SAFETY: alive, and the GIL is held.
            if unsafe { ffi::PyFloat_CheckExact(value) } == 0 {
                return None;
            }
            // SAFETY: an exact float.
            Some(unsafe { ffi::PyFloat_AS_DOUBLE(value) }.to_bits())
        }
        _ => None,
    }
}

impl Cell {
    /// Changes the scalar if nothing stands in the way.
    #[inline(always)]
    fn quick<T>(&self, change: impl FnOnce(u64) -> T) -> Option<T> {
        let participant: &Participant = self.handle.held()?;
        let segment = &self.handle.space.segment;
        let (cell, guarded) = (self.handle.cell, self.guarded);
        // SAFETY: the GIL is held from before this call until after it.
        unsafe { change_alone(segment, participant, cell, guarded, || change(cell + DATA)) }
    }
}

unsafe extern "C" fn cell_get(slf: Object, _: Object) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let cell: &Cell = unsafe { native(slf) };
    let width = cell.format.width();
    if width >= 4 && cell.handle.held().is_some() {
        let bits = format::load(&cell.handle.space.segment, cell.handle.cell + DATA, width);
        if let Some(object) = decode(cell.format, bits) {
            return object;
        }
    }
    general(|py| cell.get(py))
}

unsafe extern "C" fn cell_get_value(slf: Object, _: *mut c_void) -> Object {
    // SAFETY: as a method without arguments.
    unsafe { cell_get(slf, ptr::null_mut()) }
}

#[inline(always)]
fn set(cell: &Cell, value: Object) -> bool {
    let Some(bits) = encode(cell.format, value) else {
        return false;
    };
    let segment = &cell.handle.space.segment;
    cell.quick(|at| format::store(segment, at, cell.format.width(), bits))
        .is_some()
}

unsafe extern "C" fn cell_set(slf: Object, value: Object) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let cell: &Cell = unsafe { native(slf) };
    if set(cell, value) {
        return none();
    }
    general(|py| cell.set(&bound(py, value)).map(|()| py.None()))
}

unsafe extern "C" fn cell_set_value(slf: Object, value: Object, _: *mut c_void) -> c_int {
    if value.is_null() {
        let refuse = || pyo3::exceptions::PyAttributeError::new_err("value cannot be deleted");
        general(|_| Err(refuse()));
        return -1;
    }
    // SAFETY: the descriptor checked the type of `slf`.
    let cell: &Cell = unsafe { native(slf) };
    if set(cell, value) {
        return 0;
    }
    let done = general(|py| cell.set(&bound(py, value)).map(|()| py.None()));
    if done.is_null() {
        return -1;
    }
    // SAFETY: a reference of our own.
    unsafe { ffi::Py_DECREF(done) };
    0
}

/// `increment(n=1)` with at most one positional argument; keywords go the general way.
unsafe extern "C" fn cell_increment(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let cell: &Cell = unsafe { native(slf) };
    let format = cell.format;
    let argument = if count == 1 {
        // SAFETY: the interpreter passes `count` arguments.
        unsafe { *arguments }
    } else {
        ptr::null_mut()
    };
    if names.is_null() && count <= 1 && matches!(format, Format::Integer { width: 4.., .. }) {
        let step = if count == 0 {
            Some(1)
        } else {
            encode(format, argument)
        };
        let segment = &cell.handle.space.segment;
        let added = step.and_then(|step| {
            let old = cell.quick(|at| format::fetch_add(segment, at, format.width(), step))?;
            Some(old.wrapping_add(step))
        });
        match added.map(|bits| decode(format, bits).ok_or(bits)) {
            Some(Ok(object)) => return object,
            Some(Err(bits)) => return general(|py| format.decode(py, bits)),
            None => {}
        }
    }
    base_call::<Cell>(slf, c"increment", arguments, count, names)
}

/// Calls the native base's method of that name.
#[cold]
fn base_call<T: pyo3::PyTypeInfo>(
    slf: Object,
    name: &std::ffi::CStr,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    general(|py| {
        let method = py
            .get_type::<T>()
            .getattr(name.to_str().unwrap_or_default())?;
        let keywords = if names.is_null() {
            0
        } else {
            // SAFETY: a tuple.
            unsafe { ffi::PyTuple_GET_SIZE(names) }
        };
        let total = (count + keywords) as usize;
        let mut all = Vec::with_capacity(total + 1);
        all.push(slf);
        if total > 0 {
            // SAFETY: the interpreter passes that many.
            all.extend_from_slice(unsafe { std::slice::from_raw_parts(arguments, total) });
        }
        // SAFETY: `all` holds `slf`, the positional and the keyword arguments, all alive.
        let result = unsafe {
            ffi::PyObject_Vectorcall(method.as_ptr(), all.as_ptr(), (count + 1) as usize, names)
        };
        // SAFETY: a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(py, result) }.map(Bound::unbind)
    })
}

fn truth() -> Object {
    let truth: Bound<'_, PyAny> = PyBool::new(held(), true).to_owned().into_any();
    truth.into_ptr()
}

/// Calls the method of a lock's native base.
#[cold]
fn lock_call(
    mutex: &Primitive,
    slf: Object,
    name: &std::ffi::CStr,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    if mutex.kind == courtyard_core::cell::MUTEX {
        return base_call::<Mutex>(slf, name, arguments, count, names);
    }
    base_call::<RMutex>(slf, name, arguments, count, names)
}

unsafe extern "C" fn mutex_acquire(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let mutex: &Primitive = unsafe { native(slf) };
    if count == 0 && names.is_null() && mutex.quick_acquire() {
        return truth();
    }
    lock_call(mutex, slf, c"acquire", arguments, count, names)
}

unsafe extern "C" fn mutex_enter(slf: Object, _: Object) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let mutex: &Primitive = unsafe { native(slf) };
    if mutex.quick_acquire() {
        return truth();
    }
    lock_call(mutex, slf, c"__enter__", ptr::null(), 0, ptr::null_mut())
}

unsafe extern "C" fn mutex_release(slf: Object, _: Object) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let mutex: &Primitive = unsafe { native(slf) };
    if mutex.quick_release() {
        return none();
    }
    lock_call(mutex, slf, c"release", ptr::null(), 0, ptr::null_mut())
}

unsafe extern "C" fn mutex_exit(slf: Object, _: *mut Object, _: ffi::Py_ssize_t) -> Object {
    // SAFETY: as a method without arguments.
    unsafe { mutex_release(slf, ptr::null_mut()) }
}

/// A semaphore and what it has of all primitives.
///
/// # Safety
/// As `native`.
#[inline(always)]
unsafe fn semaphore<'a>(slf: Object) -> (&'a Semaphore, &'a Primitive) {
    // SAFETY: as the caller promised.
    let own: &Semaphore = unsafe { native(slf) };
    // SAFETY: a semaphore is a primitive.
    let base: &Primitive = unsafe { native(slf) };
    (own, base)
}

unsafe extern "C" fn semaphore_acquire(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { semaphore(slf) };
    if count == 0 && names.is_null() && own.quick_acquire(base) {
        return truth();
    }
    base_call::<Semaphore>(slf, c"acquire", arguments, count, names)
}

unsafe extern "C" fn semaphore_enter(slf: Object, _: Object) -> Object {
    // SAFETY: as above.
    unsafe { semaphore_acquire(slf, ptr::null(), 0, ptr::null_mut()) }
}

unsafe extern "C" fn semaphore_release(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: as above.
    let (own, base) = unsafe { semaphore(slf) };
    if count == 0 && names.is_null() && own.quick_release(base) {
        return none();
    }
    base_call::<Semaphore>(slf, c"release", arguments, count, names)
}

unsafe extern "C" fn semaphore_exit(slf: Object, _: *mut Object, _: ffi::Py_ssize_t) -> Object {
    // SAFETY: as above.
    unsafe { semaphore_release(slf, ptr::null(), 0, ptr::null_mut()) }
}

/// A queue and what it has of all primitives.
///
/// # Safety
/// As `native`.
#[inline(always)]
unsafe fn queue<'a>(slf: Object) -> (&'a Queue, &'a Primitive) {
    // SAFETY: as the caller promised.
    let own: &Queue = unsafe { native(slf) };
    // SAFETY: a queue is a primitive.
    let base: &Primitive = unsafe { native(slf) };
    (own, base)
}

unsafe extern "C" fn queue_put(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    if count == 1 && names.is_null() {
        // SAFETY: the interpreter passes `count` arguments.
        let item = bound(held(), unsafe { *arguments });
        if own.quick_put(base, &item) == Some(Put::Done) {
            return none();
        }
    }
    base_call::<Queue>(slf, c"put", arguments, count, names)
}

unsafe extern "C" fn queue_put_nowait(slf: Object, item: Object) -> Object {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    if own.quick_put(base, &bound(held(), item)) == Some(Put::Done) {
        return none();
    }
    base_call::<Queue>(slf, c"put_nowait", &raw const item, 1, ptr::null_mut())
}

/// What a fast `get` found, for CPython; None: the general way is due.
#[inline(always)]
fn queue_take(slf: Object) -> Option<Object> {
    // SAFETY: the descriptor checked the type of `slf`.
    let (own, base) = unsafe { queue(slf) };
    match own.quick_get(held(), base) {
        Some(Some(Ok(item))) => Some(item.into_ptr()),
        Some(Some(Err(error))) => Some(general(|_| Err(error))),
        _ => None,
    }
}

unsafe extern "C" fn queue_get(
    slf: Object,
    arguments: *const Object,
    count: ffi::Py_ssize_t,
    names: Object,
) -> Object {
    if count == 0
        && names.is_null()
        && let Some(item) = queue_take(slf)
    {
        return item;
    }
    base_call::<Queue>(slf, c"get", arguments, count, names)
}

unsafe extern "C" fn queue_get_nowait(slf: Object, _: Object) -> Object {
    queue_take(slf)
        .unwrap_or_else(|| base_call::<Queue>(slf, c"get_nowait", ptr::null(), 0, ptr::null_mut()))
}

fn queue_methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "put",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: queue_put,
            },
            flags: keywords,
        },
        Fast {
            name: "get",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: queue_get,
            },
            flags: keywords,
        },
        Fast {
            name: "put_nowait",
            method: ffi::PyMethodDefPointer {
                PyCFunction: queue_put_nowait,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "get_nowait",
            method: ffi::PyMethodDefPointer {
                PyCFunction: queue_get_nowait,
            },
            flags: ffi::METH_NOARGS,
        },
    ]
}

/// A method of the base and the fast function that stands before it.
struct Fast {
    name: &'static str,
    method: ffi::PyMethodDefPointer,
    flags: c_int,
}

fn cell_methods() -> [Fast; 3] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "get",
            method: ffi::PyMethodDefPointer {
                PyCFunction: cell_get,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "set",
            method: ffi::PyMethodDefPointer {
                PyCFunction: cell_set,
            },
            flags: ffi::METH_O,
        },
        Fast {
            name: "increment",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: cell_increment,
            },
            flags: keywords,
        },
    ]
}

fn semaphore_methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "acquire",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: semaphore_acquire,
            },
            flags: keywords,
        },
        Fast {
            name: "release",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: semaphore_release,
            },
            flags: keywords,
        },
        Fast {
            name: "__enter__",
            method: ffi::PyMethodDefPointer {
                PyCFunction: semaphore_enter,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__exit__",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFast: semaphore_exit,
            },
            flags: ffi::METH_FASTCALL,
        },
    ]
}

fn mutex_methods() -> [Fast; 4] {
    let keywords = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;
    [
        Fast {
            name: "acquire",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFastWithKeywords: mutex_acquire,
            },
            flags: keywords,
        },
        Fast {
            name: "release",
            method: ffi::PyMethodDefPointer {
                PyCFunction: mutex_release,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__enter__",
            method: ffi::PyMethodDefPointer {
                PyCFunction: mutex_enter,
            },
            flags: ffi::METH_NOARGS,
        },
        Fast {
            name: "__exit__",
            method: ffi::PyMethodDefPointer {
                PyCFunctionFast: mutex_exit,
            },
            flags: ffi::METH_FASTCALL,
        },
    ]
}

/// A C string that lives as long as the process, as method definitions need.
fn forever(text: String) -> *const std::ffi::c_char {
    CString::new(text).unwrap_or_default().into_raw()
}

/// The base method's signature and docstring, as CPython keeps them in one string.
fn documentation(base: &Bound<'_, PyType>, name: &str) -> PyResult<String> {
    let method = base.getattr(name)?;
    let signature: Option<String> = method.getattr("__text_signature__")?.extract()?;
    let text: Option<String> = method.getattr("__doc__")?.extract()?;
    let signature = signature.map(|signature| format!("{name}{signature}\n--\n\n"));
    Ok(signature.unwrap_or_default() + &text.unwrap_or_default())
}

fn install_methods(
    class: &Bound<'_, PyType>,
    base: &Bound<'_, PyType>,
    methods: &[Fast],
) -> PyResult<()> {
    for fast in methods {
        let definition = Box::leak(Box::new(ffi::PyMethodDef {
            ml_name: forever(fast.name.into()),
            ml_meth: fast.method,
            ml_flags: fast.flags,
            ml_doc: forever(documentation(base, fast.name)?),
        }));
        // SAFETY: the class is alive and the definition lives for ever.
        let made = unsafe { ffi::PyDescr_NewMethod(class.as_type_ptr(), definition) };
        // SAFETY: a new reference, or null with an exception set.
        let descriptor = unsafe { Bound::from_owned_ptr_or_err(class.py(), made) }?;
        class.setattr(fast.name, descriptor)?;
    }
    Ok(())
}

/// Gives a subclass of a native class with fast methods these.
#[pyfunction]
pub fn install(class: &Bound<'_, PyType>) -> PyResult<()> {
    let py = class.py();
    if class.is_subclass_of::<Table>()? {
        table::install(class);
        return Ok(());
    }
    if class.is_subclass_of::<Vector>()? {
        vector::install(class);
        return Ok(());
    }
    if class.is_subclass_of::<Mutex>()? {
        return install_methods(class, &py.get_type::<Mutex>(), &mutex_methods());
    }
    if class.is_subclass_of::<RMutex>()? {
        return install_methods(class, &py.get_type::<RMutex>(), &mutex_methods());
    }
    if class.is_subclass_of::<Queue>()? {
        return install_methods(class, &py.get_type::<Queue>(), &queue_methods());
    }
    if class.is_subclass_of::<Semaphore>()? {
        return install_methods(class, &py.get_type::<Semaphore>(), &semaphore_methods());
    }
    let base = py.get_type::<Cell>();
    if !class.is_subclass_of::<Cell>()? && !class.is_subclass_of::<GuardedCell>()? {
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "expected a subclass of a native class with fast methods",
        ));
    }
    install_methods(class, &base, &cell_methods())?;
    let text: Option<String> = base.getattr("value")?.getattr("__doc__")?.extract()?;
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: forever("value".into()),
        get: Some(cell_get_value),
        set: Some(cell_set_value),
        doc: forever(text.unwrap_or_default()),
        closure: ptr::null_mut(),
    }));
    // SAFETY: the class is alive and the definition lives for ever.
    let made = unsafe { ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition) };
    // SAFETY: a new reference, or null with an exception set.
    let descriptor = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
    class.setattr("value", descriptor)
}
