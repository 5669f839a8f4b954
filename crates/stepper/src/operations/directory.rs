//! Objects made and left, tickets sent and received, tables that grow.

use crate::entry::{Ends, Entry, Outcome, play};
use crate::stage::{Made, caller, leave, make, put, warm};
use courtyard_core::check;
use courtyard_core::directory::{self, Ticket};
use courtyard_core::inside::rows::{self, Place};
use courtyard_core::layout::superblock;
use courtyard_core::object::{BYTES, MUTEX, SCALAR, STORED};
use courtyard_core::space::{Space, unlimited};
use courtyard_core::sync::Ordering;

const KINDS: [(u64, u64, &str); 6] = [
    (SCALAR, 0, "a scalar"),
    (BYTES, 100, "bytes"),
    (BYTES, 50_000, "many bytes"),
    (STORED, 0, "a stored object"),
    (STORED, 1, "a large stored object"),
    (MUTEX, 0, "a lock"),
];

fn create(space: &Space, kind: u64, length: u64) -> Made {
    match (kind, length) {
        (STORED, large) => {
            let made = make(space, STORED, 0);
            put(space, made, &vec![1; if large == 0 { 100 } else { 50_000 }]);
            made
        }
        _ => make(space, kind, length),
    }
}

fn unchanged(_: &Space, (): &()) -> Result<Outcome, String> {
    Ok(Outcome::Before)
}

fn creating(entries: &mut Vec<Entry>) {
    for (kind, length, name) in KINDS {
        entries.push(play(
            format!("create {name}"),
            Ends::AsBefore,
            warm,
            |space, ()| warm(space),
            move |space, (), ()| {
                create(space, kind, length);
            },
            unchanged,
        ));
        entries.push(play(
            format!("leave {name}, its last holder"),
            Ends::AsBefore,
            warm,
            move |space, ()| {
                warm(space);
                create(space, kind, length)
            },
            |space, (), made| leave(space, made.row),
            unchanged,
        ));
    }
    entries.push(play(
        "create a scalar, its process's first",
        Ends::AsBefore,
        warm,
        |_, ()| (),
        |space, (), ()| {
            make(space, SCALAR, 0);
        },
        unchanged,
    ));
    entries.push(play(
        "create a scalar, the space's first",
        Ends::Changed,
        |_| (),
        |_, ()| (),
        |space, (), ()| {
            make(space, SCALAR, 0);
        },
        |space, ()| table(space, superblock::OBJECTS),
    ));
    entries.push(play(
        "create the 65th scalar",
        Ends::Changed,
        |space| {
            warm(space);
            for _ in 0..64 {
                make(space, SCALAR, 0);
            }
        },
        |space, ()| drop(crate::stage::block(space, 10)),
        |space, (), ()| {
            make(space, SCALAR, 0);
        },
        |space, ()| table(space, superblock::OBJECTS + 8),
    ));
}

/// Whether this segment of a table is there.
fn table(space: &Space, word: u64) -> Result<Outcome, String> {
    let there = space.segment.word(word).load(Ordering::Relaxed) != 0;
    Ok(if there {
        Outcome::After
    } else {
        Outcome::Before
    })
}

fn send(space: &Space, made: Made) -> Ticket {
    directory::send(caller(space), made.id).expect("a ticket")
}

fn receive(space: &Space, made: Made, ticket: Ticket) -> u64 {
    let row = directory::receive(caller(space), made.id, ticket);
    row.expect("received")
}

/// The number of open tickets tells.
fn tickets(space: &Space, before: u64) -> Result<Outcome, String> {
    let census = check::check(space, &unlimited).map_err(|error| error.to_string())?;
    if census.objects != 1 {
        return Err(format!("{} objects, expected 1", census.objects));
    }
    let same = census.tickets == before;
    Ok(if same {
        Outcome::Before
    } else {
        Outcome::After
    })
}

fn kept(space: &Space) -> (Made, Ticket) {
    warm(space);
    let made = make(space, SCALAR, 0);
    (made, send(space, made))
}

/// Lets a ticket of the dead run out at once.
fn run_out(space: &Space, ticket: Ticket) {
    let place = rows::place(&space.segment, superblock::TICKETS, ticket.row, 32);
    let Ok(Place::At(at)) = place else {
        panic!("no ticket row")
    };
    space
        .segment
        .word(at + 16)
        .store(99 << 32, Ordering::Relaxed);
    space.segment.word(at + 24).store(1, Ordering::Relaxed);
}

fn tickets_under_way(entries: &mut Vec<Entry>) {
    entries.push(play(
        "send",
        Ends::Changed,
        |space| {
            warm(space);
            make(space, SCALAR, 0)
        },
        |space, _| warm(space),
        |space, made, ()| {
            send(space, *made);
        },
        |space, _| tickets(space, 0),
    ));
    entries.push(play(
        "send, the space's first ticket",
        Ends::Changed,
        |space| make(space, SCALAR, 0),
        |_, _| (),
        |space, made, ()| {
            send(space, *made);
        },
        |space, _| {
            let table = table(space, superblock::TICKETS)?;
            match tickets(space, 0)? {
                Outcome::Before if table == Outcome::After => Ok(Outcome::Prepared),
                outcome => Ok(outcome),
            }
        },
    ));
    entries.push(play(
        "receive",
        Ends::Changed,
        kept,
        |space, _| warm(space),
        |space, (made, ticket), ()| {
            receive(space, *made, *ticket);
        },
        |space, _| tickets(space, 1),
    ));
    entries.push(play(
        "receive again",
        Ends::AsBefore,
        kept,
        |space, (made, ticket)| {
            warm(space);
            receive(space, *made, *ticket);
        },
        |space, (made, ticket), ()| {
            receive(space, *made, *ticket);
        },
        |space, _| tickets(space, 0),
    ));
    entries.push(play(
        "leave, not the last holder",
        Ends::AsBefore,
        kept,
        |space, (made, ticket)| receive(space, *made, *ticket),
        |space, _, row| leave(space, row),
        |space, _| tickets(space, 0),
    ));
    entries.push(play(
        "expire a ticket",
        Ends::AsBefore,
        kept,
        |space, (_, ticket)| {
            warm(space);
            run_out(space, *ticket);
        },
        |space, _, ()| directory::expire(caller(space)).expect("to expire"),
        |space, _| tickets(space, 0),
    ));
}

pub fn add(entries: &mut Vec<Entry>) {
    creating(entries);
    tickets_under_way(entries);
}
