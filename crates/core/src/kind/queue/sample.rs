//! Blocks of a queue that stand for all of them: how much a long queue takes, without a walk over it.

use super::destroy::blocks;
use super::due::weight;
use super::page::next;
use super::state::{
    A_BLOCK, A_JUMP, FILLED, FIRST_RECORD, HEAD, JUMP_ROOM, LEFT, REQUEUED, REQUEUED_COUNT,
    RETURNED, RIGHT, STACKED, TAIL, TREE, counts, distance, head_of, ordinal, page_of, payload_of,
    read,
};
use super::tree;
use crate::error::{Result, corrupt};
use crate::memory::layout::{UNIT, WORD};
use crate::memory::segment::Segment;
use crate::object::sample::{COUNTED, SAMPLED, Sample, places};
use crate::offset::{Object, Root};
use std::collections::BinaryHeap;

/// Pages that are counted. Of a queue with more, these stand for the rest: pages lead one way only.
const PAGES_COUNTED: usize = 16 << 10;
/// At so many places of the ring a run of records is looked at.
const RUNS: u64 = 32;

/// Some of the queue's blocks, each with how many it stands for.
///
/// # Errors
/// `Corrupt`.
pub(super) fn sample(segment: &Segment, root: Root, object: Object) -> Result<Sample> {
    if counts(segment, object).0 <= COUNTED {
        return blocks(segment, root, object).map(Sample::from);
    }
    let mut sample = Sample::default();
    sample.add(root.0);
    add_ring(segment, object, &mut sample)?;
    add_stack(segment, object, &mut sample)?;
    add_requeued(segment, object, &mut sample)?;
    add_tree(segment, object, &mut sample)?;
    Ok(sample)
}

/// The pages, and items of the ring at places that are evenly spread over it.
fn add_ring(segment: &Segment, object: Object, sample: &mut Sample) -> Result<()> {
    let (head, tail) = (read(segment, object + HEAD), read(segment, object + TAIL));
    let since_head = |at: u64| distance(ordinal(segment, head), ordinal(segment, at));
    let items = since_head(tail);
    // From the head's page to the tail's: each page, and which item is its first.
    let (first, last) = (page_of(head), page_of(tail));
    let (mut pages, mut starts) = (vec![first], vec![(0, head)]);
    let (mut page, mut before) = (first, 0);
    while page != last && pages.len() < PAGES_COUNTED {
        page = next(segment, page)?;
        let at = page + FIRST_RECORD;
        let start = since_head(at);
        if !(before..=items).contains(&start) {
            return Err(corrupt("the pages of a queue are out of order")); // others exchanged them
        }
        pages.push(page);
        starts.push((start, at));
        before = start;
    }
    let (is_all, used) = (page == last, pages.len());
    if is_all {
        // The empty ones, unless others went on to them meanwhile, or dropped the first page, to which
        // they lead.
        page = next(segment, page)?;
        while page != first && pages.len() < PAGES_COUNTED {
            pages.push(page);
            page = next(segment, page)?;
        }
        if page != first || page_of(read(segment, object + TAIL)) != last {
            pages.truncate(used);
        }
    }
    let seen = if is_all { items } else { before };
    sample.extend(pages, if is_all { (1, 1) } else { (seen, items) });
    let (mut found, mut looked) = (Vec::new(), 0);
    for place in places(seen, RUNS) {
        let page = starts.partition_point(|&(start, _)| start <= place);
        if let Some(&(start, at)) = page.checked_sub(1).and_then(|page| starts.get(page)) {
            // Out of order if pages were exchanged meanwhile: no page has more records.
            let skipped = place.saturating_sub(start).min(UNIT / JUMP_ROOM);
            looked += run(segment, (at, tail), skipped, &mut found)?;
        }
    }
    sample.extend(found, (looked, items));
    Ok(())
}

/// Skips some records, and adds the blocks that those after them name; how many it looked at.
fn run(
    segment: &Segment,
    (mut at, tail): (u64, u64),
    skipped: u64,
    found: &mut Vec<u64>,
) -> Result<u64> {
    let end = skipped + SAMPLED / RUNS;
    let (mut index, mut steps) = (0, 0);
    while at != tail && index < end && steps < 2 * end {
        let header = head_of(segment, at)?;
        let word = read(segment, at + WORD);
        steps += 1;
        if header.kind() == A_JUMP {
            at = word;
            continue;
        }
        if header.kind() == A_BLOCK && index >= skipped {
            payload_of(segment, word)?;
            found.push(word);
        }
        index += 1;
        at += header.size();
    }
    Ok(index.saturating_sub(skipped))
}

/// Items on the stack, the last ones put: it leads one way only.
fn add_stack(segment: &Segment, object: Object, sample: &mut Sample) -> Result<()> {
    let (mut found, mut block) = (Vec::new(), read(segment, object + RETURNED));
    while block != 0 && found.len() < SAMPLED as usize {
        found.push(block);
        block = read(segment, payload_of(segment, block)? + LEFT);
    }
    let looked = found.len() as u64;
    let all = if block == 0 {
        looked
    } else {
        read(segment, object + STACKED)
    };
    sample.extend(found, (looked, all));
    Ok(())
}

/// Requeued items from the top of their treap. Which are there, hashes of their offsets say: none are
/// more likely to be.
fn add_requeued(segment: &Segment, object: Object, sample: &mut Sample) -> Result<()> {
    let (mut found, mut below) = (Vec::new(), BinaryHeap::new());
    let child = |word: u64| {
        let block = read(segment, word);
        (block != 0).then_some((weight(block), block))
    };
    below.extend(child(object + REQUEUED));
    while found.len() < SAMPLED as usize
        && let Some((_, block)) = below.pop()
    {
        found.push(block);
        let node = payload_of(segment, block)?;
        below.extend(
            [LEFT, RIGHT]
                .into_iter()
                .filter_map(|side| child(node + side)),
        );
    }
    let looked = found.len() as u64;
    let all = match below.is_empty() {
        true => looked,
        false => read(segment, object + REQUEUED_COUNT),
    };
    sample.extend(found, (looked, all));
    Ok(())
}

/// The words of a priority queue, and some of the items there.
fn add_tree(segment: &Segment, object: Object, sample: &mut Sample) -> Result<()> {
    let block = read(segment, object + TREE);
    if block == 0 {
        return Ok(());
    }
    sample.add(block);
    let (mut found, filled) = (Vec::new(), read(segment, object + FILLED));
    for index in places(filled, SAMPLED) {
        found.extend(tree::block_of(
            segment,
            tree::word(segment, object, index)?,
        )?);
    }
    sample.extend(found, (filled.min(SAMPLED), filled));
    Ok(())
}
