//! A space's file: made whole or not at all, removed when nobody holds it.

use crate::entry::{Ends, Entry, Judged, OrText, Outcome, Staged, enter, recover};
use crate::image::Place;
use crate::stage::{make, me, warm};
use crate::tracee::Mark;
use courtyard_core::cell::SCALAR;
use courtyard_core::os::fault;
use courtyard_core::{HOOKS, folder, participant};
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
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let uuid = u128::from_str_radix(stem.unwrap_or_default(), 16).or_text()?;
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
    match files(place)?.as_slice() {
        [] => Ok(judged),
        left => Err(format!("a cleaner left {left:?}")),
    }
}

fn create(name: &str, draft: bool) -> Entry {
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
                    let space = folder::create(&place.folder, HOOKS).or_text()?;
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
fn remove(name: &str, act: fn(&Place, Mark) -> Result<bool, String>) -> Entry {
    Entry {
        name: name.into(),
        ends: Ends::Changed,
        stage: Box::new(move |path: &Path| {
            let space = folder::create(path, HOOKS).or_text()?;
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
    entries.push(create("create a space", false));
    entries.push(create("create a space by a draft", true));
    entries.push(remove("remove a space", |place, mark| {
        mark(None);
        folder::remove_if_dead(&place.path, None).or_text()
    }));
    entries.push(remove("leave a space, its last process", |place, mark| {
        let space = enter(place)?;
        make(space, SCALAR, 0);
        mark(Some(&space.segment));
        folder::remove_if_dead(&place.path, Some(me(space).me.slot)).or_text()
    }));
}
