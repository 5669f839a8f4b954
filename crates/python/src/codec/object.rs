//! Looking into Python's own objects without their methods: no Python code runs in here, so
//! nothing changes while the GIL is held.

use pyo3::ffi;
use pyo3::prelude::*;

/// An object that its container, or our caller, keeps alive.
pub type Object<'a, 'py> = Borrowed<'a, 'py, PyAny>;

/// What pickle has in mind when it calls an object a plain one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Class {
    None,
    Bool,
    Int,
    Float,
    Complex,
    Text,
    Bytes,
    ByteArray,
    Tuple,
    List,
    Dict,
    Set,
    FrozenSet,
    Foreign,
}

/// By the exact type; a subclass is foreign.
#[inline(always)]
pub fn class(object: Object) -> Class {
    let exact = object.get_type_ptr().cast_const();
    if exact == &raw const ffi::PyUnicode_Type {
        Class::Text
    } else if exact == &raw const ffi::PyLong_Type {
        Class::Int
    } else if exact == &raw const ffi::PyFloat_Type {
        Class::Float
    } else if exact == &raw const ffi::PyDict_Type {
        Class::Dict
    } else if exact == &raw const ffi::PyList_Type {
        Class::List
    } else if exact == &raw const ffi::PyTuple_Type {
        Class::Tuple
    } else if exact == &raw const ffi::PyBytes_Type {
        Class::Bytes
    } else if exact == &raw const ffi::PyBool_Type {
        Class::Bool
    } else if object.is_none() {
        Class::None
    } else if exact == &raw const ffi::PySet_Type {
        Class::Set
    } else if exact == &raw const ffi::PyFrozenSet_Type {
        Class::FrozenSet
    } else if exact == &raw const ffi::PyByteArray_Type {
        Class::ByteArray
    } else if exact == &raw const ffi::PyComplex_Type {
        Class::Complex
    } else {
        Class::Foreign
    }
}

/// Whether another container may hold it too: what is referred to once is met once.
#[inline(always)]
pub fn is_shared(object: Object) -> bool {
    // SAFETY: alive, and the GIL is held.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) > 1 }
}

#[inline(always)]
pub fn is_true(object: Object) -> bool {
    // SAFETY: a singleton that lives for ever.
    object.as_ptr() == unsafe { ffi::Py_True() }
}

#[inline(always)]
pub fn float(object: Object) -> f64 {
    // SAFETY: an exact float.
    unsafe { ffi::PyFloat_AS_DOUBLE(object.as_ptr()) }
}

pub fn complex(object: Object) -> [f64; 2] {
    let object = object.as_ptr();
    // SAFETY: an exact complex number.
    let real = unsafe { ffi::PyComplex_RealAsDouble(object) };
    // SAFETY: as above.
    [real, unsafe { ffi::PyComplex_ImagAsDouble(object) }]
}

/// The number, if 64 bits hold it.
#[inline(always)]
pub fn integer(object: Object) -> Option<i64> {
    let mut overflow = 0;
    // SAFETY: an exact int, for which this raises nothing.
    let number = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &mut overflow) };
    (overflow == 0).then_some(number)
}

#[inline(always)]
fn bytes_at<'a>(start: *const u8, length: ffi::Py_ssize_t) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: both came from one object, which outlives 'a and does not change meanwhile.
    unsafe { std::slice::from_raw_parts(start, length as usize) }
}

/// The content of exact bytes.
#[inline(always)]
pub fn bytes<'a>(object: Object<'a, '_>) -> &'a [u8] {
    // SAFETY: exact bytes.
    let start = unsafe { ffi::PyBytes_AS_STRING(object.as_ptr()) };
    // SAFETY: as above.
    let length = unsafe { ffi::Py_SIZE(object.as_ptr()) };
    bytes_at(start.cast(), length)
}

/// The content of an exact bytearray: as long as no Python code runs, or its buffer is held.
pub fn array<'a>(object: Object<'a, '_>) -> &'a [u8] {
    // SAFETY: an exact bytearray.
    let start = unsafe { ffi::PyByteArray_AS_STRING(object.as_ptr()) };
    // SAFETY: as above.
    let length = unsafe { ffi::PyByteArray_GET_SIZE(object.as_ptr()) };
    bytes_at(start.cast(), length)
}

/// The code units of a text (PEP 393), and how wide they are.
pub struct Text<'a> {
    pub is_ascii: bool,
    pub width: usize,
    pub units: &'a [u8],
}

/// The content of an exact str. None: there was no memory to make a legacy one ready.
#[inline(always)]
pub fn text<'a>(object: Object<'a, '_>) -> Option<Text<'a>> {
    let object = object.as_ptr();
    // SAFETY: an exact str; only before Python 3.12 this does anything.
    if unsafe { ffi::PyUnicode_READY(object) } != 0 {
        return None;
    }
    // SAFETY: an exact str that is ready.
    let width = unsafe { ffi::PyUnicode_KIND(object) } as usize;
    // SAFETY: as above.
    let start = unsafe { ffi::PyUnicode_DATA(object) }.cast::<u8>();
    // SAFETY: as above.
    let length = unsafe { ffi::PyUnicode_GET_LENGTH(object) };
    let units = bytes_at(start, length * width as ffi::Py_ssize_t);
    // In a compact ASCII text, and in no other, the units follow the shortest head.
    let head = size_of::<ffi::PyASCIIObject>();
    let is_compact = start as usize - object as usize == head;
    Some(Text {
        is_ascii: is_compact || width == 1 && units.is_ascii(),
        width,
        units,
    })
}

#[inline(always)]
pub fn tuple_length(tuple: Object) -> usize {
    // SAFETY: an exact tuple.
    unsafe { ffi::PyTuple_GET_SIZE(tuple.as_ptr()) as usize }
}

/// An item of an exact tuple.
///
/// # Safety
/// `index` is below its length.
#[inline(always)]
pub unsafe fn tuple_item<'a, 'py>(tuple: Object<'a, 'py>, index: usize) -> Object<'a, 'py> {
    // SAFETY: the caller's word.
    let item = unsafe { ffi::PyTuple_GET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t) };
    // SAFETY: the tuple keeps its item alive.
    unsafe { Borrowed::from_ptr(tuple.py(), item) }
}

#[inline(always)]
pub fn list_length(list: Object) -> usize {
    // SAFETY: an exact list.
    unsafe { ffi::PyList_GET_SIZE(list.as_ptr()) as usize }
}

/// An item of an exact list, alive as long as no Python code runs.
///
/// # Safety
/// `index` is below its length.
#[inline(always)]
pub unsafe fn list_item<'a, 'py>(list: Object<'a, 'py>, index: usize) -> Object<'a, 'py> {
    // SAFETY: the caller's word.
    let item = unsafe { ffi::PyList_GET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t) };
    // SAFETY: the list keeps its item alive.
    unsafe { Borrowed::from_ptr(list.py(), item) }
}

pub fn dict_length(dict: Object) -> usize {
    // SAFETY: an exact dict.
    unsafe { ffi::PyDict_Size(dict.as_ptr()) as usize }
}

/// The next key and value of an exact dict, in order, alive as long as no Python code runs.
#[inline(always)]
pub fn dict_next<'a, 'py>(
    dict: Object<'a, 'py>,
    position: &mut ffi::Py_ssize_t,
) -> Option<(Object<'a, 'py>, Object<'a, 'py>)> {
    let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: an exact dict; `position` is 0 at first and changed by this alone.
    if unsafe { ffi::PyDict_Next(dict.as_ptr(), position, &mut key, &mut value) } == 0 {
        return None;
    }
    // SAFETY: the dict keeps both alive.
    let key = unsafe { Borrowed::from_ptr(dict.py(), key) };
    // SAFETY: as above.
    Some((key, unsafe { Borrowed::from_ptr(dict.py(), value) }))
}

pub fn set_length(set: Object) -> usize {
    // SAFETY: an exact set or frozenset.
    unsafe { ffi::PySet_Size(set.as_ptr()) as usize }
}

/// An iterator over an exact set or frozenset.
///
/// # Errors
/// `MemoryError`.
pub fn set_iterator<'py>(set: Object<'_, 'py>) -> PyResult<Bound<'py, PyAny>> {
    // The collector, which a new object may set off, could run Python code.
    // SAFETY: the GIL is held.
    let was_enabled = unsafe { ffi::PyGC_Disable() };
    // SAFETY: alive.
    let iterator = unsafe { ffi::PyObject_GetIter(set.as_ptr()) };
    if was_enabled != 0 {
        // SAFETY: the GIL is held.
        unsafe { ffi::PyGC_Enable() };
    }
    // SAFETY: a new reference, or null with an exception.
    unsafe { Bound::from_owned_ptr_or_err(set.py(), iterator) }
}

/// The next member, alive as long as no Python code runs.
pub fn set_next<'a, 'py>(
    set: Object<'a, 'py>,
    iterator: &Bound<'py, PyAny>,
) -> Option<Object<'a, 'py>> {
    // SAFETY: the iterator of a set that nobody changes meanwhile: it raises nothing.
    let member = unsafe { ffi::PyIter_Next(iterator.as_ptr()) };
    if member.is_null() {
        return None;
    }
    // SAFETY: our reference; the set has its own. Ours would make `is_shared` true of all members.
    unsafe { ffi::Py_DECREF(member) };
    // SAFETY: the set keeps its member alive.
    Some(unsafe { Borrowed::from_ptr(set.py(), member) })
}
