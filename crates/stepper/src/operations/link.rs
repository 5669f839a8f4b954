//! Values that keep objects: stored, replaced, taken out, given up with what they keep.

use crate::entry::{Ends, Entry, OrText, play};
use crate::stage::{Made, caller, is_free, leave, make, told_apart, warm, writer};
use courtyard_core::layout::superblock;
use courtyard_core::membership_cache::ObjectId;
use courtyard_core::object::{self, SCALAR, STORED, Stored};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::space::Space;
use courtyard_core::table::{self, Batch, Item, Key, Want, When};
use courtyard_core::value::{NewValue, Taken};
use courtyard_core::{HOOKS, directory, link};

const BYTES: &[u8] = &[7; 100];
const LARGE: &[u8] = &[7; 40_000];

/// A table, and an object that others may keep.
#[derive(Clone, Copy)]
struct Scene {
    holder: Made,
    /// Held by the participant that lives on.
    held: Made,
}

/// Keys and how many objects the value of each keeps; and how many objects there are.
type Content = (Vec<(String, usize)>, usize);

fn create(space: &Space) -> Made {
    let made = table::create(caller(space));
    let (id, row) = made.expect("a table");
    let (base, ..) = object::open(&space.segment, id).expect("the table");
    Made { id, row, base }
}

fn linked<'a>(space: &'a Space, objects: &[ObjectId], bytes: &[u8]) -> PendingBlock<'a> {
    link::prepare(caller(space), objects, &[bytes]).expect("a block")
}

fn key(name: &str) -> Key<'_> {
    let bytes = name.as_bytes();
    Key { tag: 1, bytes }
}

fn item<'a>(name: &'a str, value: NewValue<'a>) -> Item<'a> {
    let (key, original) = (key(name), None);
    Item {
        key,
        original,
        value,
    }
}

fn put(space: &Space, holder: Made, name: &str, value: NewValue) {
    let item = item(name, value);
    let stored = table::store(caller(space), writer(holder), &item, When::Always);
    assert!(stored.expect("to store"));
}

fn keep(space: &Space, holder: Made, name: &str, objects: &[ObjectId], bytes: &[u8]) {
    put(
        space,
        holder,
        name,
        NewValue::Block(linked(space, objects, bytes)),
    );
}

/// Stores a new object that the value alone keeps.
fn entrust(space: &Space, holder: Made, name: &str, bytes: &[u8]) {
    let made = make(space, SCALAR, 0);
    keep(space, holder, name, &[made.id], bytes);
    leave(space, made.row);
}

fn remove(space: &Space, holder: Made, name: &str) {
    let removed = table::remove(caller(space), writer(holder), &key(name), When::Always);
    assert!(removed.expect("to remove"));
}

fn content(space: &Space, holder: Made) -> Result<Content, String> {
    let table = writer(holder);
    let mut found = Vec::new();
    let pairs = table::snapshot(caller(space), table, Want::Items).or_text()?;
    for pair in pairs.iter() {
        let kept = match pair.value.ok_or("no value")? {
            Stored::Word(_) => 0,
            Stored::Bytes(_, bytes) => {
                let links = link::count(bytes, bytes.len() as u64).or_text()?;
                let head = link::head(links) as usize;
                if bytes[head..] != *BYTES && bytes[head..] != *LARGE {
                    return Err("other bytes".into());
                }
                links as usize
            }
        };
        found.push((String::from_utf8_lossy(pair.key).into_owned(), kept));
    }
    is_free(space, holder.base.lock())?;
    let objects = caller(space).run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        Ok(directory::list(operation)?.len())
    });
    Ok((found, objects.or_text()?))
}

fn content_of(pairs: &[(&str, usize)], objects: usize) -> Content {
    let pairs = pairs.iter().map(|&(key, kept)| (key.to_string(), kept));
    (pairs.collect(), objects)
}

/// An operation on a table that `fill` filled.
fn change(
    name: &str,
    before: Content,
    after: Content,
    fill: impl Fn(&Space, Scene) + 'static,
    act: impl Fn(&'static Space, Scene) + 'static,
) -> Entry {
    let ends = match before == after {
        true => Ends::AsBefore,
        false => Ends::Changed,
    };
    play(
        name,
        ends,
        move |space| {
            warm(space);
            let (holder, held) = (create(space), make(space, SCALAR, 0));
            // The index of a shard is there.
            for name in ["a", "b", "c"] {
                put(space, holder, name, NewValue::Word(1));
                remove(space, holder, name);
            }
            let scene = Scene { holder, held };
            fill(space, scene);
            scene
        },
        |space, _| warm(space),
        move |space, scene, ()| act(space, *scene),
        move |space, scene| told_apart(&content(space, scene.holder)?, &before, &after),
    )
}

fn storing(entries: &mut Vec<Entry>) {
    for (name, count, bytes) in [
        ("keep an object", 1, BYTES),
        ("keep an object, in a large block", 1, LARGE),
        ("keep an object many times", 40, BYTES),
    ] {
        entries.push(change(
            name,
            content_of(&[], 2),
            content_of(&[("a", count)], 2),
            |_, _| (),
            move |space, scene| {
                keep(space, scene.holder, "a", &vec![scene.held.id; count], bytes);
            },
        ));
    }
    for (name, old, new) in [
        ("keep another object instead", BYTES, BYTES),
        ("keep another object instead, large", LARGE, LARGE),
    ] {
        entries.push(change(
            name,
            content_of(&[("a", 1)], 3),
            content_of(&[("a", 2)], 2),
            move |space, scene| entrust(space, scene.holder, "a", old),
            move |space, scene| keep(space, scene.holder, "a", &[scene.held.id; 2], new),
        ));
    }
    entries.push(change(
        "store some that keep objects",
        content_of(&[("a", 1)], 3),
        content_of(&[("a", 1), ("b", 2)], 2),
        |space, scene| entrust(space, scene.holder, "a", BYTES),
        |space, scene| {
            let mut batch = Batch::new(2, false);
            for (name, count) in [("a", 1), ("b", 2)] {
                let own = linked(space, &vec![scene.held.id; count], BYTES);
                let item = item(name, NewValue::Block(own));
                let added = batch.add(caller(space), writer(scene.holder), &item);
                added.expect("to add");
            }
            let stored = table::store_all(caller(space), writer(scene.holder), &mut batch);
            assert!(stored.expect("to store"));
        },
    ));
    entries.push(change(
        "drop a value that was to keep objects",
        content_of(&[], 2),
        content_of(&[], 2),
        |_, _| (),
        |space, scene| {
            let made = make(space, SCALAR, 0);
            drop(linked(space, &[scene.held.id, made.id], BYTES));
        },
    ));
}

fn giving_up(entries: &mut Vec<Entry>) {
    entries.push(change(
        "replace what keeps an object by a word",
        content_of(&[("a", 1)], 3),
        content_of(&[("a", 0)], 2),
        |space, scene| entrust(space, scene.holder, "a", BYTES),
        |space, scene| put(space, scene.holder, "a", NewValue::Word(1)),
    ));
    entries.push(change(
        "remove what keeps an object that another holds",
        content_of(&[("a", 1)], 2),
        content_of(&[], 2),
        |space, scene| keep(space, scene.holder, "a", &[scene.held.id], BYTES),
        |space, scene| remove(space, scene.holder, "a"),
    ));
    // A table that keeps an object, and itself is kept by nobody else.
    entries.push(change(
        "remove what keeps a table that keeps an object",
        content_of(&[("a", 2)], 4),
        content_of(&[], 2),
        |space, scene| {
            let inner = create(space);
            entrust(space, inner, "x", LARGE);
            keep(space, scene.holder, "a", &[inner.id, scene.held.id], BYTES);
            leave(space, inner.row);
        },
        |space, scene| remove(space, scene.holder, "a"),
    ));
    entries.push(change(
        "take what keeps an object",
        content_of(&[("a", 1)], 3),
        content_of(&[], 2),
        |space, scene| entrust(space, scene.holder, "a", BYTES),
        |space, scene| {
            let table = writer(scene.holder);
            let taken = table::take(caller(space), table, &key("a"));
            let Ok(Some(Taken::Block(block))) = taken else {
                panic!("no block");
            };
            drop(block);
        },
    ));
    entries.push(change(
        "clear a table whose values keep objects",
        content_of(&[("a", 1), ("b", 1), ("c", 1)], 4),
        content_of(&[], 2),
        |space, scene| {
            entrust(space, scene.holder, "a", BYTES);
            keep(space, scene.holder, "b", &[scene.held.id], BYTES);
            entrust(space, scene.holder, "c", LARGE);
        },
        |space, scene| {
            let cleared = table::clear(caller(space), writer(scene.holder));
            cleared.expect("to clear");
        },
    ));
    entries.push(change(
        "break a cycle",
        content_of(&[("a", 2)], 3),
        content_of(&[], 2),
        |space, scene| {
            let other = create(space);
            keep(space, other, "x", &[scene.holder.id], BYTES);
            keep(
                space,
                scene.holder,
                "a",
                &[scene.holder.id, other.id],
                BYTES,
            );
            leave(space, other.row);
        },
        |space, scene| remove(space, scene.holder, "a"),
    ));
    entries.push(change(
        "leave a table whose values keep objects",
        content_of(&[], 2),
        content_of(&[], 2),
        |_, _| (),
        |space, scene| {
            let mine = create(space);
            entrust(space, mine, "a", BYTES);
            keep(space, mine, "b", &[scene.held.id], LARGE);
            leave(space, mine.row);
        },
    ));
    entries.push(change(
        "join an object that a value names",
        content_of(&[("a", 1)], 3),
        content_of(&[("a", 1)], 3),
        |space, scene| entrust(space, scene.holder, "a", BYTES),
        |space, scene| {
            let table = writer(scene.holder);
            let pairs = table::snapshot(caller(space), table, Want::Items);
            let pairs = pairs.expect("a snapshot");
            let value = pairs.iter().next().expect("a pair").value;
            let Some(Stored::Bytes(_, bytes)) = value else {
                panic!("a block");
            };
            let id = link::links(&bytes[..link::head(1) as usize]).next();
            let id = id.expect("a link");
            let joined = directory::join(caller(space), id);
            leave(space, joined.expect("an answer").expect("it lives"));
        },
    ));
}

/// A stored object keeps others as values of tables do.
fn in_an_object(entries: &mut Vec<Entry>) {
    fn store(space: &Space, made: Made, new_value: object::NewValue) {
        let done = object::store(caller(space), writer(made), &new_value, None);
        assert!(done.expect("to store"));
    }
    for (name, bytes, links) in [
        ("store a word over what keeps an object", BYTES, 0),
        ("keep another object in a stored cell", BYTES, 1),
        ("keep another object in a stored cell, large", LARGE, 1),
    ] {
        entries.push(play(
            name,
            Ends::Changed,
            move |space| {
                warm(space);
                let (holder, held) = (make(space, STORED, 0), make(space, SCALAR, 0));
                let made = make(space, SCALAR, 0);
                store(
                    space,
                    holder,
                    object::NewValue::Block(linked(space, &[made.id], bytes)),
                );
                leave(space, made.row);
                Scene { holder, held }
            },
            |space, _| warm(space),
            move |space, scene, ()| {
                let new_value = match links {
                    0 => object::NewValue::Word(1),
                    _ => object::NewValue::Block(linked(space, &[scene.held.id; 2], bytes)),
                };
                store(space, scene.holder, new_value);
            },
            move |space, scene| {
                let found = (HOOKS.blocks)(&space.segment, root(space, scene.holder)?);
                is_free(space, scene.holder.base.lock())?;
                told_apart(&found.or_text()?.links.len(), &1, &(2 * links))
            },
        ));
    }
}

fn root(space: &Space, made: Made) -> Result<u64, String> {
    Ok(directory::root(&space.segment, made.id).or_text()?.0)
}

pub fn add(entries: &mut Vec<Entry>) {
    storing(entries);
    giving_up(entries);
    in_an_object(entries);
}
