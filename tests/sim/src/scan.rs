//! Whether a secret is at rest: searches objects as they are, and inflated wherever a zstd frame begins in them, knowing
//! nothing else of their formats.

use bytes::Bytes;
use zstd::bulk::Decompressor;

/// What every secret that is sent begins with.
pub(crate) const SECRET: &[u8] = b"hunter2-correct-horse";

const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// No object of a run inflates to more.
const INFLATED_BYTES_MAX: usize = 8 << 20;

fn holds(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, SECRET).is_some()
}

/// The first of the objects that holds a secret.
pub(crate) fn first_leak(objects: &[(String, Bytes)]) -> Option<&str> {
    let mut decompressor = Decompressor::new().ok()?;
    let mut leaks = |bytes: &Bytes| {
        let mut frames = memchr::memmem::find_iter(bytes, ZSTD_MAGIC).filter_map(|at| bytes.get(at..));
        holds(bytes) || frames.any(|frame| inflated(&mut decompressor, frame).is_some_and(|raw| holds(&raw)))
    };
    objects.iter().find(|(_, bytes)| leaks(bytes)).map(|(key, _)| key.as_str())
}

/// The content of the frame that begins here, if one does.
fn inflated(decompressor: &mut Decompressor<'_>, from: &[u8]) -> Option<Vec<u8>> {
    let length = zstd::zstd_safe::find_frame_compressed_size(from).ok()?;
    decompressor.decompress(from.get(..length)?, INFLATED_BYTES_MAX).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_plain_and_inside_a_frame() {
        // Varied enough that the frame does not hold it as it stands.
        let mut rng = spanlake_testkit::Rng::new(1);
        let filler: Vec<u8> = (0..4_000).map(|_| b'a' + u8::try_from(rng.below(19)).unwrap()).collect();
        let text = [filler.as_slice(), SECRET, filler.as_slice()].concat();
        let frame = [b"head".as_slice(), &zstd::bulk::compress(&text, 3).unwrap(), b"tail"].concat();
        let object = |bytes: Vec<u8>| vec![("key".to_owned(), Bytes::from(bytes))];
        assert!(memchr::memmem::find(&frame, SECRET).is_none());
        assert_eq!(first_leak(&object(frame)), Some("key"));
        assert_eq!(first_leak(&object(text)), Some("key"));
        assert_eq!(first_leak(&object(ZSTD_MAGIC.to_vec())), None);
    }
}
