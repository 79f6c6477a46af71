//! `from_unixtime_nanos(bigint)`: the exact time of a `*_unix_nano` column, UTC.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, utils::take_function_args};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FromUnixtimeNanos {
    signature: Signature,
}

impl Default for FromUnixtimeNanos {
    fn default() -> Self {
        Self { signature: Signature::exact(vec![DataType::Int64], Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for FromUnixtimeNanos {
    fn name(&self) -> &'static str {
        "from_unixtime_nanos"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [nanos] = take_function_args(self.name(), args.args)?;
        nanos.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), None)
    }
}
