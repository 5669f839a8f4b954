//! Names and named spaces, in the engine: one object for all, nothing half born, nothing left.

mod stage;

use courtyard_core::error::Error;
use courtyard_core::folder::{self, Wish};
use courtyard_core::layout::superblock;
use courtyard_core::object::{self, BYTES, SCALAR};
use courtyard_core::space::Space;
use courtyard_core::sync::Ordering;
use courtyard_core::{HOOKS, directory};
use stage::{
    Child, End, Folder, Made, add, alone, caller, census, crashes, get, held, leave, make, me,
    spawn,
};

const WISH: Wish = Wish {
    create: true,
    limit: None,
    looks: false,
};

fn bind(space: &Space, name: &str, made: Made) -> bool {
    directory::bind(caller(space), name, b"a scalar", made.id, None).unwrap()
}

fn unbind(space: &Space, name: &str) -> bool {
    directory::unbind(caller(space), name).unwrap()
}

fn lookup(space: &Space, name: &str) -> Option<directory::Named> {
    directory::lookup(caller(space), name).unwrap()
}

fn open(folder: &Folder, name: &str) -> Space {
    folder::open_named(&folder.0, name, WISH, HOOKS).unwrap()
}

#[test]
fn a_name_is_a_reference() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    add(&space, made, 7);
    assert!(lookup(&space, "x").is_none() && !unbind(&space, "x"));
    assert!(bind(&space, "x", made));
    assert!(!bind(&space, "x", made), "it is taken");
    leave(&space, made);
    assert_eq!(held(&space), (1, 0, 1));
    let found = lookup(&space, "x").unwrap();
    assert_eq!(
        (found.id, found.description),
        (made.id, b"a scalar".to_vec())
    );
    assert_eq!(get(&space, made), 7);
    assert_eq!(
        (census(&space).names, directory::count(&space.segment)),
        (1, 1)
    );
    let name = directory::name_of(caller(&space), made.id).unwrap();
    assert_eq!(name.as_deref(), Some("x"));
    assert!(unbind(&space, "x"));
    assert_eq!(held(&space), (0, 0, 1));
}

#[test]
fn many_names_come_and_go() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let round = || {
        let made: Vec<_> = (0..500).map(|_| make(&space, SCALAR, 0)).collect();
        for (number, &made) in made.iter().enumerate() {
            assert!(bind(&space, &format!("name {number}"), made));
        }
        assert_eq!(census(&space).names, 500);
        for (number, made) in made.iter().enumerate().rev() {
            let name = format!("name {number}");
            assert_eq!(lookup(&space, &name).unwrap().id, made.id);
            assert!(unbind(&space, &name) && lookup(&space, &name).is_none());
            leave(&space, *made);
        }
        census(&space)
    };
    let first = round();
    let second = round();
    assert_eq!((second.used, second.size), (first.used, first.size));
    assert_eq!((second.objects, second.names), (0, 0));
}

#[test]
fn names_of_any_length() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    for length in [1, 7, 8, 9, 254, 255] {
        let name = "字".repeat(length);
        assert!(bind(&space, &name, made));
        let names = directory::names(caller(&space)).unwrap();
        assert_eq!(
            names.iter().map(|entry| &entry.name).collect::<Vec<_>>(),
            [&name]
        );
        assert!(unbind(&space, &name));
    }
    for name in [String::new(), "x".repeat(1021)] {
        let refused = directory::bind(caller(&space), &name, b"", made.id, None);
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
    leave(&space, made);
    let gone = directory::bind(caller(&space), "x", b"", made.id, None);
    assert!(matches!(gone, Err(Error::NotFound(_))));
    assert_eq!(held(&space), (0, 0, 1));
}

/// There are about as many buckets as names, whatever their number, and each name is found.
#[test]
fn buckets_come_with_names() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let title = |number| format!("title {number}");
    let mut made = Vec::new();
    for number in 0..3000 {
        made.push(make(&space, SCALAR, 0));
        assert!(bind(&space, &title(number), made[number]));
        let more = space.segment.word(superblock::MORE_BUCKETS);
        let more = more.load(Ordering::Relaxed) as usize;
        assert_eq!(more, (number + 1).saturating_sub(64));
    }
    assert_eq!(census(&space).names, 3000);
    for (number, made) in made.iter().enumerate() {
        let title = title(number);
        assert_eq!(lookup(&space, &title).unwrap().id, made.id);
        let name = directory::name_of(caller(&space), made.id);
        assert_eq!(name.unwrap(), Some(title));
    }
    for (number, &made) in made.iter().enumerate() {
        assert!(unbind(&space, &title(number)));
        let name = directory::name_of(caller(&space), made.id);
        assert_eq!(name.unwrap(), None);
        leave(&space, made);
    }
    assert_eq!(census(&space).names, 0);
}

/// A name finds room where more buckets do not; they come when there is room again.
#[test]
fn a_full_space_goes_without_buckets() {
    let _alone = alone();
    let folder = Folder::new();
    let wish = Wish {
        limit: Some(2 << 20),
        ..WISH
    };
    let space = folder::open_named(&folder.0, "small", wish, HOOKS).unwrap();
    let named = make(&space, SCALAR, 0);
    for number in 0..64 {
        assert!(bind(&space, &format!("title {number}"), named));
    }
    let mut filling = Vec::new();
    for length in [40_000, 900] {
        while let Ok(made) = object::create(caller(&space), BYTES, length, |_| {}) {
            filling.push(made);
        }
    }
    // The last chunk is the unit that more rows of names need.
    for (_, row) in filling.split_off(filling.len() - 15) {
        directory::leave(caller(&space), row).unwrap();
    }
    assert!(bind(&space, "without", named));
    let more = || {
        let word = space.segment.word(superblock::MORE_BUCKETS);
        word.load(Ordering::Relaxed)
    };
    assert_eq!(more(), 0);
    for (_, row) in filling {
        directory::leave(caller(&space), row).unwrap();
    }
    assert!(bind(&space, "with", named));
    assert_eq!((more(), census(&space).names), (1, 66));
    for name in ["title 0", "without", "with"] {
        assert!(lookup(&space, name).is_some());
    }
}

/// A process that dies while it makes one bucket more leaves all names where they are found.
#[test]
fn a_death_divides_a_bucket_or_not() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    for number in 0..70 {
        assert!(bind(&space, &format!("title {number}"), made));
    }
    for (number, skip) in (0..30).enumerate() {
        let title = space.segment.path();
        let died = crashes("journal.applying", skip, || {
            let space = folder::attach(&title, space.uuid, HOOKS).unwrap();
            bind(&space, &format!("another {number}"), made);
        });
        census(&space);
        for number in 0..70 {
            assert!(lookup(&space, &format!("title {number}")).is_some());
        }
        if !died {
            return;
        }
    }
    panic!("no record is that long");
}

/// A process that dies at each point of a record has given the name or not.
#[test]
fn a_death_gives_a_name_or_none() {
    let _alone = alone();
    let folder = Folder::new();
    let space = folder.space();
    let made = make(&space, SCALAR, 0);
    assert!(bind(&space, "warm", made) && unbind(&space, "warm"));
    for point in [
        "journal.written",
        "journal.committed",
        "journal.applying",
        "journal.cleared",
    ] {
        for skip in 0..40 {
            let title = space.segment.path();
            let died = crashes(point, skip, || {
                let space = folder::attach(&title, space.uuid, HOOKS).unwrap();
                let made = make(&space, BYTES, 100);
                bind(&space, "x", made);
                unbind(&space, "x");
            });
            census(&space);
            if lookup(&space, "x").is_some() {
                assert!(unbind(&space, "x"));
            }
            assert_eq!(held(&space), (1, 0, 1), "{point} {skip}");
            if !died {
                break;
            }
        }
    }
}

#[test]
fn a_named_space_stays() {
    let _alone = alone();
    let folder = Folder::new();
    let missing = folder::open_named(&folder.0, "x", Wish::default(), HOOKS);
    assert!(matches!(missing, Err(Error::NotFound(_))));
    let space = open(&folder, "x");
    assert_eq!((space.title().unwrap(), space.kind()), ("x", folder::NAMED));
    let made = make(&space, SCALAR, 0);
    add(&space, made, 3);
    assert!(bind(&space, "n", made));
    let second = open(&folder, "x");
    assert_eq!(second.uuid, space.uuid);
    let slot = me(&space).me.slot;
    assert!(!folder::remove(&space.segment.path(), Some(slot), false).unwrap());
    second.discard();
    let path = space.segment.path();
    space.discard();
    assert_eq!(folder::clean(&folder.0), 0, "nobody takes it along");
    assert!(!folder::remove_if_dead(&path, None).unwrap());
    let space = open(&folder, "x");
    let found = lookup(&space, "n").unwrap();
    assert_eq!(found.id, made.id);
    assert_eq!(get(&space, made), 3);
    assert_eq!(held(&space), (1, 0, 1));
    space.discard();
    assert!(folder::remove(&path, None, false).unwrap());
    assert_eq!(folder.files().len(), 0);
}

#[test]
fn racing_makers_get_one_space() {
    let _alone = alone();
    for round in 0..10 {
        let folder = Folder::new();
        let children: Vec<Child> = (0..4)
            .map(|_| {
                spawn(|| {
                    let space = open(&folder, "race");
                    let made = make(&space, SCALAR, 0);
                    add(&space, made, 1);
                    bind(&space, "n", made);
                    courtyard_core::os::die();
                })
            })
            .collect();
        for child in children {
            assert_eq!(child.wait(), End::Killed);
        }
        let space = open(&folder, "race");
        assert_eq!(census(&space).names, 1, "{round}");
        assert_eq!(held(&space), (1, 0, 1), "{round}");
        assert_eq!(folder.files(), [space.segment.path()]);
    }
}

/// The first to come after all others ended checks what may not be as they left it.
#[test]
fn after_a_reboot_it_is_checked() {
    let _alone = alone();
    let folder = Folder::new();
    let path = folder.0.join("file");
    let space = folder::open_durable(&path, WISH, HOOKS).unwrap();
    let made = make(&space, SCALAR, 0);
    assert!(bind(&space, "n", made));
    let boot = space.segment.word(superblock::BOOT);
    boot.fetch_add(1, Ordering::Relaxed); // another boot's
    space.discard();
    let space = folder::open_durable(&path, WISH, HOOKS).unwrap();
    let boot = |space: &Space| {
        let word = space.segment.word(superblock::BOOT);
        word.load(Ordering::Relaxed)
    };
    assert_eq!(
        boot(&space),
        courtyard_core::os::boot_id() as u64,
        "checked, and noted"
    );
    let live = space.segment.word(superblock::OBJECTS);
    let rows = live.swap(0, Ordering::Relaxed);
    let word = space.segment.word(superblock::BOOT);
    word.fetch_add(1, Ordering::Relaxed);
    space.discard();
    for _ in 0..2 {
        let broken = folder::open_durable(&path, WISH, HOOKS);
        assert!(
            matches!(broken, Err(Error::Corrupt(_))),
            "each who comes is told"
        );
    }
    assert_ne!(rows, 0);
}
