//! The bytes of an entry in a segment: a header of fixed length, then the record.
//!
//! All numbers little-endian: marker (8), length of the record (4), shard (2), sequence (8), arrival (8), CRC-32 of the
//! record (4), CRC-32 of the header up to here (4).

/// Length of a header.
pub(super) const HEADER_BYTES: usize = 38;

/// The largest record: Kinesis' limit, and the scan's guard against absurd lengths.
pub(super) const RECORD_BYTES_MAX: usize = 1 << 20;

/// Eight bytes drawn when the log's folder was made. They begin every entry, so that the scan finds the next entry after
/// damage; what a client sends cannot contain them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker(pub(super) [u8; 8]);

/// The header of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) record_bytes: u32,
    pub(super) shard: u16,
    pub(super) sequence: u64,
    pub(super) arrival_nanos: i64,
    pub(super) record_crc: u32,
}

impl Header {
    pub(super) fn encode(&self, marker: Marker, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(marker.0);
        out.extend(self.record_bytes.to_le_bytes());
        out.extend(self.shard.to_le_bytes());
        out.extend(self.sequence.to_le_bytes());
        out.extend(self.arrival_nanos.to_le_bytes());
        out.extend(self.record_crc.to_le_bytes());
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend(crc.to_le_bytes());
    }

    /// The header at the beginning of these bytes; `None` if there is none, or if it is damaged.
    pub(super) fn decode(marker: Marker, bytes: &[u8]) -> Option<Self> {
        let (header, crc) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 4)?;
        if !header.starts_with(&marker.0) || crc32fast::hash(header) != u32::from_le_bytes(crc.try_into().ok()?) {
            return None;
        }
        let found = Self {
            record_bytes: u32::from_le_bytes(header.get(8..12)?.try_into().ok()?),
            shard: u16::from_le_bytes(header.get(12..14)?.try_into().ok()?),
            sequence: u64::from_le_bytes(header.get(14..22)?.try_into().ok()?),
            arrival_nanos: i64::from_le_bytes(header.get(22..30)?.try_into().ok()?),
            record_crc: u32::from_le_bytes(header.get(30..34)?.try_into().ok()?),
        };
        (found.record_bytes as usize <= RECORD_BYTES_MAX).then_some(found)
    }

    /// Length of the whole entry.
    pub(super) const fn entry_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + self.record_bytes as u64
    }

    /// Whether these are the record's bytes.
    pub(super) fn fits(&self, record: &[u8]) -> bool {
        record.len() == self.record_bytes as usize && crc32fast::hash(record) == self.record_crc
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_and_any_flipped_bit_shows() {
        let marker = Marker(*b"\x01marker\xff");
        let header = Header { record_bytes: 5, shard: 3, sequence: u64::MAX, arrival_nanos: -1, record_crc: 7 };
        let mut bytes = Vec::new();
        header.encode(marker, &mut bytes);
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(marker, &bytes), Some(header));
        assert_eq!(Header::decode(Marker([0; 8]), &bytes), None);
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(marker, &flipped), None, "bit {bit}");
        }
    }

    #[test]
    fn a_record_over_the_limit_is_no_record() {
        let marker = Marker([1; 8]);
        let header = Header { record_bytes: (1 << 20) + 1, shard: 0, sequence: 1, arrival_nanos: 0, record_crc: 0 };
        let mut bytes = Vec::new();
        header.encode(marker, &mut bytes);
        assert_eq!(Header::decode(marker, &bytes), None);
    }
}
