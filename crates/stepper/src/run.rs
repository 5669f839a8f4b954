//! One operation, killed at every instruction; then its recovery, killed in the same way.

use crate::control::{self, Control, DONE};
use crate::entry::{Ends, Entry, Judged, OrText, Outcome, Staged};
use crate::image::{Hot, Image, Place, Print, Watch};
use crate::store;
use crate::system::{self, Event};
use crate::tracee::{self, Mark};
use courtyard_core::layout::LIVENESS_BYTE;
use courtyard_core::os::{self, Claim};
use courtyard_core::segment::Segment;
use courtyard_core::space::{Space, unlimited};
use courtyard_core::{HOOKS, check};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds that recovery and the judge may take; they need milliseconds.
const LIMIT: u32 = 10;
/// Recoveries of one operation that are followed: of all its images, if it has no more.
const MOST_RECOVERIES: usize = 64;
/// Slots that are looked at where it is not known which pages a run writes.
const SLOTS: u64 = 6;

#[derive(Clone, Default)]
pub struct Report {
    pub name: String,
    /// Instructions of the operation, each a place to die; and distinct images among them.
    pub kill_points: u64,
    pub images: u64,
    /// How many of the images had their recovery stepped, its instructions, its images.
    pub recoveries: u64,
    pub recovery_points: u64,
    /// Stores that changed shared memory in recoveries that were followed by these alone.
    pub recovery_stores: u64,
    pub recovery_images: u64,
    pub violations: u64,
    pub told: Vec<String>,
}

/// Where the harness works, and how far it goes.
pub struct Bench {
    pub root: PathBuf,
    pub control: Control,
    pub keep: bool,
    /// Violations after which an operation is given up: more tell nothing more.
    pub most: usize,
}

struct Found {
    step: u64,
    image: Image,
    judged: Judged,
}

impl Bench {
    pub fn new(root: PathBuf, keep: bool, most: usize) -> Bench {
        use std::os::unix::fs::DirBuilderExt;
        let made = std::fs::DirBuilder::new().mode(0o700).create(&root);
        made.expect("a folder of our own in /dev/shm");
        let control = Control::new();
        Bench {
            root,
            control,
            keep,
            most,
        }
    }

    fn folder(&self, name: &str) -> Result<PathBuf, String> {
        use std::os::unix::fs::DirBuilderExt;
        let path = self.root.join(name);
        let _ = std::fs::remove_dir_all(&path);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| format!("harness: {}: {error}", path.display()))?;
        Ok(path)
    }

    fn materialise(&self, name: &str, staged: &Staged, image: &Image) -> Result<Replica, String> {
        let folder = self.folder(name)?;
        image.write(&folder).or_text()?;
        Replica::new(place_in(&folder, staged), staged)
    }

    /// Recovers and judges an image in a process of its own.
    fn judge(&self, name: &str, staged: &Staged, image: &Image) -> Result<Judged, String> {
        let replica = self.materialise(name, staged, image)?;
        let control = self.control;
        control.reset();
        let Some(pid) = system::fork() else {
            system::alarm(LIMIT);
            control::guarded(control, || {
                let judged = (staged.judge)(&replica.place)?;
                let outcome = judged.outcome as u64;
                control.set_found(outcome, &judged.figures);
                Ok(())
            });
            system::leave(0)
        };
        match system::wait(pid) {
            Event::Exited(0) if control.state() == DONE => {
                let (outcome, figures) = control.found();
                let outcome = Outcome::ALL[outcome as usize];
                Ok(Judged { outcome, figures })
            }
            Event::Exited(0) => Err(control.message()),
            Event::Killed(libc::SIGALRM) => Err("recovery or judge hangs".into()),
            event => Err(format!(
                "recovery or judge: {event:?}: {}",
                control.message()
            )),
        }
    }

    /// The image as a file that stays, if the user asked for it.
    fn kept(&self, image: &Image, name: &str, step: u64) -> String {
        if !self.keep {
            return String::new();
        }
        let name: String = name
            .chars()
            .map(|c| if c.is_alphanumeric() { c } else { '-' })
            .collect();
        let folder = std::env::temp_dir().join(format!("courtyard-kept-{name}-{step}"));
        let _ = std::fs::remove_dir_all(&folder);
        match std::fs::create_dir(&folder).and_then(|()| image.write(&folder)) {
            Ok(()) => format!(" [{}]", folder.display()),
            Err(error) => format!(" [not kept: {error}]"),
        }
    }
}

impl Drop for Bench {
    /// Also after a panic; a child never comes here, as it leaves at once.
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn place_in(folder: &Path, staged: &Staged) -> Place {
    Place {
        folder: folder.to_owned(),
        path: courtyard_core::folder::private_path(folder, staged.uuid),
        uuid: staged.uuid,
    }
}

/// A space on its file, with those who live on kept alive by us.
struct Replica {
    place: Place,
    _keepers: Option<File>,
}

impl Replica {
    fn new(place: Place, staged: &Staged) -> Result<Replica, String> {
        let file = match os::open(&place.path) {
            Ok(file) if !staged.keepers.is_empty() => file,
            _ => {
                let _keepers = None;
                return Ok(Replica { place, _keepers });
            }
        };
        for &(first, count) in &staged.keepers {
            let held = os::claim(&file, Claim::Write, LIVENESS_BYTE + first, count);
            if !held.or_text()? {
                return Err("harness: a keeper's byte is taken".into());
            }
        }
        let _keepers = Some(file);
        Ok(Replica { place, _keepers })
    }
}

/// What is to hold of the images of a run, one after another.
struct Order {
    ends: Ends,
    reached: Outcome,
}

impl Order {
    fn check(&mut self, judged: &Judged) -> Result<(), String> {
        if judged.outcome == Outcome::After && self.ends == Ends::AsBefore {
            return Err("after, where nothing was to change".into());
        }
        if judged.outcome < self.reached {
            return Err(format!(
                "{:?}, although it was {:?}",
                judged.outcome, self.reached
            ));
        }
        self.reached = judged.outcome;
        Ok(())
    }
}

/// Runs one entry: all of it, then its recoveries until `end`, some of them in any case.
pub fn run(bench: &Bench, entry: &Entry, end: Option<Instant>) -> Report {
    let mut report = Report {
        name: entry.name.clone(),
        ..Report::default()
    };
    if let Err(text) = run_all(bench, entry, end, &mut report) {
        report.accuse(text);
    }
    report
}

impl Report {
    pub fn add(&mut self, other: &Report) {
        self.kill_points += other.kill_points;
        self.images += other.images;
        self.recoveries += other.recoveries;
        self.recovery_points += other.recovery_points;
        self.recovery_stores += other.recovery_stores;
        self.recovery_images += other.recovery_images;
        self.violations += other.violations;
    }

    fn accuse(&mut self, text: String) {
        self.violations += 1;
        self.told.push(text);
    }

    /// # Errors
    /// That it is time to give this operation up.
    fn bear(&self, most: usize) -> Result<(), String> {
        match self.told.len() < most {
            true => Ok(()),
            false => Err("too many violations; the rest was not looked at".into()),
        }
    }
}

fn run_all(
    bench: &Bench,
    entry: &Entry,
    end: Option<Instant>,
    report: &mut Report,
) -> Result<(), String> {
    let base = bench.folder("base")?;
    let staged = (entry.stage)(&base)?;
    let mut watch = Watch::new(&place_in(&base, &staged), Hot::Only(Vec::new()), false);
    watch.begin();
    let base = watch.image.clone();
    let found = step_operation(bench, entry, &staged, &base, report)?;
    let (Some(first), Some(last)) = (found.first(), found.last()) else {
        return Err("nothing could be judged".into());
    };
    if (last.judged.outcome == Outcome::After) != (entry.ends == Ends::Changed) {
        report.accuse(format!("at its end: {:?}", last.judged.outcome));
    }
    for found in &found {
        let like = match found.judged.outcome {
            Outcome::Before => first,
            Outcome::Prepared => continue,
            Outcome::After => last,
        };
        if found.judged.figures != like.judged.figures {
            report.accuse(format!(
                "step {}: figures {:?}, expected {:?}{}",
                found.step,
                found.judged.figures,
                like.judged.figures,
                bench.kept(&found.image, &entry.name, found.step),
            ));
        }
    }
    if report.violations > 0 {
        return Ok(()); // recovering what is broken tells nothing more
    }
    let mut known = HashMap::new();
    let over = || end.is_some_and(|end| Instant::now() > end);
    for (turn, at) in spread(found.len())
        .into_iter()
        .take(MOST_RECOVERIES)
        .enumerate()
    {
        if over() {
            break;
        }
        follow_recovery(
            bench,
            entry,
            &staged,
            &found[at],
            Way::Stores,
            &mut known,
            report,
        )?;
        if turn == 0 && !over() {
            follow_recovery(
                bench,
                entry,
                &staged,
                &found[at],
                Way::Steps,
                &mut known,
                report,
            )?;
        }
    }
    Ok(())
}

/// 0, the last, the middle, the quarters…: whatever the time allows is spread over all of them.
fn spread(count: usize) -> Vec<usize> {
    let mut order = Vec::new();
    let mut seen = vec![false; count];
    let mut add = |at: usize| {
        if at < count && !std::mem::replace(&mut seen[at], true) {
            order.push(at);
        }
    };
    let mut step = count.next_power_of_two();
    while step > 0 {
        (step / 2..count).step_by(step).for_each(&mut add);
        step /= 2;
    }
    (0..count).for_each(add);
    order
}

fn step_operation(
    bench: &Bench,
    entry: &Entry,
    staged: &Staged,
    base: &Image,
    report: &mut Report,
) -> Result<Vec<Found>, String> {
    let rehearsal = bench.materialise("work", staged, base)?;
    let hot = tracee::hot_pages(bench.control, &rehearsal.place, &*staged.body, SLOTS)?;
    drop(rehearsal);
    let replica = bench.materialise("work", staged, base)?;
    let mut watch = Watch::new(&replica.place, hot, staged.fleeting);
    let mut known: HashMap<Print, Option<Judged>> = HashMap::new();
    let mut found = Vec::new();
    let (ends, reached) = (entry.ends, Outcome::Before);
    let mut order = Order { ends, reached };
    let tracing = Control::new();
    let steps = tracee::trace(
        tracing,
        &replica.place,
        &*staged.body,
        &mut watch,
        &mut |step, watch| {
            let image = &watch.image;
            if let Err(text) = (staged.beside)(&replica.place) {
                report.accuse(format!("step {step}, beside the living: {text}"));
            }
            let judged = match known.get(&image.print()) {
                Some(judged) => *judged,
                None => {
                    report.images += 1;
                    let judged = bench.judge("image", staged, image);
                    let judged = judged.map_err(|text| {
                        let kept = bench.kept(image, &entry.name, step);
                        report.accuse(format!("step {step}: {text}{kept}"));
                    });
                    if let Ok(judged) = judged {
                        let image = image.clone();
                        found.push(Found {
                            step,
                            image,
                            judged,
                        });
                    }
                    known.insert(image.print(), judged.ok());
                    judged.ok()
                }
            };
            if let Some(Err(text)) = judged.map(|judged| order.check(&judged)) {
                let kept = bench.kept(image, &entry.name, step);
                report.accuse(format!("step {step}: {text}{kept}"));
            }
            report.bear(bench.most)
        },
    );
    tracing.discard();
    report.kill_points += steps?;
    Ok(found)
}

/// How a recovery is followed: instruction by instruction, or store by store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Steps,
    Stores,
}

/// What a process does that recovers: registers, reaps, drains; `checks`, too.
fn recovering(place: &Place, mark: Mark, checks: bool) -> Result<(), String> {
    let file = os::open(&place.path).or_text()?;
    let segment = Segment::map(file, &place.path).or_text()?;
    let space: &'static Space = Box::leak(Box::new(Space::new(segment, HOOKS).or_text()?));
    mark(Some(&space.segment));
    space.participant().or_text()?;
    match checks {
        true => check::check(space, &unlimited).or_text().map(drop),
        false => Ok(()),
    }
}

fn follow_recovery(
    bench: &Bench,
    entry: &Entry,
    staged: &Staged,
    found: &Found,
    way: Way,
    known: &mut HashMap<Print, Result<Judged, String>>,
    report: &mut Report,
) -> Result<(), String> {
    // A draft is nobody's to enter: it is removed, which the judge has seen.
    let is_space = |name: &&String| !name.ends_with(".new");
    let Some(name) = found.image.names.iter().find(is_space) else {
        return Ok(()); // there is nothing to recover
    };
    let place = |replica: &Replica| -> Place {
        let path = replica.place.folder.join(name);
        Place {
            path,
            ..replica.place.clone()
        }
    };
    // Walking over the whole takes long and writes little: not stepped, but followed by stores.
    let body = move |place: &Place, mark: Mark| recovering(place, mark, way == Way::Stores);
    let mut hot = Hot::Only(Vec::new());
    if way == Way::Steps {
        let rehearsal = bench.materialise("again", staged, &found.image)?;
        hot = tracee::hot_pages(bench.control, &place(&rehearsal), &body, SLOTS)?;
    }
    let replica = bench.materialise("again", staged, &found.image)?;
    let mut watch = Watch::new(&replica.place, hot, false);
    let tracing = Control::new();
    let mut each = |step: u64, watch: &Watch| {
        let image = &watch.image;
        let judged = known.entry(image.print()).or_insert_with(|| {
            report.recovery_images += 1;
            bench.judge("image", staged, image)
        });
        let text = match judged {
            Ok(judged) if *judged == found.judged => return Ok(()),
            Ok(judged) => format!("{judged:?}, expected {:?}", found.judged),
            Err(text) => text.clone(),
        };
        let kept = bench.kept(image, &entry.name, step);
        let at = found.step;
        report.accuse(format!("step {at}, recovery {step}: {text}{kept}"));
        report.bear(bench.most)
    };
    let count = match way {
        Way::Steps => tracee::trace(tracing, &place(&replica), &body, &mut watch, &mut each),
        Way::Stores => store::trace(tracing, &place(&replica), &body, &mut watch, &mut each),
    };
    tracing.discard();
    let count = count.map_err(|text| format!("step {}, recovery: {text}", found.step))?;
    report.recoveries += 1;
    match way {
        Way::Steps => report.recovery_points += count,
        Way::Stores => report.recovery_stores += count,
    }
    Ok(())
}

/// The share of a run's time for one of `left` operations.
pub fn share(until: Option<Instant>, left: usize) -> Option<Instant> {
    until.map(|until| {
        let now = Instant::now();
        let rest = until.saturating_duration_since(now);
        now + rest / u32::try_from(left.max(1)).unwrap_or(1).max(1)
    })
}

pub fn seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}
