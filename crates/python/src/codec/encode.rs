//! Python objects as words and blocks.

use super::buffer::{self, Layout, Piece};
use super::kind::{
    KIND_ASCII, KIND_BYTEARRAY, KIND_BYTES, KIND_FLOAT, KIND_INTEGER, KIND_LATIN, KIND_NATIVE,
    KIND_PICKLE, KIND_WIDE_2, KIND_WIDE_4,
};
use super::link::{Links, refuse};
use super::object::{self, Class};
use super::writer::{Scratch, Stop, Writer};
use super::{integer, pickle, word};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::cell::Cell;

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
    ///
    /// # Errors
    /// `MemoryError`.
    fn beside(
        mut self,
        buffers: Vec<Piece<'py>>,
        links: Vec<Py<PyAny>>,
    ) -> PyResult<Block<'a, 'py>> {
        self.links = links;
        if !buffers.is_empty() {
            self.kind += 1;
            self.layout = Some(Layout::new(self.main(), &buffers)?);
            self.buffers = buffers;
        }
        Ok(self)
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
    ///
    /// # Errors
    /// Those of `copy`; `MemoryError`.
    pub fn with_parts<T>(&self, copy: impl FnOnce(&[&[u8]], u64) -> PyResult<T>) -> PyResult<T> {
        let Some(layout) = &self.layout else {
            let main = self.main();
            return copy(&[main], main.len() as u64);
        };
        let parts = layout.parts(self.main(), &self.buffers)?;
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
    match encode_plain(value, links)? {
        Some(encoded) => Ok(encoded),
        None => pickled(value, links),
    }
}

/// As `encode`, without Python code; None: it takes pickle, which may run some.
///
/// # Errors
/// `MemoryError`; `CourtyardError` for a courtyard object that is not to be kept.
#[inline]
pub fn encode_plain<'a, 'py>(
    value: &'a Bound<'py, PyAny>,
    links: Links,
) -> PyResult<Option<Encoded<'a, 'py>>> {
    let object = value.as_borrowed();
    let class = object::class(object);
    if let Some(word) = word::encode(object, class) {
        return Ok(Some(Encoded::Word(word)));
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
        _ => return compound(value, links),
    };
    Ok(Some(Encoded::Block(block)))
}

fn compound<'a, 'py>(
    value: &Bound<'py, PyAny>,
    links: Links,
) -> PyResult<Option<Encoded<'a, 'py>>> {
    let mut scratch = SCRATCH.take().unwrap_or_else(|| Box::new(Scratch::new()));
    let mut writer = Writer::new(&mut scratch, links);
    let written = writer.write(value.as_borrowed());
    let (outside, linked) = (writer.outside, writer.linked);
    let raised = writer.raised;
    let native = Block::new(KIND_NATIVE, Main::Scratch(scratch));
    match (written, raised) {
        (Ok(()), _) => {
            let block = native.beside(outside, linked)?;
            Ok(Some(Encoded::Block(block)))
        }
        (Err(Stop::Raised), Some(error)) => Err(error),
        (Err(Stop::Refused), _) => Err(refuse(value.py())),
        _ => Ok(None),
    }
}

fn pickled<'a, 'py>(value: &Bound<'py, PyAny>, links: Links) -> PyResult<Encoded<'a, 'py>> {
    let pickle = pickle::dump(value, links == Links::Keep)?;
    let block = Block::new(KIND_PICKLE, Main::Pickle(pickle.main));
    let block = block.beside(pickle.buffers, pickle.linked)?;
    Ok(Encoded::Block(block))
}
