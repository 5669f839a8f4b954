//! Keys into their canonical form.

use super::form::{
    ASCII, BYTES, COMPLEX, DEPTH, FLOAT, FROZENSET, INTEGER, Identity, LATIN, LONGEST, NONE,
    PICKLE, TUPLE, WIDE_2, WIDE_4, too_long,
};
use super::pickle;
use crate::codec::object::{self, Class, Object};
use crate::codec::{self, Encoded, Links, integer, link};
use crate::policy;
use crate::room;
use courtyard_core::table::Key;
use pyo3::exceptions::{PyException, PyMemoryError, PyRecursionError, PyRuntimeError, PyTypeError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use std::cell::Cell;

thread_local! {
    /// Taken by whoever encodes, so that what runs inside finds none and makes its own.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// More than this is given back to the system after use.
const SCRATCH_KEPT: usize = 1 << 16;

/// Where the bytes of a key lie that has none in this form itself.
struct Room {
    short: [u8; 16],
    long: Vec<u8>,
}

impl Drop for Room {
    #[inline(always)]
    fn drop(&mut self) {
        if self.long.capacity() > 0 {
            self.give_back();
        }
    }
}

/// Why an object has no canonical form.
enum Stop {
    /// It takes Python code, which is not to run.
    Foreign,
    /// It can be no key: it is too long, or cannot be pickled.
    Unfit(PyErr),
    Raised(PyErr),
}

impl From<PyErr> for Stop {
    fn from(error: PyErr) -> Stop {
        Stop::Raised(error)
    }
}

impl From<Stop> for PyErr {
    fn from(stop: Stop) -> PyErr {
        match stop {
            Stop::Foreign => PyRuntimeError::new_err("unreachable"),
            Stop::Unfit(error) | Stop::Raised(error) => error,
        }
    }
}

type Written<T = ()> = Result<T, Stop>;

/// Runs `work` on an object's canonical form. A text in ASCII is used where it is.
///
/// # Errors
/// `TypeError` for what has no hash, or a courtyard object; what `__hash__` or pickling raises;
/// `ValueError` for what is too long; those of `work`.
#[inline(always)]
pub fn with_key<T>(
    object: &Bound<'_, PyAny>,
    work: impl FnOnce(Identity) -> PyResult<T>,
) -> PyResult<T> {
    let mut room = Room::new();
    let identity = room.identity(object, true)?;
    if identity.key.bytes.len() > LONGEST {
        return Err(too_long());
    }
    work(identity)
}

/// As `with_key`, where a key is only looked for: None for what can be no key, as it cannot be pickled,
/// and so is nowhere.
///
/// # Errors
/// As `with_key`, but for what pickling raises.
#[inline(always)]
pub fn with_known_key<T>(
    object: &Bound<'_, PyAny>,
    work: impl FnOnce(Identity) -> PyResult<T>,
) -> PyResult<Option<T>> {
    let mut room = Room::new();
    match room.identity(object, true) {
        Ok(identity) if identity.key.bytes.len() > LONGEST => Ok(None),
        Ok(identity) => work(identity).map(Some),
        Err(Stop::Unfit(error)) => unless_unpicklable(object, error).map(|()| None),
        Err(stop) => Err(stop.into()),
    }
}

/// As `with_key`, if it takes no Python code; else None, and nothing of the object's own has run.
#[inline(always)]
pub fn with_plain_key<T>(
    object: &Bound<'_, PyAny>,
    work: impl FnOnce(Identity) -> Option<T>,
) -> Option<T> {
    let mut room = Room::new();
    let identity = room.identity(object, false).ok()?;
    (identity.key.bytes.len() <= LONGEST).then(|| work(identity))?
}

/// The error, unless it says that something with a hash cannot be pickled.
#[cold]
fn unless_unpicklable(object: &Bound<'_, PyAny>, error: PyErr) -> PyResult<()> {
    let py = object.py();
    let is = |class: Bound<'_, PyType>| error.is_instance(py, class.as_any());
    let has_another_reason = is(py.get_type::<PyMemoryError>())
        || is(py.get_type::<PyRecursionError>())
        || policy::is_refusing();
    if has_another_reason || !is(py.get_type::<PyException>()) {
        return Err(error);
    }
    object.hash().map(drop)
}

/// The key that a text is; None: the object is no text.
#[inline(always)]
pub fn text_key<'a>(object: &'a Bound<'_, PyAny>) -> Option<Key<'a>> {
    let object = object.as_borrowed();
    match object::class(object) {
        Class::Text => text(object).ok().map(|identity| identity.key),
        _ => None,
    }
    .filter(|key| key.bytes.len() <= LONGEST)
}

/// Runs `work` on the key that a text or an int is, without Python code; None: the object is neither, or too long.
#[inline(always)]
pub fn with_flat_key<T>(object: &Bound<'_, PyAny>, work: impl FnOnce(Key) -> T) -> Option<T> {
    let object = object.as_borrowed();
    let mut room = Room::new();
    let identity = match object::class(object) {
        Class::Text => text(object),
        Class::Int => room.integer(object),
        _ => return None,
    };
    let key = identity.ok()?.key;
    (key.bytes.len() <= LONGEST).then(|| work(key))
}

/// What has to be kept beside a new key, because its canonical form would not give this object back:
/// a kind and a payload of the codec's, of kind 0 a word.
///
/// # Errors
/// What pickling raises; `ValueError` for what is too long.
pub fn original(object: &Bound<'_, PyAny>, identity: &Identity) -> PyResult<Option<(u8, Vec<u8>)>> {
    if identity.is_exact {
        return Ok(None);
    }
    let (kind, payload) = match codec::encode(object, Links::Refuse)? {
        Encoded::Word(word) => (0, word.to_le_bytes().to_vec()),
        Encoded::Block(block) => (
            block.kind,
            block.with_parts(|parts, _| room::concat(parts))?,
        ),
    };
    if payload.len() > LONGEST {
        return Err(too_long());
    }
    Ok(Some((kind, payload)))
}

fn plain(tag: u8, bytes: &[u8]) -> Identity<'_> {
    Identity {
        key: Key { tag, bytes },
        is_exact: true,
        is_plain: true,
    }
}

impl Room {
    #[inline(always)]
    fn new() -> Room {
        Room {
            short: [0; 16],
            long: Vec::new(),
        }
    }

    #[cold]
    fn give_back(&mut self) {
        if self.long.capacity() <= SCRATCH_KEPT {
            SCRATCH.set(std::mem::take(&mut self.long));
        }
    }

    #[inline(always)]
    fn identity<'a>(
        &'a mut self,
        object: &'a Bound<'_, PyAny>,
        may_run: bool,
    ) -> Written<Identity<'a>> {
        let object = object.as_borrowed();
        match object::class(object) {
            Class::Text => Ok(text(object)?),
            Class::Int => Ok(self.integer(object)?),
            class => self.other(object, class, may_run),
        }
    }

    #[inline(never)]
    fn other<'a>(
        &'a mut self,
        object: Object<'a, '_>,
        exact: Class,
        may_run: bool,
    ) -> Written<Identity<'a>> {
        let class = counts_as(object, exact);
        let mut writer = Writer::new(object, may_run);
        let tag = match class {
            Class::Tuple | Class::FrozenSet => {
                writer.is_exact = class == exact;
                writer.out = SCRATCH.take();
                writer.out.clear();
                writer.container(object, class)?
            }
            Class::Foreign => {
                writer.out = writer.foreign(object, true)?;
                PICKLE
            }
            _ => {
                let leaf = self.leaf(object, class)?;
                let is_exact = leaf.is_exact && class == exact;
                return Ok(Identity { is_exact, ..leaf });
            }
        };
        self.long = writer.out;
        Ok(Identity {
            is_exact: writer.is_exact,
            is_plain: writer.is_plain,
            ..plain(tag, &self.long)
        })
    }

    /// What is neither a container nor foreign.
    #[inline(always)]
    fn leaf<'a>(&'a mut self, object: Object<'a, '_>, class: Class) -> PyResult<Identity<'a>> {
        match class {
            Class::Text => text(object),
            Class::Bytes => Ok(plain(BYTES, object::bytes(object))),
            Class::Float => self.float(object, object::float(object)),
            Class::Complex => self.complex(object),
            Class::Bool => {
                let identity = self.integer(object)?;
                Ok(inexact(identity))
            }
            Class::None => Ok(plain(NONE, &[])),
            _ => self.integer(object),
        }
    }

    fn words<const N: usize>(&mut self, tag: u8, words: [u64; N]) -> Identity<'_> {
        for (to, word) in self.short.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        plain(tag, &self.short[..8 * N])
    }

    #[inline(always)]
    fn integer(&mut self, number: Object) -> PyResult<Identity<'_>> {
        match object::integer(number) {
            Some(number) => Ok(self.words(INTEGER, [number as u64])),
            None => self.big_integer(number),
        }
    }

    #[cold]
    fn big_integer(&mut self, number: Object) -> PyResult<Identity<'_>> {
        self.long = integer::bytes(number)?;
        Ok(plain(INTEGER, &self.long))
    }

    /// A float, or the real part that is all of a complex number.
    fn float(&mut self, object: Object, value: f64) -> PyResult<Identity<'_>> {
        if !is_whole(value) {
            return Ok(self.words(FLOAT, [value.to_bits()]));
        }
        let whole = value as i64;
        if whole as f64 == value && whole < i64::MAX {
            return Ok(inexact(self.words(INTEGER, [whole as u64])));
        }
        // SAFETY: a finite number.
        let whole = unsafe { ffi::PyLong_FromDouble(value) };
        // SAFETY: a new reference, or null with an exception.
        let whole = unsafe { Bound::from_owned_ptr_or_err(object.py(), whole) }?;
        self.integer(whole.as_borrowed()).map(inexact)
    }

    fn complex(&mut self, number: Object) -> PyResult<Identity<'_>> {
        let [real, imaginary] = object::complex(number);
        if imaginary == 0.0 {
            return self.float(number, real).map(inexact);
        }
        let positive = if real == 0.0 { 0.0 } else { real };
        let is_same = positive.to_bits() == real.to_bits();
        let identity = self.words(COMPLEX, [positive.to_bits(), imaginary.to_bits()]);
        Ok(if is_same { identity } else { inexact(identity) })
    }
}

fn inexact(identity: Identity) -> Identity {
    Identity {
        is_exact: false,
        ..identity
    }
}

/// Whether it equals an integer.
pub fn is_whole(value: f64) -> bool {
    value.is_finite() && value.trunc() == value
}

#[inline(always)]
fn text<'a>(object: Object<'a, '_>) -> PyResult<Identity<'a>> {
    let Some(text) = object::text(object) else {
        return Err(PyErr::fetch(object.py()));
    };
    let tag = match (text.is_ascii, text.width) {
        (true, _) => ASCII,
        (_, 1) => LATIN,
        (_, 2) => WIDE_2,
        _ => WIDE_4,
    };
    Ok(plain(tag, text.units))
}

/// The class whose rules an object follows: its own, or that of its base. What has no hash is
/// foreign.
#[inline(always)]
fn counts_as(object: Object, exact: Class) -> Class {
    match exact {
        Class::Foreign => inherited(object),
        Class::List | Class::Dict | Class::Set | Class::ByteArray => Class::Foreign,
        _ => exact,
    }
}

fn inherited(object: Object) -> Class {
    let class = object.get_type_ptr();
    let bases = [
        (Class::Int, &raw mut ffi::PyLong_Type),
        (Class::Text, &raw mut ffi::PyUnicode_Type),
        (Class::Tuple, &raw mut ffi::PyTuple_Type),
        (Class::Bytes, &raw mut ffi::PyBytes_Type),
        (Class::Float, &raw mut ffi::PyFloat_Type),
        (Class::FrozenSet, &raw mut ffi::PyFrozenSet_Type),
        (Class::Complex, &raw mut ffi::PyComplex_Type),
    ];
    // SAFETY: both are types.
    let is_under = |base| unsafe { ffi::PyType_IsSubtype(class, base) } != 0;
    match bases.into_iter().find(|&(_, base)| is_under(base)) {
        Some((known, base))
            if is_same_hash(class, base) && is_same_eq(object.py(), class, base) =>
        {
            known
        }
        _ => Class::Foreign,
    }
}

fn is_same_hash(class: *mut ffi::PyTypeObject, base: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: a type, alive as its object is.
    let own = unsafe { (*class).tp_hash };
    // SAFETY: one of Python's own.
    let inherited = unsafe { (*base).tp_hash };
    own.map(|slot| slot as usize) == inherited.map(|slot| slot as usize)
}

/// A class that defines `__lt__` only has a slot of its own as well: then its `__eq__` is looked at.
fn is_same_eq(py: Python, class: *mut ffi::PyTypeObject, base: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: as above.
    let own = unsafe { (*class).tp_richcompare };
    // SAFETY: as above.
    let inherited = unsafe { (*base).tp_richcompare };
    if own.map(|slot| slot as usize) == inherited.map(|slot| slot as usize) {
        return true;
    }
    let eq = |class: *mut ffi::PyTypeObject| {
        // SAFETY: as above.
        let class = unsafe { Borrowed::from_ptr(py, class.cast()) };
        class.getattr(intern!(py, "__eq__"))
    };
    matches!((eq(class), eq(base)), (Ok(own), Ok(inherited)) if own.is(&inherited))
}

/// Writes containers. Python code may run meanwhile, but what is written cannot change.
struct Writer<'a, 'py> {
    key: Object<'a, 'py>,
    out: Vec<u8>,
    depth: u32,
    /// Whether Python code may run.
    may_run: bool,
    is_hashed: bool,
    is_exact: bool,
    is_plain: bool,
}

impl<'a, 'py> Writer<'a, 'py> {
    fn new(key: Object<'a, 'py>, may_run: bool) -> Writer<'a, 'py> {
        Writer {
            key,
            out: Vec::new(),
            depth: 0,
            may_run,
            is_hashed: false,
            is_exact: true,
            is_plain: true,
        }
    }

    fn head(&mut self, mut count: usize) -> Written {
        if self.out.len() + count > LONGEST {
            return Err(Stop::Unfit(too_long())); // before it is copied together
        }
        while count >= 128 {
            room::push(&mut self.out, count as u8 | 128)?;
            count >>= 7;
        }
        Ok(room::push(&mut self.out, count as u8)?)
    }

    fn leaf(&mut self, tag: u8, bytes: &[u8]) -> Written {
        room::push(&mut self.out, tag)?;
        self.head(bytes.len())?;
        Ok(room::append(&mut self.out, bytes)?)
    }

    fn item(&mut self, object: Object<'_, 'py>) -> Written {
        let exact = object::class(object);
        let class = counts_as(object, exact);
        let is_deep = self.depth == DEPTH;
        match class {
            Class::Tuple | Class::FrozenSet if !is_deep => {
                self.is_exact &= class == exact;
                let at = self.out.len();
                room::push(&mut self.out, 0)?;
                self.out[at] = self.container(object, class)?;
                Ok(())
            }
            Class::Tuple | Class::FrozenSet | Class::Foreign => {
                let pickle = self.foreign(object, !is_deep)?;
                self.leaf(PICKLE, &pickle)
            }
            _ => {
                let mut room = Room::new();
                let leaf = room.leaf(object, class)?;
                self.is_exact &= leaf.is_exact && class == exact;
                self.leaf(leaf.key.tag, leaf.key.bytes)
            }
        }
    }

    fn container(&mut self, object: Object<'_, 'py>, class: Class) -> Written<u8> {
        self.depth += 1;
        let tag = if class == Class::Tuple {
            let count = object::tuple_length(object);
            self.head(count)?;
            for index in 0..count {
                // SAFETY: below the length.
                self.item(unsafe { object::tuple_item(object, index) })?;
            }
            TUPLE
        } else {
            self.frozenset(object)?;
            FROZENSET
        };
        self.depth -= 1;
        Ok(tag)
    }

    fn frozenset(&mut self, object: Object<'_, 'py>) -> Written {
        // An exact one with the same members: a subclass may have an iterator of its own.
        // SAFETY: alive.
        let members = unsafe { ffi::PyFrozenSet_New(object.as_ptr()) };
        // SAFETY: a new reference, or null with an exception.
        let members = unsafe { Bound::from_owned_ptr_or_err(object.py(), members) }?;
        let members = members.as_borrowed();
        let count = object::set_length(members);
        self.head(count)?;
        let start = self.out.len();
        let mut ends = room::vector(count)?;
        let iterator = object::set_iterator(members)?;
        while let Some(member) = object::set_next(members, &iterator) {
            self.item(member)?;
            room::push(&mut ends, self.out.len() - start)?;
        }
        let unsorted = room::copy(&self.out[start..])?;
        self.out.truncate(start);
        let starts = std::iter::once(0).chain(ends.iter().copied());
        let ranges = starts.zip(&ends);
        let mut items = room::collect(ranges.map(|(start, &end)| &unsorted[start..end]))?;
        items.sort_unstable();
        for item in items {
            room::append(&mut self.out, item)?;
        }
        Ok(())
    }

    /// The pickle of what has a hash: as `dict` would, the whole key says whether it has one.
    /// `is_safe` to ask: of tuples too deep inside one another pickle says so, where their hash
    /// would run out of stack.
    #[cold]
    fn foreign(&mut self, object: Object<'_, 'py>, is_safe: bool) -> Written<Vec<u8>> {
        if !self.may_run {
            return Err(Stop::Foreign);
        }
        if link::is_courtyard(object) {
            let message = "a courtyard object cannot be a key: it is equal to nothing but itself, \
                           in this process; use a key that says which one it is";
            return Err(Stop::Unfit(PyTypeError::new_err(message)));
        }
        self.is_plain = false;
        if is_safe {
            self.hash()?;
        }
        let pickle = pickle::dump(&object).map_err(Stop::Unfit)?;
        self.hash()?;
        Ok(pickle)
    }

    fn hash(&mut self) -> PyResult<()> {
        if !self.is_hashed {
            self.key.hash()?;
            self.is_hashed = true;
        }
        Ok(())
    }
}
