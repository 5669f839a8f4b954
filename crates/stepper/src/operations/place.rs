//! A space's file: made whole or not at all, removed when nobody holds it.

use crate::entry::{Ends, Entry, Judged, OrText, Outcome, Staged, enter, recover};
use crate::image::Place;
use crate::stage::{make, me, warm};
use crate::tracee::Mark;
use courtyard_core::folder::{self, Wish};
use courtyard_core::object::SCALAR;
use courtyard_core::os::fault;
use courtyard_core::space::Space;
use courtyard_core::{HOOKS, participant};
use std::path::{Path, PathBuf};

fn files(place: &Place) -> Result<Vec<PathBuf>, String> {
    let entries = std::fs::read_dir(&place.folder).or_text()?;
    Ok(entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect())
}

fn spaces(place: &Place) -> Result<Vec<PathBuf>, String> {
    let is_space = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "cy1");
    Ok(files(place)?.into_iter().filter(is_space).collect())
}

/// Each space there is whole and can be entered; once nobody holds it a cleaner leaves nothing.
fn look(place: &Place) -> Result<Judged, String> {
    let spaces = spaces(place)?;
    let mut judged = Judged {
        outcome: Outcome::Before,
        figures: [0; 5],
    };
    for path in &spaces {
        let uuid = folder::read(path).or_text()?.uuid;
        let (folder, path) = (place.folder.clone(), path.clone());
        let place = Place { folder, path, uuid };
        // In a process of its own, so that it is dead when the cleaner comes.
        let control = crate::control::Control::new();
        let Some(pid) = crate::system::fork() else {
            crate::control::guarded(control, || {
                let judged = recover(&place, |_| Ok(Outcome::After))?;
                control.set_found(1, &judged.figures);
                Ok(())
            });
            crate::system::leave(0)
        };
        crate::system::wait(pid);
        if control.state() != crate::control::DONE {
            return Err(control.message());
        }
        judged = Judged {
            outcome: Outcome::After,
            figures: control.found().1,
        };
    }
    folder::clean(&place.folder);
    for path in &spaces {
        // One that has a name outlives its processes.
        let named = path.file_stem().is_some_and(|stem| stem == NAME);
        if named && !folder::remove(path, None, false).or_text()? {
            return Err("a named space that nobody uses cannot be removed".into());
        }
    }
    match files(place)?.as_slice() {
        [] => Ok(judged),
        left => Err(format!("a cleaner left {left:?}")),
    }
}

const NAME: &str = "named";

/// Makes a space in a folder.
type Make = fn(&Path) -> courtyard_core::error::Result<Space>;

fn named(folder: &Path) -> courtyard_core::error::Result<Space> {
    let wish = Wish {
        create: true,
        limit: None,
        looks: false,
    };
    folder::open_named(folder, NAME, wish, HOOKS)
}

fn private(folder: &Path) -> courtyard_core::error::Result<Space> {
    folder::create(folder, HOOKS)
}

fn create(name: &str, draft: bool, make: Make) -> Entry {
    Entry {
        name: name.into(),
        ends: Ends::Changed,
        stage: Box::new(move |_: &Path| {
            Ok(Staged {
                body: Box::new(move |place, mark| {
                    if draft {
                        fault::arm("open_unnamed", 0, libc::EOPNOTSUPP, true);
                    }
                    mark(None);
                    let space = make(&place.folder).or_text()?;
                    std::mem::forget(space);
                    Ok(())
                }),
                judge: Box::new(look),
                beside: Box::new(|place| {
                    for path in spaces(place)? {
                        let file = courtyard_core::os::open(&path).or_text()?;
                        if !participant::any_alive(&file, None).or_text()? {
                            return Err("a space to be found, and nobody is registered".into());
                        }
                    }
                    Ok(())
                }),
                keepers: Vec::new(),
                fleeting: true,
                uuid: 0,
            })
        }),
    }
}

/// A space that nobody holds any more, or `act`'s process alone, is removed: it is there and
/// whole, or gone.
fn remove(name: &str, make: Make, act: fn(&Place, Mark) -> Result<bool, String>) -> Entry {
    Entry {
        name: name.into(),
        ends: Ends::Changed,
        stage: Box::new(move |path: &Path| {
            let space = make(path).or_text()?;
            warm(&space);
            let uuid = space.uuid;
            space.discard();
            Ok(Staged {
                body: Box::new(move |place, mark| match act(place, mark)? {
                    true => Ok(()),
                    false => Err("it was not removed".into()),
                }),
                judge: Box::new(|place| {
                    let judged = look(place)?;
                    Ok(match judged.outcome {
                        Outcome::After => Judged {
                            outcome: Outcome::Before,
                            ..judged
                        },
                        _ => Judged {
                            outcome: Outcome::After,
                            ..judged
                        },
                    })
                }),
                beside: Box::new(|_| Ok(())),
                keepers: Vec::new(),
                fleeting: true,
                uuid,
            })
        }),
    }
}

pub fn add(entries: &mut Vec<Entry>) {
    entries.push(create("create a space", false, private));
    entries.push(create("create a space by a draft", true, private));
    entries.push(create("create a named space", false, named));
    entries.push(create("create a named space by a draft", true, named));
    entries.push(remove("remove a space", private, |place, mark| {
        mark(None);
        folder::remove_if_dead(&place.path, None).or_text()
    }));
    entries.push(remove("destroy a named space", named, |place, mark| {
        mark(None);
        let path = folder::file_name(&place.folder, NAME).or_text()?;
        folder::remove(&path, None, false).or_text()
    }));
    entries.push(remove(
        "leave a space, its last process",
        private,
        |place, mark| {
            let space = enter(place)?;
            make(space, SCALAR, 0);
            mark(Some(&space.segment));
            folder::remove_if_dead(&place.path, Some(me(space).me.slot)).or_text()
        },
    ));
}
