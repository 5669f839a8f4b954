//! A space in one process: objects of every kind, tickets, growth, limits; and nothing leaks.

mod stage;

use courtyard_core::census::Census;
use courtyard_core::directory;
use courtyard_core::error::Error;
use courtyard_core::layout::superblock;
use courtyard_core::object::{BYTES, MUTEX, SCALAR, STORED};
use courtyard_core::os::fault;
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use stage::{
    Folder, add, alone, attach, caller, census, get, held, leave, make, me, put, read, take,
    try_make, try_write, write,
};

#[test]
fn objects_of_every_kind() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let empty = held(&space);
    assert_eq!(empty, (0, 0, 1));

    let scalar = make(&space, SCALAR, 0);
    assert_eq!(add(&space, scalar, 5), 5);
    assert_eq!(add(&space, scalar, 5), 10);
    assert_eq!(get(&space, scalar), 10);

    let bytes = make(&space, BYTES, 1000);
    assert_eq!(read(&space, bytes, 1000), vec![0; 1000]);
    for length in [1, 7, 8, 9, 255, 256, 257, 999, 1000] {
        let text: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
        write(&space, bytes, &text);
        assert_eq!(read(&space, bytes, length), text, "{length} bytes");
    }

    let stored = make(&space, STORED, 0);
    put(&space, stored, b"");
    for length in [0, 1, 100, 30_000, 33_000, 1 << 20, 0, 1 << 20, 100, 5, 0] {
        let text: Vec<u8> = (0..length).map(|at| (at * 3 + length) as u8).collect();
        put(&space, stored, &text);
        assert!(take(&space, stored) == text, "{length} bytes");
        census(&space);
    }
    let mutex = make(&space, MUTEX, 0);
    assert_eq!(census(&space).objects, 4);

    put(&space, stored, &[1; 40_000]);
    for made in [scalar, bytes, stored, mutex] {
        leave(&space, made);
    }
    assert_eq!(held(&space), empty);
}

#[test]
fn what_is_left_is_free_again() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let round = || {
        let made: Vec<_> = (0..300)
            .map(|turn| make(&space, BYTES, turn * turn))
            .collect();
        census(&space);
        for made in made {
            leave(&space, made);
        }
        census(&space)
    };
    let first = round();
    for _ in 0..3 {
        let next = round();
        assert_eq!(next.objects, 0);
        assert_eq!((next.size, next.used), (first.size, first.used));
        assert_eq!(next.live_blocks, first.live_blocks);
    }
}

#[test]
fn blocks_of_many_sizes() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let sizes = [0, 1, 16 << 10, 40 << 10, 1 << 20, 200 << 20];
    let made: Vec<_> = sizes.map(|size| make(&space, BYTES, size)).to_vec();
    for (made, size) in made.iter().zip(sizes) {
        let text = vec![size as u8 ^ 0x5A; size.min(1 << 20) as usize];
        write(&space, *made, &text);
        assert!(read(&space, *made, text.len()) == text);
    }
    let full = census(&space);
    assert!(full.used > 201 << 20);
    for made in made {
        leave(&space, made);
    }
    let after = census(&space);
    assert_eq!(after.objects, 0);
    assert!(after.used < 1 << 20);
    // The room is used again: the file does not grow.
    let again = make(&space, BYTES, 200 << 20);
    assert_eq!(census(&space).size, full.size);
    leave(&space, again);
}

#[test]
fn a_ticket_is_a_reference() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let other = attach(&space);
    let made = make(&space, SCALAR, 0);
    add(&space, made, 42);

    let ticket = directory::send(caller(&space), made.id).unwrap();
    leave(&space, made);
    assert_eq!(held(&space), (1, 1, 2));
    let receive = || directory::receive(caller(&other), made.id, ticket);
    let row = receive().unwrap();
    assert!(directory::is_member(&other, me(&other), row, made.id));
    assert_eq!(held(&space), (1, 0, 2));
    assert_eq!(get(&other, made), 42);

    // A second load takes a reference of its own while the object lives, and none afterwards.
    let second = receive().unwrap();
    for row in [row, second] {
        directory::leave(caller(&other), row).unwrap();
    }
    assert!(matches!(receive(), Err(Error::NotFound(_))));
    assert_eq!(held(&space), (0, 0, 2));
}

/// What is counted, but for free blocks that a shortage gives back to the heap.
fn in_use(space: &Space) -> Census {
    Census {
        idle_blocks: 0,
        ..census(space)
    }
}

#[test]
fn a_size_limit_is_a_clean_error() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let limit = 4 << 20;
    space
        .segment
        .word(superblock::SIZE_LIMIT)
        .store(limit, Ordering::Relaxed);
    let bytes = make(&space, BYTES, 100_000);
    write(&space, bytes, &[7; 100_000]);
    let before = in_use(&space);
    assert!(matches!(
        try_make(&space, BYTES, limit),
        Err(Error::Full(_))
    ));
    assert_eq!(in_use(&space), before);
    let mut made = Vec::new();
    let error = loop {
        match try_make(&space, BYTES, 50_000) {
            Ok(object) => made.push(object),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full(_)), "{error}");
    assert!(error.to_string().contains("size_limit"), "{error}");
    assert!(made.len() > 20);
    assert!(census(&space).size <= limit);
    // A change that needs no room still works; a long one that does fails cleanly.
    let text = vec![8; 100_000];
    let wrote = try_write(&space, bytes, &text);
    assert!(matches!(wrote, Err(Error::Full(_))));
    assert_eq!(read(&space, bytes, 100_000), vec![7; 100_000]);
    for made in made {
        leave(&space, made);
    }
    write(&space, bytes, &text);
    leave(&space, bytes);
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn a_full_file_system_is_a_clean_error() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let bytes = make(&space, BYTES, 1000);
    let before = in_use(&space);
    for skip in 0..4 {
        fault::arm("fallocate", skip, libc::ENOSPC, true);
        let made = try_make(&space, BYTES, 100 << 20);
        fault::disarm();
        assert!(matches!(made, Err(Error::Full(_))), "call {skip}");
        assert_eq!(in_use(&space), before, "call {skip}");
        let length = std::fs::metadata(space.segment.path()).unwrap().len();
        assert_eq!(length, space.segment.size(), "call {skip}");
    }
    leave(&space, make(&space, BYTES, 100 << 20));
    leave(&space, bytes);
    assert_eq!(held(&space), (0, 0, 1));
}
