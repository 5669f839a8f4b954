//! An operation to be killed in, and how what is left is told apart.
//!
//! To add one: `play(name, ends, setup, ready, act, judge)`.
//!
//! - `setup` makes the state in a new space, in the name of slot 0. That participant counts as
//!   alive from then on: what it holds stays.
//! - `ready` prepares the process that is to die: what it does is not stepped.
//! - `act` is stepped, one instruction at a time, and killed after each.
//! - `judge` looks at the space after recovery: nothing of it happened, or all of it.

use crate::image::Place;
use crate::stage::caller;
use crate::tracee::{Body, Mark};
use courtyard_core::census::Census;
use courtyard_core::check;
use courtyard_core::layout::superblock;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::{HOOKS, directory, folder};
use std::path::Path;
use std::rc::Rc;

/// The two allowed outcomes of a kill.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    Before,
    /// Of an operation that first makes room in a table, in a record of its own, or gives some back
    /// last: the first of the two is done.
    Prepared,
    After,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Before, Outcome::Prepared, Outcome::After];
}

/// What the operation comes to once its process is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ends {
    /// It changes something that stays.
    Changed,
    /// It concerned its own process only: recovery gives everything back.
    AsBefore,
}

/// An outcome, and figures that must be the same whenever the outcome is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    pub outcome: Outcome,
    pub figures: [u64; 5],
}

pub type Judge = dyn Fn(&Place) -> Result<Judged, String>;

pub type Beside = dyn Fn(&Place) -> Result<(), String>;

/// The first slot, and how many.
pub type Slots = (u64, u64);

/// An operation whose space is set up.
pub struct Staged {
    pub body: Box<Body>,
    pub judge: Box<Judge>,
    /// What others find beside the process while it lives.
    pub beside: Box<Beside>,
    /// Slots whose participants count as alive.
    pub keepers: Vec<Slots>,
    /// Whether files come and go, so that the whole folder is looked at.
    pub fleeting: bool,
    pub uuid: u128,
}

type Stage = dyn Fn(&Path) -> Result<Staged, String>;

pub struct Entry {
    pub name: String,
    pub ends: Ends,
    pub stage: Box<Stage>,
}

/// A result whose error is its text.
pub trait OrText<T> {
    /// # Errors
    /// The text of the error.
    fn or_text(self) -> Result<T, String>;
}

impl<T, E: std::fmt::Display> OrText<T> for Result<T, E> {
    fn or_text(self) -> Result<T, String> {
        self.map_err(|error| error.to_string())
    }
}

pub fn figures(census: &Census) -> [u64; 5] {
    [
        census.objects,
        census.tickets,
        census.participants,
        census.live_blocks,
        census.used,
    ]
}

/// Opens the space as a process of its own does; it stays open until that process ends.
pub fn enter(place: &Place) -> Result<&'static Space, String> {
    let space = folder::attach(&place.path, place.uuid, HOOKS).or_text()?;
    Ok(Box::leak(Box::new(space)))
}

/// An operation of a registered participant.
pub fn play<S: 'static, R: 'static>(
    name: impl Into<String>,
    ends: Ends,
    setup: impl Fn(&Space) -> S + 'static,
    ready: impl Fn(&'static Space, &S) -> R + 'static,
    act: impl Fn(&'static Space, &S, R) + 'static,
    judge: impl Fn(&Space, &S) -> Result<Outcome, String> + 'static,
) -> Entry {
    let (ready, act) = (Rc::new(ready), Rc::new(act));
    let body = Rc::new(move |place: &Place, scene: &S, mark: Mark| {
        let space = enter(place)?;
        let state = ready(space, scene);
        mark(Some(&space.segment));
        act(space, scene, state);
        Ok(())
    });
    staged(name, ends, setup, body, judge, vec![(0, 1)])
}

/// An operation that registers by itself, or does not register at all.
pub fn raw<S: 'static>(
    name: impl Into<String>,
    ends: Ends,
    setup: impl Fn(&Space) -> S + 'static,
    body: impl Fn(&Place, &S, Mark) -> Result<(), String> + 'static,
    judge: impl Fn(&Space, &S) -> Result<Outcome, String> + 'static,
) -> Entry {
    staged(name, ends, setup, Rc::new(body), judge, vec![(0, 1)])
}

type BodyOf<S> = Rc<dyn Fn(&Place, &S, Mark) -> Result<(), String>>;

/// As `raw`, with the slots of those who live on.
pub fn staged<S: 'static>(
    name: impl Into<String>,
    ends: Ends,
    setup: impl Fn(&Space) -> S + 'static,
    body: BodyOf<S>,
    judge: impl Fn(&Space, &S) -> Result<Outcome, String> + 'static,
    keepers: Vec<Slots>,
) -> Entry {
    let judge = Rc::new(judge);
    let stage = move |folder: &Path| {
        let space = folder::create(folder, HOOKS).or_text()?;
        let scene = Rc::new(setup(&space));
        let uuid = space.uuid;
        space.discard(); // its memberships stay: the harness keeps its byte
        let (body, judge, mine) = (body.clone(), judge.clone(), scene.clone());
        Ok(Staged {
            body: Box::new(move |place: &Place, mark: Mark| body(place, &mine, mark)),
            judge: Box::new(move |place: &Place| recover(place, |space| judge(space, &scene))),
            beside: Box::new(|_| Ok(())),
            keepers: keepers.clone(),
            fleeting: false,
            uuid,
        })
    };
    Entry {
        name: name.into(),
        ends,
        stage: Box::new(stage),
    }
}

/// Recovers the space as a newcomer does, proves that it is sound, and asks `judge`.
pub fn recover(
    place: &Place,
    judge: impl Fn(&Space) -> Result<Outcome, String>,
) -> Result<Judged, String> {
    let space = enter(place).map_err(|text| format!("attach: {text}"))?;
    let census = check::check(space, &unlimited).map_err(|error| format!("check: {error}"))?;
    is_settled(space)?;
    let outcome = judge(space)?;
    Ok(Judged {
        outcome,
        figures: figures(&census),
    })
}

/// Whether no change is under way any more: every object's sequence is even.
fn is_settled(space: &Space) -> Result<(), String> {
    let objects = caller(space).run(|operation| {
        operation.lock(superblock::DIRECTORY_LOCK)?;
        Ok(directory::list(operation)?)
    });
    for object in objects.or_text()? {
        let found = (HOOKS.blocks)(&space.segment, object.root.0).or_text()?;
        if found.version & 1 != 0 {
            return Err(format!("object {}: the sequence is odd", object.row));
        }
    }
    Ok(())
}
