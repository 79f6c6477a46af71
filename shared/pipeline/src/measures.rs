//! What explains recorded decisions, as it is stored beside them: what policies ask, by version of the rules, and the measures of
//! each trace. Late spans never read it.

use spanlake_policy::{Asked, AskedPart, AskedSub, Combined, Measures, Room, Test};

use crate::codec::{Damaged, Put, Take};

/// What the policies of some rules ask.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conditions {
    /// The version of the rules.
    pub(crate) rules: String,
    pub(crate) asked: Vec<Asked>,
}

/// A measure as one number, so that measures of a kind lie together; 0 is what most traces have.
type Column = (fn(&Measures) -> u64, fn(&mut Measures, u64));

/// Every measure that a row holds; one of which all values are 0 takes no bytes. Only ever appended to.
const COLUMNS: [Column; 9] = [
    (|measures| measures.bits, |measures, number| measures.bits = number),
    (|measures| duration_number(measures.duration_ms), |measures, number| measures.duration_ms = duration_of(number)),
    (|measures| measures.spans, |measures, number| measures.spans = number),
    (|measures| measures.errors, |measures, number| measures.errors = number),
    (|measures| measures.whole_bytes, |measures, number| measures.whole_bytes = number),
    (|measures| measures.groups_bytes, |measures, number| measures.groups_bytes = number),
    (|measures| u64::from(measures.randomness.is_some()), |measures, number| measures.randomness = (number == 1).then_some(0)),
    (|measures| measures.randomness.unwrap_or(0), |measures, number| measures.randomness = measures.randomness.map(|_| number)),
    (|measures| u64::from(measures.by_randomness), |measures, number| measures.by_randomness = number == 1),
];

/// 0 for none; else one more than the duration with its sign in the lowest bit.
fn duration_number(ms: Option<i64>) -> u64 {
    const MOST: i64 = i64::MAX >> 1;
    ms.map_or(0, |ms| {
        let ms = ms.clamp(-MOST, MOST);
        ((ms.cast_unsigned() << 1) ^ (ms >> 63).cast_unsigned()) + 1
    })
}

fn duration_of(number: u64) -> Option<i64> {
    let number = number.checked_sub(1)?;
    Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
}

/// The measures of the rows of a segment.
pub(crate) fn encode_measures(rows: &[Measures]) -> Vec<u8> {
    let used = COLUMNS.iter().map(|(get, _)| rows.iter().any(|row| get(row) != 0));
    let mask = used.zip(0..).fold(0, |mask: u64, (is_used, place)| mask | u64::from(is_used) << place);
    let mut out = Vec::new();
    out.varint(mask);
    for (_, (get, _)) in COLUMNS.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1) {
        for row in rows {
            out.varint(get(row));
        }
    }
    out
}

/// Reads the measures of `count` rows.
pub(crate) fn decode_measures(block: &[u8], count: usize) -> Result<Vec<Measures>, Damaged> {
    let mut take = Take::new(block);
    let mask = take.varint()?;
    if mask >> COLUMNS.len() != 0 {
        return Err(Damaged("unknown measure"));
    }
    let mut rows = vec![Measures::default(); count];
    for (_, (_, set)) in COLUMNS.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1) {
        for row in &mut rows {
            set(row, take.varint()?);
        }
    }
    if take.is_empty() { Ok(rows) } else { Err(Damaged("more measures than rows")) }
}

/// All conditions of an object.
pub(crate) fn encode_conditions(all: &[Conditions]) -> Vec<u8> {
    let mut out = Vec::new();
    out.varint(all.len() as u64);
    for Conditions { rules, asked } in all {
        out.bytes(rules.as_bytes());
        out.varint(asked.len() as u64);
        for asked in asked {
            put_asked(&mut out, asked);
        }
    }
    out
}

/// Reads all conditions of an object.
pub(crate) fn decode_conditions(block: &[u8]) -> Result<Vec<Conditions>, Damaged> {
    let mut take = Take::new(block);
    let count = take.count(2)?;
    let one = |take: &mut Take<'_>| {
        let rules = take.str()?.to_owned();
        let count = take.count(3)?;
        Ok(Conditions { rules, asked: (0..count).map(|_| take_asked(take)).collect::<Result<_, Damaged>>()? })
    };
    let all = (0..count).map(|_| one(&mut take)).collect::<Result<_, Damaged>>()?;
    if take.is_empty() { Ok(all) } else { Err(Damaged("more than the conditions")) }
}

fn put_asked(out: &mut Vec<u8>, asked: &Asked) {
    out.bytes(asked.policy.as_bytes());
    out.push(match asked.combined {
        Combined::Single => 0,
        Combined::All => 1,
        Combined::First => 2,
    });
    out.varint(asked.subs.len() as u64);
    for AskedSub { name, parts, rooms } in &asked.subs {
        out.bytes(name.as_bytes());
        out.varint(parts.len() as u64);
        for AskedPart { name, negated, test } in parts {
            out.bytes(name.as_bytes());
            out.push(u8::from(*negated));
            put_test(out, test);
        }
        out.varint(rooms.len() as u64);
        for room in rooms {
            put_room(out, room);
        }
    }
}

fn take_asked(take: &mut Take<'_>) -> Result<Asked, Damaged> {
    let policy = take.str()?.to_owned();
    let combined = match take.byte()? {
        0 => Combined::Single,
        1 => Combined::All,
        2 => Combined::First,
        _ => return Err(Damaged("unknown sort of policy")),
    };
    let count = take.count(3)?;
    let subs = (0..count).map(|_| take_sub(take)).collect::<Result<_, Damaged>>()?;
    Ok(Asked { policy, combined, subs })
}

fn take_sub(take: &mut Take<'_>) -> Result<AskedSub, Damaged> {
    let name = take.str()?.to_owned();
    let count = take.count(3)?;
    let part = |take: &mut Take<'_>| Ok(AskedPart { name: take.str()?.to_owned(), negated: flag(take)?, test: take_test(take)? });
    let parts = (0..count).map(|_| part(take)).collect::<Result<_, Damaged>>()?;
    let count = take.count(5)?;
    let rooms = (0..count).map(|_| take_room(take)).collect::<Result<_, Damaged>>()?;
    Ok(AskedSub { name, parts, rooms })
}

fn put_test(out: &mut Vec<u8>, test: &Test) {
    match test {
        Test::Always => out.push(0),
        Test::Span { met, failed, inverted, counts_errors, what } => {
            out.push(1);
            out.varint(*met);
            out.varint(*failed);
            out.push(u8::from(*inverted));
            out.push(u8::from(*counts_errors));
            out.bytes(what.as_bytes());
        }
        Test::Latency { lower_ms, upper_ms, inclusive } => {
            out.push(2);
            out.zigzag(*lower_ms);
            put_bound(out, *upper_ms);
            out.push(u8::from(*inclusive));
        }
        Test::Spans { min, max } => {
            out.push(3);
            out.zigzag(*min);
            put_bound(out, *max);
        }
        Test::Chance { salted, threshold, ratio } => {
            out.push(4);
            out.extend_from_slice(&salted.to_le_bytes());
            out.extend_from_slice(&threshold.to_le_bytes());
            out.extend_from_slice(&ratio.to_bits().to_le_bytes());
        }
        Test::Room(room) => {
            out.push(5);
            put_room(out, room);
        }
        Test::Size { most } => {
            out.push(6);
            out.varint(*most);
        }
    }
}

fn take_test(take: &mut Take<'_>) -> Result<Test, Damaged> {
    let number = |take: &mut Take<'_>| Ok::<_, Damaged>(u64::from_le_bytes(take.array()?));
    Ok(match take.byte()? {
        0 => Test::Always,
        1 => Test::Span {
            met: take.varint()?,
            failed: take.varint()?,
            inverted: flag(take)?,
            counts_errors: flag(take)?,
            what: take.str()?.to_owned(),
        },
        2 => Test::Latency { lower_ms: take.zigzag()?, upper_ms: take_bound(take)?, inclusive: flag(take)? },
        3 => Test::Spans { min: take.zigzag()?, max: take_bound(take)? },
        4 => Test::Chance { salted: number(take)?, threshold: number(take)?, ratio: f64::from_bits(number(take)?) },
        5 => Test::Room(take_room(take)?),
        6 => Test::Size { most: take.varint()? },
        _ => return Err(Damaged("unknown condition")),
    })
}

fn put_room(out: &mut Vec<u8>, room: &Room) {
    out.varint(room.rate);
    out.push(u8::from(room.counts_bytes));
    out.varint(room.allowance);
    out.varint(room.size_max);
    out.varint(room.closed);
}

fn take_room(take: &mut Take<'_>) -> Result<Room, Damaged> {
    Ok(Room {
        rate: take.varint()?,
        counts_bytes: flag(take)?,
        allowance: take.varint()?,
        size_max: take.varint()?,
        closed: take.varint()?,
    })
}

fn put_bound(out: &mut Vec<u8>, bound: Option<i64>) {
    out.push(u8::from(bound.is_some()));
    if let Some(bound) = bound {
        out.zigzag(bound);
    }
}

fn take_bound(take: &mut Take<'_>) -> Result<Option<i64>, Damaged> {
    if flag(take)? { take.zigzag().map(Some) } else { Ok(None) }
}

fn flag(take: &mut Take<'_>) -> Result<bool, Damaged> {
    match take.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged("neither yes nor no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_read_back_and_those_that_nobody_has_take_no_bytes() {
        let durations = [None, Some(0), Some(-7), Some(1_432)];
        let full = durations.into_iter().enumerate().map(|(place, duration_ms)| Measures {
            bits: u64::MAX >> place,
            duration_ms,
            spans: 3,
            errors: 1,
            whole_bytes: 900,
            groups_bytes: 800,
            randomness: (place > 1).then(|| place as u64 - 2),
            by_randomness: place == 1,
        });
        let rows: Vec<Measures> = full.collect();
        assert_eq!(decode_measures(&encode_measures(&rows), 4), Ok(rows.clone()));
        let extreme = Measures { duration_ms: Some(i64::MIN), ..Measures::default() };
        let read = decode_measures(&encode_measures(&[extreme]), 1).unwrap();
        assert!(read[0].duration_ms < Some(-(1 << 60)), "{read:?}");
        assert_eq!(encode_measures(&[Measures::default(); 9]), [0]);
        assert!(decode_measures(&encode_measures(&rows), 3).is_err());
        assert!(decode_measures(&encode_measures(&rows), 5).is_err());
        assert!(decode_measures(&[0xff, 0x7f], 0).is_err());
    }

    #[test]
    fn conditions_of_every_kind_are_read_back() {
        let room = Room { rate: 20, counts_bytes: true, allowance: 200, size_max: 40, closed: 1 << 55 };
        let what = "has status ERROR".to_owned();
        let tests = [
            Test::Always,
            Test::Span { met: 1, failed: 2, inverted: true, counts_errors: true, what },
            Test::Latency { lower_ms: -1, upper_ms: Some(5), inclusive: true },
            Test::Spans { min: 2, max: None },
            Test::Chance { salted: u64::MAX, threshold: 7, ratio: 0.1 },
            Test::Room(room),
            Test::Size { most: 1 },
        ];
        let parts = tests.map(|test| AskedPart { name: "part".to_owned(), negated: true, test }).to_vec();
        let subs = vec![AskedSub { name: "sub".to_owned(), parts, rooms: vec![room] }];
        let asked = [Combined::Single, Combined::All, Combined::First];
        let asked = asked.map(|combined| Asked { policy: "p".to_owned(), combined, subs: subs.clone() }).to_vec();
        let all = vec![Conditions { rules: "r1".to_owned(), asked }, Conditions { rules: "r2".to_owned(), asked: Vec::new() }];
        let stored = encode_conditions(&all);
        assert_eq!(decode_conditions(&stored), Ok(all));
        for end in 0..stored.len() {
            assert!(decode_conditions(&stored[..end]).is_err(), "{end}");
        }
        assert!(decode_conditions(&[stored, vec![0]].concat()).is_err());
    }
}
