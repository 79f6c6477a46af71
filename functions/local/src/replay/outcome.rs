//! What the new rules make of a trace, by the readings of it that count.

use spanlake_pipeline::Verdict;
use spanlake_pipeline::replay::{Closed, Judged};
use spanlake_policy::Rules;

use super::judge::{Due, Side};
use super::tally::{Certain, Fate, Kept, Ruling, Unknown};

/// A verdict with its policy. What no policy keeps goes by none.
pub(super) fn ruling(verdict: Verdict, policy: &str) -> Ruling {
    match verdict {
        Verdict::Kept => Ruling { fate: Fate::Kept, policy: policy.to_owned() },
        Verdict::SampledOut | Verdict::LogsAlone => Ruling { fate: Fate::SampledOut, policy: String::new() },
        Verdict::Dropped => Ruling { fate: Fate::Dropped, policy: policy.to_owned() },
    }
}

/// What the new rules make of a trace in the most likely reading that counts, and whether all others that count say the same.
pub(super) fn outcome(
    due: &Due,
    old: Option<&Vec<Closed<'_>>>,
    (rules, new): (&Rules, &[Closed<'_>]),
) -> Result<(Certain, bool), Unknown> {
    if due.known.decided_spans != due.recorded.spans {
        return Err(Unknown::Incomplete);
    }
    let certain = |number: usize| {
        let (_, side) = due.sides.get(number)?;
        let judged = side.facts.as_ref().and_then(|facts| Some(new.get(number)?.decide(&due.id, facts)));
        Some(certain(due, side, judged, rules))
    };
    let mut outcomes = readings_that_count(due, old).into_iter().filter_map(certain);
    let likely = outcomes.next().ok_or(Unknown::NotReproduced)?;
    let is_certain = outcomes.all(|other| other.is_like(&likely));
    Ok((likely, is_certain))
}

/// The readings in which the rules that decided the trace come to what is recorded: the policy, or at least that it is kept (of
/// several that keep it, limits choose by the traces that are gone). All readings if those rules are not there.
fn readings_that_count(due: &Due, old: Option<&Vec<Closed<'_>>>) -> Vec<usize> {
    let Some(old) = old else { return (0..due.sides.len()).collect() };
    let recorded = &due.recorded.ruling;
    let judged = |number: usize| {
        let facts = due.sides.get(number)?.0.as_ref()?.facts.as_ref()?;
        let of_window = old.get(number)?;
        let Judged { verdict, policy, .. } = of_window.decide(&due.id, facts);
        let judged = ruling(verdict, &policy);
        // Those may be gone that left no room for it.
        let had_no_room = of_window.has_limits() && (recorded.fate, judged.fate) == (Fate::SampledOut, Fate::Kept);
        (judged.fate == recorded.fate || had_no_room).then_some(judged)
    };
    let alike: Vec<(usize, Ruling)> = (0..due.sides.len()).filter_map(|number| Some((number, judged(number)?))).collect();
    let same: Vec<usize> = alike.iter().filter(|(_, judged)| judged == recorded).map(|(number, _)| *number).collect();
    if same.is_empty() { alike.into_iter().map(|(number, _)| number).collect() } else { same }
}

fn certain(due: &Due, side: &Side, judged: Option<Judged>, rules: &Rules) -> Certain {
    let chance = judged.as_ref().map_or(0.0, |judged| judged.chance);
    let filtered = Ruling { fate: Fate::Filtered, policy: String::new() };
    let ruling = judged.map_or(filtered, |judged| ruling(judged.verdict, &judged.policy));
    let mut certain = Certain { ruling, chance, ..Certain::default() };
    for (part, left) in due.known.parts.iter().zip(&side.parts) {
        let service = part.service.clone();
        let alone = left.late.iter().filter(|(facts, _)| rules.keeps_late_span(&due.id, facts));
        let (spans, bytes) = match certain.ruling.fate {
            Fate::Kept => (left.spans, left.bytes),
            // A late span may be kept for itself.
            _ => alone.fold((0, 0), |(spans, sum), (_, bytes)| (spans + 1, sum + bytes)),
        };
        certain.left.push(Kept { service: service.clone(), spans: left.spans, bytes: left.bytes });
        certain.kept.push(Kept { service, spans, bytes });
    }
    certain
}
