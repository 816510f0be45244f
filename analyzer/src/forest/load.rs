//! How a forest comes to be: from the table of a finished recording, or derived
//! from the events.

use std::sync::{Arc, OnceLock};

use arrow::array::{Array as _, AsArray as _, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::execution::memory_pool::MemoryReservation;
use whence_schemas::derive::{
    self, EXEC_COLUMNS, EXIT_COLUMNS, Events, FORK_COLUMNS, Processes, Seen,
};
use whence_schemas::read::{SegmentReader, Texts};
use whence_schemas::tree::{self, NONE};
use whence_schemas::{exec, exit, fork, process};

use super::fetch::Rest;
use super::{Chunk, Column, Forest};
use crate::Result;
use crate::recording::{Boot, Recording, Recordings};
use crate::scan::{self, CHUNK_ROWS, Place, Segments};
use crate::spill;

/// Bytes that the links of a node take, and the index of them.
const LINK_BYTES: usize = 40;
/// Bytes that a node takes beside that while it is numbered anew or derived.
const NODE_BYTES: usize = 64;

/// The forest of a boot, with the columns `first`; those of `later` can be
/// [fetched](Forest::fetch) for some nodes, or are there already.
pub(super) fn forest(
    recordings: &Recordings,
    boot: &Boot,
    first: &[Column],
    later: &[Column],
) -> Result<Forest> {
    if let Some(recording) = complete(recordings, boot)
        && let Some(forest) = stored(recordings, boot, recording, first, later)?
    {
        return Ok(forest);
    }
    let wanted = with_links(&[first, later]);
    let names: Vec<&str> = wanted.iter().map(|column| column.name()).collect();
    let of_table = process::DEF.schema();
    let places: Vec<usize> = names
        .iter()
        .filter_map(|name| of_table.index_of(name).ok())
        .collect();
    let derived = derive_boot(recordings, boot, &names)?;
    let memory = recordings.reserve("processes");
    memory.try_grow(derived.processes.len() * LINK_BYTES)?;
    let ranges: Vec<_> = derived.processes.ranges().collect();
    let batches = scan::each(ranges.len(), Vec::new, |batches, at| {
        let range = ranges[at].clone();
        let batch = derived.processes.batch(range, &places, &boot.boot_id)?;
        let batch = with_dictionaries(&batch)?;
        batches.push((at, spill::keep(batch, &memory)?));
        Ok(())
    })?;
    drop(derived);
    let mut batches: Vec<_> = batches.into_iter().flatten().collect();
    batches.sort_unstable_by_key(|(at, _)| *at);
    let batches = batches.into_iter().map(|(_, batch)| batch).collect();
    let forest = link(boot, &wanted, batches, memory)?;
    Ok(forest.unwrap_or_else(|| empty(boot, recordings)))
}

/// The columns of these lists and those that links are made of.
fn with_links(lists: &[&[Column]]) -> Vec<Column> {
    let is_wanted = |column: &&Column| {
        matches!(column, Column::Upid | Column::ParentUpid)
            || lists.iter().any(|list| list.contains(column))
    };
    Column::ALL.iter().filter(is_wanted).copied().collect()
}

/// The forest as it lies in the table of a finished recording; `None` if rows
/// are not each of another process.
fn stored(
    recordings: &Recordings,
    boot: &Boot,
    recording: &Recording,
    first: &[Column],
    later: &[Column],
) -> Result<Option<Forest>> {
    let memory = recordings.reserve("processes");
    let rows: u64 = recording.segments_of(&process::DEF).map(|s| s.rows).sum();
    // Links cannot be spilled, so they come first.
    memory.try_grow(rows as usize * LINK_BYTES)?;
    let wanted = with_links(&[first]);
    let names: Vec<&str> = wanted.iter().map(|column| column.name()).collect();
    let segments = Segments::open(&[recording], &process::DEF, Texts::Dictionaries)?;
    let (places, batches): (Vec<Place>, Vec<RecordBatch>) =
        read(&segments, &names, &memory)?.into_iter().unzip();
    if later.is_empty() {
        return link(boot, &wanted, batches, memory);
    }
    let Some((upid, parents)) = links(&batches) else {
        return Ok(None);
    };
    let Some(links) = in_pre_order(&upid, &parents) else {
        // Nodes will not be where rows are.
        drop((batches, memory));
        let all = with_links(&[first, later]);
        return stored(recordings, boot, recording, &all, &[]);
    };
    let mut forest = linked(boot, &wanted, batches, upid, links, memory);
    forest.rest = Some(Rest::new(segments, places));
    Ok(Some(forest))
}

fn empty(boot: &Boot, recordings: &Recordings) -> Forest {
    Forest {
        boot: boot.clone(),
        cycles: 0,
        upid: Vec::new(),
        parent: Vec::new(),
        depth: Vec::new(),
        last: Vec::new(),
        order: Vec::new(),
        chunks: Vec::new(),
        places: [None; Column::ALL.len()],
        rest: None,
        by_upid: OnceLock::new(),
        roots: OnceLock::new(),
        memory: recordings.reserve("processes"),
    }
}

/// Rows with their text as numbers into the distinct values of the batch.
fn with_dictionaries(batch: &RecordBatch) -> Result<RecordBatch> {
    let text = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let is_text = field.data_type() == &DataType::Utf8;
        let data_type = if is_text { &text } else { field.data_type() };
        columns.push(cast(column, data_type)?);
        fields.push(Field::new(field.name(), data_type.clone(), true));
    }
    Ok(RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        columns,
    )?)
}

/// Links rows that are each of another process; `None` if they are not.
fn link(
    boot: &Boot,
    columns: &[Column],
    mut batches: Vec<RecordBatch>,
    memory: MemoryReservation,
) -> Result<Option<Forest>> {
    batches.retain(|batch| batch.num_rows() > 0);
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if u32::try_from(rows).is_err() {
        return Ok(None);
    }
    let Some((mut upid, parents)) = links(&batches) else {
        return Ok(None);
    };
    let mut cycles = 0;
    let links = match in_pre_order(&upid, &parents) {
        Some(links) => links,
        None => {
            memory.try_grow(rows * NODE_BYTES)?;
            let Some(numbered) = number(&upid, &parents) else {
                return Ok(None);
            };
            cycles = numbered.cycles;
            upid = numbered.rows.iter().map(|r| upid[*r as usize]).collect();
            if let Some(first) = batches.first() {
                let whole = concat_batches(&first.schema(), &batches)?;
                batches = vec![take_record_batch(
                    &whole,
                    &UInt32Array::from(numbered.rows),
                )?];
            }
            numbered.links
        }
    };
    let mut forest = linked(boot, columns, batches, upid, links, memory);
    forest.cycles = cycles;
    Ok(Some(forest))
}

/// The forest of nodes that are linked.
fn linked(
    boot: &Boot,
    columns: &[Column],
    batches: Vec<RecordBatch>,
    upid: Vec<i64>,
    links: Links,
    memory: MemoryReservation,
) -> Forest {
    // What links are made of is not looked at again.
    let of_links = [Column::Upid, Column::ParentUpid];
    let (kept, columns): (Vec<usize>, Vec<Column>) = columns
        .iter()
        .enumerate()
        .filter(|(_, column)| !of_links.contains(column))
        .map(|(at, column)| (at, *column))
        .unzip();
    let mut start = 0;
    let chunks = batches
        .into_iter()
        .map(|batch| {
            let batch = batch.project(&kept).unwrap_or(batch);
            let chunk = Chunk { start, batch };
            start += chunk.batch.num_rows();
            chunk
        })
        .collect();
    let place = |column: Column| columns.iter().position(|c| *c == column);
    Forest {
        boot: boot.clone(),
        cycles: 0,
        parent: links.parent,
        depth: links.depth,
        last: links.last,
        order: (0..upid.len() as u32).collect(),
        upid,
        chunks,
        places: Column::ALL.map(place),
        rest: None,
        by_upid: OnceLock::new(),
        roots: OnceLock::new(),
        memory,
    }
}

/// No parent: upids are not negative.
const NO_UPID: i64 = i64::MIN;

/// The upids of all rows and of their parents.
fn links(batches: &[RecordBatch]) -> Option<(Vec<i64>, Vec<i64>)> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut upids = Vec::with_capacity(rows);
    let mut parents = Vec::with_capacity(rows);
    for batch in batches {
        let column = |name| batch.column_by_name(name)?.as_primitive_opt::<Int64Type>();
        let (upid, parent) = (column("upid")?, column("parent_upid")?);
        if upid.null_count() > 0 {
            return None;
        }
        upids.extend_from_slice(upid.values());
        match parent.null_count() {
            0 => parents.extend_from_slice(parent.values()),
            _ => parents.extend(parent.iter().map(|parent| parent.unwrap_or(NO_UPID))),
        }
    }
    Some((upids, parents))
}

/// Links of nodes in pre-order.
struct Links {
    parent: Vec<u32>,
    depth: Vec<u32>,
    last: Vec<u32>,
}

/// Links rows that are in pre-order: the parent of each is on the path from a
/// root down to the row before. `None` if one is not.
fn in_pre_order(upid: &[i64], parents: &[i64]) -> Option<Links> {
    let n = upid.len();
    let mut links = Links {
        parent: Vec::with_capacity(n),
        depth: Vec::with_capacity(n),
        last: vec![0; n],
    };
    let mut path: Vec<u32> = Vec::new();
    for (node, parent) in parents.iter().enumerate() {
        while let Some(above) = path.last() {
            if upid[*above as usize] == *parent {
                break;
            }
            links.last[*above as usize] = node as u32 - 1;
            path.pop();
        }
        if *parent != NO_UPID && path.is_empty() {
            return None;
        }
        links.parent.push(path.last().copied().unwrap_or(NONE));
        links.depth.push(path.len() as u32);
        path.push(node as u32);
    }
    for above in path {
        links.last[above as usize] = n as u32 - 1;
    }
    Some(links)
}

/// Links of rows in any order, and the row of each node.
struct Numbered {
    links: Links,
    rows: Vec<u32>,
    cycles: usize,
}

/// Numbers rows in any order; `None` if two are of one process.
fn number(upid: &[i64], parents: &[i64]) -> Option<Numbered> {
    // Siblings are to be in order of their starts, which is that of upids.
    let mut rows: Vec<u32> = (0..upid.len() as u32).collect();
    rows.sort_by_key(|row| upid[*row as usize]);
    let of = |row: &u32| upid[*row as usize];
    if !rows.is_sorted_by(|a, b| of(a) < of(b)) {
        return None;
    }
    let parent = |row: &u32| match parents[*row as usize] {
        NO_UPID => NONE,
        parent => rows
            .binary_search_by_key(&parent, of)
            .map_or(NONE, |at| at as u32),
    };
    let mut parents: Vec<u32> = rows.iter().map(parent).collect();
    let numbering = tree::number(&parents);
    for cut in &numbering.cut {
        parents[*cut as usize] = NONE;
    }
    let order = numbering.order();
    let back = |values: &[u32]| order.iter().map(|node| values[*node as usize]).collect();
    let parent = |node: &u32| match parents[*node as usize] {
        NONE => NONE,
        parent => numbering.first[parent as usize],
    };
    Some(Numbered {
        links: Links {
            parent: order.iter().map(parent).collect(),
            depth: back(&numbering.depth),
            last: back(&numbering.last),
        },
        rows: back(&rows),
        cycles: numbering.cut.len(),
    })
}

/// The one recording of a boot that holds its processes complete.
pub(super) fn complete<'a>(recordings: &'a Recordings, boot: &Boot) -> Option<&'a Recording> {
    let [only] = boot.recordings[..] else {
        return None;
    };
    let recording = &recordings.all[only];
    recording.manifest.process_complete.then_some(recording)
}

/// The processes of a boot, and the memory that they and their events take.
#[derive(Debug)]
pub(super) struct Derived {
    pub(super) processes: Processes,
    _memory: MemoryReservation,
}

/// What links and orders processes, and is read whatever is wanted.
const ALWAYS: &[&str] = &[
    "ts_ns",
    "upid",
    "parent_upid",
    "pid",
    "ppid",
    "parent_pid",
    "child_upid",
    "child_pid",
    "start_ns",
    "end_ns",
    "comm",
    "parent_comm",
    "errno",
    "source",
];

/// Derives the processes of a boot, with those columns that only describe them
/// where they are wanted.
pub(super) fn derive_boot(
    recordings: &Recordings,
    boot: &Boot,
    wanted: &[&str],
) -> Result<Derived> {
    let used = |name: &&str| ALWAYS.contains(name) || wanted.contains(name);
    let only = |columns: &[&'static str]| -> Vec<&'static str> {
        columns.iter().copied().filter(used).collect()
    };
    let columns: Vec<&str> = process::DEF.columns.iter().map(|c| c.name).collect();
    let memory = recordings.reserve("processes");
    let mut process = Vec::new();
    let (mut forks, mut execs, mut exits) = (Vec::new(), Vec::new(), Vec::new());
    for at in &boot.recordings {
        let recording = &recordings.all[*at];
        let (start, end) = recording.range_ns();
        for segment in recording.segments_of(&process::DEF) {
            let at_ns = match recording.manifest.process_complete {
                true => end,
                false => segment.file.listed.and_then(|l| l.at_ns).unwrap_or(start),
            };
            let path = &segment.file.path;
            let reader = SegmentReader::open(path, &process::DEF, Texts::Dictionaries)?;
            let rows = reader.batches(None, &only(&columns), CHUNK_ROWS)?;
            let rows = rows.collect::<Result<Vec<_>, _>>()?;
            let bytes = rows.iter().map(RecordBatch::get_array_memory_size).sum();
            memory.try_grow(bytes)?;
            process.push((rows, at_ns));
        }
        let rows = |def, columns: &[&'static str]| {
            let segments = Segments::open(&[recording], def, Texts::Dictionaries)?;
            let rows = read(&segments, &only(columns), &memory)?.into_iter();
            Ok::<_, crate::Error>(rows.map(|(_, batch)| batch).collect::<Vec<_>>())
        };
        forks.extend(rows(&fork::DEF, FORK_COLUMNS)?);
        execs.extend(rows(&exec::DEF, EXEC_COLUMNS)?);
        exits.extend(rows(&exit::DEF, EXIT_COLUMNS)?);
    }
    let rows = [&forks, &execs, &exits];
    let rows: usize = rows.into_iter().flatten().map(RecordBatch::num_rows).sum();
    memory.try_grow(rows * NODE_BYTES)?;
    let seen: Vec<Seen<'_>> = process
        .iter()
        .map(|(batches, at_ns)| Seen {
            batches,
            at_ns: *at_ns,
        })
        .collect();
    let (processes, _) = derive::process_table(&Events {
        process: &seen,
        fork: &forks,
        exec: &execs,
        exit: &exits,
    })?;
    Ok(Derived {
        processes,
        _memory: memory,
    })
}

/// All rows with these columns, in order.
fn read(
    segments: &Segments,
    columns: &[&str],
    memory: &MemoryReservation,
) -> Result<Vec<(Place, RecordBatch)>> {
    let read = segments.rows_by(columns, CHUNK_ROWS, Vec::new, |read, place, batch| {
        if batch.num_rows() > 0 {
            read.push((place, spill::keep(batch, memory)?));
        }
        Ok(())
    })?;
    let mut read: Vec<_> = read.into_iter().flatten().collect();
    read.sort_unstable_by_key(|(place, _)| *place);
    Ok(read)
}
