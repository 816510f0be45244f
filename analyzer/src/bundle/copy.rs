//! Takes the chosen events into a folder, with all that is needed to understand
//! them: the processes that they name and the ancestors of those, the stacks,
//! frames, names and mappings, the clocks and the losses.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type};
use datafusion::prelude::ident;
use futures::StreamExt as _;
use whence_schemas::manifest::{Bundle, Manifest, Redaction, State};
use whence_schemas::read::Batches;
use whence_schemas::redact::{Redactor, Rules};
use whence_schemas::segment::{OpenSegment, Segment};
use whence_schemas::{
    TABLES, TableDef, clock, exec, exit, fork, frame, loss, mapping, overhead, process, sample,
    stack, symbol,
};

use super::columns::{Ints, ints, is_one_of, nullable, rows};
use super::fit::Times;
use super::redact;
use super::renamed::Renamed;
use super::select::Selection;
use super::thin::Thinner;
use crate::forest::Forest;
use crate::recording::Recording;
use crate::session::Session;
use crate::{Error, Result};

/// Damaged files that are named, at most.
const MAX_DAMAGED: usize = 20;

/// A part of a recording in a folder of its own.
#[derive(Debug)]
pub struct Part {
    /// The folder.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// When its events were.
    pub times: Times,
}

/// What a part is made by.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which events.
    pub selection: Selection,
    /// Of that many samples, one.
    pub one_sample_of: u64,
    /// What takes secrets away.
    pub rules: Rules,
    /// What whoever makes it has to say.
    pub note: Option<String>,
}

impl Part {
    /// Copies what `plan` says of a recording into the new folder `dir`, and
    /// says which table it is at.
    ///
    /// # Errors
    /// If rows cannot be read or written.
    pub async fn copy(
        session: &Session,
        recording: &Recording,
        forest: &Forest,
        plan: &Plan,
        dir: &Path,
        at: &dyn Fn(&str),
    ) -> Result<Self> {
        fs::create_dir(dir).map_err(whence_schemas::Error::io("create", dir))?;
        for def in TABLES {
            let folder = dir.join(def.name);
            fs::create_dir(&folder).map_err(whence_schemas::Error::io("create", &folder))?;
        }
        let before = recording
            .manifest
            .redaction
            .as_ref()
            .map_or(0, |r| r.secrets);
        let mut redactor = Redactor::after(plan.rules.clone(), before);
        let renamed = Renamed::of(recording, &mut redactor)?;
        let mut copier = Copier {
            recording,
            plan,
            dir,
            redactor,
            renamed,
            segments: Vec::new(),
            named: HashSet::new(),
            stacks: HashSet::new(),
            times: Times::default(),
            lost: BTreeMap::new(),
            damaged: Vec::new(),
        };
        copier.events(at)?;
        at(process::DEF.name);
        copier.processes(session, forest).await?;
        copier.paths(at)?;
        let manifest = copier.manifest();
        Ok(Self {
            dir: dir.to_path_buf(),
            manifest,
            times: copier.times,
        })
    }

    /// Bytes of its segments.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.manifest.segments.iter().map(|s| s.bytes).sum()
    }

    /// Bytes of the segments of some tables.
    #[must_use]
    pub fn bytes_of(&self, tables: &[&TableDef]) -> u64 {
        let of = |s: &&Segment| tables.iter().any(|def| def.name == s.table);
        self.manifest
            .segments
            .iter()
            .filter(of)
            .map(|s| s.bytes)
            .sum()
    }
}

struct Copier<'a> {
    recording: &'a Recording,
    plan: &'a Plan,
    dir: &'a Path,
    redactor: Redactor,
    segments: Vec<Segment>,
    /// Processes that are named by what was taken.
    named: HashSet<i64>,
    stacks: HashSet<i64>,
    times: Times,
    lost: BTreeMap<String, u64>,
    /// Segments that could not be read to their end.
    damaged: Vec<String>,
    /// Ids that would tell a secret.
    renamed: Renamed,
}

impl Copier<'_> {
    /// Copies the rows of a table that `pick` leaves of each batch.
    fn table(
        &mut self,
        def: &'static TableDef,
        mut pick: impl FnMut(&mut Self, RecordBatch) -> Result<RecordBatch>,
        rest: impl FnOnce(&mut Self) -> Result<Option<RecordBatch>>,
    ) -> Result<()> {
        let schema = def.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let mut out = OpenSegment::create(self.dir, def, 1)?;
        let recording = self.recording;
        for segment in recording.segments_of(def) {
            for batch in Batches::open(&segment.file.path, def, &names)? {
                let batch = match batch {
                    Ok(batch) => batch,
                    Err(e) => {
                        self.damaged.push(e.to_string());
                        break;
                    }
                };
                let picked = pick(self, batch)?;
                self.write(&mut out, def, picked)?;
            }
        }
        if let Some(batch) = rest(self)? {
            self.write(&mut out, def, batch)?;
        }
        self.segments.push(out.finish()?);
        Ok(())
    }

    fn write(
        &mut self,
        out: &mut OpenSegment,
        def: &'static TableDef,
        batch: RecordBatch,
    ) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = redact::rows(def, batch, &mut self.redactor)?;
        let batch = self.renamed.rows(batch)?;
        // What was read may be NULL anywhere, since older recordings have fewer
        // columns; what is written must be what the table says.
        let batch = RecordBatch::try_new(def.schema(), batch.columns().to_vec())
            .map_err(|e| Error::Corrupt(format!("table {} cannot be copied: {e}", def.name)))?;
        out.write(&batch)?;
        Ok(())
    }

    /// Copies a table by a condition on its rows.
    fn filtered(
        &mut self,
        def: &'static TableDef,
        keep: impl Fn(&Self, &RecordBatch) -> BooleanArray,
        took: impl Fn(&mut Self, &RecordBatch),
    ) -> Result<()> {
        let pick = |this: &mut Self, batch: RecordBatch| {
            let picked = filter_record_batch(&batch, &keep(this, &batch))?;
            took(this, &picked);
            Ok(picked)
        };
        self.table(def, pick, |_| Ok(None))
    }

    /// Everything that happened.
    fn events(&mut self, at: &dyn Fn(&str)) -> Result<()> {
        at(exec::DEF.name);
        self.filtered(
            &exec::DEF,
            |this, batch| this.chosen(batch, &["upid"]),
            |this, batch| {
                this.name(batch, &["upid", "parent_upid"]);
                this.point(batch, &["kernel_stack_id", "user_stack_id"]);
                this.time(batch);
            },
        )?;
        at(fork::DEF.name);
        self.filtered(
            &fork::DEF,
            |this, batch| this.chosen(batch, &["parent_upid", "child_upid"]),
            |this, batch| {
                this.name(batch, &["parent_upid", "child_upid"]);
                this.point(batch, &["user_stack_id"]);
                this.time(batch);
            },
        )?;
        at(exit::DEF.name);
        self.filtered(
            &exit::DEF,
            |this, batch| this.chosen(batch, &["upid"]),
            |this, batch| {
                this.name(batch, &["upid", "reaper_upid"]);
                this.time(batch);
            },
        )?;
        at(sample::DEF.name);
        self.samples()?;
        let overlaps = |this: &Self, batch: &RecordBatch| {
            let selection = &this.plan.selection;
            let (from, to) = (Ints::of(batch, "t0_ns"), Ints::of(batch, "t1_ns"));
            rows(batch, |row| {
                from.at(row).is_none_or(|from| from <= selection.until_ns)
                    && to.at(row).is_none_or(|to| to >= selection.since_ns)
            })
        };
        self.filtered(&loss::DEF, overlaps, |this, batch| this.lose(batch))?;
        self.filtered(&overhead::DEF, overlaps, |_, _| ())?;
        self.filtered(
            &clock::DEF,
            |this, batch| {
                let times = Ints::of(batch, "ts_ns");
                let selection = &this.plan.selection;
                rows(batch, |row| {
                    times.at(row).is_some_and(|ts| selection.has_time(ts))
                })
            },
            |_, _| (),
        )
    }

    fn samples(&mut self) -> Result<()> {
        let thinner = std::cell::RefCell::new(Thinner::new(self.plan.one_sample_of));
        let took = |this: &mut Self, batch: &RecordBatch| {
            this.name(batch, &["upid", "waker_upid"]);
            this.point(
                batch,
                &["kernel_stack_id", "user_stack_id", "waker_stack_id"],
            );
            this.time(batch);
        };
        let pick = |this: &mut Self, batch: RecordBatch| {
            let chosen = filter_record_batch(&batch, &this.chosen(&batch, &["upid"]))?;
            let kept = thinner.borrow_mut().thin(chosen)?;
            took(this, &kept);
            Ok(kept)
        };
        let rest = |this: &mut Self| {
            let schema = nullable(&sample::DEF);
            let kept = thinner.borrow_mut().rest(&Arc::new(schema))?;
            took(this, &kept);
            Ok(Some(kept))
        };
        self.table(&sample::DEF, pick, rest)
    }

    /// The processes that are named, those that were alive then, and the
    /// ancestors of both.
    async fn processes(&mut self, session: &Session, forest: &Forest) -> Result<()> {
        let selection = &self.plan.selection;
        let alive = |node: &u32| {
            forest.start_ns(*node) <= selection.until_ns
                && forest
                    .end_ns(*node)
                    .is_none_or(|end| end >= selection.since_ns)
                && selection.has_process(Some(forest.upid(*node)))
        };
        let mut nodes: HashSet<u32> = forest.nodes().filter(alive).collect();
        nodes.extend(self.named.iter().filter_map(|upid| forest.node_of(*upid)));
        let ancestors: Vec<u32> = nodes
            .iter()
            .flat_map(|node| forest.ancestors(*node))
            .collect();
        nodes.extend(ancestors);
        self.named = nodes.iter().map(|node| forest.upid(*node)).collect();

        let schema = process::DEF.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let named = Arc::new(std::mem::take(&mut self.named));
        let sql = format!("SELECT {} FROM process", columns.join(", "));
        let rows = session.frame(&sql, vec![]).await?;
        // Before they are put in order: they may be few of many.
        let rows = rows.filter(is_one_of(&named).call(vec![ident("upid")]))?;
        let rows = rows.sort(vec![ident("tree_first").sort(true, false)])?;
        let mut rows = rows.execute_stream().await?;
        let mut out = OpenSegment::create(self.dir, &process::DEF, 1)?;
        while let Some(batch) = rows.next().await {
            self.write(&mut out, &process::DEF, batch?)?;
        }
        drop(rows);
        self.named = Arc::unwrap_or_clone(named);
        self.segments.push(out.finish()?);
        Ok(())
    }

    /// What the stacks are made of, each once.
    fn paths(&mut self, at: &dyn Fn(&str)) -> Result<()> {
        at(mapping::DEF.name);
        self.filtered(
            &mapping::DEF,
            |this, batch| {
                let (upids, times) = (Ints::of(batch, "upid"), Ints::of(batch, "ts_ns"));
                let until_ns = this.plan.selection.until_ns;
                rows(batch, |row| {
                    upids.at(row).is_some_and(|upid| this.named.contains(&upid))
                        && times.at(row).is_some_and(|ts| ts <= until_ns)
                })
            },
            |_, _| (),
        )?;
        at(stack::DEF.name);
        let (mut seen, mut frames) = (HashSet::new(), HashSet::new());
        self.table(
            &stack::DEF,
            |this, batch| {
                let ids = Ints::of(&batch, "stack_id");
                let wanted = rows(&batch, |row| {
                    let id = ids.at(row);
                    id.is_some_and(|id| this.stacks.contains(&id) && seen.insert(id))
                });
                let picked = filter_record_batch(&batch, &wanted)?;
                if let Some(ids) = picked.column_by_name("frame_ids") {
                    let ids = ids.as_list::<i32>();
                    for row in 0..ids.len() {
                        let of_row = ids.value(row);
                        frames.extend(of_row.as_primitive::<Int64Type>().iter().flatten());
                    }
                }
                Ok(picked)
            },
            |_| Ok(None),
        )?;
        at(frame::DEF.name);
        let mut seen = HashSet::new();
        self.table(
            &frame::DEF,
            |_, batch| {
                let ids = Ints::of(&batch, "frame_id");
                let wanted = rows(&batch, |row| {
                    let id = ids.at(row);
                    id.is_some_and(|id| frames.contains(&id) && seen.insert(id))
                });
                Ok(filter_record_batch(&batch, &wanted)?)
            },
            |_| Ok(None),
        )?;
        let mut seen = HashSet::new();
        self.table(
            &symbol::DEF,
            |_, batch| {
                let ids = Ints::of(&batch, "frame_id");
                let depths = batch.column_by_name("inline_depth");
                let depths = depths.and_then(|c| c.as_primitive_opt::<Int32Type>());
                let wanted = rows(&batch, |row| {
                    let depth = depths.map(|depths| depths.value(row));
                    let id = ids.at(row);
                    id.is_some_and(|id| frames.contains(&id) && seen.insert((id, depth)))
                });
                Ok(filter_record_batch(&batch, &wanted)?)
            },
            |_| Ok(None),
        )
    }

    /// Which rows are chosen, by their time and by any of their processes.
    fn chosen(&self, batch: &RecordBatch, processes: &[&str]) -> BooleanArray {
        let selection = &self.plan.selection;
        let times = Ints::of(batch, "ts_ns");
        let processes = processes.iter().map(|name| Ints::of(batch, name));
        let processes: Vec<Ints<'_>> = processes.collect();
        rows(batch, |row| {
            times.at(row).is_some_and(|ts| selection.has_time(ts))
                && processes.iter().any(|of| selection.has_process(of.at(row)))
        })
    }

    fn name(&mut self, batch: &RecordBatch, columns: &[&str]) {
        self.named.extend(ints(batch, columns));
    }

    fn point(&mut self, batch: &RecordBatch, columns: &[&str]) {
        self.stacks.extend(ints(batch, columns));
    }

    fn time(&mut self, batch: &RecordBatch) {
        ints(batch, &["ts_ns"]).for_each(|ts_ns| self.times.add(ts_ns));
    }

    fn lose(&mut self, batch: &RecordBatch) {
        let (Some(streams), Some(counts)) = (
            batch.column_by_name("stream"),
            batch.column_by_name("count"),
        ) else {
            return;
        };
        let counts = counts.as_primitive::<Int64Type>().iter();
        for (stream, count) in streams.as_string::<i32>().iter().zip(counts) {
            let count = count.and_then(|count| u64::try_from(count).ok());
            if let (Some(stream), Some(count)) = (stream, count) {
                let all = self.lost.entry(stream.to_owned()).or_default();
                *all = all.saturating_add(count);
            }
        }
    }

    fn manifest(&mut self) -> Manifest {
        let (from, selection) = (&self.recording.manifest, &self.plan.selection);
        let (start, end) = self.recording.range_ns();
        let mut manifest = from.clone();
        let later = selection.since_ns.clamp(start, end) - start;
        for at in [
            &mut manifest.clock.boot_ns,
            &mut manifest.clock.mono_ns,
            &mut manifest.clock.real_ns,
        ] {
            *at = at.saturating_add(later);
        }
        manifest.recording_id = random_id();
        manifest.end_ns = Some(selection.until_ns.clamp(start, end));
        manifest.state = State::Finished;
        manifest.process_complete = true;
        manifest.lost = std::mem::take(&mut self.lost);
        manifest.segments = std::mem::take(&mut self.segments);
        self.redact_options(&mut manifest.options);
        let before = from.redaction.clone().unwrap_or_default();
        let now = self.redactor.report();
        manifest.redaction = Some(Redaction {
            replaced: before.replaced.saturating_add(now.replaced),
            rules: match before.rules.as_str() {
                "" => now.rules,
                recorded => format!("{}; when it was recorded: {recorded}", now.rules),
            },
            secrets: now.secrets,
        });
        let mut left_out = selection.left_out.clone();
        if self.plan.one_sample_of > 1 {
            left_out.push(format!(
                "samples: one of {} was kept, with the weight of all",
                self.plan.one_sample_of
            ));
        }
        if self.recording.cut_off() {
            left_out.push("events after the last segment: it was not finished".into());
        }
        let known = self.recording.findings.iter().map(ToString::to_string);
        // Where it lies here is nobody's business there.
        let here = format!("{}/", self.recording.dir.display());
        let damaged: Vec<String> = known
            .chain(self.damaged.drain(..))
            .map(|finding| finding.replace(&here, ""))
            .collect();
        left_out.extend(
            damaged
                .iter()
                .take(MAX_DAMAGED)
                .map(|finding| format!("rows of damaged files: {finding}")),
        );
        if let more @ 1.. = damaged.len().saturating_sub(MAX_DAMAGED) {
            left_out.push(format!("rows of {more} more damaged files"));
        }
        manifest.bundle = Some(Bundle {
            recording_id: from.recording_id.clone(),
            created: jiff::Timestamp::now()
                .strftime("%Y-%m-%dT%H:%M:%SZ")
                .to_string(),
            note: self.plan.note.clone(),
            left_out,
            one_sample_of: self.plan.one_sample_of,
            files: Vec::new(),
        });
        manifest
    }

    /// The command that was recorded stands in the options, too.
    fn redact_options(&mut self, options: &mut serde_json::Value) {
        let Some(command) = options.get_mut("command").and_then(|c| c.as_array_mut()) else {
            return;
        };
        let args: Vec<Vec<u8>> = command
            .iter()
            .map(|arg| arg.as_str().unwrap_or_default().as_bytes().to_vec())
            .collect();
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        if let Some(replaced) = self.redactor.args(&args) {
            *command = replaced
                .iter()
                .map(|arg| String::from_utf8_lossy(arg).into_owned().into())
                .collect();
        }
    }
}

/// Random, in the shape of the recorder's ids.
fn random_id() -> String {
    let half = || RandomState::new().hash_one(std::process::id());
    let (a, b) = (half(), half());
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}
