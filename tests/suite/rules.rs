//! Rules that come from the store: who wants which, which hold, and what a broken configuration changes.

use std::sync::Arc;

use bytes::Bytes;
use spanlake_pipeline::group::CompileRules;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use spanlake_pipeline::rules::{Activation, RulesError, active_version, push, wanted};
use spanlake_policy::{DEFAULT_CONFIG, load};
use spanlake_testkit::{Faults, SimStore};

use crate::drive::block_on;

const OTHER: &str = "processors: {}\n";

fn compile() -> Arc<CompileRules> {
    Arc::new(|text: &str| load(text, &|_| None).rules.map(Arc::new).ok_or_else(|| "line 1: no".to_owned()))
}

fn activation(store: &Arc<SimStore>) -> Activation<SimStore> {
    Activation::new(Arc::clone(store), compile(), DEFAULT_CONFIG)
}

fn version(text: &str) -> String {
    compile()(text).unwrap().version().to_owned()
}

/// What heartbeats would carry now, and whether the wanted rules were refused.
fn active(activation: &mut Activation<SimStore>) -> (String, bool) {
    let active = block_on(activation.active(0)).unwrap();
    (active.version, active.refused.is_some())
}

fn push_now(store: &SimStore, text: &str) -> Result<String, RulesError> {
    let before = block_on(wanted(store))?.map(|(_, etag)| etag);
    block_on(push(store, text, before.as_ref(), compile().as_ref()))
}

#[test]
fn pushed_rules_hold_from_the_next_round_and_can_be_read_under_their_version() {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    let mut warm = activation(&store);
    assert_eq!(active(&mut warm), (version(DEFAULT_CONFIG), false));
    assert_eq!(push_now(&store, OTHER).unwrap(), version(OTHER));
    for instance in [&mut warm, &mut activation(&store)] {
        assert_eq!(active(instance), (version(OTHER), false));
    }
    for text in [DEFAULT_CONFIG, OTHER] {
        assert_eq!(block_on(store.get(&keys::rules(&version(text)))).unwrap().unwrap().bytes, text);
    }
    assert_eq!(block_on(active_version(store.as_ref())).unwrap(), Some(version(OTHER)));
}

#[test]
fn a_broken_configuration_is_refused_and_what_held_goes_on() {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    assert!(matches!(push_now(&store, "processors: ["), Err(RulesError::Refused(_))));
    assert!(block_on(store.get(keys::RULES_CURRENT)).unwrap().is_none(), "a refused push writes nothing");
    push_now(&store, OTHER).unwrap();
    assert_eq!(active(&mut activation(&store)), (version(OTHER), false));
    // Whoever may write there can go past the check.
    for broken in [Bytes::from_static(b"processors: ["), Bytes::from_static(b"\xff"), vec![b' '; 2 << 20].into()] {
        block_on(store.put(keys::RULES_CURRENT, broken)).unwrap();
        assert_eq!(active(&mut activation(&store)), (version(OTHER), true));
    }
    block_on(store.put(keys::RULES_CURRENT, DEFAULT_CONFIG.into())).unwrap();
    assert_eq!(active(&mut activation(&store)), (version(DEFAULT_CONFIG), false));
}

#[test]
fn a_first_configuration_that_is_broken_leaves_the_built_in_one() {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    block_on(store.put(keys::RULES_CURRENT, Bytes::from_static(b"]"))).unwrap();
    assert_eq!(active(&mut activation(&store)), (version(DEFAULT_CONFIG), true));
}

#[test]
fn of_two_pushes_at_the_same_time_the_second_is_told() {
    let store = Arc::new(SimStore::new(0, Faults::default()));
    push_now(&store, OTHER).unwrap();
    let seen = block_on(wanted(store.as_ref())).unwrap().map(|(_, etag)| etag);
    push_now(&store, DEFAULT_CONFIG).unwrap();
    let second = block_on(push(store.as_ref(), OTHER, seen.as_ref(), compile().as_ref()));
    assert!(matches!(second, Err(RulesError::Contended)));
    assert_eq!(block_on(wanted(store.as_ref())).unwrap().unwrap().0, DEFAULT_CONFIG);
}
