//! What one process may do to a cell, and what its user's lock keeps out.

mod stage;

use courtyard_core::cell::{self, BYTES, Entered, SCALAR, Writer};
use courtyard_core::space::patient;
use stage::{
    End, Folder, add, add_alone, alone, attach, census, leave, make, me, read, spawn, writer,
};

#[test]
fn holding_the_lock_of_a_value() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    let (segment, one) = (&space.segment, writer(made));
    let other = Writer { thread: 2, ..one };
    let enter = |writer| cell::enter(segment, me(&space), writer, 0).unwrap();
    assert_eq!([enter(one), enter(one)], [Entered::Yes; 2]);
    assert_eq!(enter(other), Entered::No);
    assert!(!cell::exit(segment, me(&space), other));
    assert!(
        !add_alone(&space, made, 1),
        "the fast path may not pass a held lock"
    );
    assert_eq!(add(&space, made, 1), 1); // by the thread that holds it
    assert!(cell::exit(segment, me(&space), one) && cell::exit(segment, me(&space), one));
    assert!(!cell::exit(segment, me(&space), one));
    // A holder dies: the next internal writer takes the lock over, the next user learns of it.
    let holder = spawn(|| {
        let space = attach(&space);
        cell::enter(&space.segment, me(&space), writer(made), 0).unwrap();
        courtyard_core::os::die();
    });
    assert_eq!(holder.wait(), End::Killed);
    assert_eq!(add(&space, made, 1), 2);
    assert_eq!(enter(other), Entered::Yes);
    assert!(cell::is_recovered(segment, me(&space), other));
    assert!(cell::exit(segment, me(&space), other));
    assert_eq!(enter(one), Entered::Yes);
    assert!(!cell::is_recovered(segment, me(&space), one));
    assert!(cell::exit(segment, me(&space), one));
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
        let (me, writer) = (me(&space), writer(made));
        cell::write_bytes(&space, me, &mut patient, writer, offset, bytes, expected).unwrap()
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
