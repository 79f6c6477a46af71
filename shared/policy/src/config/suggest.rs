//! "Did you mean ...?"

/// Nobody misspells a longer word by a few letters only and needs to be told.
const WORD_BYTES_MAX: usize = 64;
/// Of so many known words the nearest is looked for.
const KNOWN_MAX: usize = 256;

/// The known word that is nearest to one that is not known, if it is near.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = match word.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let known = known.into_iter().take(KNOWN_MAX).filter(|candidate| word.len().max(candidate.len()) <= WORD_BYTES_MAX);
    let near = known.map(|candidate| (distance(word, candidate), candidate)).filter(|(distance, _)| *distance <= far);
    near.min().map(|(_, candidate)| candidate)
}

/// A question for the end of a message; empty where nothing is near.
pub(super) fn question<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|known| format!("; did you mean `{known}`?")).unwrap_or_default()
}

/// How many letters must be put in, taken out, replaced, or swapped with the next, to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    let mut last = None;
    for (line, letter) in one.chars().enumerate() {
        let mut following = vec![line + 1];
        for (column, wanted) in other.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&row, column) + usize::from(letter != *wanted);
            let mut cheapest = replaced.min(at(&row, column + 1) + 1).min(at(&following, column) + 1);
            if column > 0 && last == Some(*wanted) && other.get(column - 1) == Some(&letter) {
                cheapest = cheapest.min(at(&before, column - 1) + 1);
            }
            following.push(cheapest);
        }
        before = std::mem::replace(&mut row, following);
        last = Some(letter);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_and_a_far_one_is_not() {
        let known = ["decision_wait", "policies", "num_traces", "and", "name"];
        assert_eq!(nearest("decison_wait", known), Some("decision_wait"));
        assert_eq!(nearest("polcies", known), Some("policies"));
        assert_eq!(nearest("naem", known), Some("name"));
        for word in ["", "an", "exporter", "decision", "traces"] {
            assert_eq!(nearest(word, known), None, "{word}");
        }
        assert_eq!(distance("abc", "acb"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
