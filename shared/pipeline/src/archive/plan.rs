//! The archive plan: which sealed outputs become which files. Positions say what; time only says when.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::keys;
use crate::manifest::Manifest;
use crate::object::content_hash;

/// The format's number; a reader of another number stops.
const FORMAT: u32 = 1;

/// Which rules turn inputs into bytes: row order, writer settings, schema. An older plan is finished by a program
/// that still knows its number.
const WRITER: u32 = 3;

const HOUR_NANOS: i64 = 3_600 * spanlake_model::NANOS_PER_SECOND;

/// A sealed output in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The shard's id.
    pub shard: String,
    /// The output's number along the shard.
    pub number: u64,
    /// The sealed object.
    pub key: String,
    /// Ledger items in it, by the signals' codes; unknown if an older version sealed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<[u64; 3]>,
    /// Its decisions, if it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<String>,
}

/// Inputs that become one file of each table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileGroup {
    /// The start of the hour in which they were sealed, Unix nanoseconds: the partition.
    pub hour: i64,
    /// The inputs, in order.
    pub inputs: Vec<Input>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    format: u32,
    writer: u32,
    /// Plans count from 1.
    pub number: u64,
    /// For each shard, the number of the last output that this or an earlier plan has taken.
    pub positions: BTreeMap<String, u64>,
    /// The files.
    pub groups: Vec<FileGroup>,
}

/// Stored bytes that are no plan of this program.
#[derive(Debug, Error)]
pub enum PlanDamaged {
    /// Not JSON, or not of this shape.
    #[error("the plan is damaged")]
    Damaged(#[source] serde_json::Error),
    /// Written by another version of the program.
    #[error("the plan has format {format} and writer {writer}: finish it with the version that made it")]
    Version {
        /// Its format.
        format: u32,
        /// Its writer.
        writer: u32,
    },
}

/// File groups of a plan at most: it is carried out whole or begun anew, so it must fit well into one run.
pub(super) const GROUPS_MAX: usize = 16;

impl Plan {
    /// The plan behind `last`, or `None` if nothing was sealed since. What is more than fits into one plan is for the next.
    #[must_use]
    pub fn next(last: Option<&Self>, manifests: &[Manifest], file_bytes: u64) -> Option<Self> {
        let mut positions = last.map(|plan| plan.positions.clone()).unwrap_or_default();
        let mut groups: Vec<(u64, FileGroup)> = Vec::new();
        for manifest in manifests {
            let planned = positions.entry(manifest.shard.clone()).or_default();
            let before = *planned;
            for output in manifest.sealed.iter().filter(|output| output.number > before) {
                let hour = output.window_start.div_euclid(HOUR_NANOS).saturating_mul(HOUR_NANOS);
                let input = Input {
                    shard: manifest.shard.clone(),
                    number: output.number,
                    key: output.key.clone(),
                    items: output.items,
                    decisions: output.decisions.clone(),
                };
                let with = |bytes: u64| bytes.saturating_add(output.raw_bytes);
                let fits = |(bytes, group): &&mut (u64, FileGroup)| group.hour == hour && with(*bytes) <= file_bytes;
                if let Some((bytes, group)) = groups.iter_mut().find(fits) {
                    *bytes = with(*bytes);
                    group.inputs.push(input);
                } else if groups.len() < GROUPS_MAX {
                    groups.push((output.raw_bytes, FileGroup { hour, inputs: vec![input] }));
                } else {
                    break;
                }
                *planned = (*planned).max(output.number);
            }
        }
        if groups.is_empty() {
            return None;
        }
        let number = last.map_or(0, |plan| plan.number).saturating_add(1);
        Some(Self {
            format: FORMAT,
            writer: WRITER,
            number,
            positions,
            groups: groups.into_iter().map(|(_, group)| group).collect(),
        })
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`PlanDamaged`] if the bytes are not one that this program may carry out.
    pub fn decode(bytes: &[u8]) -> Result<Self, PlanDamaged> {
        let plan: Self = serde_json::from_slice(bytes).map_err(PlanDamaged::Damaged)?;
        if plan.format != FORMAT {
            return Err(PlanDamaged::Version { format: plan.format, writer: plan.writer });
        }
        if plan.number == u64::MAX {
            return Err(PlanDamaged::Damaged(serde::de::Error::custom("no number is left for the next plan")));
        }
        Ok(plan)
    }

    /// Whether this program may carry it out: its positions can be read in any case.
    ///
    /// # Errors
    /// [`PlanDamaged::Version`] if another writer made it.
    pub const fn check_writer(&self) -> Result<(), PlanDamaged> {
        if self.writer == WRITER { Ok(()) } else { Err(PlanDamaged::Version { format: self.format, writer: self.writer }) }
    }

    /// The name of a table's file for file group `group`: it follows from the plan alone.
    #[must_use]
    pub fn file_key(&self, table: &str, group: usize) -> String {
        let hour = self.groups.get(group).map_or(0, |group| group.hour);
        let hash = content_hash(&self.encode()).to_string();
        let hash = hash.get(..16).unwrap_or_default();
        format!("{}{table}/{}/{:012}-{hash}-{group}.parquet", keys::LAKE, partition_of(hour), self.number)
    }
}

/// The number of the plan or done mark of this key, which ends with `kind`.
pub(super) fn number_of(key: &str, kind: &str) -> Option<u64> {
    key.strip_prefix(keys::PLAN)?.strip_suffix(kind)?.parse().ok()
}

/// The partition of a point in time: `dt=2026-11-21/hour=09`.
#[must_use]
pub fn partition_of(nanos: i64) -> String {
    let (date, hour) = date_and_hour(nanos);
    format!("dt={date}/hour={hour:02}")
}

/// The UTC date (`2026-11-21`) and hour of a point in time; days by the civil-from-days rule of the proleptic
/// Gregorian calendar.
fn date_and_hour(nanos: i64) -> (String, i64) {
    let hours = nanos.div_euclid(HOUR_NANOS);
    let (days, hour) = (hours.div_euclid(24), hours.rem_euclid(24));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (format!("{year:04}-{month:02}-{day:02}"), hour)
}

#[cfg(test)]
mod tests {
    use spanlake_model::{BucketRange, NANOS_PER_SECOND};

    use super::*;
    use crate::manifest::SealedRef;

    fn manifest(shard: &str, outputs: &[(u64, u64, i64)]) -> Manifest {
        let mut manifest = Manifest::new(shard, BucketRange::ALL);
        for (number, raw_bytes, window_start) in outputs.iter().copied() {
            let key = format!("sealed/{shard}-{number}");
            manifest.sealed.push(SealedRef { number, key, bytes: 1, raw_bytes, items: None, window_start, decisions: None });
        }
        manifest
    }

    #[test]
    fn every_output_is_in_exactly_one_plan() {
        let first = Plan::next(None, &[manifest("a", &[(1, 5, 0), (2, 5, 0)]), manifest("b", &[(1, 5, HOUR_NANOS)])], 8).unwrap();
        assert_eq!(first.groups.len(), 3);
        assert_eq!(Plan::next(Some(&first), &[manifest("a", &[(2, 5, 0)]), manifest("b", &[])], 8), None);
        let second = Plan::next(Some(&first), &[manifest("a", &[(2, 5, 0), (3, 1, 0)])], 8).unwrap();
        assert_eq!(second.groups[0].inputs[0].key, "sealed/a-3");
        assert_eq!((second.number, second.positions["a"], second.positions["b"]), (2, 3, 1));
    }

    #[test]
    fn what_is_too_much_for_a_plan_is_for_the_next_and_nothing_is_left_out() {
        let most = GROUPS_MAX as u64;
        let outputs = |shard, count: u64| manifest(shard, &(1..=count).map(|number| (number, 9, 0)).collect::<Vec<_>>());
        let shards = [outputs("a", most - 2), outputs("b", 5), outputs("c", 1)];
        let first = Plan::next(None, &shards, 8).unwrap();
        assert_eq!((first.groups.len(), first.positions["a"], first.positions["b"]), (GROUPS_MAX, most - 2, 2));
        let second = Plan::next(Some(&first), &shards, 8).unwrap();
        assert_eq!((second.groups.len(), second.positions["b"], second.positions["c"]), (4, 5, 1));
        assert_eq!(Plan::next(Some(&second), &shards, 8), None);
    }

    #[test]
    fn a_plan_is_read_back_and_another_writers_is_not_carried_out() {
        let plan = Plan::next(None, &[manifest("a", &[(1, 5, 0)])], 8).unwrap();
        assert_eq!(Plan::decode(&plan.encode()).unwrap(), plan);
        let other =
            String::from_utf8(plan.encode().to_vec()).unwrap().replacen(&format!("\"writer\":{WRITER}"), "\"writer\":9", 1);
        let other = Plan::decode(other.as_bytes()).unwrap();
        assert!(matches!(other.check_writer(), Err(PlanDamaged::Version { writer: 9, .. })));
        assert_eq!(other.positions, plan.positions);
    }

    #[test]
    fn numbers_at_the_ends_of_their_range_make_a_plan_or_are_refused() {
        let outputs = [(1, u64::MAX, i64::MIN), (2, 1, i64::MIN), (u64::MAX, u64::MAX, i64::MAX)];
        let mut plan = Plan::next(None, &[manifest("a", &outputs)], 8).unwrap();
        assert_eq!(plan.groups.iter().map(|group| group.inputs.len()).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(Plan::decode(&plan.encode()).unwrap(), plan);
        plan.number = u64::MAX;
        assert!(matches!(Plan::decode(&plan.encode()), Err(PlanDamaged::Damaged(_))));
    }

    #[test]
    fn a_partition_is_the_utc_hour() {
        assert_eq!(date_and_hour(0), ("1970-01-01".to_owned(), 0));
        assert_eq!(date_and_hour(1_795_216_740 * NANOS_PER_SECOND), ("2026-11-20".to_owned(), 23));
        assert_eq!(date_and_hour(951_782_400 * NANOS_PER_SECOND), ("2000-02-29".to_owned(), 0));
        assert_eq!(date_and_hour(-1), ("1969-12-31".to_owned(), 23));
    }
}
