//! `Queue`: the native part of `courtyard.Queue` and its kin.

use super::batch;
use super::clear::clear;
use super::front::{get, look, next_due, peek};
use super::lease::Lease;
use super::state::{Queue, deadline_of, first_item, shut_down};
use super::tail::put;
use crate::argument::Truth;
use crate::codec::Buffers;
use crate::deadline::{Deadline, Limit};
use crate::error::named;
use crate::object::{Address, Handle, Holding, Last, Object, waiter};
use courtyard_core::lock::PROBE;
use courtyard_core::object;
use courtyard_core::queue::{self, Bounds, FINISHED, LEAST_BYTES, LENGTH, Order};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};
use std::time::Instant;

#[pymethods]
impl Queue {
    #[new]
    #[pyo3(signature = (maxsize, order_number, maxbytes=0, address=None))]
    fn new(
        py: Python<'_>,
        maxsize: i64,
        order_number: u64,
        maxbytes: i64,
        address: Option<Address>,
    ) -> PyResult<PyClassInitializer<Queue>> {
        let bounds = Bounds {
            items: maxsize.cast_unsigned(), // below 0 it is more than there can be
            bytes: maxbytes.max(0).cast_unsigned(),
        };
        let order = [Order::Fifo, Order::Lifo, Order::Least];
        let order = order
            .into_iter()
            .find(|&known| known as u64 == order_number);
        let order = order.ok_or_else(|| PyValueError::new_err("unknown order"))?;
        let handle = match &address {
            Some(address) => Handle::load(py, address, object::QUEUE)?,
            None => Handle::made(py, LENGTH, |caller| queue::create(caller, bounds, order))?,
        };
        let holding = Holding::new(handle.space, handle.id(), Last::Stays);
        if !handle.has_length(LENGTH) {
            let message = format!("expected {LENGTH} bytes, found {}", handle.length);
            return Err(named(py, "CorruptError", message));
        }
        let kind = object::QUEUE;
        let base = PyClassInitializer::from(Object { handle, kind });
        Ok(base.add_subclass(Queue { holding, order }))
    }

    /// Put an item into the queue; when it returns, every process can get the item.
    ///
    /// As queue.Queue: waits while the queue is full, up to timeout seconds; block=False does not
    /// wait. A small item costs some 100 ns; a large one is copied once. A process killed in put
    /// has put the item wholly or not, and blocks no other process.
    ///
    /// Raises queue.Full, ShutDown, what pickling the item raises, SpaceFull when there is no
    /// room and nothing to take out; ValueError for a negative timeout.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue(maxsize=1)
    /// >>> q.put({"a": 1})
    /// >>> q.put(2, timeout=0.01)
    /// Traceback (most recent call last):
    /// queue.Full: there may be 1 item (maxsize), ...
    #[pyo3(
        signature = (item, block=None, timeout=None),
        text_signature = "($self, /, item, block=True, timeout=None)"
    )]
    fn put(
        slf: &Bound<'_, Self>,
        item: &Bound<'_, PyAny>,
        block: Option<Truth>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        put(slf, item, deadline_of(slf, block, timeout)?)
    }

    /// Put an item if there is room. Raises queue.Full if not; otherwise like put.
    fn put_nowait(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<()> {
        put(slf, item, None)
    }

    /// Take the first item out of the queue and return it.
    ///
    /// As queue.Queue: waits while the queue is empty, up to timeout seconds; block=False does
    /// not wait. It sleeps without using the CPU; Ctrl-C works at once. An item is given to one
    /// process, and lost if that is killed: use lease() to prevent this.
    ///
    /// An item that a lease put back for later is waited for until it is due, also in a queue that was
    /// shut down; a timeout that ends before raises queue.Empty.
    ///
    /// Raises queue.Empty; ShutDown when the queue is shut down and empty; ValueError for a
    /// negative timeout; LoadError for an item that cannot be loaded here: it is back, first in line.
    ///
    /// With copy=False the buffers of NumPy arrays and the like are read-only, and large ones views
    /// of the item's memory, as Dict.get() has it; the memory is free again when the last view is
    /// gone.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue()
    /// >>> q.put("first"); q.put("second")
    /// >>> q.get()
    /// 'first'
    #[pyo3(
        signature = (block=None, timeout=None, *, copy=Truth(true)),
        text_signature = "($self, /, block=True, timeout=None, *, copy=True)"
    )]
    fn get(
        slf: &Bound<'_, Self>,
        block: Option<Truth>,
        timeout: Option<f64>,
        copy: Truth,
    ) -> PyResult<Py<PyAny>> {
        let wait = deadline_of(slf, block, timeout)?;
        get(slf, wait, Buffers::copied(copy.0)).map_err(|error| first_item(slf, error))
    }

    /// Take the first item if there is one; does not wait, and otherwise is like get().
    ///
    /// Raises queue.Empty if there is none, also while all that is in the queue was put back for later
    /// (Lease.requeue).
    fn get_nowait(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        get(slf, None, Buffers::Own).map_err(|error| first_item(slf, error))
    }

    /// Take the first item on a lease: `with queue.lease() as item`.
    ///
    /// When the block ends the item is done, as if by task_done(). When it raises, or its
    /// process dies, the item comes back, first in line. Waits as get(). Lease says how to put it
    /// back for later, or aside, and what becomes of an item that cannot be loaded.
    ///
    /// The item is a copy, which is the program's to change. There is no copy=False as get() has it:
    /// when the lease ends the item's memory is the queue's again, or free, while views may be left.
    ///
    /// Entering raises Empty and ShutDown as get(), and LoadError. A small item is held in memory of
    /// its own. A full space keeps some for that: where that is used up, what was requeued and is due
    /// comes first, and SpaceFull is raised if leases have all of it; the item stays, and get() takes it.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue(); q.put("work")
    /// >>> with q.lease() as item:
    /// ...     item, q.qsize()
    /// ('work', 0)
    #[pyo3(
        signature = (block=None, timeout=None),
        text_signature = "($self, /, block=True, timeout=None)"
    )]
    fn lease(slf: &Bound<'_, Self>, block: Option<Truth>, timeout: Option<f64>) -> PyResult<Lease> {
        let wait = deadline_of(slf, block, timeout)?;
        Ok(Lease::new(slf.clone().unbind(), wait))
    }

    /// Put all items of an iterable, in their order; waits as put() where there is no room.
    ///
    /// Small numbers and the like in a list or a tuple go together, in a third of the time. The
    /// timeout is for all of them; what was put before it ended, or before an error, stays.
    #[pyo3(
        signature = (items, block=None, timeout=None),
        text_signature = "($self, /, items, block=True, timeout=None)"
    )]
    fn put_many(
        slf: &Bound<'_, Self>,
        items: &Bound<'_, PyAny>,
        block: Option<Truth>,
        timeout: Option<f64>,
    ) -> PyResult<()> {
        let wait = deadline_of(slf, block, timeout)?;
        if items.is_exact_instance_of::<PyList>() || items.is_exact_instance_of::<PyTuple>() {
            return batch::put_all(slf, items, wait);
        }
        // Others may make their items one by one: each is there as soon as it is made.
        for item in items.try_iter()? {
            put(slf, &item?, wait)?;
        }
        Ok(())
    }

    /// Take up to max items and return them in a list: waits as get() for the first one only.
    ///
    /// Small numbers and the like are taken together, in a third of the time. Of items that are large, or
    /// that a lease moved here, at most 1,000 come at once.
    ///
    /// Raises queue.Empty and ShutDown as get(), which waits for items that were put back for later;
    /// ValueError for a max below 0; and LoadError for an item, or what Ctrl-C raises: then all that it
    /// had taken are back, first in line. In a full space it returns fewer items: those before one that
    /// may fail to load, when they could not go back.
    #[pyo3(signature = (max, timeout=None))]
    fn get_many<'py>(
        slf: &Bound<'py, Self>,
        max: isize,
        timeout: Option<f64>,
    ) -> PyResult<Bound<'py, PyList>> {
        let max = usize::try_from(max).map_err(|_| {
            PyValueError::new_err(format!("expected 0 items or more, found max={max}"))
        })?;
        if max == 0 {
            return Ok(PyList::empty(slf.py()));
        }
        batch::get(slf, max, deadline_of(slf, None, timeout)?)
    }

    /// Return how many items are in the queue; exact, but others may change it at once.
    ///
    /// Items that were put back for later count, those on a lease do not.
    ///
    /// What a killed process had on a lease counts again within a tenth of a second: while items are on
    /// leases, the call recovers what dead processes held, if no process did so for that long.
    fn qsize(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        let (items, leased) = queue::counts(segment, object);
        if leased == 0 {
            return Ok(items);
        }
        waiter::look_if_due(slf.py(), base.handle.space)?;
        Ok(queue::counts(segment, object).0)
    }

    /// Return whether the queue is empty: whether qsize() is 0.
    ///
    /// A queue that holds only items that were put back for later is not empty, but get_nowait()
    /// raises queue.Empty.
    fn empty(slf: &Bound<'_, Self>) -> PyResult<bool> {
        Ok(Queue::qsize(slf)? == 0)
    }

    /// Return whether the queue is full: never without maxsize or maxbytes. Items on a lease count.
    ///
    /// With maxbytes: whether there is no room for the smallest item, so that a larger one may have
    /// to wait although the queue is not full.
    fn full(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let segment = &base.handle.space.segment;
        let maximum = queue::maximum(segment, base.handle.object);
        let (items, leased) = queue::counts(segment, base.handle.object);
        let most = queue::maximum_bytes(segment, base.handle.object);
        let bytes = queue::bytes(segment, base.handle.object);
        let has_no_bytes = most != 0 && bytes.saturating_add(LEAST_BYTES) > most;
        Ok(has_no_bytes || maximum != 0 && items + leased >= maximum)
    }

    /// How many bytes the items may count together; None: any number. It is set when it is made.
    #[getter]
    fn maxbytes(slf: &Bound<'_, Self>) -> PyResult<Option<u64>> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let most = queue::maximum_bytes(&base.handle.space.segment, base.handle.object);
        Ok((most != 0).then_some(most))
    }

    /// How many bytes the items count, those on a lease too; 0 where they are not bounded.
    fn _counted_bytes(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        Ok(queue::bytes(&base.handle.space.segment, base.handle.object))
    }

    /// How many items there may be; 0, or less: any number. May be set.
    ///
    /// If more items than the new limit are in the queue, they stay, and put() waits until there
    /// are fewer. `Queue.named(..., maxsize=...)` compares with the present value.
    #[getter]
    fn get_maxsize(slf: &Bound<'_, Self>) -> PyResult<i64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let maximum = queue::maximum(&base.handle.space.segment, base.handle.object);
        Ok(maximum.cast_signed())
    }

    #[setter]
    fn set_maxsize(slf: &Bound<'_, Self>, maxsize: i64) -> PyResult<()> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let maximum = maxsize.cast_unsigned();
        open.waiting(py, |caller| {
            queue::set_maximum(caller, Queue::queue(base), maximum)
        })
    }

    /// Say that an item taken is done. Raises ValueError if all are.
    ///
    /// If a process ends before it calls task_done() for an item that it took, the item counts as
    /// done, so that join() does not wait forever.
    fn task_done(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, this, base) = (slf.py(), slf.get(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let row = this.known_row(py, base, &open)?;
        let (space, queue) = (base.handle.space, Queue::queue(base));
        let done = open.uninterruptible(
            py,
            Limit::NEVER,
            |caller| queue::task_done(caller, queue, row),
            || queue::task_done_later(space, &open, queue, row),
        )?;
        if done != Some(false) {
            return Ok(());
        }
        Err(PyValueError::new_err("task_done() called too many times"))
    }

    /// Wait until all items that were put are done; Ctrl-C works.
    ///
    /// It waits for items that were put back for later, too.
    fn join(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let _open = base.handle.open(py)?;
        let (space, object) = (base.handle.space, base.handle.object);
        let forever = Some(Deadline::NEVER);
        waiter::attempt(py, &base.handle, object + FINISHED, forever, PROBE, || {
            Ok((queue::unfinished(&space.segment, object) == 0).then_some(()))
        })
        .map(drop)
    }

    /// How many items were put and are not done.
    ///
    /// Items that a killed process had taken count as done within a tenth of a second.
    #[getter]
    fn unfinished_tasks(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        let (segment, object) = (&base.handle.space.segment, base.handle.object);
        let open = queue::unfinished(segment, object);
        if open == queue::counts(segment, object).0 {
            return Ok(open); // nobody has any in hand
        }
        waiter::look_if_due(slf.py(), base.handle.space)?;
        Ok(queue::unfinished(segment, object))
    }

    /// Shut the queue down: put raises ShutDown, get too once it is empty.
    ///
    /// As queue.Queue on Python 3.13. With immediate the items in it are dropped and count as
    /// done. Every call that waits at this time ends: it finds an item or room, or raises ShutDown,
    /// even if its process runs again only after reopen(). An item on a lease may come back later,
    /// by requeue() too. A named queue stays shut down until reopen().
    #[pyo3(signature = (immediate=false))]
    fn shutdown(slf: &Bound<'_, Self>, immediate: bool) -> PyResult<()> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        let queue = Queue::queue(base);
        open.waiting(py, |caller| queue::shut_down(caller, queue))?;
        if immediate {
            clear(slf)?;
        }
        Ok(())
    }

    /// Return the next item without taking it: an item of its own, loaded as get() would load it.
    ///
    /// It does not wait for one, and others may take it at once. Calls of get() wait while it is
    /// copied.
    /// An item that a lease put back for later is not there until it is due.
    ///
    /// Raises queue.Empty; ShutDown when the queue is shut down and nothing is left; LoadError.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.PriorityQueue()
    /// >>> q.put((2, "later")); q.put((1, "now"))
    /// >>> q.peek(), q.qsize()
    /// ((1, 'now'), 2)
    fn peek(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        look(slf).map_err(|error| first_item(slf, error))
    }

    /// Take all items out at once, and return how many there were.
    ///
    /// It is one change: it takes exactly the items that were put before it. They count as done, so
    /// that join() ends; nothing is loaded. Items on a lease stay on it. A process killed in
    /// clear() has taken all of them, or none. It takes microseconds, and some 200 ns for each item
    /// of more than 4 KiB, or of a LifoQueue or PriorityQueue. Only in a full space, it takes items
    /// one by one until there is room.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue()
    /// >>> q.put_many("abc")
    /// >>> q.clear(), q.qsize(), q.unfinished_tasks
    /// (3, 0, 0)
    fn clear(slf: &Bound<'_, Self>) -> PyResult<u64> {
        clear(slf)
    }

    /// Undo shutdown(): items can be put again; those that are in it stay.
    ///
    /// Calls that waited when it was shut down end all the same, as shutdown() says; those that come
    /// after reopen() wait as ever.
    ///
    /// A named queue that was shut down stays so for the next program that opens it; this, or
    /// deleting its name (del space["jobs"]), makes it usable again. Does nothing to a queue that is
    /// not shut down.
    ///
    /// >>> import courtyard as cy
    /// >>> q = cy.Queue(); q.shutdown(); q.reopen(); q.put(1)
    /// >>> q.get()
    /// 1
    fn reopen(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (py, base) = (slf.py(), slf.as_super().get());
        let open = base.handle.open(py)?;
        open.waiting(py, |caller| queue::reopen(caller, Queue::queue(base)))
    }

    /// How often it was shut down.
    fn _shutdowns(slf: &Bound<'_, Self>) -> PyResult<u64> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        Ok(queue::shutdowns(
            &base.handle.space.segment,
            base.handle.object,
        ))
    }

    /// The ShutDown that a call raises.
    fn _shut_down(slf: &Bound<'_, Self>, by_put: bool) -> Py<PyAny> {
        shut_down(slf, by_put).into_value(slf.py()).into_any()
    }

    /// In how many seconds the first of the items that were put back for later is due; None: there are none.
    fn _due(slf: &Bound<'_, Self>) -> PyResult<Option<f64>> {
        let due = next_due(slf, Limit::NEVER)?;
        let left = |at: Instant| at.saturating_duration_since(Instant::now()).as_secs_f64();
        Ok(due.map(left))
    }

    /// The first items, as far as they can be decoded without unpickling: none is taken.
    fn _peek<'py>(slf: &Bound<'py, Self>, most: usize) -> PyResult<Bound<'py, PyList>> {
        peek(slf, most)
    }

    #[classmethod]
    fn __class_getitem__<'py>(
        cls: &Bound<'py, pyo3::types::PyType>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let alias = cls.py().import("types")?.getattr("GenericAlias")?;
        alias.call1((cls, item))
    }

    /// Whether shutdown() was called.
    #[getter]
    fn is_shutdown(slf: &Bound<'_, Self>) -> PyResult<bool> {
        let base = slf.as_super().get();
        base.handle.require_open(slf.py())?;
        Ok(queue::is_closing(
            &base.handle.space.segment,
            base.handle.object,
        ))
    }
}
