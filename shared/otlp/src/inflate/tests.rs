use std::io::Write;

use proptest::prelude::*;

use super::*;

const MAX: usize = 1 << 20;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder =
        flate2::GzBuilder::new().filename("f").comment("c").extra(vec![1, 2, 3]).write(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn inflate(coding: Coding, body: &[u8], max_bytes: usize) -> Result<Vec<u8>, InflateError> {
    let mut out = vec![1, 2, 3];
    let done = Inflater::new().inflate(coding, body, max_bytes, &mut out);
    assert!(done.is_ok() || out.is_empty());
    done.map(|()| out)
}

#[test]
fn a_header_names_one_coding_in_any_case() {
    for (header, coding) in [
        ("", Ok(Coding::Identity)),
        ("Identity", Ok(Coding::Identity)),
        (" GZip ", Ok(Coding::Gzip)),
        ("ZSTD", Ok(Coding::Zstd)),
        ("gzip, zstd", Err(UnknownCoding)),
        ("br", Err(UnknownCoding)),
        ("deflate", Err(UnknownCoding)),
    ] {
        assert_eq!(Coding::parse(header), coding, "{header}");
    }
}

#[test]
fn members_and_frames_follow_each_other_to_the_end() {
    assert_eq!(inflate(Coding::Gzip, &[gzip(b"ab"), gzip(b""), gzip(b"cd")].concat(), MAX).unwrap(), b"abcd");
    assert_eq!(inflate(Coding::Zstd, &[zstd(b"ab"), zstd(b""), zstd(b"cd")].concat(), MAX).unwrap(), b"abcd");
}

#[test]
fn a_flood_of_empty_members_is_refused() {
    let body = gzip(b"").repeat(4097);
    let error = inflate(Coding::Gzip, &body, MAX).unwrap_err();
    assert_eq!(error.to_string(), "invalid gzip body: more than 4096 members");
}

#[test]
fn trailing_garbage_is_refused() {
    for (coding, body) in [(Coding::Gzip, gzip(b"ab")), (Coding::Zstd, zstd(b"ab"))] {
        for garbage in [&b"\0"[..], b"x", &body[..3], b"\0\0\0\0\0\0\0\0\0\0\0\0"] {
            let error = inflate(coding, &[&body, garbage].concat(), MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{coding:?} {garbage:?}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let data: Vec<u8> = (0..3000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    for (coding, body) in [(Coding::Gzip, gzip(&data)), (Coding::Zstd, zstd(&data))] {
        for length in (0..body.len()).step_by(7).chain(body.len() - 12..body.len()) {
            // Nothing at all is zero frames for zstd, which no client means.
            let error = inflate(coding, &body[..length], MAX).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{coding:?} {length}");
        }
    }
}

#[test]
fn a_wrong_checksum_or_length_is_refused() {
    let body = gzip(b"some text that is checked");
    for back in 1..=8 {
        let mut wrong = body.clone();
        let at = wrong.len() - back;
        wrong[at] ^= 0x10;
        assert_eq!(inflate(Coding::Gzip, &wrong, MAX).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let mut wrong = zstd(b"some text that is checked");
    let at = wrong.len() - 1;
    wrong[at] ^= 1;
    assert_eq!(inflate(Coding::Zstd, &wrong, MAX).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_bomb_stops_at_the_limit_with_little_memory() {
    let zeros = vec![0_u8; 8 << 20];
    for (coding, body) in [(Coding::Gzip, gzip(&zeros)), (Coding::Zstd, zstd(&zeros)), (Coding::Identity, zeros.clone())] {
        let mut out = Vec::new();
        let error = Inflater::new().inflate(coding, &body, MAX, &mut out).unwrap_err();
        assert_eq!(error, InflateError::TooLarge { limit_bytes: MAX });
        assert_eq!(error.to_string(), "the inflated body is larger than 1048576 bytes");
        assert!(out.capacity() <= 2 * MAX, "{coding:?} {}", out.capacity());
    }
}

#[test]
fn a_body_that_tells_its_length_gets_just_that_room() {
    let data: Vec<u8> = (0..60_000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    let told = zstd::bulk::compress(&data, 1).unwrap();
    for (coding, body) in [(Coding::Gzip, gzip(&data)), (Coding::Zstd, told)] {
        let mut out = Vec::new();
        Inflater::new().inflate(coding, &body, MAX, &mut out).unwrap();
        assert!(out == data && out.capacity() == data.len(), "{coding:?} {}", out.capacity());
    }
}

#[test]
fn a_body_that_lies_about_its_length_is_refused_and_gets_little_room() {
    let mut liar = gzip(b"ab");
    liar.truncate(liar.len() - 4);
    liar.extend(u32::MAX.to_le_bytes());
    // A frame of one raw block of two bytes that tells of 2 GiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend((2_u32 << 30).to_le_bytes());
    frame.extend([17, 0, 0, b'a', b'b']);
    for (coding, body) in [(Coding::Gzip, liar), (Coding::Zstd, frame)] {
        let mut out = Vec::new();
        let error = Inflater::new().inflate(coding, &body, MAX, &mut out).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{coding:?} {error}");
        assert!(out.capacity() <= 2 * STEP_BYTES_MIN, "{coding:?} {}", out.capacity());
    }
}

#[test]
fn a_body_of_exactly_the_limit_passes() {
    let data = vec![7_u8; MAX];
    for (coding, body) in [(Coding::Gzip, gzip(&data)), (Coding::Zstd, zstd(&data)), (Coding::Identity, data.clone())] {
        assert_eq!(inflate(coding, &body, MAX).unwrap().len(), MAX);
        assert!(inflate(coding, &body, MAX - 1).is_err());
    }
}

#[test]
fn a_window_beyond_the_limit_is_refused() {
    let data: Vec<u8> = (0..(20_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect();
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&data).unwrap();
    let body = encoder.finish().unwrap();
    assert_eq!(inflate(Coding::Zstd, &body, 64 << 20).unwrap_err().kind(), ErrorKind::Invalid);
}

/// A frame of one raw block: a window of 128 MiB, and a length that tells a reader with room enough that it needs none.
fn frame_of_a_large_window(data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x80, 0x88];
    frame.extend(length.to_le_bytes());
    frame.extend(&(length << 3 | 1).to_le_bytes()[..3]);
    frame.extend(data);
    frame
}

#[test]
fn whether_a_body_is_taken_does_not_depend_on_the_one_before() {
    let body = frame_of_a_large_window(&vec![7; 100_000]);
    let fresh = inflate(Coding::Zstd, &body, MAX);
    let (mut inflater, mut out) = (Inflater::new(), Vec::new());
    inflater.inflate(Coding::Zstd, &zstd(&vec![1; MAX]), MAX, &mut out).unwrap();
    let used = inflater.inflate(Coding::Zstd, &body, MAX, &mut out).map(|()| out);
    assert_eq!(used, fresh);
}

#[test]
fn little_data_takes_little_memory() {
    let mut out = Vec::new();
    for (coding, body) in [(Coding::Gzip, gzip(b"ab")), (Coding::Zstd, zstd(b"ab"))] {
        Inflater::new().inflate(coding, &body, 64 << 20, &mut out).unwrap();
        assert!(out.capacity() <= STEP_BYTES_MIN);
    }
}

#[test]
fn a_broken_body_leaves_nothing_behind_for_the_next() {
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    for (coding, body) in [(Coding::Gzip, gzip(b"good body")), (Coding::Zstd, zstd(b"good body"))] {
        assert!(inflater.inflate(coding, &body[..body.len() - 3], MAX, &mut out).is_err());
        inflater.inflate(coding, &body, MAX, &mut out).unwrap();
        assert_eq!(out, b"good body");
    }
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(data in proptest::collection::vec(any::<u8>(), 0..5000), cut in 0_usize..5000) {
        let (head, tail) = data.split_at(cut.min(data.len()));
        prop_assert_eq!(&inflate(Coding::Gzip, &[gzip(head), gzip(tail)].concat(), MAX).unwrap(), &data);
        prop_assert_eq!(&inflate(Coding::Zstd, &[zstd(head), zstd(tail)].concat(), MAX).unwrap(), &data);
    }

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..300), flip in 0_usize..300) {
        for coding in [Coding::Gzip, Coding::Zstd] {
            drop(inflate(coding, &body, 10_000));
        }
        let mut near = gzip(&body);
        let at = flip % near.len();
        near[at] ^= 0x55;
        drop(inflate(Coding::Gzip, &near, 10_000));
    }
}
