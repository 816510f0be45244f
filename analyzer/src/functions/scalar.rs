//! Functions of one row.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray as _, StringBuilder};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::cast::{as_list_array, as_string_array};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use whence_schemas::quote;

use super::Shared;

/// `cmdline(argv)`: the arguments quoted as a shell needs them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Cmdline {
    signature: Signature,
}

impl Cmdline {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::array(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Cmdline {
    fn name(&self) -> &'static str {
        "cmdline"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let lists = as_list_array(&array)?;
        let mut lines = StringBuilder::new();
        for row in 0..lists.len() {
            if lists.is_null(row) {
                lines.append_null();
                continue;
            }
            let argv = lists.value(row);
            let argv = as_string_array(&argv)?;
            let argv = argv.iter().flatten().map(str::as_bytes);
            lines.append_value(quote::command_line(argv));
        }
        Ok(ColumnarValue::Array(Arc::new(lines.finish())))
    }
}

/// `basename(path)`: what follows the last slash.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Basename {
    signature: Signature,
}

impl Basename {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Utf8], Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Basename {
    fn name(&self) -> &'static str {
        "basename"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let paths = as_string_array(&array)?;
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let names: arrow::array::StringArray = paths.iter().map(|path| path.map(name)).collect();
        Ok(ColumnarValue::Array(Arc::new(names)))
    }
}

/// `stack_text(stack_id)`: the functions of a call path, root first, separated
/// by `;`.
#[derive(Debug)]
pub(super) struct StackText {
    signature: Signature,
    shared: Arc<Shared>,
}

impl StackText {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            signature: Signature::exact(vec![DataType::Int64], Volatility::Stable),
            shared,
        }
    }
}

impl PartialEq for StackText {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for StackText {}

impl Hash for StackText {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.shared).hash(state);
    }
}

impl ScalarUDFImpl for StackText {
    fn name(&self) -> &'static str {
        "stack_text"
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let stacks = self.shared.stacks()?;
        let array = args.args[0].to_array(args.number_rows)?;
        let ids = array.as_primitive::<Int64Type>();
        let texts: arrow::array::StringArray = ids.iter().map(|id| stacks.text(id?)).collect();
        Ok(ColumnarValue::Array(Arc::new(texts) as ArrayRef))
    }
}
