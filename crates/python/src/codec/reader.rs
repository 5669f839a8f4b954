//! The native form back into objects. The bytes may be anybody's: each count is compared with what
//! is left to read, and nothing is hashed that is not whole.

use super::buffer::{Pieces, WRITABLE};
use super::memo::{DEPTH, Extent, is_bearable};
use super::short::{LONGEST, Short};
use super::{create, integer, key, tag};
use crate::room;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBool;

struct Named<'py> {
    object: Bound<'py, PyAny>,
    extent: Extent,
}

/// Reads one object.
pub struct Reader<'a, 'py> {
    py: Python<'py>,
    input: &'a [u8],
    at: usize,
    /// Objects that references may name.
    named: Vec<Named<'py>>,
    outside: Option<Pieces<'a>>,
    /// Buffers that were read.
    taken: usize,
    links: &'a [Py<PyAny>],
    depth: u32,
    extent: Extent,
    work: u64,
    /// What ended it: an exception, or else broken bytes.
    raised: Option<PyErr>,
    broken: &'static str,
}

/// An item, or nothing after `raised` or `broken` was set.
type Item<'py> = Option<Bound<'py, PyAny>>;

impl<'a, 'py> Reader<'a, 'py> {
    pub fn new(
        py: Python<'py>,
        input: &'a [u8],
        outside: Option<Pieces<'a>>,
        links: &'a [Py<PyAny>],
    ) -> Reader<'a, 'py> {
        Reader {
            py,
            input,
            at: 0,
            named: Vec::new(),
            outside,
            taken: 0,
            links,
            depth: 0,
            extent: Extent::default(),
            work: 0,
            raised: None,
            broken: "",
        }
    }

    /// Reads the whole of it.
    ///
    /// # Errors
    /// What was raised, or what is broken and where.
    pub fn read(mut self) -> Result<Bound<'py, PyAny>, Result<PyErr, String>> {
        let item = self.item(0);
        let buffers = self
            .outside
            .as_ref()
            .map_or(0, |outside| outside.buffers.len());
        match (item, self.raised.take()) {
            (Some(_), None) if self.at < self.input.len() => self.broken = "more than one value",
            (Some(_), None) if self.taken < buffers => self.broken = "a buffer that nobody names",
            (Some(item), None) => return Ok(item),
            (_, Some(error)) => return Err(Ok(error)),
            (None, None) => {}
        }
        Err(Err(format!("{} at byte {}", self.broken, self.at)))
    }

    #[cold]
    fn fail<T>(&mut self, what: &'static str) -> Option<T> {
        self.broken = what;
        None
    }

    #[inline(always)]
    fn made<T>(&mut self, made: PyResult<T>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                self.raised = Some(error);
                None
            }
        }
    }

    #[inline(always)]
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let Some(bytes) = self.input[self.at..].get(..count) else {
            return self.fail("too few bytes");
        };
        self.at += count;
        Some(bytes)
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some(bytes) = self.input[self.at..].first_chunk::<N>() else {
            return self.fail("too few bytes");
        };
        self.at += N;
        Some(*bytes)
    }

    #[inline(always)]
    fn number(&mut self) -> Option<usize> {
        let [first] = self.array()?;
        if first < 128 {
            Some(usize::from(first))
        } else {
            self.long_number(first)
        }
    }

    #[cold]
    fn long_number(&mut self, first: u8) -> Option<usize> {
        let (mut number, mut shift) = (usize::from(first & 127), 7);
        loop {
            let [byte] = self.array()?;
            if shift > 56 {
                return self.fail("a number of more than 63 bits");
            }
            number |= usize::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return Some(number);
            }
        }
    }

    /// How many items follow, each of at least `least` bytes, when `after` bytes more are owed to
    /// the containers around: so all containers being read have room for no more than was sent.
    #[inline(always)]
    fn count(&mut self, least: usize, after: usize) -> Option<usize> {
        let count = self.number()?;
        let left = (self.input.len() - self.at).saturating_sub(after);
        if count > left / least {
            return self.fail("a count larger than what follows");
        }
        Some(count)
    }

    #[inline(always)]
    fn remember(&mut self, tag: u8, object: &Bound<'py, PyAny>, extent: Extent) -> Option<()> {
        match tag & tag::NAMED {
            0 => Some(()),
            _ => self.name(object.clone(), extent),
        }
    }

    #[inline(never)]
    fn name(&mut self, object: Bound<'py, PyAny>, extent: Extent) -> Option<()> {
        if self.named.capacity() == 0 {
            self.named.reserve(32);
        }
        let pushed = room::push(&mut self.named, Named { object, extent });
        self.made(pushed)
    }

    #[inline(always)]
    fn item(&mut self, after: usize) -> Item<'py> {
        let [tag] = self.array()?;
        let object = match tag & !tag::NAMED {
            tag::ASCII => self.ascii()?,
            tag::INTEGER_1 => {
                let [byte] = self.array()?;
                self.integer(i64::from(byte as i8))?
            }
            tag::INTEGER_2 => {
                let bytes = self.array()?;
                self.integer(i64::from(i16::from_le_bytes(bytes)))?
            }
            tag::INTEGER_4 => {
                let bytes = self.array()?;
                self.integer(i64::from(i32::from_le_bytes(bytes)))?
            }
            tag::INTEGER_8 => {
                let bytes = self.array()?;
                self.integer(i64::from_le_bytes(bytes))?
            }
            tag::FLOAT => {
                let bytes = self.array()?;
                let made = create::float(self.py, f64::from_ne_bytes(bytes));
                self.made(made)?
            }
            tag::NONE => self.py.None().into_bound(self.py),
            known @ (tag::FALSE | tag::TRUE) => PyBool::new(self.py, known == tag::TRUE)
                .to_owned()
                .into_any(),
            tag::REFERENCE => return self.reference(),
            tag::TUPLE | tag::LIST | tag::DICT | tag::SET | tag::FROZENSET => {
                return self.container(tag, after);
            }
            other => self.other(other)?,
        };
        self.remember(tag, &object, Extent::default())?;
        Some(object)
    }

    #[inline(always)]
    fn integer(&mut self, number: i64) -> Item<'py> {
        let made = create::integer(self.py, number);
        self.made(made)
    }

    /// A new reference, or null with an exception.
    #[inline(always)]
    fn owned(&mut self, object: *mut ffi::PyObject) -> Item<'py> {
        // SAFETY: our callers pass just that.
        let object = unsafe { Bound::from_owned_ptr_or_err(self.py, object) };
        self.made(object)
    }

    #[inline(always)]
    fn text(&mut self, tag: u8) -> Item<'py> {
        let length = self.number()?;
        let bytes = self.take(length)?;
        let text = create::text(self.py, tag, length, |to| to.copy_from_slice(bytes));
        match self.made(text)? {
            Some(text) => Some(text),
            None => self.fail("a text of units that are not of its kind"),
        }
    }

    #[inline(always)]
    fn ascii(&mut self) -> Item<'py> {
        let length = self.number()?;
        let bytes = self.take(length)?;
        let text = match Short::new(bytes) {
            Some(bytes) => create::short(self.py, bytes),
            None => create::text(self.py, tag::ASCII, length, |to| to.copy_from_slice(bytes)),
        };
        match self.made(text)? {
            Some(text) => Some(text),
            None => self.fail("a text of units that are not of its kind"),
        }
    }

    #[inline(never)]
    fn other(&mut self, tag: u8) -> Item<'py> {
        match tag {
            tag::LATIN | tag::WIDE_2 | tag::WIDE_4 => self.text(tag),
            tag::BYTES | tag::BYTEARRAY => {
                let length = self.number()?;
                let bytes = self.take(length)?;
                let fill = |to: &mut [u8]| to.copy_from_slice(bytes);
                let made = if tag == tag::BYTES {
                    create::bytes(self.py, length, fill)
                } else {
                    create::bytearray(self.py, length, fill)
                };
                self.made(made)
            }
            tag::INTEGER => {
                let length = self.number()?;
                let bytes = self.take(length)?;
                let made = integer::from_bytes(self.py, bytes);
                self.made(made)
            }
            tag::COMPLEX => {
                let (real, imaginary) = (self.array()?, self.array()?);
                let (real, imaginary) = (f64::from_ne_bytes(real), f64::from_ne_bytes(imaginary));
                let made = create::complex(self.py, real, imaginary);
                self.made(made)
            }
            tag::LINK => {
                let number = self.number()?;
                match self.links.get(number) {
                    Some(link) => Some(link.bind(self.py).clone()),
                    None => self.fail("a link to an object that is not there"),
                }
            }
            tag if tag & tag::OUTSIDE != 0 => self.buffer(tag & !tag::OUTSIDE),
            _ => self.fail("an unknown tag"),
        }
    }

    /// A text or bytes in the next buffer.
    fn buffer(&mut self, tag: u8) -> Item<'py> {
        let py = self.py;
        let next = self.outside.as_ref().and_then(|outside| {
            let (offset, word) = *outside.buffers.get(self.taken)?;
            Some((outside.source, offset, (word & !WRITABLE) as usize))
        });
        let Some((source, offset, length)) = next else {
            return self.fail("a buffer that is not there");
        };
        self.taken += 1;
        let fill = |to: &mut [u8]| source.copy(py, offset, to);
        let made = match tag {
            tag::BYTES => create::bytes(py, length, fill).map(Some),
            tag::BYTEARRAY => create::bytearray(py, length, fill).map(Some),
            tag::ASCII | tag::LATIN | tag::WIDE_2 | tag::WIDE_4 => {
                create::text(py, tag, length, fill)
            }
            _ => return self.fail("an unknown tag"),
        };
        match self.made(made)? {
            Some(made) => Some(made),
            None => self.fail("a text of units that are not of its kind"),
        }
    }

    #[inline(always)]
    fn reference(&mut self) -> Item<'py> {
        let number = self.number()?;
        let Some(Named { object, extent }) = self.named.get(number) else {
            return self.fail("a reference to what was not met");
        };
        self.extent = self.extent.beside(*extent);
        Some(object.clone())
    }

    fn container(&mut self, tag: u8, after: usize) -> Item<'py> {
        if self.depth == DEPTH {
            return self.fail("containers too deep inside one another");
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.extent);
        let made = match tag & !tag::NAMED {
            tag::TUPLE => self.tuple(tag, after),
            tag::LIST => self.list(tag, after),
            tag::DICT => self.dict(tag, after),
            tag::SET => self.set(tag, after),
            _ => self.frozenset(tag, after),
        };
        self.extent = outer.beside(self.extent);
        self.depth -= 1;
        made
    }

    fn list(&mut self, tag: u8, after: usize) -> Item<'py> {
        let count = self.count(1, after)?;
        // SAFETY: a length that is bounded by what follows.
        let list = unsafe { ffi::PyList_New(count as ffi::Py_ssize_t) };
        let list = self.owned(list)?;
        self.remember(tag, &list, Extent::default())?;
        for index in 0..count {
            let item = self.item(after + (count - 1 - index))?.into_ptr();
            // SAFETY: an empty place of a new list, which takes the reference over.
            unsafe { ffi::PyList_SET_ITEM(list.as_ptr(), index as ffi::Py_ssize_t, item) };
        }
        self.extent = Extent::default(); // lists have no hash
        Some(list)
    }

    fn tuple(&mut self, tag: u8, after: usize) -> Item<'py> {
        let count = self.count(1, after)?;
        // SAFETY: a length that is bounded by what follows.
        let tuple = unsafe { ffi::PyTuple_New(count as ffi::Py_ssize_t) };
        let tuple = self.owned(tuple)?;
        for index in 0..count {
            let item = self.item(after + (count - 1 - index))?.into_ptr();
            // SAFETY: an empty place of a new tuple, which takes the reference over.
            unsafe { ffi::PyTuple_SET_ITEM(tuple.as_ptr(), index as ffi::Py_ssize_t, item) };
        }
        self.close(tag, tuple, count)
    }

    /// Ends a tuple or frozenset, which references may name from here on.
    fn close(&mut self, tag: u8, object: Bound<'py, PyAny>, count: usize) -> Item<'py> {
        self.extent = self.extent.around(count);
        if self.extent.height > DEPTH {
            return self.fail("tuples too deep inside one another");
        }
        self.remember(tag, &object, self.extent)?;
        Some(object)
    }

    fn dict(&mut self, tag: u8, after: usize) -> Item<'py> {
        let count = self.count(2, after)?;
        // SAFETY: the GIL is held.
        let dict = unsafe { ffi::PyDict_New() };
        let dict = self.owned(dict)?;
        self.remember(tag, &dict, Extent::default())?;
        for index in 0..count {
            let after = after + 2 * (count - 1 - index);
            let key = self.key(after + 1)?;
            let value = self.item(after)?;
            // SAFETY: an exact dict; a key whose hash is Python's own.
            let done = unsafe { ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) };
            self.hashed(done)?;
        }
        // SAFETY: an exact dict.
        let length = unsafe { ffi::PyDict_Size(dict.as_ptr()) };
        self.extent = Extent::default();
        self.complete(dict, length, count)
    }

    /// Fails if something was added that has no hash.
    #[inline(always)]
    fn hashed(&mut self, done: i32) -> Option<()> {
        if done == 0 { Some(()) } else { self.unhashed() }
    }

    #[cold]
    fn unhashed(&mut self) -> Option<()> {
        let error = PyErr::fetch(self.py);
        if error.is_instance_of::<PyTypeError>(self.py) {
            return self.fail("a key without a hash");
        }
        self.raised = Some(error);
        None
    }

    /// Fails if a key was there twice.
    fn complete(
        &mut self,
        object: Bound<'py, PyAny>,
        length: ffi::Py_ssize_t,
        count: usize,
    ) -> Item<'py> {
        if length as usize == count {
            Some(object)
        } else {
            self.fail("a key that is there twice")
        }
    }

    /// An item that will be hashed.
    #[inline(always)]
    fn key(&mut self, after: usize) -> Item<'py> {
        if let Some(&[tag, length, ..]) = self.input.get(self.at..)
            && tag & !tag::NAMED == tag::ASCII
            && usize::from(length) <= LONGEST
        {
            self.at += 2;
            let bytes = self.take(usize::from(length))?;
            let made = match Short::new(bytes) {
                Some(bytes) => key::get(self.py, bytes),
                None => Ok(None),
            };
            let Some(made) = self.made(made)? else {
                return self.fail("a text of units that are not of its kind");
            };
            self.remember(tag, &made, Extent::default())?;
            return Some(made);
        }
        let before = std::mem::take(&mut self.extent);
        let made = self.item(after)?;
        self.work += u64::from(self.extent.weight);
        if !is_bearable(self.work, self.input.len()) {
            return self.fail("keys that take too long to hash");
        }
        self.extent = before.beside(self.extent);
        Some(made)
    }

    fn set(&mut self, tag: u8, after: usize) -> Item<'py> {
        // SAFETY: no content.
        let set = unsafe { ffi::PySet_New(std::ptr::null_mut()) };
        let set = self.owned(set)?;
        self.remember(tag, &set, Extent::default())?;
        let (set, _) = self.members(set, after)?;
        self.extent = Extent::default();
        Some(set)
    }

    fn frozenset(&mut self, tag: u8, after: usize) -> Item<'py> {
        // SAFETY: no content.
        let set = unsafe { ffi::PyFrozenSet_New(std::ptr::null_mut()) };
        let set = self.owned(set)?;
        let (set, count) = self.members(set, after)?;
        self.close(tag, set, count)
    }

    fn members(
        &mut self,
        set: Bound<'py, PyAny>,
        after: usize,
    ) -> Option<(Bound<'py, PyAny>, usize)> {
        let count = self.count(1, after)?;
        for index in 0..count {
            let member = self.key(after + (count - 1 - index))?;
            // SAFETY: a set, or a frozenset that nobody else has seen.
            let done = unsafe { ffi::PySet_Add(set.as_ptr(), member.as_ptr()) };
            self.hashed(done)?;
        }
        // SAFETY: as above.
        let length = unsafe { ffi::PySet_Size(set.as_ptr()) };
        Some((self.complete(set, length, count)?, count))
    }
}
