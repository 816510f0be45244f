//! How a table is defined: once, by [`table!`](crate::table!).
//!
//! The macro makes of one list of documented columns a row struct, a columnar
//! builder and a [`TableDef`]. The Arrow schema, the Parquet encodings and the
//! schema page of the documentation all come from the `TableDef`.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, BinaryBuilder, BooleanBuilder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// A table: its name, its meaning, its columns.
#[derive(Debug)]
pub struct TableDef {
    /// Singular noun; also the name of its folder.
    pub name: &'static str,
    /// What one row is.
    pub doc: &'static str,
    /// The column by which a row is placed in time.
    pub time_column: &'static str,
    /// The column by which rows lie together within a batch, see
    /// [`grouping`](crate::grouping); `None`: they lie as they came.
    pub grouped_by: Option<&'static str>,
    /// The columns in order, without the constant `boot_id` at the end.
    pub columns: &'static [ColumnDef],
}

/// A column of a [`TableDef`].
#[derive(Debug)]
pub struct ColumnDef {
    /// Lower snake case, with the unit as suffix.
    pub name: &'static str,
    /// What it means, with the unit where the name does not say it.
    pub doc: &'static str,
    /// How it is laid out in Parquet.
    pub encoding: Encoding,
    /// Arrow type.
    pub data_type: fn() -> DataType,
    /// Whether NULL means "not known".
    pub nullable: bool,
}

/// How the values of a column are laid out in Parquet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Differences of neighbours, bit-packed: times, ids that grow.
    Delta,
    /// A dictionary where values repeat; else as [`page`](crate::page) finds best.
    Dict,
}

/// What every table's builder can do, for code that serves all tables alike.
pub trait TableBuilder: Default {
    /// The table.
    fn def() -> &'static TableDef;
    /// Rows since the last [`finish`](Self::finish).
    fn len(&self) -> usize;
    /// Whether there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Takes the rows as a batch, leaving the builder empty.
    ///
    /// # Errors
    /// [`Error::Table`](crate::Error::Table) if Arrow finds the columns inconsistent.
    fn finish(&mut self, boot_id: &str) -> crate::Result<RecordBatch>;
}

/// Name of the constant column that every table ends with.
pub const BOOT_ID: &str = "boot_id";

impl TableDef {
    /// The Arrow schema, `boot_id` included.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let columns = self
            .columns
            .iter()
            .map(|c| Field::new(c.name, (c.data_type)(), c.nullable));
        let boot_id = Field::new(BOOT_ID, DataType::Utf8, false);
        Arc::new(Schema::new(
            columns.chain(std::iter::once(boot_id)).collect::<Vec<_>>(),
        ))
    }

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnDef> {
        self.columns.iter().find(|c| c.name == name)
    }
}

/// A type of column: what a row holds of it and how it is collected.
pub trait Kind {
    /// What a row holds.
    type Value<'a>;
    /// What collects the values of many rows.
    type Builder: ArrayBuilder + Debug;
    /// Whether a row may hold nothing.
    const NULLABLE: bool = false;
    /// Its Arrow type.
    fn data_type() -> DataType;
    /// An empty collector.
    fn builder() -> Self::Builder;
    /// Adds the value of one row.
    fn append(builder: &mut Self::Builder, value: Self::Value<'_>);
    /// Adds an absent value.
    fn append_null(builder: &mut Self::Builder);
}

/// What a row holds for a column of kind `K`.
pub type Value<'a, K> = <K as Kind>::Value<'a>;

macro_rules! kind {
    ($(#[$doc:meta])* $kind:ident, $value:ty, $builder:ty, $type:expr, $new:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $kind;

        impl Kind for $kind {
            type Value<'a> = $value;
            type Builder = $builder;
            fn data_type() -> DataType {
                $type
            }
            fn builder() -> Self::Builder {
                $new
            }
            fn append(builder: &mut Self::Builder, value: Self::Value<'_>) {
                builder.append_value(value);
            }
            fn append_null(builder: &mut Self::Builder) {
                builder.append_null();
            }
        }
    };
}

kind!(
    /// 64-bit integer: times, ids, sizes.
    I64, i64, Int64Builder, DataType::Int64, Int64Builder::new()
);
kind!(
    /// 32-bit integer: pids, cpus, errno.
    I32, i32, Int32Builder, DataType::Int32, Int32Builder::new()
);
kind!(
    /// Truth value.
    Bool, bool, BooleanBuilder, DataType::Boolean, BooleanBuilder::new()
);
kind!(
    /// UTF-8 text.
    Text, &'a str, StringBuilder, DataType::Utf8, StringBuilder::new()
);
kind!(
    /// Raw bytes.
    Bytes, &'a [u8], BinaryBuilder, DataType::Binary, BinaryBuilder::new()
);
kind!(
    /// Wall-clock time in microseconds since 1970, UTC. Microseconds, since
    /// several engines cannot read Parquet's nanosecond timestamps.
    Wall,
    i64,
    TimestampMicrosecondBuilder,
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    TimestampMicrosecondBuilder::new().with_timezone("UTC")
);

/// A column whose value may be unknown.
#[derive(Debug)]
pub struct Opt<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for Opt<K> {
    type Value<'a> = Option<K::Value<'a>>;
    type Builder = K::Builder;
    const NULLABLE: bool = true;
    fn data_type() -> DataType {
        K::data_type()
    }
    fn builder() -> Self::Builder {
        K::builder()
    }
    fn append(builder: &mut Self::Builder, value: Self::Value<'_>) {
        match value {
            Some(value) => K::append(builder, value),
            None => K::append_null(builder),
        }
    }
    fn append_null(builder: &mut Self::Builder) {
        K::append_null(builder);
    }
}

/// A column that holds a list per row.
#[derive(Debug)]
pub struct List<K>(std::marker::PhantomData<K>);

impl<K: Kind> Kind for List<K>
where
    for<'a> K::Value<'a>: Copy,
    K: 'static,
{
    type Value<'a> = &'a [K::Value<'a>];
    type Builder = ListBuilder<K::Builder>;
    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new("item", K::data_type(), false)))
    }
    fn builder() -> Self::Builder {
        ListBuilder::new(K::builder()).with_field(Field::new("item", K::data_type(), false))
    }
    fn append(builder: &mut Self::Builder, value: Self::Value<'_>) {
        for item in value {
            K::append(builder.values(), *item);
        }
        builder.append(true);
    }
    fn append_null(builder: &mut Self::Builder) {
        builder.append(false);
    }
}

/// Defines a table in its own module: `Row`, `Builder` and `DEF`.
///
/// ```
/// mod tick {
///     whence_schemas::table! {
///         /// One row per tick of the clock.
///         table = "tick", time = "ts_ns",
///         pub struct Row {
///             /// When it ticked.
///             ts_ns: I64 = Delta,
///             /// What it said.
///             sound: Opt<Text> = Dict,
///         }
///     }
/// }
/// let mut rows = tick::Builder::default();
/// rows.push(tick::Row { ts_ns: 1, sound: Some("tock") });
/// let batch = rows.finish("a-boot-id")?;
/// assert_eq!(batch.num_rows(), 1);
/// assert_eq!(batch.num_columns(), 3); // with boot_id
/// # Ok::<(), whence_schemas::Error>(())
/// ```
#[macro_export]
macro_rules! table {
    (
        $(#[doc = $table_doc:literal])+
        table = $table:literal, time = $time:literal, $(grouped = $grouped:literal,)?
        pub struct Row {
            $( $(#[doc = $doc:literal])+ $column:ident : $kind:ty = $encoding:ident, )+
        }
    ) => {
        #[allow(unused_imports)]
        use $crate::table::{Bool, Bytes, I32, I64, Kind, List, Opt, Text, Value, Wall};

        $(#[doc = $table_doc])+
        #[derive(Clone, Debug, Default)]
        pub struct Row<'a> {
            $( $(#[doc = $doc])+ pub $column: Value<'a, $kind>, )+
        }

        #[doc = concat!("The definition of table `", $table, "`.")]
        pub static DEF: $crate::table::TableDef = $crate::table::TableDef {
            name: $table,
            doc: concat!($($table_doc, "\n"),+),
            time_column: $time,
            grouped_by: [$(Some($grouped),)? None][0],
            columns: &[$(
                $crate::table::ColumnDef {
                    name: stringify!($column),
                    doc: concat!($($doc, "\n"),+),
                    encoding: $crate::table::Encoding::$encoding,
                    data_type: <$kind as Kind>::data_type,
                    nullable: <$kind as Kind>::NULLABLE,
                },
            )+],
        };

        #[doc = concat!("Collects rows of table `", $table, "` by column.")]
        #[derive(Debug)]
        pub struct Builder {
            rows: usize,
            $( $column: <$kind as Kind>::Builder, )+
        }

        impl Default for Builder {
            fn default() -> Self {
                Self { rows: 0, $( $column: <$kind as Kind>::builder(), )+ }
            }
        }

        impl Builder {
            /// Adds a row.
            pub fn push(&mut self, row: Row<'_>) {
                $( <$kind as Kind>::append(&mut self.$column, row.$column); )+
                self.rows += 1;
            }

            /// As [`TableBuilder::len`]($crate::table::TableBuilder::len).
            #[must_use]
            pub fn len(&self) -> usize {
                self.rows
            }

            /// Whether there is no row.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.rows == 0
            }

            /// As [`TableBuilder::finish`]($crate::table::TableBuilder::finish).
            ///
            /// # Errors
            /// [`Error::Table`]($crate::Error::Table) if Arrow finds the columns inconsistent.
            pub fn finish(
                &mut self,
                boot_id: &str,
            ) -> $crate::Result<$crate::table::RecordBatch> {
                let columns: Vec<$crate::table::ArrayRef> = vec![
                    $( std::sync::Arc::new(self.$column.finish()), )+
                ];
                let rows = std::mem::take(&mut self.rows);
                $crate::table::batch(&DEF, columns, rows, boot_id)
            }
        }

        impl $crate::table::TableBuilder for Builder {
            fn def() -> &'static $crate::TableDef {
                &DEF
            }
            fn len(&self) -> usize {
                Self::len(self)
            }
            fn finish(
                &mut self,
                boot_id: &str,
            ) -> $crate::Result<$crate::table::RecordBatch> {
                Self::finish(self, boot_id)
            }
        }
    };
}

pub use arrow::array::{ArrayRef, RecordBatch};

/// Puts finished columns and the constant `boot_id` together.
///
/// # Errors
/// [`Error::Table`](crate::Error::Table) if the columns do not fit the definition.
pub fn batch(
    def: &'static TableDef,
    mut columns: Vec<ArrayRef>,
    rows: usize,
    boot_id: &str,
) -> crate::Result<RecordBatch> {
    let boot_ids = std::iter::repeat_n(boot_id, rows);
    columns.push(Arc::new(arrow::array::StringArray::from_iter_values(
        boot_ids,
    )));
    RecordBatch::try_new(def.schema(), columns).map_err(|cause| crate::Error::Table {
        table: def.name,
        cause,
    })
}
