//! `approx_percentile(value, percentile)` and `approx_percentile(value, weight, percentile)`: Trino's names and order.
//!
//! Values fall into buckets that are at most 0.2 % wide, each with its weight and mean: a group of few distinct values
//! is exact, any other within 0.2 % of the value asked for, and memory is bounded by the range of the values. Unlike a
//! t-digest the result does not depend on how rows were dealt out to partitions.

use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, ColumnarValue, Signature, Volatility};

/// Bits of a double's 52-bit mantissa that are cut to name its bucket: 2^9 buckets an octave.
const CUT_BITS: u32 = 43;

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ApproxPercentile {
    signature: Signature,
}

impl Default for ApproxPercentile {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for ApproxPercentile {
    fn name(&self) -> &'static str {
        "approx_percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        if !(2..=3).contains(&args.len()) || !args.iter().all(|kind| kind.is_numeric() || kind.is_null()) {
            return plan_err!("approx_percentile takes (value, percentile) or (value, weight, percentile), all numbers");
        }
        Ok(vec![DataType::Float64; args.len()])
    }

    fn return_type(&self, _args: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if args.is_distinct {
            return plan_err!("approx_percentile(DISTINCT ...) is not supported");
        }
        let Some(percentile) = args.exprs.last() else { return plan_err!("approx_percentile needs a percentile") };
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        match percentile.evaluate(&nothing) {
            Ok(ColumnarValue::Scalar(ScalarValue::Float64(Some(fraction)))) if (0.0..=1.0).contains(&fraction) => {
                Ok(Box::new(Sketch { fraction, buckets: BTreeMap::new() }))
            }
            _ => plan_err!("approx_percentile needs a constant percentile between 0 and 1"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
        Ok(vec![
            Arc::new(Field::new(format!("{}[means]", args.name), list.clone(), true)),
            Arc::new(Field::new(format!("{}[weights]", args.name), list, true)),
        ])
    }
}

/// What one bucket holds.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    mean: f64,
    weight: f64,
}

/// The values of one group.
#[derive(Debug)]
struct Sketch {
    fraction: f64,
    buckets: BTreeMap<i64, Bucket>,
}

impl Sketch {
    fn add(&mut self, value: f64, weight: f64) {
        if value.is_nan() || weight.is_nan() || weight <= 0.0 {
            return;
        }
        let bucket = self.buckets.entry(key(value)).or_insert(Bucket { mean: value, weight: 0.0 });
        bucket.weight += weight;
        if value.is_finite() {
            bucket.mean += (value - bucket.mean) * (weight / bucket.weight);
        }
    }

    fn at_fraction(&self) -> Option<f64> {
        let total: f64 = self.buckets.values().map(|bucket| bucket.weight).sum();
        let target = self.fraction * total;
        let mut covered = 0.0;
        for bucket in self.buckets.values() {
            covered += bucket.weight;
            if covered >= target {
                return Some(bucket.mean);
            }
        }
        self.buckets.values().next_back().map(|bucket| bucket.mean)
    }
}

impl Accumulator for Sketch {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values {
            [values, _percentile] => {
                for value in values.as_primitive::<Float64Type>().iter().flatten() {
                    self.add(value, 1.0);
                }
            }
            [values, weights, _percentile] => {
                let weights = weights.as_primitive::<Float64Type>();
                for (value, weight) in values.as_primitive::<Float64Type>().iter().zip(weights) {
                    if let (Some(value), Some(weight)) = (value, weight) {
                        self.add(value, weight);
                    }
                }
            }
            _ => return exec_err!("approx_percentile got {} columns", values.len()),
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64(self.at_fraction()))
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.buckets.len() * 2 * size_of::<(i64, Bucket)>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = |pick: fn(&Bucket) -> f64| {
            let values: Vec<ScalarValue> = self.buckets.values().map(|bucket| ScalarValue::Float64(Some(pick(bucket)))).collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Float64))
        };
        Ok(vec![list(|bucket| bucket.mean), list(|bucket| bucket.weight)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [means, weights] = states else { return exec_err!("approx_percentile got {} states", states.len()) };
        let (means, weights) = (means.as_list::<i32>(), weights.as_list::<i32>());
        for row in (0..means.len()).filter(|row| means.is_valid(*row) && weights.is_valid(*row)) {
            let (means, weights) = (means.value(row), weights.value(row));
            for (mean, weight) in means.as_primitive::<Float64Type>().iter().zip(weights.as_primitive::<Float64Type>()) {
                if let (Some(mean), Some(weight)) = (mean, weight) {
                    self.add(mean, weight);
                }
            }
        }
        Ok(())
    }
}

/// A bucket's place: as an integer it sorts as the values do, negative ones included.
fn key(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    let ordered = if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits };
    ordered >> CUT_BITS
}
