//! Registering, forking, reaping, draining, sweeping, checking.

use crate::entry::{Ends, Entry, OrText, Outcome, enter, play, raw, staged};
use crate::image::Place;
use crate::stage::{
    Made, block, bytes_apart, caller, get, is_free, make, me, put, read, set, told_apart, victim,
    warm, write,
};
use crate::tracee::Mark;
use courtyard_core::inside::drain;
use courtyard_core::inside::pin::Pin;
use courtyard_core::keep::Keeper;
use courtyard_core::layout::{self, RESERVED_SLOT, SLOTS, record, slot};
use courtyard_core::lookout::Lookout;
use courtyard_core::object::{BYTES, DATA, MUTEX, SCALAR, STORED};
use courtyard_core::participant::{DRAINING, LIVE, Me, State};
use courtyard_core::pending_block::PendingBlock;
use courtyard_core::segment::Segment;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, check, fork, leave, lock, os, recover};
use std::rc::Rc;

/// A lock that the victim holds, and bytes that it has committed to change.
#[derive(Clone, Copy)]
struct Scene {
    mutex: Made,
    bytes: Made,
}

const OLD: [u8; 100] = [1; 100];
const NEW: [u8; 100] = [9; 100];

fn scene(space: &Space) -> Scene {
    warm(space);
    let mutex = make(space, MUTEX, 0);
    let bytes = make(space, BYTES, 100);
    write(space, bytes, 0, &OLD, None);
    Scene { mutex, bytes }
}

/// A block in hand that views of ours read.
fn in_hand(space: &'static Space) -> PendingBlock<'static> {
    let block = block(space, 50_000);
    assert!(block.keep(Keeper::Views));
    block
}

/// Dies holding objects, blocks, a pin, a lock, and a record committed but not applied.
fn die(space: &Space, scene: Scene) {
    victim(space, "journal.committed", move |space| {
        // What comes before the last record commits records of its own.
        courtyard_core::inside::crash::arm("never", 0);
        for length in [0, 100, 50_000] {
            make(space, BYTES, length);
        }
        let stored = make(space, STORED, 0);
        put(space, stored, &[1; 50_000]);
        for length in [10, 70_000] {
            std::mem::forget(block(space, length));
        }
        let pin = Pin::new(space, me(space), get(space, stored), || true);
        std::mem::forget(pin);
        put(space, stored, &[2; 50_000]); // retired, as the dead one pins it
        lock::try_acquire(&space.segment, scene.mutex.base.lock(), me(space).me, 0)
            .expect("the lock");
        courtyard_core::inside::crash::arm("journal.committed", 0);
        write(space, scene.bytes, 0, &NEW, None);
    });
}

/// Recovery always ends what was committed, and frees the lock.
fn recovered(space: &Space, scene: &Scene) -> Result<Outcome, String> {
    bytes_apart(&read(space, scene.bytes, 100), &NEW, &NEW)?;
    is_free(space, scene.mutex.base.lock())?;
    is_free(space, scene.bytes.base.lock())?;
    Ok(Outcome::Before)
}

fn unchanged(_: &Space, (): &()) -> Result<Outcome, String> {
    Ok(Outcome::Before)
}

/// The dead one, whatever its slot is.
fn find(space: &Space, state: u64) -> Me {
    let here = me(space).me.slot;
    let others = (1..SLOTS).filter(|&slot| slot != here);
    let found = others
        .map(|slot| (slot, State::read(&space.segment, slot)))
        .find(|(_, now)| now.state == state);
    let (slot, now) = found.expect("a dead participant");
    let generation = now.generation;
    Me { slot, generation }
}

fn registering(place: &Place, mark: Mark) -> Result<(), String> {
    let file = os::open(&place.path).or_text()?;
    let segment = Segment::map(file, &place.path).or_text()?;
    let space = Box::leak(Box::new(Space::new(segment, HOOKS).or_text()?));
    mark(Some(&space.segment));
    space.participant().or_text().map(drop)
}

fn recovering(
    name: &str,
    ready: impl Fn(&'static Space, &Scene) + 'static,
    act: impl Fn(&'static Space, &Scene) + 'static,
) -> Entry {
    play(
        name,
        Ends::AsBefore,
        scene,
        move |space, scene| {
            warm(space);
            die(space, *scene);
            ready(space, scene);
        },
        move |space, scene, ()| act(space, scene),
        recovered,
    )
}

fn reap(space: &Space) {
    assert!(recover::reap(&space.segment, find(space, LIVE)).expect("to reap"));
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(raw(
        "register",
        Ends::AsBefore,
        warm,
        |place, (), mark| registering(place, mark),
        unchanged,
    ));
    entries.push(raw(
        "register in a slot used before",
        Ends::AsBefore,
        |space| {
            warm(space);
            victim(space, "never", |space| {
                warm(space);
                make(space, BYTES, 50_000);
            });
            check::check(space, &unlimited).expect("sound");
        },
        |place, (), mark| registering(place, mark),
        unchanged,
    ));
    // What a free slot's record says means nothing, even a committed change of somebody's value.
    entries.push(raw(
        "register in a slot of any content",
        Ends::AsBefore,
        |space| {
            warm(space);
            let made = make(space, SCALAR, 0);
            set(space, made, 7);
            let (base, thread) = (layout::slot_record(1), layout::thread_record(1, 1));
            let allocated = space.segment.allocate(base, base + slot::STRIDE);
            allocated.expect("room for a record");
            let words = [
                (thread + record::COMMIT, 1),
                (thread + record::ENTRIES, made.base + DATA),
                (thread + record::ENTRIES + 8, 8),
                (base + slot::PENDING, made.base.0 - layout::block::SMALL),
            ];
            for (word, value) in words {
                space.segment.word(word).store(value, Ordering::Relaxed);
            }
            made
        },
        |place, _, mark| registering(place, mark),
        |space, made| told_apart(&get(space, *made), &7, &7),
    ));
    entries.push(raw(
        "register beside a dead one",
        Ends::AsBefore,
        |space| {
            let scene = scene(space);
            die(space, scene);
            scene
        },
        |place, _, mark| registering(place, mark),
        recovered,
    ));
    entries.push(raw(
        "attach",
        Ends::AsBefore,
        warm,
        |place, (), mark| {
            mark(None);
            enter(place).map(drop)
        },
        unchanged,
    ));
    // All slots are held by the living but one of a dead one: the newcomer drains it from the
    // reserved slot. The living have no records: nothing is in their name.
    entries.push(staged(
        "register as the guest in the reserved slot",
        Ends::AsBefore,
        |space| {
            let scene = scene(space);
            die(space, scene);
            for slot in 2..RESERVED_SLOT {
                State::write(&space.segment, slot, LIVE, 5);
            }
            scene
        },
        Rc::new(|place: &Place, _: &Scene, mark: Mark| registering(place, mark)),
        recovered,
        vec![(0, 1), (2, RESERVED_SLOT - 2)],
    ));
    entries.push(play(
        "fork an reservation that is never born",
        Ends::AsBefore,
        warm,
        |space, ()| {
            warm(space);
            make(space, SCALAR, 0);
            make(space, BYTES, 50_000);
        },
        |space, (), ()| {
            let reservation = fork::before(space)
                .expect("an reservation")
                .expect("an reservation");
            fork::after_in_parent(reservation);
        },
        unchanged,
    ));
    entries.push(play(
        "fork an reservation, as the reservation",
        Ends::AsBefore,
        warm,
        |space, ()| {
            make(space, SCALAR, 0);
            fork::before(space)
                .expect("an reservation")
                .expect("an reservation")
        },
        |space, (), reservation| {
            fork::after_in_child(space, reservation).unwrap();
            make(space, SCALAR, 0);
        },
        unchanged,
    ));
    entries.push(play(
        "let go of a block that an reservation reads",
        Ends::AsBefore,
        warm,
        |space, ()| warm(space),
        |space, (), ()| {
            let block = in_hand(space);
            let reservation = fork::before(space)
                .expect("an reservation")
                .expect("an reservation");
            drop(block);
            fork::after_in_parent(reservation);
        },
        unchanged,
    ));
    entries.push(play(
        "let go of a block that its parent has, as the reservation",
        Ends::AsBefore,
        warm,
        |space, ()| warm(space),
        |space, (), ()| {
            let block = in_hand(space);
            let reservation = fork::before(space)
                .expect("an reservation")
                .expect("an reservation");
            fork::after_in_child(space, reservation).unwrap();
            drop(block);
        },
        unchanged,
    ));
    entries.push(play(
        "give the slot back",
        Ends::AsBefore,
        |space| {
            warm(space);
            make(space, MUTEX, 0)
        },
        |space, mutex| {
            warm(space);
            for length in [0, 100, 50_000] {
                make(space, BYTES, length);
            }
            let stored = make(space, STORED, 0);
            put(space, stored, &[1; 50_000]);
            lock::try_acquire(&space.segment, mutex.base.lock(), me(space).me, 0)
                .expect("the lock");
        },
        |space, _, ()| assert!(leave(space, &unlimited).expect("to leave")),
        |space, mutex| is_free(space, mutex.base.lock()).map(|()| Outcome::Before),
    ));
    entries.push(recovering(
        "reap, phase (a)",
        |_, _| (),
        |space, _| reap(space),
    ));
    entries.push(recovering(
        "take a turn at looking after the dead",
        |_, _| (),
        |space, _| {
            let mut lookout = Lookout::new(lock::PROBE);
            let found = lookout.look(&space.segment, os::boot_clock());
            assert!(found.expect("to look"));
        },
    ));
    entries.push(recovering(
        "drain, phase (b)",
        |space, _| reap(space),
        |space, _| {
            let slot = find(space, DRAINING).slot;
            drain::drain(caller(space), slot).expect("to drain");
        },
    ));
    entries.push(recovering(
        "sweep",
        |_, _| (),
        |space, _| space.sweep(&unlimited).expect("to sweep"),
    ));
    entries.push(recovering(
        "check",
        |_, _| (),
        |space, _| {
            check::check(space, &unlimited).expect("sound");
        },
    ));
    entries.push(recovering(
        "write bytes that a dead one was writing",
        |_, _| (),
        |space, scene| write(space, scene.bytes, 0, &NEW, None),
    ));
}
