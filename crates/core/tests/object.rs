//! What one process may do to an object, and what its user's lock keeps out.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::object::{self, BYTES, Entered, Pieces, SCALAR, Writer};
use courtyard_core::sync::{AtomicBool, AtomicU8, Ordering};
use stage::{
    End, Folder, add, add_fast, alone, attach, caller, census, leave, make, me, read, spawn, writer,
};

#[test]
fn holding_the_lock_of_a_value() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let (segment, one) = (&space.segment, writer(made));
    let other = Writer { thread: 2, ..one };
    let enter = |writer| object::enter(segment, me(&space), writer, 0).unwrap();
    assert_eq!([enter(one), enter(one)], [Entered::Yes; 2]);
    assert_eq!(enter(other), Entered::No);
    assert!(!object::exit(segment, me(&space), other));
    assert!(
        !add_fast(&space, made, 1),
        "the fast path may not pass a held lock"
    );
    assert_eq!(add(&space, made, 1), 1); // by the thread that holds it
    assert!(object::exit(segment, me(&space), one) && object::exit(segment, me(&space), one));
    assert!(!object::exit(segment, me(&space), one));
    // A holder dies: the next internal writer takes the lock over, the next user learns of it.
    let holder = spawn(|| {
        let space = attach(&space);
        object::enter(&space.segment, me(&space), writer(made), 0).unwrap();
        courtyard_core::os::die();
    });
    assert_eq!(holder.wait(), End::Killed);
    assert_eq!(add(&space, made, 1), 2);
    assert_eq!(enter(other), Entered::Yes);
    assert!(object::is_recovered(segment, me(&space), other));
    assert!(object::exit(segment, me(&space), other));
    assert_eq!(enter(one), Entered::Yes);
    assert!(!object::is_recovered(segment, me(&space), one));
    assert!(object::exit(segment, me(&space), one));
    leave(&space, made);
    census(&space);
}

#[test]
fn writing_bytes_anywhere() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 2000);
    let mut model = vec![0u8; 2000];
    let put = |offset: u64, bytes: &[u8], expected: Option<&[u8]>| {
        let writer = writer(made);
        object::write_bytes(caller(&space), writer, offset, bytes, expected).unwrap()
    };
    for (turn, (offset, length)) in [
        (0, 0),
        (0, 1),
        (7, 1),
        (3, 13),
        (8, 8),
        (1, 256),
        (5, 300),
        (8, 1000),
        (9, 1991),
        (0, 2000),
    ]
    .into_iter()
    .enumerate()
    {
        let bytes: Vec<u8> = (0..length).map(|at| (at + turn * 7 + 1) as u8).collect();
        let mut wrong = model.clone();
        wrong[turn] ^= 1;
        assert!(!put(offset, &bytes, Some(&wrong)));
        assert_eq!(read(&space, made, 2000), model);
        assert!(put(offset, &bytes, Some(&model.clone())));
        model[offset as usize..offset as usize + length].copy_from_slice(&bytes);
        assert_eq!(read(&space, made, 2000), model, "{offset} + {length}");
    }
    leave(&space, made);
    census(&space);
}

#[test]
fn writing_pieces_beside_others() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 4000);
    let mut model = vec![0u8; 4000];
    let mut fill = 1u8;
    for (offset, length, count, stride) in [
        (0, 1, 4000, 1),
        (1, 1, 500, 8),
        (2, 2, 900, 4),
        (4, 4, 3, 1000),
        (6, 2, 3, 6),
        (8, 8, 200, 16),
        (3, 24, 30, 100),
        (0, 3, 1333, 3),
        (5, 0, 0, 1),
        (3999, 1, 1, 1),
    ] {
        fill = fill.wrapping_add(17);
        let from: Vec<u8> = (0..length * count).map(|at| at as u8 ^ fill).collect();
        let pieces = Pieces {
            offset,
            length,
            count,
            stride,
        };
        let writer = writer(made);
        object::write_pieces(caller(&space), writer, pieces, &from, None).unwrap();
        for index in 0..count {
            let (to, at) = (
                (offset + index * stride) as usize,
                (index * length) as usize,
            );
            model[to..to + length as usize].copy_from_slice(&from[at..at + length as usize]);
        }
        assert_eq!(read(&space, made, 4000), model, "{pieces:?}");
        for (start, end) in [(0, 1), (3, 11), (7, 4000), (9, 9), (3993, 4000)] {
            let mut part = vec![0; end - start];
            let start = start as u64;
            object::read_range(caller(&space), writer, start, &mut part).unwrap();
            assert_eq!(part, model[start as usize..end]);
        }
        let mut part = vec![0; from.len()];
        object::read_pieces(caller(&space), writer, pieces, &mut part).unwrap();
        assert_eq!(part, from, "{pieces:?}");
    }
    leave(&space, made);
    census(&space);
}

#[test]
fn bytes_in_place_start_on_a_line() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    for length in [0, 1, 8, 1000, 32_704, 32_705, 40_000, 1 << 20] {
        let made = make(&space, BYTES, length);
        assert_eq!(object::payload(made.base) % 64, 0);
        let bytes = vec![7; length as usize];
        object::write_bytes(caller(&space), writer(made), 0, &bytes, None).unwrap();
        assert_eq!(read(&space, made, length as usize), bytes);
        leave(&space, made);
        census(&space);
    }
    let huge = object::create(caller(&space), BYTES, 1 << 60, |_| {});
    assert!(matches!(huge, Err(Error::Full(_))));
}

/// Bytes changed without the lock while their neighbours are written keep their change.
#[test]
fn neighbours_written_without_the_lock() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, BYTES, 64);
    let at = object::payload(made.base) + 3;
    let own: &AtomicU8 = space.segment.object(at);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = attach(&space);
            for _ in 0..10_000 {
                let writer = writer(made);
                let one = Pieces {
                    offset: 0,
                    length: 1,
                    count: 3,
                    stride: 4,
                };
                for pieces in [Pieces::range(4, 9), Pieces::range(0, 3), one] {
                    let from = vec![1; (pieces.length * pieces.count) as usize];
                    object::write_pieces(caller(&other), writer, pieces, &from, None).unwrap();
                }
            }
            other.discard();
            done.store(true, Ordering::Relaxed);
        });
        let mut turn = 0u8;
        while !done.load(Ordering::Relaxed) {
            turn = turn.wrapping_add(1);
            own.store(turn, Ordering::Relaxed);
            for _ in 0..20 {
                assert_eq!(own.load(Ordering::Relaxed), turn);
            }
        }
    });
    leave(&space, made);
    census(&space);
}
