//! `Sequence`, `List` and `Deque`: the native part of `courtyard.List` and `courtyard.Deque`.

use super::change;
use super::item::{AtIndex, get_item, set_item};
use super::place::{Slice, index_of};
use super::state::{Deque, List, Sequence, all, length, opened};
use crate::object::{Address, Edit, Object, ObjectLock, PLAIN};
use crate::room;
use courtyard_core::list::{self, End, LENGTH, Token};
use courtyard_core::object;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PySlice};

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

    pub fn __len__(slf: &Bound<'_, Self>) -> PyResult<usize> {
        length(slf).map(|count| count as usize)
    }

    pub fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        key: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        get_item(slf, key)
    }

    pub fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        set_item(slf, key, value)
    }

    pub fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
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

    /// Remove all values in one change.
    ///
    /// Others see all of them, or none. Waits while another holds get_lock(). Their memory is free
    /// again when it returns, or, if this process is killed meanwhile, when another process next
    /// recovers the dead.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List("ab")
    /// >>> x.clear(); len(x)
    /// 0
    fn clear(slf: &Bound<'_, Self>) -> PyResult<()> {
        opened(slf, |this| {
            this.open
                .waiting(slf.py(), |caller| list::clear(caller, this.list))
        })
    }

    /// Reverse the order in one change; O(length).
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

    /// All values, as they were at one moment.
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

    /// All values, as they were at one moment, and which moment that was.
    fn _look<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyList>, (u64, u64))> {
        opened(slf, |this| {
            let (values, token) = this.values(slf.py(), &all)?;
            Ok((values, (token.sequence, token.count)))
        })
    }

    /// Leaves the values that were at these places at that moment, in this order; False if something
    /// changed since.
    fn _keep(
        slf: &Bound<'_, Self>,
        moment: (u64, u64),
        places: &Bound<'_, PyList>,
    ) -> PyResult<bool> {
        let (sequence, count) = moment;
        let places = room::try_collect(places.iter(), |place| place.extract())?;
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
    /// done. `lock.recovered` is true if the last holder died while it held the lock: its changes
    /// may be half done.
    ///
    /// >>> import courtyard as cy
    /// >>> x = cy.List([1, 2])
    /// >>> with x.get_lock():
    /// ...     x[0] += 1
    fn get_lock(slf: &Bound<'_, Self>) -> ObjectLock {
        ObjectLock::new(slf.as_super(), &PLAIN)
    }

    /// Change the value with an index in place: `with x.edit(0) as value:`. What it became is stored.
    ///
    /// Holds get_lock() from before the value is read until it is stored, so that it is exact beside
    /// all other writers, which wait for it. If the block raises, nothing is stored. It is for
    /// values that can be changed in place; to assign to the name in the block has no effect.
    ///
    /// Raises IndexError if there is no such value; TypeError, before the block, for a value that
    /// cannot be changed in place, nor anything in it: a number, a text, None, a datetime, a tuple of
    /// these (assign such a value, with get_lock() held); RuntimeError if the block changed how many
    /// values there are, and in a block of edit() for the same value in the same thread; what reading and storing raise, which leaves the old value. A process killed
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
    let base = Object::make(py, object::LIST, LENGTH, address, fill)?;
    Ok(PyClassInitializer::from(base).add_subclass(Sequence))
}

#[pymethods]
impl List {
    #[new]
    #[pyo3(signature = (address=None))]
    fn new(py: Python<'_>, address: Option<Address>) -> PyResult<PyClassInitializer<List>> {
        Ok(made(py, None, address.as_ref())?.add_subclass(List))
    }

    pub fn __getitem__<'py>(
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

    pub fn __setitem__(
        slf: &Bound<'_, Self>,
        key: &Bound<'_, PyAny>,
        value: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        match key.cast::<PySlice>() {
            Ok(slice) => change::assign(slf.as_super(), Slice::unpack(slice)?, value),
            Err(_) => set_item(slf.as_super(), key, value),
        }
    }

    pub fn __delitem__(slf: &Bound<'_, Self>, key: &Bound<'_, PyAny>) -> PyResult<()> {
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
    /// Setting it removes the first values if there are too many: one change, seen whole. Waits
    /// while another holds get_lock(). `Deque.named(..., maxlen=...)` compares with the present
    /// value.
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
            this.open
                .waiting(slf.py(), |caller| list::bound(caller, this.list, most))
        })
    }

    /// Put a value at the front; otherwise like append(). As collections.deque.appendleft.
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

    /// Take the first value out and return it; otherwise like pop(). As collections.deque.popleft.
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
            this.open
                .waiting(slf.py(), |caller| list::rotate(caller, this.list, n as i64))
        })
    }
}
