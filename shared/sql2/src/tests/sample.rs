//! Truthful numbers from a sample: counts estimated by `sum(sampling_weight)` against the counts before sampling.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, new_null_array};

use super::files::{schema, write_batch};
use crate::Lake;

/// Requests of each endpoint, as its name says; one in fifty fails.
const ENDPOINTS: [u32; 3] = [500, 1_000, 3_000];
const SEEDS: u32 = 200;
const KEPT: f64 = 0.05;

/// `SplitMix64` as a fraction from 0 to 1.
fn random(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
}

/// Keeps every error with weight 1 and one in twenty of the rest with weight 20; a row is (seed, endpoint, weight).
fn sample(seeds: u32, endpoints: &[u32]) -> Vec<(String, String, f64)> {
    let mut kept = Vec::new();
    for seed in 0..seeds {
        let mut state = u64::from(seed) + 1;
        for requests in endpoints {
            for request in 0..*requests {
                let weight = if request % 50 == 0 { 1.0 } else { 1.0 / KEPT };
                if random(&mut state) * weight < 1.0 {
                    kept.push((seed.to_string(), requests.to_string(), weight));
                }
            }
        }
    }
    kept
}

async fn estimates(seeds: u32, endpoints: &[u32]) -> Vec<(f64, f64)> {
    let data = tempfile::tempdir().unwrap();
    let rows = sample(seeds, endpoints);
    let schema = schema("spans");
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        match field.name().as_str() {
            "service_name" => Arc::new(rows.iter().map(|row| Some(row.0.as_str())).collect::<StringArray>()),
            "name" => Arc::new(rows.iter().map(|row| Some(row.1.as_str())).collect::<StringArray>()),
            "sampling_weight" => Arc::new(rows.iter().map(|row| Some(row.2)).collect::<Float64Array>()),
            _ => new_null_array(field.data_type(), rows.len()),
        }
    });
    let columns: Vec<ArrayRef> = columns.collect();
    write_batch(data.path(), "spans", ("2026-11-20", "09"), "1.parquet", &RecordBatch::try_new(schema, columns).unwrap());
    let lake = Lake::open(data.path()).await.unwrap();
    let sql = "SELECT name, sum(sampling_weight) FROM spans GROUP BY service_name, name";
    let number = |cell: &Option<String>| cell.as_deref().unwrap().parse::<f64>().unwrap();
    lake.query(sql).await.unwrap().rows.iter().map(|row| (number(&row[0]), number(&row[1]))).collect()
}

/// The standard error of an endpoint's estimate: only what is not an error is sampled.
fn standard_error(requests: f64) -> f64 {
    (requests * 0.98 * (1.0 - KEPT) / KEPT).sqrt()
}

#[tokio::test]
async fn estimates_stay_within_three_standard_errors_and_do_not_lean() {
    let pairs = estimates(SEEDS, &ENDPOINTS).await;
    assert_eq!(pairs.len(), ENDPOINTS.len() * usize::try_from(SEEDS).unwrap());
    let outside = pairs.iter().filter(|(requests, estimate)| (estimate - requests).abs() > 3.0 * standard_error(*requests));
    // Of 600 fair estimates 1.6 are expected beyond three standard errors.
    assert!(outside.count() <= 5);
    let (sent, counted) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
    let mean_error = f64::abs(counted / sent - 1.0);
    assert!(mean_error < 0.01, "{mean_error}");
}

#[tokio::test]
async fn an_endpoint_of_thirty_thousand_requests_is_within_five_per_cent() {
    for (requests, estimate) in estimates(2, &[30_000, 40_000]).await {
        assert!((estimate / requests - 1.0).abs() < 0.05, "{estimate} for {requests}");
        assert!((estimate - requests).abs() < 3.0 * standard_error(requests), "{estimate} for {requests}");
    }
}
