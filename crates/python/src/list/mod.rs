//! `Sequence`, `List` and `Deque`: the native part of `courtyard.List` and `courtyard.Deque`.

mod change;
mod place;
mod slot;

pub use slot::{index, install};

use crate::codec::{self, Buffers, Encoded, Links, failure};
use crate::edit::Edit;
use crate::guard::{CellLock, Owner, thread_writer};
use crate::handle::{Address, Use};
use crate::primitive::Primitive;
use crate::reference::again;
use crate::value::{self, with_buffer, with_fresh};
use courtyard_core::cell;
use courtyard_core::list::{self, Element, End, LENGTH, Places, Token};
use courtyard_core::space::Space;
use courtyard_core::value::Take;
use place::{AtIndex, Slice, index_of};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};

/// What lists and deques have in common.
#[pyclass(frozen, subclass, extends = Primitive, module = "courtyard._native")]
pub struct Sequence;

/// Values in a row among processes and threads. `courtyard.List` is what programs use.
#[pyclass(frozen, subclass, extends = Sequence, module = "courtyard._native")]
pub struct List;

/// Values in a row, to be put in and taken out at both ends. `courtyard.Deque` is what programs use.
#[pyclass(frozen, subclass, extends = Sequence, module = "courtyard._native")]
pub struct Deque;

/// A list in use.
#[derive(Clone, Copy)]
pub(super) struct Opened<'a> {
    space: &'static Space,
    open: &'a Use<'a>,
    list: list::List,
    /// What messages call it.
    is_deque: bool,
}

impl Opened<'_> {
    fn most(self) -> Option<u64> {
        list::most(&self.space.segment, self.list.cell)
    }

    /// The element with that index, and which state of the list that was.
    fn get<'py>(self, py: Python<'py>, index: i64) -> PyResult<(Option<Bound<'py, PyAny>>, Token)> {
        let participant = self.open.participant;
        let read = |buffer: &mut Vec<u8>| {
            let (found, token) = self.open.handle.waiting(py, |patience| {
                list::get(self.space, participant, patience, self.list, index, buffer)
            })?;
            let Some(found) = found else {
                return Ok(Some((None, token)));
            };
            let value = value::decode(py, self.space, participant, found, buffer, Buffers::Own)?;
            Ok(value.map(|value| (Some(value), token)))
        };
        again(py, || with_buffer(read)).map_err(|error| at_index(py, error, index))
    }

    fn look(self, py: Python<'_>) -> PyResult<Token> {
        self.open.handle.waiting(py, |patience| {
            list::look(self.space, self.open.participant, patience, self.list)
        })
    }

    fn snapshot(
        self,
        py: Python<'_>,
        choose: &dyn Fn(u64) -> Places,
    ) -> PyResult<(Vec<Element>, Token)> {
        self.open.handle.waiting(py, |patience| {
            let participant = self.open.participant;
            list::snapshot(self.space, participant, patience, self.list, choose)
        })
    }

    /// The elements that `choose` wants, as a plain list.
    fn values<'py>(
        self,
        py: Python<'py>,
        choose: &dyn Fn(u64) -> Places,
    ) -> PyResult<(Bound<'py, PyList>, Token)> {
        let places = std::cell::Cell::new(None);
        let noted = |length| {
            places.set(Some(choose(length)));
            choose(length)
        };
        let read = || {
            let (elements, token) = self.snapshot(py, &noted)?;
            let (space, participant) = (self.space, self.open.participant);
            let decode = |each: &Element| {
                let copied = match each {
                    Ok(word) => Ok(*word),
                    Err((kind, bytes)) => Err((*kind, bytes.as_slice())),
                };
                value::decode_copied(py, space, participant, copied)
            };
            let mut values = Vec::with_capacity(elements.len());
            let place = |at: usize| places.get().map_or(0, |places| places.at(at as u64));
            for (at, each) in elements.iter().enumerate() {
                let value = decode(each).map_err(|error| at_index(py, error, place(at)))?;
                let Some(value) = value else {
                    return Ok(None);
                };
                values.push(value);
            }
            Ok(Some((values, token)))
        };
        let (values, token) = again(py, read)?;
        Ok((PyList::new(py, values)?, token))
    }

    /// Puts a value at an end; with a token, false says that something changed since.
    fn push(
        self,
        py: Python<'_>,
        end: End,
        encoded: Encoded<'_, '_>,
        when: Option<Token>,
    ) -> PyResult<bool> {
        let (space, participant, list) = (self.space, self.open.participant, self.list);
        with_fresh(py, self.open, encoded, |patience, value| {
            list::push(space, participant, patience, list, end, &value, when)
        })
    }

    fn append(self, py: Python<'_>, end: End, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let encoded = codec::encode(value, Links::Keep)?;
        self.push(py, end, encoded, None).map(drop)
    }

    /// Takes the value at an end. One whose loading may fail is loaded first, and then taken if
    /// nothing changed meanwhile; None: something did.
    fn pop<'py>(self, py: Python<'py>, end: End) -> PyResult<Option<Bound<'py, PyAny>>> {
        let participant = self.open.participant;
        let may = |kind: Option<u8>| !kind.is_some_and(codec::may_fail);
        let taken = self.open.handle.waiting(py, |patience| {
            list::pop_if(self.space, participant, patience, self.list, end, may)
        })?;
        match taken {
            Take::Taken(taken) => value::decode_taken(py, self.space, participant, taken).map(Some),
            Take::Left => {
                let index = if end == End::First { 0 } else { -1 };
                let (value, token) = self.get(py, index)?;
                let is_taken = self.open.handle.waiting(py, |patience| {
                    list::drop_end(self.space, participant, patience, self.list, end, token)
                })?;
                Ok(value.filter(|_| is_taken))
            }
            Take::Nothing if self.is_deque => Err(PyIndexError::new_err("pop from an empty deque")),
            Take::Nothing => Err(PyIndexError::new_err("pop from empty list")),
        }
    }

    fn out_of_range(self, what: &str) -> PyErr {
        match self.is_deque {
            true => PyIndexError::new_err("deque index out of range"),
            false => PyIndexError::new_err(format!("list {what} out of range")),
        }
    }
}

/// All elements, in their order.
fn all(count: u64) -> Places {
    Places {
        first: 0,
        step: 1,
        count,
    }
}

/// Runs `work` on the list, which stays open meanwhile.
fn opened<T>(
    slf: &Bound<'_, Sequence>,
    work: impl FnOnce(Opened<'_>) -> PyResult<T>,
) -> PyResult<T> {
    let handle = &slf.as_super().get().handle;
    let open = handle.open(slf.py())?;
    let done = work(Opened {
        space: handle.space,
        open: &open,
        list: thread_writer(handle.cell),
        is_deque: slf.is_instance_of::<Deque>(),
    });
    done.map_err(|error| failure::of(slf, error))
}

/// Adds to a `LoadError` which value could not be loaded.
fn at_index<'py>(py: Python<'py>, error: PyErr, index: impl IntoPyObject<'py>) -> PyErr {
    failure::at_key(py, error, "the value at index", || {
        index.into_bound_py_any(py)
    })
}

fn get_item<'py>(
    slf: &Bound<'py, Sequence>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let index = index_of(slf, key)?;
    opened(slf, |this| {
        let found = this.get(slf.py(), index)?.0;
        found.ok_or_else(|| this.out_of_range("index"))
    })
}

fn set_item(
    slf: &Bound<'_, Sequence>,
    key: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let index = index_of(slf, key)?;
    let _open = slf.as_super().get().handle.open(slf.py())?;
    let encoded = codec::encode(value, Links::Keep)?;
    opened(slf, |this| {
        let (space, participant, list) = (this.space, this.open.participant, this.list);
        let set = with_fresh(slf.py(), this.open, encoded, |patience, value| {
            list::set(space, participant, patience, list, index, &value)
        })?;
        match set {
            true => Ok(()),
            false => Err(this.out_of_range("assignment index")),
        }
    })
}

#[pymethods]
impl Sequence {
    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((cls, item))
    }

    fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        opened(slf, |this| {
            Ok(list::count(&this.space.segment, this.list.cell) as usize)
        })
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        get_item(slf, key)
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        set_item(slf, key, value)
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        change::delete(slf, index_of(slf, key)?)
    }

    /// Put a value at the end.
    ///
    /// Atomic; O(1), some 100 ns for a number. The value is copied. Waits while another holds
    /// get_lock().
    ///
    /// Raises what pickling the value raises, and SpaceFull; then nothing has changed. A process
    /// killed meanwhile has put it there, or not. As list.append.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List()
    /// >>> x.append([1]); x.append("b"); x.copy()
    /// [[1], 'b']
    #[pyo3(signature = (value, /))]
    pub fn append(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        opened(slf, |this| this.append(slf.py(), End::Last, value))
    }

    /// Put a value before the one with that index.
    ///
    /// Atomic; costs as much as there are values from there to the nearer end. Waits while another
    /// holds get_lock().
    ///
    /// Raises what pickling the value raises, SpaceFull, and, for a Deque with maxlen values,
    /// IndexError; then nothing has changed. As list.insert.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List("ac")
    /// >>> x.insert(1, "b"); "".join(x)
    /// 'abc'
    #[pyo3(signature = (index, value, /))]
    fn insert(slf: &Bound<'_, Self>, index: isize, value: &Bound<'_, PyAny>) -> PyResult<()> {
        change::insert(slf, index as i64, value)
    }

    /// Take all values out, at once.
    ///
    /// Others see all of them, or none. Waits while another holds get_lock(). Their memory is free
    /// again when it returns, or, if this process is killed meanwhile, when another next looks
    /// after the dead.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List("ab")
    /// >>> x.clear(); len(x)
    /// 0
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        opened(slf, |this| {
            this.open.handle.waiting(slf.py(), |patience| {
                list::clear(this.space, this.open.participant, patience, this.list)
            })
        })
    }

    /// Turn the order round, at once; O(length).
    ///
    /// Waits while another holds get_lock().
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List("abc")
    /// >>> x.reverse(); "".join(x)
    /// 'cba'
    fn reverse(slf: &Bound<'_, Self>) -> PyResult<()> {
        change::reverse(slf)
    }

    /// All values, as they stood at one moment.
    fn _values<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        opened(slf, |this| Ok(this.values(slf.py(), &all)?.0))
    }

    /// The values from one index to another, as in a slice, and which moment that was.
    fn _piece<'py>(
        slf: &Bound<'py, Self>,
        start: isize,
        stop: Option<isize>,
    ) -> PyResult<(Bound<'py, PyList>, (u64, u64))> {
        let slice = Slice {
            start,
            stop: stop.unwrap_or(isize::MAX),
            step: 1,
        };
        opened(slf, |this| {
            let (values, token) = this.values(slf.py(), &|count| slice.places(count))?;
            Ok((values, (token.sequence, token.count)))
        })
    }

    /// All values, as they stood at one moment, and which moment that was.
    fn _look<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyList>, (u64, u64))> {
        opened(slf, |this| {
            let (values, token) = this.values(slf.py(), &all)?;
            Ok((values, (token.sequence, token.count)))
        })
    }

    /// Leaves the values that were at these places at that moment, in this order; False if something
    /// changed since.
    fn _keep(slf: &Bound<'_, Self>, moment: (u64, u64), places: Vec<u64>) -> PyResult<bool> {
        let (sequence, count) = moment;
        opened(slf, |this| {
            change::keep(this, slf.py(), Token { sequence, count }, &places)
        })
    }

    /// Takes the value out that was at this place at that moment; False if something changed since.
    fn _drop_at(slf: &Bound<'_, Self>, moment: (u64, u64), place: u64) -> PyResult<bool> {
        let (sequence, count) = moment;
        opened(slf, |this| {
            change::drop_at(this, slf.py(), Token { sequence, count }, place)
        })
    }

    /// Puts many values at the end, or, one after another, at the front; all, or none.
    fn _extend(slf: &Bound<'_, Self>, values: &Bound<'_, PyList>, front: bool) -> PyResult<()> {
        let end = if front { End::First } else { End::Last };
        change::extend(slf, values, end)
    }

    /// Makes it as many times what it is.
    fn _repeat(slf: &Bound<'_, Self>, times: isize) -> PyResult<()> {
        change::repeat(slf, times)
    }

    /// Return the lock that keeps others from writing: recursive, owned by a thread of a process.
    ///
    /// While it is held, writes by others wait; reads do not, and may see what the holder has half
    /// done. `lock.recovered` is true if the last holder died with it, half way through what it
    /// had to do.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List([1, 2])
    /// >>> with x.get_lock():
    /// ...     x[0] += 1
    fn get_lock(slf: &Bound<'_, Self>) -> CellLock {
        CellLock::new(Owner::Sequence(slf.clone().unbind()))
    }

    /// Change the value with an index in place: `with x.edit(0) as value:`. What it became is stored.
    ///
    /// Holds get_lock() from before the value is read until it is stored, so that it is exact beside
    /// all other writers, who wait meanwhile. If the block raises, nothing is stored. It is for
    /// values that can be changed in place; to assign to the name in the block has no effect.
    ///
    /// Raises IndexError if there is no such value; TypeError, before the block, for a value that
    /// cannot be changed in place, nor anything in it: a number, a text, None, a datetime, a tuple of
    /// these (assign such a value, with get_lock() held); RuntimeError if the block changed how many
    /// values there are; what reading and storing raise, which leaves the old value. A process killed
    /// in the block has stored nothing, and the lock is free again.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List([["a"], ["b"]])
    /// >>> with x.edit(-1) as value:
    /// ...     value.append("c")
    /// >>> x.copy()
    /// [['a'], ['b', 'c']]
    fn edit(slf: &Bound<'_, Self>, index: &Bound<'_, PyAny>) -> PyResult<Edit> {
        if index.is_instance_of::<PySlice>() {
            let message = "edit() is for one value: expected an index, found a slice";
            return Err(PyTypeError::new_err(message));
        }
        index_of(slf, index)?;
        let lock = Bound::new(slf.py(), Sequence::get_lock(slf))?;
        Ok(Edit::new(lock.into_any(), AtIndex::new(slf, index)))
    }
}

/// How many values there may be, by a deque's `maxlen`.
fn most_of(maxlen: Option<isize>) -> PyResult<Option<u64>> {
    let most = maxlen.map(u64::try_from).transpose();
    most.map_err(|_| PyValueError::new_err("maxlen must be non-negative"))
}

/// Makes a list with room for at most so many, or loads that of a pickle.
fn made(
    py: Python<'_>,
    most: Option<u64>,
    address: Option<&Address>,
) -> PyResult<PyClassInitializer<Sequence>> {
    let fill = move |segment: &_, at| list::set_most(segment, at, most);
    let base = Primitive::make(py, cell::LIST, LENGTH, address, fill)?;
    Ok(PyClassInitializer::from(base).add_subclass(Sequence))
}

#[pymethods]
impl List {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<List>> {
        Ok(made(py, None, address.as_ref())?.add_subclass(List))
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let slf = slf.as_super();
        let Ok(slice) = key.cast::<PySlice>() else {
            return get_item(slf, key);
        };
        let slice = Slice::unpack(slice)?;
        opened(slf, |this| {
            let choose = |count| slice.places(count);
            Ok(this.values(slf.py(), &choose)?.0.into_any())
        })
    }

    fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match key.cast::<PySlice>() {
            Ok(slice) => change::assign(slf.as_super(), Slice::unpack(slice)?, value),
            Err(_) => set_item(slf.as_super(), key, value),
        }
    }

    fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
        let slf = slf.as_super();
        match key.cast::<PySlice>() {
            Ok(slice) => change::delete_slice(slf, Slice::unpack(slice)?),
            Err(_) => change::delete(slf, index_of(slf, key)?),
        }
    }

    /// Take the value with that index out and return it.
    ///
    /// Atomic: one of many processes gets it. Costs as much as there are values from there to the
    /// nearer end. Waits while another holds get_lock(); never for a value.
    ///
    /// Raises IndexError if there is none, and what loading the value raises: then it stays. A
    /// process killed meanwhile has taken the value out, or not; what it took is gone with it. As list.pop.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List("abc")
    /// >>> x.pop(), x.pop(0), x.copy()
    /// ('c', 'a', ['b'])
    #[pyo3(signature = (index=-1, /), text_signature = "($self, index=-1, /)")]
    pub fn pop<'py>(slf: &Bound<'py, Self>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        change::pop(slf.as_super(), index as i64)
    }
}

#[pymethods]
impl Deque {
    #[new]
    #[pyo3(signature = (maxlen=None, address=None))]
    fn new(
        py: Python<'_>,
        maxlen: Option<isize>,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Deque>> {
        Ok(made(py, most_of(maxlen)?, address.as_ref())?.add_subclass(Deque))
    }

    /// How many values there may be; None for any number. May be set.
    ///
    /// By setting it, the first values go that are too many then: one change, seen whole. Waits
    /// while another holds get_lock(). `Deque.named(..., maxlen=...)` compares with what it is then.
    ///
    /// Raises ValueError for a negative one, TypeError for what is no int. A process killed
    /// meanwhile has set it and dropped them, or neither.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Deque("abcd")
    /// >>> d.maxlen = 2; d.append("e"); "".join(d)
    /// 'de'
    #[getter]
    fn get_maxlen(slf: &Bound<'_, Self>) -> PyResult<Option<u64>> {
        opened(slf.as_super(), |this| Ok(this.most()))
    }

    #[setter]
    fn set_maxlen(slf: &Bound<'_, Self>, maxlen: Option<isize>) -> PyResult<()> {
        let most = most_of(maxlen)?;
        opened(slf.as_super(), |this| {
            this.open.handle.waiting(slf.py(), |patience| {
                list::bound(this.space, this.open.participant, patience, this.list, most)
            })
        })
    }

    /// Put a value at the front; else as append(). As collections.deque.appendleft.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Deque("b")
    /// >>> d.appendleft("a"); "".join(d)
    /// 'ab'
    #[pyo3(signature = (value, /))]
    pub fn appendleft(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        opened(slf.as_super(), |this| {
            this.append(slf.py(), End::First, value)
        })
    }

    /// Take the last value out and return it.
    ///
    /// Atomic: one of many processes gets it; O(1). Waits while another holds get_lock(); never for
    /// a value: courtyard.Queue does.
    ///
    /// Raises IndexError if there is none, and what loading the value raises: then it stays. A
    /// process killed meanwhile has taken the value out, or not; what it took is gone with it. As collections.deque.pop.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Deque("ab").pop()
    /// 'b'
    pub fn pop<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        change::pop_end(slf.as_super(), End::Last)
    }

    /// Take the first value out and return it; else as pop(). As collections.deque.popleft.
    ///
    /// >>> import courtyard as cy
    /// >>> cy.Deque("ab").popleft()
    /// 'a'
    pub fn popleft<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        change::pop_end(slf.as_super(), End::First)
    }

    /// Move n values from the end to the front, or, if n is negative, from the front to the end.
    ///
    /// One change; O(n). Waits while another holds get_lock(). As collections.deque.rotate.
    ///
    /// >>> import courtyard as cy
    /// >>> d = cy.Deque("abc")
    /// >>> d.rotate(); "".join(d)
    /// 'cab'
    #[pyo3(signature = (n=1, /))]
    fn rotate(slf: &Bound<'_, Self>, n: isize) -> PyResult<()> {
        opened(slf.as_super(), |this| {
            this.open.handle.waiting(slf.py(), |patience| {
                let participant = this.open.participant;
                list::rotate(this.space, participant, patience, this.list, n as i64)
            })
        })
    }
}
