//! `check` beside others at work: it accuses nobody, whatever changes hands while it reads.

mod stage;

use courtyard_core::error::Result;
use courtyard_core::holding::Row;
use courtyard_core::inside::deferred_free;
use courtyard_core::inside::operation::Purpose;
use courtyard_core::layout::kind;
use courtyard_core::queue::{self, Got, INLINE, Order, Put, Queue};
use courtyard_core::segment::Segment;
use courtyard_core::space::{Blocks, Hooks, Space, unlimited};
use courtyard_core::value::Words;
use courtyard_core::{HOOKS, check, folder, object};
use stage::{Folder, alone, attach, caller, prove};
use std::cell::RefCell;

/// What somebody else does while `check` reads: it is told which block is looked into.
type Act = Box<dyn FnMut(u64)>;

thread_local! {
    static OTHER: RefCell<Option<Act>> = const { RefCell::new(None) };
}

fn blocks(segment: &Segment, block: u64) -> Result<Blocks> {
    OTHER.with_borrow_mut(|other| {
        if let Some(act) = other {
            act(block);
        }
    });
    (HOOKS.blocks)(segment, block)
}

const WATCHED: Hooks = Hooks { blocks, ..HOOKS };

/// A consumer takes a block from a queue after `check` has read the consumer's tables, and frees it
/// while they are read for the second time: after its magazines, before its other tables. So it is in
/// no word that is read, neither time.
#[test]
fn an_item_is_taken_and_freed_meanwhile() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder::create(&folder.0, WATCHED).unwrap();
    let made = queue::create(caller(&space), 0, Order::Fifo);
    let (id, _) = made.unwrap();
    let (object, ..) = object::open(&space.segment, id).unwrap();
    let queue = Queue { object, id };
    let put = || {
        let item = queue::prepare(caller(&space), 32, &[&[7; 5000]]);
        let put = queue::put(caller(&space), queue, &item.unwrap());
        assert_eq!(put.unwrap(), Put::Done);
    };
    // It lives as long as the process, as its place in the space does.
    let other: &'static Space = Box::leak(Box::new(attach(&space)));
    let row = Row::reserve(caller(other)).unwrap();
    queue::count_in(caller(other), queue, row).unwrap();
    let get = move || -> Got<'static> {
        let buffer = &mut vec![0; INLINE as usize];
        let got = queue::get(caller(other), queue, row, None, buffer);
        got.unwrap().unwrap()
    };
    // The magazine has room. Then a block in the consumer's hands that `check` looks into: after the
    // magazines, before what else the consumer has in hand.
    put();
    drop(get());
    let words = Words::new(Purpose::Store, caller(other), 1).unwrap();
    let before = prove(&space);
    put();
    let (mut taken, mut is_over, segment) = (None, false, &other.segment);
    OTHER.set(Some(Box::new(move |block| {
        match deferred_free::kind_of(segment, block) {
            object::KIND if taken.is_none() && !is_over => taken = Some(get()),
            kind::WORDS if taken.is_some() => {
                taken = None;
                is_over = true;
            }
            _ => {}
        }
    })));
    let found = check::check(&space, &unlimited);
    OTHER.set(None);
    let after = found.expect("nobody is accused");
    assert_eq!(
        queue::counts(&space.segment, object),
        (0, 0),
        "it was taken"
    );
    assert_eq!(after.live_blocks, before.live_blocks);
    drop(words);
    prove(&space);
}
