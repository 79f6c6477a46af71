//! The functions of OTTL, by what they are about.
//!
//! Source: `pkg/ottl/ottlfuncs` and the processors of contrib v0.161. Each list is a table; a component names the lists
//! that it offers. Results are bounded: a function that would make a larger one is an error.

#![expect(clippy::unnecessary_wraps, reason = "the tables know one form of function, for those too that have no error")]

mod aggregate;
mod bounds;
mod calendar;
mod case;
mod collections;
mod csv;
mod editors;
mod encodings;
mod filter;
mod flatten;
mod format;
mod glob;
mod grok;
mod hashes;
mod json;
mod keyed;
mod layout;
mod logs;
mod maps;
mod metrics;
mod net;
mod parsing;
mod replace;
mod spans;
mod strings;
mod time;
mod types;
mod url;
mod xml;

use crate::compile::FunctionSet;

pub(crate) use bounds::is_small;
pub(crate) use calendar::rfc3339;
pub(crate) use case::camel;
pub(crate) use replace::compile_glob;

#[cfg(test)]
use xml::ALL as XML;

/// What the Collector has and Spanlake refuses, with the reason.
pub(crate) const REFUSED: &[(&str, &str)] = &[
    ("ConvertAttributesToElementsXML", "of the functions of XML only those that read, and `RemoveXML`, are"),
    ("ConvertTextToElementsXML", "of the functions of XML only those that read, and `RemoveXML`, are"),
    ("InsertXML", "of the functions of XML only those that read, and `RemoveXML`, are"),
    ("ProfileID", "there are no profiles"),
    ("UUID", "the same data must give the same result; a hash of what identifies the item does"),
    ("UUIDv7", "the same data must give the same result; a hash of what identifies the item does"),
    ("UserAgent", "its 600 regular expressions take milliseconds for a text; a query can tell browsers apart by the text itself"),
    ("convert_exponential_histogram_to_histogram", "it invents counts of buckets"),
    ("merge_histogram_buckets", "only whole metrics are aggregated"),
];

macro_rules! functions {
    ($($lists:expr),* $(,)?) => {
        &[
            collections::ALL,
            encodings::ALL,
            grok::ALL,
            hashes::ALL,
            net::ALL,
            parsing::ALL,
            strings::ALL,
            time::ALL,
            types::ALL,
            xml::ALL,
            $($lists,)*
        ]
    };
}

/// Conditions, as of the `tail_sampling` processor's `ottl_condition`.
pub const CONDITIONS: FunctionSet = functions![spans::CONVERTERS];
/// What the `filter` processor offers.
pub const FILTER: FunctionSet = functions![spans::CONVERTERS, filter::ALL];
/// What the `transform` processor offers.
pub const TRANSFORM: FunctionSet = functions![
    editors::ALL,
    maps::ALL,
    flatten::ALL,
    replace::ALL,
    spans::CONVERTERS,
    spans::EDITORS,
    logs::ALL,
    metrics::ALL,
    aggregate::ALL,
];
/// The functions that do not belong to any component: what the golden vectors were made with.
pub const GOLDEN: FunctionSet = functions![editors::ALL, maps::ALL, flatten::ALL, replace::ALL];
