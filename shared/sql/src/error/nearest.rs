//! Names that somebody who mistyped one may have meant.

/// How many similar names are offered.
const NEAREST_MOST: usize = 3;

/// The names most like `name`, best first; none if none is like it.
pub(super) fn nearest(name: &str, names: impl Iterator<Item = String>) -> Vec<String> {
    let name = name.to_lowercase();
    let enough = name.chars().count() * 2 / 5;
    let mut near: Vec<_> = names
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let distance = distance(&name, &other);
            let is_part = name.len() > 2 && other.contains(&name);
            (distance <= enough || is_part).then_some((distance, candidate))
        })
        .collect();
    near.sort();
    near.dedup();
    near.truncate(NEAREST_MOST);
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// The names as a question.
pub(super) fn hint(names: &[String]) -> String {
    match names {
        [] => String::new(),
        names => format!(" (did you mean {}?)", names.join(" or ")),
    }
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.chars().zip(row.iter_mut().skip(1)) {
            let best = (diagonal + usize::from(x != y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}
