//! What a child shard takes over from its closed parents: everything of its buckets that is staged and not yet sealed,
//! with ids, decisions and rules. A pure function of their manifests.

use std::collections::BTreeSet;

use crate::manifest::{Inherited, Manifest, Previous, RulesInForce, SeenRef, Staged};
use crate::ports::Shard;
use crate::settings::GroupSettings;

/// The manifest of a child as it begins; what of it is pending is not counted yet. `parents` are closed.
pub(crate) fn inherit(shard: &Shard, parents: &[Manifest], settings: &GroupSettings) -> Manifest {
    let mut child = Manifest::new(&shard.id, shard.range);
    child.parents.clone_from(&shard.parents);
    child.clock = parents.iter().map(|parent| parent.clock).max().unwrap_or_default();
    let mark = parents.iter().map(|parent| parent.mark).max().unwrap_or_default();
    // Up to there the parents have closed everything. Their marks alone would not do: how far they lag behind depends on
    // how records were cut into batches.
    child.mark = mark.max(settings.window_start(child.clock));
    (child.born, child.born_mark) = (child.clock, child.mark);
    child.rules = rules(parents, child.clock);
    let at_least = child.inherited_until(settings);
    for parent in parents {
        child.staged.extend(parent.staged.iter().filter_map(|staged| taken_over(staged, parent, child.range)));
        // What came long before may have no misplaced copies of this split or merge. So ids do not pile up for ever where
        // one follows the other.
        let is_recent = |seen: &SeenRef| seen.noted.saturating_add(settings.seen_nanos) > child.clock;
        let renewed = |seen: &SeenRef| if is_recent(seen) { seen.at_least.max(at_least) } else { seen.at_least };
        let seen = parent.seen.iter().map(|seen| SeenRef { at_least: renewed(seen), ..seen.clone() });
        child.seen.extend(seen);
        child.decisions.extend(parent.decisions.iter().cloned());
    }
    // Two parents may list what they took over from the same shard.
    let mut keys = BTreeSet::new();
    child.seen.retain(|seen| keys.insert(seen.key.clone()));
    child.decisions.retain(|decisions| keys.insert(decisions.key.clone()));
    child
}

/// What of a parent's batch lies in `range`, if anything does.
fn taken_over(staged: &Staged, parent: &Manifest, range: [u16; 2]) -> Option<Staged> {
    let held = staged.inherited.as_ref().map_or(parent.range, |inherited| inherited.range);
    let range = [held[0].max(range[0]), held[1].min(range[1])];
    let inherited = Inherited { range, mark: parent.mark_of(staged) };
    (range[0] <= range[1]).then(|| Staged { inherited: Some(inherited), ..staged.clone() })
}

/// The newest rules of any parent; the next newest still decide what began under them.
fn rules(parents: &[Manifest], born: i64) -> RulesInForce {
    let Some(newest) = parents.iter().map(|parent| &parent.rules).max_by_key(|rules| rules.since) else {
        return RulesInForce::default();
    };
    let older = parents.iter().map(|parent| &parent.rules).filter(|rules| rules.current != newest.current);
    let current = older.max_by_key(|rules| rules.since);
    let current = current.map(|rules| Previous { version: rules.current.clone(), until: born });
    let previous = parents.iter().filter_map(|parent| parent.rules.previous.as_ref());
    let previous = previous.filter(|previous| previous.version != newest.current).max_by_key(|previous| previous.until);
    RulesInForce { previous: current.or_else(|| previous.cloned()), ..newest.clone() }
}

#[cfg(test)]
mod tests {
    use spanlake_model::{BucketRange, Sequence};

    use super::*;

    fn staged(key: &str, inherited: Option<Inherited>) -> Staged {
        Staged { key: key.to_owned(), bytes: 1, index_bytes: 1, arrivals: [1, 2], items: 1, inherited }
    }

    fn parent(id: &str, first: u16, last: u16, clock: i64, mark: i64, rules: (&str, i64)) -> Manifest {
        let mut parent = Manifest::new(id, BucketRange { first, last });
        (parent.clock, parent.mark, parent.closed) = (clock, mark, true);
        parent.rules = RulesInForce { current: rules.0.to_owned(), since: rules.1, previous: None };
        parent
    }

    #[test]
    fn a_child_takes_over_its_own_buckets_with_each_parents_own_mark() {
        let mut one = parent("a", 0, 99, 50, 40, ("v1", 1));
        one.staged = vec![staged("s1", None), staged("s0", Some(Inherited { range: [0, 9], mark: 7 }))];
        let mut two = parent("b", 100, 199, 90, 80, ("v2", 60));
        two.staged = vec![staged("s2", None)];
        let range = BucketRange { first: 50, last: 199 };
        let shard = Shard { id: "c".to_owned(), range, parents: vec!["a".to_owned(), "b".to_owned()] };
        let settings = GroupSettings { window_nanos: 20, ..GroupSettings::default() };
        let child = inherit(&shard, &[one, two], &settings);
        let held: Vec<_> = child.staged.iter().map(|staged| (staged.key.as_str(), staged.inherited.clone().unwrap())).collect();
        let of = |range, mark| Inherited { range, mark };
        assert_eq!(held, [("s1", of([50, 99], 40)), ("s2", of([100, 199], 80))]);
        assert_eq!((child.clock, child.mark, child.born, child.watermark), (90, 80, 90, Sequence::ZERO));
        let previous = Some(Previous { version: "v1".to_owned(), until: 90 });
        assert_eq!(child.rules, RulesInForce { current: "v2".to_owned(), since: 60, previous });
    }
}
