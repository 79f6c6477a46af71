//! Taking attributes out of maps as the Collector does.

use spanlake_otlp::tree::Map;

/// Marks an entry that stays.
const STAYS: usize = usize::MAX;

/// Takes the entries at these places (in ascending order) away, one after the other: the last entry moves into each
/// hole, and a later `limit` sees that order. In time that is linear, so that a map of many entries is no weapon.
pub(crate) fn remove_places(map: &mut Map<'_>, places: &mut [usize]) {
    if places.is_empty() {
        return;
    }
    let mut turns = vec![STAYS; map.0.len()];
    for (turn, place) in places.iter().enumerate() {
        if let Some(mark) = turns.get_mut(*place) {
            *mark = turn;
        }
    }
    for turn in 0..places.len() {
        let Some(&place) = places.get(turn) else { return };
        if place >= map.0.len() || place >= turns.len() {
            continue;
        }
        map.0.swap_remove(place);
        turns.swap_remove(place);
        // What moved into the hole may be next.
        if let Some(moved) = turns.get(place).copied().and_then(|moved| places.get_mut(moved)) {
            *moved = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use spanlake_otlp::tree::Value;

    use super::*;

    proptest::proptest! {
        #[test]
        fn removing_many_is_removing_one_after_the_other(doomed in proptest::collection::vec(proptest::bool::ANY, 0..40)) {
            let whole = Map((0..doomed.len()).map(|at| (at.to_string().into(), Value::Empty)).collect());
            let mut places: Vec<usize> = (0..doomed.len()).filter(|at| doomed[*at]).collect();
            let mut wanted = whole.clone();
            for place in &places {
                wanted.remove(&place.to_string());
            }
            let mut found = whole;
            remove_places(&mut found, &mut places);
            proptest::prop_assert_eq!(found, wanted);
        }
    }
}
