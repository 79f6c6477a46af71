//! How payloads of the stream's records are compressed.
//!
//! A request that is cut for many shards makes small records, each of which repeats the names of its attributes: a dictionary
//! that holds the names of the semantic conventions saves bytes, and with them shards (of requests of 512 spans for 32 shards, a
//! fifth). Large payloads hold their names themselves, and would only take longer.
//!
//! A frame has a checksum. What is damaged on its way must not be read as something else: no rule would mask it.
//!
//! A record names its dictionary. One in use never changes, and stays here for longer than any stream keeps records: a better one
//! gets the next number, and is written only by a version whose predecessor reads it. `dictionary/train.py` says what it is made of.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::codec::{Damaged, inflate_with};

/// zstd level of large payloads: the fastest that still halves what level -1 leaves.
const LEVEL: i32 = 1;

/// Payloads from here on are large, and compressed without a dictionary.
const SMALL_BYTES: usize = 32 << 10;

/// zstd level of small payloads: 2 to 3 % fewer bytes than level 1.
const SMALL_LEVEL: i32 = 3;

const FIRST_BYTES: &[u8] = include_bytes!("../dictionary/1.zdict");
static FIRST_ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(FIRST_BYTES, SMALL_LEVEL));
static FIRST_DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(FIRST_BYTES));

thread_local! {
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// What a payload is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dictionary {
    /// Nothing.
    None,
    /// The first dictionary.
    First,
}

impl Dictionary {
    /// Its number in a record.
    pub(crate) const fn id(self) -> u64 {
        match self {
            Self::None => 0,
            Self::First => 1,
        }
    }

    /// `None` if this version does not have it.
    pub(crate) const fn from_id(id: u64) -> Option<Self> {
        match id {
            0 => Some(Self::None),
            1 => Some(Self::First),
            _ => None,
        }
    }

    /// Appends what a zstd frame of exactly `raw_bytes` inflates to.
    ///
    /// # Errors
    /// [`Damaged`] if it is none; then nothing is appended.
    pub(crate) fn inflate(self, frame: &[u8], raw_bytes: usize, out: &mut Vec<u8>) -> Result<(), Damaged> {
        match self {
            Self::None => crate::codec::inflate(frame, raw_bytes, out),
            Self::First => {
                let make = || Decompressor::with_prepared_dictionary(&FIRST_DECODER);
                DECOMPRESSOR.with_borrow_mut(|slot| inflate_with(slot, make, (frame, raw_bytes), out))
            }
        }
    }
}

/// Compresses payloads, one after the other.
pub(crate) struct Payloads {
    large: Compressor<'static>,
    small: Compressor<'static>,
}

impl Payloads {
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn new() -> io::Result<Self> {
        let (mut large, mut small) = (Compressor::new(LEVEL)?, Compressor::with_prepared_dictionary(&FIRST_ENCODER)?);
        for compressor in [&mut large, &mut small] {
            compressor.include_checksum(true)?;
        }
        Ok(Self { large, small })
    }

    /// The payload as a zstd frame, and what reads it.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn compress(&mut self, payload: &[u8]) -> io::Result<(Dictionary, Vec<u8>)> {
        if payload.len() < SMALL_BYTES {
            Ok((Dictionary::First, self.small.compress(payload)?))
        } else {
            Ok((Dictionary::None, self.large.compress(payload)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(dictionary: Dictionary, frame: &[u8], raw_bytes: usize) -> Result<Vec<u8>, Damaged> {
        let mut out = b"before".to_vec();
        let result = dictionary.inflate(frame, raw_bytes, &mut out);
        let rest = out.strip_prefix(b"before").unwrap().to_vec();
        assert!(result.is_ok() || rest.is_empty(), "of a damaged frame nothing is left");
        result.map(|()| rest)
    }

    /// Like a small part of a request: names of the semantic conventions, and values that nobody can foresee.
    fn names() -> Vec<u8> {
        let names =
            ["service.name", "k8s.pod.name", "http.request.method", "http.response.status_code", "url.path", "db.system.name"];
        names.iter().enumerate().flat_map(|(at, name)| format!("{name}={at}x{:x};", at * 7_919 + 77).into_bytes()).collect()
    }

    #[test]
    fn a_small_payload_is_smaller_for_the_dictionary_and_a_large_one_goes_without() {
        let mut payloads = Payloads::new().unwrap();
        let plain = zstd::bulk::compress(&names(), LEVEL).unwrap().len();
        let (dictionary, frame) = payloads.compress(&names()).unwrap();
        assert_eq!(dictionary, Dictionary::First);
        assert!(frame.len() * 5 < plain * 4, "{} of {plain} bytes", frame.len());
        assert_eq!(payloads.compress(&vec![b'x'; SMALL_BYTES]).unwrap().0, Dictionary::None);
    }

    #[test]
    fn what_is_compressed_is_read_again_with_its_dictionary_and_no_other() {
        let mut payloads = Payloads::new().unwrap();
        for raw in [names(), Vec::new(), vec![7; SMALL_BYTES - 1], vec![7; SMALL_BYTES]] {
            let (dictionary, frame) = payloads.compress(&raw).unwrap();
            assert_eq!(inflated(dictionary, &frame, raw.len()).unwrap(), raw);
            assert!(inflated(dictionary, &frame, raw.len() + 1).is_err());
        }
        let (_, frame) = payloads.compress(&names()).unwrap();
        assert!(inflated(Dictionary::None, &frame, names().len()).is_err());
    }

    #[test]
    fn no_flipped_bit_of_a_payload_goes_unnoticed() {
        // A value read wrongly may slip past the rule that masks it.
        let mut payloads = Payloads::new().unwrap();
        for raw in [names(), vec![7; SMALL_BYTES]] {
            let (dictionary, frame) = payloads.compress(&raw).unwrap();
            for bit in 0..frame.len() * 8 {
                let mut damaged = frame.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(inflated(dictionary, &damaged, raw.len()).map_or(true, |read| read == raw), "bit {bit}");
            }
        }
    }

    #[test]
    fn a_dictionary_in_use_never_changes() {
        // Records of it may be on a stream: a better one gets a number of its own.
        assert_eq!(
            blake3::hash(FIRST_BYTES).to_hex().as_str(),
            "170f26c87e6296542c0c1ea80c25317859e984f42d385cb4a05636f202812645"
        );
        for dictionary in [Dictionary::None, Dictionary::First] {
            assert_eq!(Dictionary::from_id(dictionary.id()), Some(dictionary));
        }
        assert_eq!(Dictionary::from_id(2), None);
    }
}
