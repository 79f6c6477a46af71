//! `element_at(map, key)` and `element_at(list, index)` as Trino has them: NULL for what is missing.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, UInt32Array};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err, utils::take_function_args};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ElementAt {
    signature: Signature,
}

impl Default for ElementAt {
    fn default() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ElementAt {
    fn name(&self) -> &'static str {
        "element_at"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        match args {
            [DataType::Map(entries, _), _] => match entries.data_type() {
                DataType::Struct(fields) if fields.len() == 2 => {
                    Ok(fields.last().map_or(DataType::Null, |field| field.data_type().clone()))
                }
                other => plan_err!("a map of {other}"),
            },
            [DataType::List(item), _] => Ok(item.data_type().clone()),
            [DataType::Null, _] => Ok(DataType::Null),
            _ => plan_err!("element_at takes a map and a key, or a list and an index from 1"),
        }
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        match args {
            [map @ DataType::Map(..), _] => Ok(vec![map.clone(), DataType::Utf8]),
            [list @ DataType::List(_), _] => Ok(vec![list.clone(), DataType::Int64]),
            [DataType::Null, key] => Ok(vec![DataType::Null, key.clone()]),
            _ => plan_err!("element_at takes a map and a key, or a list and an index from 1"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [container, key] = take_function_args(self.name(), args.args)?;
        let container = container.into_array(rows)?;
        let key = key.into_array(rows)?;
        let found = match container.data_type() {
            DataType::Map(..) => in_maps(&container, &key)?,
            DataType::List(_) => in_lists(&container, &key)?,
            _ => datafusion::arrow::array::new_null_array(&DataType::Null, rows),
        };
        Ok(ColumnarValue::Array(found))
    }
}

fn in_maps(maps: &ArrayRef, wanted: &ArrayRef) -> Result<ArrayRef> {
    let maps = maps.as_map();
    let keys = cast(maps.keys(), &DataType::Utf8)?;
    let keys = keys.as_string::<i32>();
    let wanted = wanted.as_string::<i32>();
    let places: UInt32Array = maps
        .value_offsets()
        .windows(2)
        .zip(wanted)
        .enumerate()
        .map(|(row, (range, wanted))| match (range, wanted) {
            ([start, end], Some(wanted)) if maps.is_valid(row) => {
                (*start..*end).filter_map(|place| usize::try_from(place).ok()).find(|place| keys.value(*place) == wanted)
            }
            _ => None,
        })
        .map(|place| place.and_then(|place| u32::try_from(place).ok()))
        .collect();
    Ok(take(maps.values(), &places, None)?)
}

fn in_lists(lists: &ArrayRef, indices: &ArrayRef) -> Result<ArrayRef> {
    let lists = lists.as_list::<i32>();
    let indices = indices.as_primitive::<Int64Type>();
    let mut places = Vec::with_capacity(lists.len());
    for (row, (range, index)) in lists.value_offsets().windows(2).zip(indices).enumerate() {
        let ([start, end], Some(index)) = (range, index) else {
            places.push(None);
            continue;
        };
        let (start, end) = (i64::from(*start), i64::from(*end));
        let place = match index {
            0 => return exec_err!("element_at: the first element of a list is 1, not 0"),
            1.. => start.saturating_add(index - 1),
            _ => end.saturating_add(index),
        };
        let inside = lists.is_valid(row) && (start..end).contains(&place);
        places.push(if inside { u32::try_from(place).ok() } else { None });
    }
    Ok(take(lists.values(), &UInt32Array::from(places), None)?)
}
