//! Values that keep objects: as long as they are stored, and no longer.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::layout::{block, kind, superblock};
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, SCALAR, STORED, Stored, Writer};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::table::{self, Batch, Item, Key, Table, Want, When};
use courtyard_core::value::{NewValue, Taken};
use courtyard_core::{directory, link};
use stage::{Folder, Made, alone, caller, census, crashes, leave, make, writer};

const BYTES: &[u8] = b"what the codec wrote";
const LARGE: &[u8] = &[7; 50_000];

fn linked<'a>(space: &'a Space, objects: &[ObjectId], bytes: &[u8]) -> PendingBlock<'a> {
    link::prepare(caller(space), objects, &[bytes]).expect("to prepare")
}

fn table(space: &Space) -> (Made, Table) {
    let (id, row) = table::create(caller(space)).expect("a table");
    let (base, ..) = object::open(&space.segment, id).expect("the table");
    let made = Made { id, row, base };
    (made, writer(made))
}

fn key(name: &str) -> Key<'_> {
    let bytes = name.as_bytes();
    Key { tag: 1, bytes }
}

fn put(space: &Space, table: Writer, name: &str, value: NewValue) {
    let (key, original) = (key(name), None);
    let item = Item {
        key,
        original,
        value,
    };
    let stored = table::store(caller(space), table, &item, When::Always);
    assert!(stored.expect("to store"));
}

/// Stores a value that keeps objects.
fn keep(space: &Space, table: Writer, name: &str, objects: &[ObjectId], bytes: &[u8]) {
    put(
        space,
        table,
        name,
        NewValue::Block(linked(space, objects, bytes)),
    );
}

fn remove(space: &Space, table: Writer, name: &str) {
    let removed = table::remove(caller(space), table, &key(name), When::Always);
    assert!(removed.expect("to remove"));
}

fn objects(space: &Space) -> u64 {
    census(space).objects
}

#[test]
fn objects_live_as_long_as_a_value_keeps_them() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, holder) = table(&space);
    for bytes in [BYTES, LARGE] {
        let made = make(&space, SCALAR, 0);
        // More links than one record counts, most of them to one object.
        let other = make(&space, SCALAR, 0);
        let mut links = vec![other.id; 100];
        links[50] = made.id;
        keep(&space, holder, "k", &links, bytes);
        leave(&space, made);
        leave(&space, other);
        assert_eq!(objects(&space), 3);
        let row = directory::join(caller(&space), made.id);
        let row = row.expect("an answer").expect("it lives");
        put(&space, holder, "k", NewValue::Word(1));
        assert_eq!(objects(&space), 2);
        directory::leave(caller(&space), row).expect("to leave");
        let gone = directory::join(caller(&space), made.id);
        assert_eq!(gone.expect("an answer"), None);
        assert_eq!(objects(&space), 1);
    }
}

#[test]
fn what_is_read_names_them() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (_, holder) = table(&space);
    let made = [make(&space, SCALAR, 0), make(&space, SCALAR, 0)];
    let named = [made[1].id, made[0].id, made[1].id];
    keep(&space, holder, "k", &named, BYTES);
    let pairs = table::snapshot(caller(&space), holder, Want::Items);
    let pairs = pairs.expect("a snapshot");
    let value = pairs.iter().next().expect("a pair").value;
    let Some(Stored::Bytes(found, bytes)) = value else {
        panic!("a block");
    };
    assert_eq!(u64::from(found), kind::LINKED);
    let length = bytes.len() as u64;
    let start = link::head(link::count(bytes, length).expect("a head")) as usize;
    assert_eq!(link::links(&bytes[..start]).collect::<Vec<_>>(), named);
    assert_eq!(&bytes[start..], BYTES);
    assert!(link::count(&bytes[..20], 20).is_err());
    assert!(link::count(&[255; 64], length).is_err());
}

#[test]
fn every_way_out_gives_them_back() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (made, holder) = table(&space);
    let before = objects(&space);
    let new = || {
        let made = make(&space, SCALAR, 0);
        let own = linked(&space, &[made.id], LARGE);
        leave(&space, made);
        own
    };
    drop(new());
    assert_eq!(objects(&space), before);
    let many = |names: [&str; 2]| {
        let mut batch = Batch::new(2, false);
        for name in names {
            let item = Item {
                key: key(name),
                original: None,
                value: NewValue::Block(new()),
            };
            batch.add(caller(&space), holder, &item).expect("to add");
        }
        batch
    };
    drop(many(["a", "b"])); // never stored
    assert_eq!(objects(&space), before);
    for _ in 0..2 {
        assert!(table::store_all(caller(&space), holder, &mut many(["a", "b"])).expect("to store"));
    }
    assert_eq!(objects(&space), before + 2);
    let taken = table::take(caller(&space), holder, &key("a"));
    let Ok(Some(Taken::Block(block))) = taken else {
        panic!("it comes with what it keeps");
    };
    assert_eq!(objects(&space), before + 2);
    drop(block);
    assert_eq!(objects(&space), before + 1);
    table::clear(caller(&space), holder).expect("to clear");
    assert_eq!(objects(&space), before);
    put(&space, holder, "c", NewValue::Block(new()));
    leave(&space, made);
    assert_eq!(objects(&space), before - 1);
}

#[test]
fn a_stored_object_keeps_them_too() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let holder = make(&space, STORED, 0);
    let store = |new| {
        let done = object::store(caller(&space), writer(holder), &new, None);
        assert!(done.expect("to store"));
    };
    for bytes in [BYTES, LARGE] {
        let made = make(&space, SCALAR, 0);
        store(object::NewValue::Block(linked(&space, &[made.id], bytes)));
        leave(&space, made);
        assert_eq!(objects(&space), 2);
        let made = make(&space, SCALAR, 0);
        store(object::NewValue::Block(linked(&space, &[made.id], bytes)));
        leave(&space, made);
        assert_eq!(objects(&space), 2);
        store(object::NewValue::Word(1));
        assert_eq!(objects(&space), 1);
    }
    let made = make(&space, SCALAR, 0);
    store(object::NewValue::Block(linked(&space, &[made.id], LARGE)));
    leave(&space, made);
    leave(&space, holder);
    assert_eq!(objects(&space), 0);
}

#[test]
fn a_cycle_lives_until_it_is_broken() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (one, first) = table(&space);
    let (two, second) = table(&space);
    keep(&space, first, "self", &[one.id], BYTES);
    keep(&space, first, "other", &[two.id], BYTES);
    keep(&space, second, "other", &[one.id], BYTES);
    leave(&space, two);
    assert_eq!(objects(&space), 2);
    table::clear(caller(&space), first).expect("to clear");
    assert_eq!(objects(&space), 1);
    leave(&space, one);
    assert_eq!(objects(&space), 0);
}

/// Taking apart is a loop, whatever hangs on what.
#[test]
fn a_long_chain_goes_piece_by_piece() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (mut last, _) = table(&space);
    for _ in 0..5000 {
        let (made, holder) = table(&space);
        keep(&space, holder, "next", &[last.id], BYTES);
        leave(&space, last);
        last = made;
    }
    assert_eq!(objects(&space), 5001);
    leave(&space, last);
    assert_eq!(objects(&space), 0);
}

#[test]
fn what_is_gone_is_not_kept() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let (made, gone) = (make(&space, SCALAR, 0), make(&space, SCALAR, 0));
    leave(&space, gone);
    let links = [made.id, gone.id];
    let kept = link::prepare(caller(&space), &links, &[BYTES]);
    assert!(matches!(kept, Err(Error::NotFound(_))));
    // The same row, another object.
    let again = make(&space, SCALAR, 0);
    assert_eq!(again.id.row, gone.id.row);
    let joined = directory::join(caller(&space), gone.id);
    assert_eq!(joined.expect("an answer"), None);
    leave(&space, again);
    leave(&space, made);
    assert_eq!(objects(&space), 0);
}

/// Killed with some of its references counted.
#[test]
fn who_dies_before_storing_keeps_nothing() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let (_, holder) = table(&space);
    let before = objects(&space);
    let mut skip = 0;
    for point in ["link.counted", "journal.committed", "table.stored"] {
        skip = 0;
        let other = stage::attach(&space);
        while crashes(point, skip, || {
            let mine = make(&other, SCALAR, 0);
            let links = [vec![made.id; 40], vec![mine.id; 40]].concat();
            keep(&other, holder, "k", &links, LARGE);
            remove(&other, holder, "k");
        }) {
            let found = objects(&space);
            let count = table::count(&space.segment, holder.object);
            assert_eq!(found, before + count, "{point} {skip}");
            if count > 0 {
                remove(&space, holder, "k");
            }
            assert_eq!(objects(&space), before, "{point} {skip}");
            skip += 1;
        }
    }
    assert!(skip > 0);
}

#[test]
fn deferred_blocks_in_a_circle_come_to_an_end() {
    let _alone = alone();
    let folder = Folder::new();
    for circle in 1..4 {
        let space = folder.space();
        let own: Vec<PendingBlock> = (0..circle).map(|_| linked(&space, &[], LARGE)).collect();
        let word = |at: u64, value| space.segment.word(at).store(value, Ordering::Relaxed);
        for (at, block) in own.iter().enumerate() {
            let next = &own[(at + 1) % own.len()];
            word(block.block() + block::SERIAL, next.block());
        }
        word(superblock::DEFERRED_FREE, own[0].block());
        std::mem::forget(own);
        let swept = space.sweep(&unlimited);
        assert!(
            matches!(swept, Ok(()) | Err(Error::Corrupt(_))),
            "{swept:?}"
        );
        let deferred = space.segment.word(superblock::DEFERRED_FREE);
        assert_eq!(deferred.load(Ordering::Relaxed), 0);
        space.discard();
    }
}
