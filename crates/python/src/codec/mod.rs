//! Python objects as bytes: a word, or a kind of block and its payload.
//!
//! | kind         | payload                                                                       |
//! | ------------ | ----------------------------------------------------------------------------- |
//! | 16           | a float of 8 bytes                                                            |
//! | 17           | text in ASCII                                                                 |
//! | 18, 19, 20   | other text: its units of 1, 2 or 4 bytes, as PEP 393 has it                   |
//! | 21, 22       | bytes, a bytearray                                                            |
//! | 23           | an integer in two's complement, lowest byte first                             |
//! | 24           | the native form of any plain object (`tag`)                                   |
//! | 25           | the same, its large texts and bytes in buffers beside it (`buffer`)           |
//! | 26           | a pickle                                                                      |
//! | 27           | the same, with buffers                                                        |

pub mod buffer;
pub mod create;
mod decode;
mod encode;
pub mod failure;
mod hook;
pub mod integer;
mod key;
pub mod link;
mod memo;
mod ndarray;
pub mod object;
pub mod pickle;
pub mod pickler;
pub mod short;
mod source;
pub mod tag;
mod word;

pub use hook::{_decode, _encode, peek};
pub use link::{handle_of, is_courtyard, linked, refuse};
pub use source::{Buffers, Source, settle};
pub use word::{NONE, add as add_word, step as step_word, sum as sum_of_words};

use crate::error::named;
use buffer::{Layout, Piece, Pieces};
use decode::Reader;
use encode::{Scratch, Stop, Writer};
use object::Class;
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat};
use std::cell::Cell;

const KIND_FLOAT: u8 = 16;
const KIND_ASCII: u8 = 17;
const KIND_LATIN: u8 = 18;
const KIND_WIDE_2: u8 = 19;
const KIND_WIDE_4: u8 = 20;
const KIND_BYTES: u8 = 21;
const KIND_BYTEARRAY: u8 = 22;
const KIND_INTEGER: u8 = 23;
const KIND_NATIVE: u8 = 24;
const KIND_NATIVE_BUFFERS: u8 = 25;
const KIND_PICKLE: u8 = 26;
const KIND_PICKLE_BUFFERS: u8 = 27;

/// Whether a payload of this kind runs code when it is decoded.
pub fn is_pickle(kind: u8) -> bool {
    matches!(kind, KIND_PICKLE | KIND_PICKLE_BUFFERS)
}

/// Whether decoding a payload of this kind runs code, and so may fail: of the codec's own kinds.
pub fn may_fail(kind: u8) -> bool {
    is_pickle(kind) || kind == crate::reference::LINKED
}

/// What to do with courtyard objects in a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Raise `CourtyardError`: in a key, where nothing would keep them alive.
    Refuse,
    /// List them for the caller, who keeps them.
    Keep,
}

/// An object, encoded.
pub enum Encoded<'a, 'py> {
    Word(u64),
    Block(Block<'a, 'py>),
}

enum Main<'a, 'py> {
    Short([u8; 8]),
    Made(Vec<u8>),
    /// The value's own memory.
    Value(&'a [u8]),
    View(buffer::View<'py>),
    Scratch(Box<Scratch>),
    Pickle(Bound<'py, PyBytes>),
}

/// A payload, not copied together yet.
pub struct Block<'a, 'py> {
    pub kind: u8,
    main: Option<Main<'a, 'py>>,
    buffers: Vec<Piece<'py>>,
    layout: Option<Layout>,
    /// The courtyard objects that the payload refers to, by their place in this list.
    pub links: Vec<Py<PyAny>>,
}

thread_local! {
    /// Taken by whoever encodes, so that what runs inside finds none and makes its own.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// More than this is given back to the system after use.
const SCRATCH_KEPT: usize = 1 << 20;

impl<'a, 'py> Block<'a, 'py> {
    fn new(kind: u8, main: Main<'a, 'py>) -> Block<'a, 'py> {
        Block {
            kind,
            main: Some(main),
            buffers: Vec::new(),
            layout: None,
            links: Vec::new(),
        }
    }

    /// With buffers the kind is the next one.
    fn beside(mut self, buffers: Vec<Piece<'py>>, links: Vec<Py<PyAny>>) -> Block<'a, 'py> {
        self.links = links;
        if !buffers.is_empty() {
            self.kind += 1;
            self.layout = Some(Layout::new(self.main(), &buffers));
            self.buffers = buffers;
        }
        self
    }

    fn main(&self) -> &[u8] {
        match &self.main {
            Some(Main::Short(bytes)) => bytes,
            Some(Main::Made(bytes)) => bytes,
            Some(Main::Value(bytes)) => bytes,
            Some(Main::View(view)) => view.bytes(),
            Some(Main::Scratch(scratch)) => &scratch.bytes,
            Some(Main::Pickle(bytes)) => bytes.as_bytes(),
            None => &[],
        }
    }

    /// Hands the payload over in parts, to be copied one after another: each but the last is whole
    /// words. They are the object's own memory where they are large.
    pub fn with_parts<T>(&self, copy: impl FnOnce(&[&[u8]], u64) -> T) -> T {
        let Some(layout) = &self.layout else {
            let main = self.main();
            return copy(&[main], main.len() as u64);
        };
        let parts = layout.parts(self.main(), &self.buffers);
        let length = parts.iter().map(|part| part.len() as u64).sum();
        copy(&parts, length)
    }
}

impl Drop for Block<'_, '_> {
    fn drop(&mut self) {
        if let Some(Main::Scratch(scratch)) = self.main.take()
            && scratch.bytes.capacity() <= SCRATCH_KEPT
        {
            SCRATCH.set(Some(scratch));
        }
    }
}

/// The object as a word, if it fits one.
#[inline]
pub fn encode_word(value: &Bound<'_, PyAny>) -> Option<u64> {
    let object = value.as_borrowed();
    word::encode(object, object::class(object))
}

/// The kind of a text's block.
#[inline(always)]
fn kind_of(text: &object::Text) -> u8 {
    match (text.is_ascii, text.width) {
        (true, _) => KIND_ASCII,
        (_, 1) => KIND_LATIN,
        (_, 2) => KIND_WIDE_2,
        _ => KIND_WIDE_4,
    }
}

/// An object that takes no encoding: a word, or the kind and the content of a text or of bytes.
pub enum Flat<'a> {
    Word(u64),
    Content(u8, &'a [u8]),
}

/// None: the object is none of these.
#[inline(always)]
pub fn encode_flat<'a>(value: &'a Bound<'_, PyAny>) -> Option<Flat<'a>> {
    let object = value.as_borrowed();
    let class = object::class(object);
    if let Some(word) = word::encode(object, class) {
        return Some(Flat::Word(word));
    }
    match class {
        Class::Text => {
            let text = object::text(object)?;
            Some(Flat::Content(kind_of(&text), text.units))
        }
        Class::Bytes => Some(Flat::Content(KIND_BYTES, object::bytes(object))),
        _ => None,
    }
}

/// Encodes an object; what is large in it stays where it is until the block is filled.
///
/// # Errors
/// What pickling raises; `CourtyardError` for a courtyard object that is not to be kept.
#[inline]
pub fn encode<'a, 'py>(value: &'a Bound<'py, PyAny>, links: Links) -> PyResult<Encoded<'a, 'py>> {
    let object = value.as_borrowed();
    let class = object::class(object);
    if let Some(word) = word::encode(object, class) {
        return Ok(Encoded::Word(word));
    }
    let block = match class {
        Class::Float => Block::new(KIND_FLOAT, Main::Short(object::float(object).to_ne_bytes())),
        Class::Text => {
            let text = object::text(object).ok_or_else(|| PyErr::fetch(value.py()))?;
            Block::new(kind_of(&text), Main::Value(text.units))
        }
        Class::Bytes => Block::new(KIND_BYTES, Main::Value(object::bytes(object))),
        Class::ByteArray => Block::new(KIND_BYTEARRAY, Main::View(buffer::View::new(value)?)),
        Class::Int => Block::new(
            KIND_INTEGER,
            match object::integer(object) {
                Some(number) => Main::Short(number.to_le_bytes()),
                None => Main::Made(integer::bytes(object)?),
            },
        ),
        _ => return compound(value, links).map(Encoded::Block),
    };
    Ok(Encoded::Block(block))
}

fn compound<'a, 'py>(value: &Bound<'py, PyAny>, links: Links) -> PyResult<Block<'a, 'py>> {
    let mut scratch = SCRATCH.take().unwrap_or_else(|| Box::new(Scratch::new()));
    let mut writer = Writer::new(&mut scratch, links);
    let written = writer.write(value.as_borrowed());
    let (outside, linked) = (writer.outside, writer.linked);
    let raised = writer.raised;
    let native = Block::new(KIND_NATIVE, Main::Scratch(scratch));
    match (written, raised) {
        (Ok(()), _) => {
            let linked = linked.into_iter().map(Bound::unbind).collect();
            return Ok(native.beside(outside, linked));
        }
        (Err(Stop::Raised), Some(error)) => return Err(error),
        (Err(Stop::Refused), _) => return Err(refuse(value.py())),
        _ => drop(native), // gives its memory back before Python code runs
    }
    let pickle = pickle::dump(value, links == Links::Keep)?;
    let block = Block::new(KIND_PICKLE, Main::Pickle(pickle.main));
    Ok(block.beside(pickle.buffers, pickle.linked))
}

fn corrupt(py: Python<'_>, what: String) -> PyErr {
    named(py, "CorruptError", what)
}

/// Decodes a word.
///
/// # Errors
/// `CorruptError` for what no codec wrote.
#[inline]
pub fn decode_word(py: Python<'_>, word: u64) -> PyResult<Bound<'_, PyAny>> {
    word::decode(py, word)?
        .ok_or_else(|| corrupt(py, format!("the stored word {word:#x} has no meaning")))
}

/// Makes a text or bytes of so many bytes, which `fill` writes where they stay; what comes of bytes
/// that change meanwhile is not to be shown. None: it is of another kind, or the bytes are no such text.
///
/// # Errors
/// `MemoryError`.
#[inline(always)]
pub fn decode_flat<'py>(
    py: Python<'py>,
    kind: u8,
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let tag = match kind {
        KIND_ASCII => tag::ASCII,
        KIND_LATIN => tag::LATIN,
        KIND_WIDE_2 => tag::WIDE_2,
        KIND_WIDE_4 => tag::WIDE_4,
        KIND_BYTES => return create::bytes(py, length, fill).map(Some),
        _ => return Ok(None),
    };
    create::text(py, tag, length, fill)
}

/// Decodes a payload; `links` are the objects that stand in its list of links, and the buffers in it
/// are `whose`.
///
/// # Errors
/// `CorruptError` for what no codec wrote; what unpickling raises.
pub fn decode<'py>(
    py: Python<'py>,
    kind: u8,
    source: impl Source,
    whose: Buffers,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let (main, buffers) = match kind {
        KIND_PICKLE => {
            let length = source.length();
            let main = create::bytes(py, length, |to| source.copy(py, 0, to))?;
            (main, None)
        }
        KIND_PICKLE_BUFFERS => {
            let pieces = pieces(py, &source)?;
            let (start, length) = pieces.main;
            let main = create::bytes(py, length, |to| source.copy(py, start, to))?;
            (main, Some(pickle::buffers(py, &pieces, whose)?))
        }
        _ => return decode_plain(py, kind, &source, links),
    };
    drop(source); // any code may run now, even a fork: nothing of the block is in use
    pickle::load(main, buffers, links)
}

fn decode_plain<'py>(
    py: Python<'py>,
    kind: u8,
    source: &dyn Source,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    let length = source.length();
    let whole = || settle(py, source, 0, length);
    let fill = |to: &mut [u8]| source.copy(py, 0, to);
    let text = |tag| {
        create::text(py, tag, length, fill)?
            .ok_or_else(|| corrupt(py, format!("a stored text is not of its kind, {kind}")))
    };
    match kind {
        KIND_FLOAT => match whole().as_ref().try_into() {
            Ok(bits) => Ok(PyFloat::new(py, f64::from_ne_bytes(bits)).into_any()),
            Err(_) => Err(corrupt(py, format!("a stored float of {length} bytes"))),
        },
        KIND_ASCII => text(tag::ASCII),
        KIND_LATIN => text(tag::LATIN),
        KIND_WIDE_2 => text(tag::WIDE_2),
        KIND_WIDE_4 => text(tag::WIDE_4),
        KIND_BYTES => create::bytes(py, length, fill),
        KIND_BYTEARRAY => create::bytearray(py, length, fill),
        KIND_INTEGER => integer::from_bytes(py, &whole()),
        KIND_NATIVE => native(py, &whole(), None, links),
        KIND_NATIVE_BUFFERS => {
            let pieces = pieces(py, source)?;
            let (start, length) = pieces.main;
            native(py, &settle(py, source, start, length), Some(pieces), links)
        }
        _ => Err(corrupt(
            py,
            format!("a stored block of kind {kind}, {length} bytes"),
        )),
    }
}

fn native<'py>(
    py: Python<'py>,
    bytes: &[u8],
    pieces: Option<Pieces>,
    links: &[Py<PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    Reader::new(py, bytes, pieces, links)
        .read()
        .map_err(|error| {
            error.unwrap_or_else(|what| corrupt(py, format!("a stored value: {what}")))
        })
}

fn pieces<'a>(py: Python<'_>, source: &'a dyn Source) -> PyResult<Pieces<'a>> {
    Pieces::split(py, source)
        .ok_or_else(|| corrupt(py, "a stored value's buffers reach beyond it".into()))
}

/// Whether two objects are equal, as Python has it; arrays and the like, whose comparison is no single
/// truth, if they are so as a whole (`courtyard._equality`). Identity counts, as in a list.
///
/// # Errors
/// What the comparison raises; `TypeError` for what cannot be compared as a whole.
pub fn equal(left: &Bound<'_, PyAny>, right: &Bound<'_, PyAny>) -> PyResult<bool> {
    if left.is(right) {
        return Ok(true);
    }
    match left.rich_compare(right, CompareOp::Eq) {
        Ok(result) if result.is_exact_instance_of::<PyBool>() => return result.is_truthy(),
        Err(error) if !is_ambiguous(left.py(), &error) => return Err(error),
        _ => {}
    }
    let module = left.py().import("courtyard._equality")?;
    module.call_method1("same", (left, right))?.extract()
}

/// Whether that may be an array that has no single truth, or none to compare with another.
fn is_ambiguous(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyTypeError>(py)
}
