use spanlake_policy::{AskedPart, AskedSub, Combined, Test};

use super::*;

/// An object of the release before votes were explained: three rows, one reason.
const EARLIER: &str = "28b52ffd2042e50000980000010301904e01000301904e02010301904e03100048414a87050125426645f2e4db8efc164cb201c601\
                       018007066572726f7273000000000000004002723102066572726f72730773616d706c656404736c6f770b6e6f745f73616d706c6564\
                       01020202020202020202020202020202020258000000395fa08295f7b580534c4f31";

fn reason(weight: f64) -> Reason {
    Reason {
        verdict: Verdict::Kept,
        policy: "errors".into(),
        weight,
        rules: "r1".into(),
        threshold: Some(7),
        votes: vec![("slow".into(), "not_sampled".into())],
    }
}

fn key(n: u16) -> Key {
    Key { bucket: n, trace: TraceId([1; 16]) }
}

fn decided(n: u16, reason: u32) -> Decided {
    Decided { key: key(n), reason, spans: 3, errors: 1, wait_ms: 10_000, is_complete: n != 7 }
}

fn slow() -> Asked {
    let test = Test::Latency { lower_ms: 9_000, upper_ms: None, inclusive: false };
    let parts = vec![AskedPart { name: String::new(), negated: false, test }];
    let subs = vec![AskedSub { name: String::new(), parts, rooms: Vec::new() }];
    Asked { policy: "slow".into(), combined: Combined::Single, subs }
}

/// Rows of two segments, each with another duration.
fn written(is_explained: bool) -> Finished {
    let mut writer = DecidedWriter::default();
    for n in 0..4096 {
        let reason = writer.reason(&reason(f64::from(n % 2)));
        writer.push_measured(decided(n, reason), Measures { duration_ms: Some(i64::from(n)), ..Measures::default() });
    }
    if is_explained {
        assert!(!writer.knows("r1"));
        writer.explain("r1", vec![slow()]);
        assert!(writer.knows("r1"));
    }
    writer.finish(89, 99).unwrap()
}

#[test]
fn decisions_are_read_back_segment_by_segment() {
    let object = written(true);
    let index = DecidedIndex::read(&object.bytes).unwrap();
    assert_eq!((index.start, index.end, index.reasons.len()), (89, 99, 2));
    assert!(index.lasts.len() > 1);
    let (rows, explained) = index.all_explained(&object.bytes).unwrap();
    assert_eq!(rows.len(), 4096);
    assert_eq!(*index.reasons[rows[5].reason as usize], reason(1.0));
    assert!(!rows[7].is_complete && rows[8].is_complete && rows[4095].key == key(4095));
    for (place, row) in rows.iter().enumerate() {
        let text = format!(
            "{} ms, not above 9,000 ms",
            if place > 999 { format!("{},{:03}", place / 1000, place % 1000) } else { place.to_string() }
        );
        assert_eq!(explained.of(place, row, &index.reasons[row.reason as usize]), [("slow", text)]);
    }
}

#[test]
fn votes_of_one_segment_are_explained_from_its_own_blocks() {
    let object = written(true);
    let index = DecidedIndex::read(&object.bytes).unwrap();
    let slice =
        |range: &std::ops::Range<u64>| &object.bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
    let rows = index.rows(1, slice(&index.range(1).unwrap()), index.range(1).unwrap().start).unwrap();
    let [measures, conditions] = index.explaining_ranges(1).unwrap().unwrap();
    let bytes = [(slice(&measures), measures.start), (slice(&conditions), conditions.start)];
    let explained = index.explained(1, rows.len(), bytes).unwrap();
    let text = "4,095 ms, not above 9,000 ms".to_owned();
    let last = rows.len() - 1;
    assert_eq!(explained.of(last, &rows[last], &index.reasons[rows[last].reason as usize]), [("slow", text)]);
    assert!(index.explained(1, rows.len() - 1, bytes).is_err());
}

#[test]
fn an_object_of_the_release_before_is_read_and_explains_nothing() {
    let object: Vec<u8> = (0..EARLIER.len()).step_by(2).map(|at| u8::from_str_radix(&EARLIER[at..at + 2], 16).unwrap()).collect();
    let index = DecidedIndex::read(&object).unwrap();
    let (rows, explained) = index.all_explained(&object).unwrap();
    assert_eq!(rows.len(), 3);
    assert_eq!((rows[2].spans, rows[2].errors, rows[2].wait_ms, rows[1].is_complete), (3, 1, 10_000, false));
    assert_eq!(index.reasons[0].votes, [("errors".into(), "sampled".into()), ("slow".into(), "not_sampled".into())]);
    assert_eq!(explained.of(0, &rows[0], &index.reasons[0]), []);
    assert_eq!(index.explaining_ranges(0), Ok(None));
}

/// So the release before reads what this one writes, and late spans never read what explains.
#[test]
fn what_explains_stands_behind_what_an_earlier_release_reads() {
    let (plain, explained) = (written(false), written(true));
    let indexes = [&plain, &explained].map(|object| DecidedIndex::read(&object.bytes).unwrap());
    for segment in 0..indexes[0].lasts.len() {
        let [one, two] = indexes.each_ref().map(|index| index.range(segment).unwrap());
        assert_eq!(one, two);
        let (start, end) = (usize::try_from(one.start).unwrap(), usize::try_from(one.end).unwrap());
        assert_eq!(plain.bytes[start..end], explained.bytes[start..end]);
    }
    assert_eq!(indexes[0].lasts, indexes[1].lasts);
    assert_eq!(written(true).hash, explained.hash);
}
