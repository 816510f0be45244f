//! Functions of one row: what they are called, what they take and give.

mod chains;
mod readable;
mod text;
mod time;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::Shared;

/// What a function makes of columns of equal length.
type Call = fn(&Shared, &[ArrayRef]) -> Result<ArrayRef>;

/// A function of one row.
#[derive(Debug)]
struct Function {
    name: &'static str,
    signature: Signature,
    returns: fn(&[DataType]) -> DataType,
    call: Call,
    shared: Arc<Shared>,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok((self.returns)(types))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = |arg: &ColumnarValue| matches!(arg, ColumnarValue::Scalar(_));
        let is_constant = args.args.iter().all(is_constant);
        let columns = ColumnarValue::values_to_arrays(&args.args)?;
        let result = (self.call)(&self.shared, &columns)?;
        match is_constant && result.len() == 1 {
            true => ScalarValue::try_from_array(&result, 0).map(ColumnarValue::Scalar),
            false => Ok(ColumnarValue::Array(result)),
        }
    }
}

/// All of them, over these recordings.
pub(super) fn all(shared: &Arc<Shared>) -> Vec<ScalarUDF> {
    let text: fn(&[DataType]) -> DataType = |_| DataType::Utf8;
    let define = |name, signature, returns, call| {
        ScalarUDF::new_from_impl(Function {
            name,
            signature,
            returns,
            call,
            shared: Arc::clone(shared),
        })
    };
    let of = |types: Vec<DataType>| Signature::exact(types, Volatility::Stable);
    let of_text = || of(vec![DataType::Utf8]);
    let of_int = || of(vec![DataType::Int64]);
    let of_process = || of(vec![DataType::Utf8, DataType::Int64]);
    vec![
        define("basename", of_text(), text, text::basename),
        define(
            "boot_ns",
            time::boot_ns_signature(),
            |_| DataType::Int64,
            time::boot_ns,
        ),
        define("chain_text", of_process(), text, chains::chain_text),
        define(
            "cmdline",
            Signature::array(Volatility::Immutable),
            text,
            text::cmdline,
        ),
        define("errno_name", of_int(), text, readable::errno_name),
        define("format_bytes", of_int(), text, readable::format_bytes),
        define("format_duration", of_int(), text, readable::format_duration),
        define("signal_name", of_int(), text, readable::signal_name),
        define(
            "stack_functions",
            of_int(),
            chains::list_of_text,
            chains::stack_functions,
        ),
        define("stack_text", of_int(), text, chains::stack_text),
        define("systemd_unit", of_text(), text, text::systemd_unit),
        define(
            "time_bucket",
            time::bucket_signature(),
            time::bucket_type,
            time::time_bucket,
        ),
        define(
            "wall_time",
            of_process(),
            |_| time::wall_type(),
            time::wall_time,
        ),
    ]
}
