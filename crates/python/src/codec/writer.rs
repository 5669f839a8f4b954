//! Plain objects and containers of them into the native form.

use super::buffer::{Piece, View};
use super::link::{self, Links};
use super::memo::{DEPTH, Extent, Memo, OPEN, is_bearable};
use super::object::{self, Class, Object};
use super::{integer, tag};
use crate::room;
use pyo3::prelude::*;

/// From so many bytes on, copying them twice costs more than a buffer of their own.
const LARGE: usize = 16 << 10;

/// Why the native form was given up.
#[derive(Clone, Copy)]
pub enum Stop {
    /// Something that only pickle can write.
    Foreign,
    /// A courtyard object, where the caller keeps none.
    Refused,
    /// An exception, left with the writer.
    Raised,
}

type Written = Result<(), Stop>;

/// Memory that is used again by the next container.
pub struct Scratch {
    pub bytes: Vec<u8>,
    memo: Memo,
}

impl Scratch {
    pub fn new() -> Scratch {
        Scratch {
            bytes: Vec::with_capacity(4096),
            memo: Memo::new(),
        }
    }
}

/// Writes one object. No Python code runs meanwhile, so nothing that it meets changes or ends.
pub struct Writer<'s, 'py> {
    scratch: &'s mut Scratch,
    links: Links,
    pub linked: Vec<Py<PyAny>>,
    pub outside: Vec<Piece<'py>>,
    /// Containers that the next item is inside of.
    depth: u32,
    /// Of the items written so far of the container being written.
    extent: Extent,
    /// Hashing that decoding will ask for.
    work: u64,
    pub raised: Option<PyErr>,
}

impl<'s, 'py> Writer<'s, 'py> {
    pub fn new(scratch: &'s mut Scratch, links: Links) -> Writer<'s, 'py> {
        scratch.bytes.clear();
        scratch.memo.clear();
        Writer {
            scratch,
            links,
            linked: Vec::new(),
            outside: Vec::new(),
            depth: 0,
            extent: Extent::default(),
            work: 0,
            raised: None,
        }
    }

    /// Writes the whole of it.
    ///
    /// # Errors
    /// Why not.
    pub fn write(&mut self, value: Object<'_, 'py>) -> Written {
        self.item(value)?;
        if is_bearable(self.work, self.scratch.bytes.len()) {
            Ok(())
        } else {
            Err(Stop::Foreign)
        }
    }

    #[cold]
    fn raise(&mut self, error: PyErr) -> Stop {
        self.raised = Some(error);
        Stop::Raised
    }

    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) -> Written {
        self.append(&bytes)
    }

    #[inline(always)]
    fn append(&mut self, bytes: &[u8]) -> Written {
        let room = room::reserve(&mut self.scratch.bytes, bytes.len());
        room.map_err(|error| self.raise(error))?;
        self.scratch.bytes.extend_from_slice(bytes);
        Ok(())
    }

    #[inline(always)]
    fn head(&mut self, tag: u8, count: usize) -> Written {
        if count < 128 {
            self.put([tag, count as u8])
        } else {
            self.long_head(tag, count)
        }
    }

    #[cold]
    fn long_head(&mut self, tag: u8, mut count: usize) -> Written {
        self.put([tag])?;
        while count >= 128 {
            self.put([count as u8 | 128])?;
            count >>= 7;
        }
        self.put([count as u8])
    }

    /// What is written for an object that may be met again: a reference if it was met before, else
    /// the tag to write it with.
    #[inline(always)]
    fn meet(&mut self, value: Object, tag: u8) -> Result<Option<u8>, Stop> {
        if !object::is_shared(value) {
            return Ok(Some(tag));
        }
        let is_open = matches!(tag, tag::TUPLE | tag::FROZENSET);
        let met = self.scratch.memo.meet(value.as_ptr() as usize, is_open);
        match room::found(met).map_err(|error| self.raise(error))? {
            None => Ok(Some(tag | tag::NAMED)),
            Some((OPEN, _)) => Err(Stop::Foreign),
            Some((number, extent)) => {
                self.extent = self.extent.beside(extent);
                self.head(tag::REFERENCE, number as usize)?;
                Ok(None)
            }
        }
    }

    #[inline(always)]
    fn item(&mut self, value: Object<'_, 'py>) -> Written {
        match object::class(value) {
            Class::Text => self.text(value),
            Class::Int => self.integer(value),
            Class::Float => {
                let mut bytes = [tag::FLOAT; 9];
                bytes[1..].copy_from_slice(&object::float(value).to_ne_bytes());
                self.put(bytes)
            }
            Class::None => self.put([tag::NONE]),
            Class::Bool => {
                let is_true = object::is_true(value);
                self.put([if is_true { tag::TRUE } else { tag::FALSE }])
            }
            Class::Bytes => self.bytes(value, tag::BYTES, object::bytes(value)),
            class => self.compound(value, class),
        }
    }

    fn compound(&mut self, value: Object<'_, 'py>, class: Class) -> Written {
        let write = match class {
            Class::ByteArray => return self.bytes(value, tag::BYTEARRAY, object::array(value)),
            Class::Complex => return self.complex(value),
            Class::Tuple => Self::tuple,
            Class::List => Self::list,
            Class::Dict => Self::dict,
            Class::Set => Self::set,
            Class::FrozenSet => Self::frozenset,
            _ => return self.foreign(value),
        };
        if self.depth == DEPTH {
            return Err(Stop::Foreign);
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.extent);
        write(self, value)?;
        self.extent = outer.beside(self.extent);
        self.depth -= 1;
        Ok(())
    }

    #[inline(always)]
    fn text(&mut self, value: Object<'_, 'py>) -> Written {
        let Some(text) = object::text(value) else {
            return Err(self.raise(PyErr::fetch(value.py())));
        };
        let tag = match (text.is_ascii, text.width) {
            (true, _) => tag::ASCII,
            (_, 1) => tag::LATIN,
            (_, 2) => tag::WIDE_2,
            _ => tag::WIDE_4,
        };
        self.bytes(value, tag, text.units)
    }

    #[inline(always)]
    fn bytes(&mut self, value: Object<'_, 'py>, tag: u8, bytes: &[u8]) -> Written {
        let Some(tag) = self.meet(value, tag)? else {
            return Ok(());
        };
        if bytes.len() >= LARGE {
            return self.outside(value, tag, bytes);
        }
        self.head(tag, bytes.len())?;
        self.append(bytes)
    }

    #[cold]
    fn outside(&mut self, value: Object<'_, 'py>, tag: u8, bytes: &[u8]) -> Written {
        self.put([tag | tag::OUTSIDE])?;
        let owned = value.to_owned();
        let piece = if tag & !tag::NAMED == tag::BYTEARRAY {
            let view = View::new(&owned).map_err(|error| self.raise(error))?;
            Piece::View(view)
        } else {
            Piece::of(owned, bytes)
        };
        room::push(&mut self.outside, piece).map_err(|error| self.raise(error))
    }

    #[inline(always)]
    fn integer(&mut self, value: Object) -> Written {
        let Some(number) = object::integer(value) else {
            return self.big_integer(value);
        };
        let bytes = number.to_le_bytes();
        if number == i64::from(number as i8) {
            self.put([tag::INTEGER_1, bytes[0]])
        } else if number == i64::from(number as i16) {
            self.put([tag::INTEGER_2, bytes[0], bytes[1]])
        } else if number == i64::from(number as i32) {
            self.put([tag::INTEGER_4, bytes[0], bytes[1], bytes[2], bytes[3]])
        } else {
            let mut item = [tag::INTEGER_8; 9];
            item[1..].copy_from_slice(&bytes);
            self.put(item)
        }
    }

    #[cold]
    fn big_integer(&mut self, value: Object) -> Written {
        let bytes = integer::bytes(value).map_err(|error| self.raise(error))?;
        self.head(tag::INTEGER, bytes.len())?;
        self.append(&bytes)
    }

    fn complex(&mut self, value: Object) -> Written {
        if let Some(tag) = self.meet(value, tag::COMPLEX)? {
            self.put([tag])?;
            for number in object::complex(value) {
                self.put(number.to_ne_bytes())?;
            }
        }
        Ok(())
    }

    fn tuple(&mut self, value: Object<'_, 'py>) -> Written {
        // All empty ones are the same one anyway.
        let count = object::tuple_length(value);
        let met = if count == 0 {
            Some(tag::TUPLE)
        } else {
            self.meet(value, tag::TUPLE)?
        };
        let Some(tag) = met else {
            return Ok(());
        };
        self.head(tag, count)?;
        for index in 0..count {
            // SAFETY: below the length, which does not change.
            self.item(unsafe { object::tuple_item(value, index) })?;
        }
        self.close(value, tag, count);
        if self.extent.height > DEPTH {
            Err(Stop::Foreign)
        } else {
            Ok(())
        }
    }

    /// Ends a tuple or frozenset, whose items may count again wherever it is referred to.
    fn close(&mut self, value: Object, tag: u8, count: usize) {
        self.extent = self.extent.around(count);
        if tag & tag::NAMED != 0 {
            self.scratch
                .memo
                .close(value.as_ptr() as usize, self.extent);
        }
    }

    fn list(&mut self, value: Object<'_, 'py>) -> Written {
        let Some(tag) = self.meet(value, tag::LIST)? else {
            return Ok(());
        };
        let count = object::list_length(value);
        self.head(tag, count)?;
        for index in 0..count {
            // SAFETY: below the length, which does not change while no Python code runs.
            self.item(unsafe { object::list_item(value, index) })?;
        }
        self.extent = Extent::default(); // lists have no hash
        Ok(())
    }

    fn dict(&mut self, value: Object<'_, 'py>) -> Written {
        let Some(tag) = self.meet(value, tag::DICT)? else {
            return Ok(());
        };
        self.head(tag, object::dict_length(value))?;
        let mut position = 0;
        while let Some((key, item)) = object::dict_next(value, &mut position) {
            self.key(key)?;
            self.item(item)?;
        }
        self.extent = Extent::default();
        Ok(())
    }

    /// An item that decoding hashes.
    #[inline(always)]
    fn key(&mut self, value: Object<'_, 'py>) -> Written {
        if object::class(value) == Class::Text {
            return self.text(value); // which remembers its hash
        }
        let before = std::mem::take(&mut self.extent);
        self.item(value)?;
        self.work += u64::from(self.extent.weight);
        self.extent = before.beside(self.extent);
        Ok(())
    }

    fn set(&mut self, value: Object<'_, 'py>) -> Written {
        let Some(tag) = self.meet(value, tag::SET)? else {
            return Ok(());
        };
        self.members(value, tag)?;
        self.extent = Extent::default();
        Ok(())
    }

    fn frozenset(&mut self, value: Object<'_, 'py>) -> Written {
        let Some(tag) = self.meet(value, tag::FROZENSET)? else {
            return Ok(());
        };
        let count = self.members(value, tag)?;
        self.close(value, tag, count);
        if self.extent.height > DEPTH {
            Err(Stop::Foreign)
        } else {
            Ok(())
        }
    }

    fn members(&mut self, value: Object<'_, 'py>, tag: u8) -> Result<usize, Stop> {
        let count = object::set_length(value);
        self.head(tag, count)?;
        let iterator = object::set_iterator(value).map_err(|error| self.raise(error))?;
        while let Some(member) = object::set_next(value, &iterator) {
            self.key(member)?;
        }
        Ok(count)
    }

    #[cold]
    fn foreign(&mut self, value: Object<'_, 'py>) -> Written {
        if !link::is_courtyard(value) {
            return Err(Stop::Foreign);
        }
        if self.links == Links::Refuse {
            return Err(Stop::Refused);
        }
        if let Some(tag) = self.meet(value, tag::LINK)? {
            self.head(tag, self.linked.len())?;
            let link = value.to_owned().unbind();
            room::push(&mut self.linked, link).map_err(|error| self.raise(error))?;
        }
        Ok(())
    }
}
