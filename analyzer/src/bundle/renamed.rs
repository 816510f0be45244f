//! New ids for call paths through a module whose name loses a secret.
//!
//! A frame's id is a hash without a key. Where the module has no build-id it is
//! made of the module's name, and whoever has it could try names until one fits.
//! So it is made anew of the name that is left, and so are the ids of the stacks
//! that the frame is in.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Int64Array, ListArray, RecordBatch,
    StringArray,
};
use arrow::datatypes::{DataType, Int64Type};
use arrow::error::ArrowError;
use whence_schemas::read::Batches;
use whence_schemas::redact::Redactor;
use whence_schemas::{TableDef, frame, ids, stack};

use crate::Result;
use crate::recording::Recording;

/// How a placeholder begins.
const PLACEHOLDER: &str = "[secret:";

/// New ids by old ones; nearly always there are none.
#[derive(Debug, Default)]
pub(super) struct Renamed {
    frames: HashMap<i64, i64>,
    stacks: HashMap<i64, i64>,
}

impl Renamed {
    /// Those of a recording.
    pub(super) fn of(recording: &Recording, redactor: &mut Redactor) -> Result<Self> {
        let mut this = Self::default();
        let columns = ["frame_id", "kind", "module", "build_id", "offset"];
        each(recording, &frame::DEF, &columns, |batch| {
            let (id, offset) = (int(batch, 0), int(batch, 4));
            let (kind, module, build_id) = (text(batch, 1), text(batch, 2), text(batch, 3));
            for row in 0..batch.num_rows() {
                if build_id.is_valid(row) || module.is_null(row) || offset.is_null(row) {
                    continue;
                }
                let module = redactor.text(module.value(row));
                if module.contains(PLACEHOLDER) {
                    let new = ids::frame_id(kind.value(row), &module, offset.value(row));
                    this.frames.insert(id.value(row), new);
                }
            }
        })?;
        this.frames.retain(|old, new| old != new);
        if this.frames.is_empty() {
            return Ok(this);
        }
        let columns = ["stack_id", "frame_ids", "truncated", "unwinder"];
        each(recording, &stack::DEF, &columns, |batch| {
            let (id, frames): (_, &ListArray) = (int(batch, 0), batch.column(1).as_list());
            let (truncated, unwinder): (&BooleanArray, _) =
                (batch.column(2).as_boolean(), text(batch, 3));
            for row in 0..batch.num_rows() {
                let frames = frames.value(row);
                let frames = frames.as_primitive::<Int64Type>().values();
                if frames.iter().any(|id| this.frames.contains_key(id)) {
                    let frames: Vec<i64> =
                        frames.iter().map(|id| renamed(&this.frames, *id)).collect();
                    let new = ids::stack_id(&frames, truncated.value(row), unwinder.value(row));
                    this.stacks.insert(id.value(row), new);
                }
            }
        })?;
        Ok(this)
    }

    /// A batch with the new ids.
    pub(super) fn rows(&self, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        if self.frames.is_empty() {
            return Ok(batch);
        }
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns());
        let columns = columns.map(|(field, column)| match field.name().as_str() {
            "frame_id" => Ok(of_ints(&self.frames, column)),
            "frame_ids" => self.list(column),
            name if name.ends_with("stack_id") => Ok(of_ints(&self.stacks, column)),
            _ => Ok(Arc::clone(column)),
        });
        let columns = columns.collect::<Result<_, ArrowError>>()?;
        RecordBatch::try_new(schema, columns)
    }

    fn list(&self, column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let list: &ListArray = column.as_list();
        let DataType::List(item) = list.data_type() else {
            return Ok(Arc::clone(column));
        };
        let values = of_ints(&self.frames, list.values());
        let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
        let list = ListArray::try_new(Arc::clone(item), offsets, values, nulls)?;
        Ok(Arc::new(list))
    }
}

fn renamed(ids: &HashMap<i64, i64>, id: i64) -> i64 {
    ids.get(&id).copied().unwrap_or(id)
}

fn of_ints(ids: &HashMap<i64, i64>, column: &ArrayRef) -> ArrayRef {
    let column = column.as_primitive::<Int64Type>();
    let column: Int64Array = column.unary(|id| renamed(ids, id));
    Arc::new(column)
}

/// Reads columns of a table. Damage is found when it is copied.
fn each(
    recording: &Recording,
    def: &'static TableDef,
    columns: &[&str],
    mut read: impl FnMut(&RecordBatch),
) -> Result<()> {
    for segment in recording.segments_of(def) {
        Batches::open(&segment.file.path, def, columns)?
            .map_while(std::result::Result::ok)
            .for_each(|batch| read(&batch));
    }
    Ok(())
}

fn int(batch: &RecordBatch, column: usize) -> &Int64Array {
    batch.column(column).as_primitive()
}

fn text(batch: &RecordBatch, column: usize) -> &StringArray {
    batch.column(column).as_string()
}
