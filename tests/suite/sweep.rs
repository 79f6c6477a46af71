//! What the sweeper promises beyond what a shard refers to: it comes to an end of any number of objects, and what fails on the
//! way leaves nothing that would be carried out again.

use std::collections::BTreeMap;

use bytes::Bytes;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::sweep::sweep;
use spanlake_testkit::{Faults, SimStore};

use crate::drive::block_on;

fn put(store: &SimStore, key: &str) {
    block_on(store.put(key, Bytes::from_static(b"x"))).unwrap();
}

#[test]
fn any_number_of_old_objects_goes_in_one_sweep_and_young_ones_stay() {
    let store = SimStore::new(1, Faults::default());
    for number in 0..20_500 {
        put(&store, &format!("{}{number:06}", keys::STAGED));
    }
    put(&store, &format!("{}old", keys::SEEN));
    store.set_now(1_000);
    put(&store, &format!("{}young", keys::SEALED));
    let swept = block_on(sweep(&store, 1_000)).unwrap();
    assert_eq!((swept.objects, swept.bytes), (20_501, 20_501));
    assert_eq!(store.snapshot().into_keys().collect::<Vec<_>>(), [format!("{}young", keys::SEALED)]);
}

#[test]
fn a_done_plan_is_never_left_without_its_mark() {
    for seed in 0..50 {
        let store = SimStore::new(seed, Faults::default());
        for number in 1..5 {
            put(&store, &keys::plan(number));
            put(&store, &keys::plan_done(number));
        }
        store.set_faults(Faults { fail_before: 20, fail_after: 20, late_write: 0, conflict: 0 });
        while block_on(sweep(&store, i64::MAX)).is_err() {
            no_plan_lost_its_mark(&store.snapshot());
        }
        let left = store.snapshot();
        no_plan_lost_its_mark(&left);
        assert_eq!(left.len(), 2, "the newest plan stays: its number is not given again");
    }
}

fn no_plan_lost_its_mark(objects: &BTreeMap<String, Bytes>) {
    for made in objects.keys().filter(|key| key.ends_with(keys::PLAN_MADE)) {
        let mark = format!("{}{}", made.strip_suffix(keys::PLAN_MADE).unwrap(), keys::PLAN_DONE);
        assert!(objects.contains_key(&mark), "{made} would be carried out again");
    }
}
