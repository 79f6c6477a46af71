//! Choices out of the fuzzer's bytes: where they end, every choice is the first one.

/// What is left to choose by.
#[derive(Clone, Debug)]
pub struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `end`, which is at most 256.
    pub fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// Whether one chance in `of` came true.
    pub fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 1
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Up to `most` bytes.
    pub fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.0.len());
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        head
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Numbers as programs and attackers choose them: small ones, the ends of ranges, and any other.
    pub fn number(&mut self) -> u64 {
        match self.below(8) {
            0..=3 => u64::from(self.byte()),
            4 => self.pick(&[0, 1, 1 << 31, u64::from(u32::MAX), 1 << 32, 1 << 53, i64::MAX as u64, 1 << 63, u64::MAX]),
            5 => u64::from(self.byte()).wrapping_neg(),
            6 => u64::from(self.byte()) << self.below(64),
            _ => self.bytes(8).iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    /// Text: words that mean something to the product, or bytes, which need not be UTF-8.
    pub fn text(&mut self) -> &'a [u8] {
        match self.below(4) {
            0 => WORDS[self.below(WORDS.len())],
            1 => b"x",
            _ => self.bytes(24),
        }
    }
}

const WORDS: &[&[u8]] = &[
    b"",
    b"service.name",
    b"shop",
    b"deployment.environment",
    b"http.request.method",
    b"http.response.status_code",
    b"url.full",
    b"https://user:pw@host/path?token=abc&x=1#f",
    b"db.query.text",
    b"SELECT 1",
    b"password",
    b"authorization",
    b"Bearer abcdefghijklmnop",
    b"AKIAIOSFODNN7EXAMPLE",
    b"4111 1111 1111 1111",
    b"jane.doe@example.com",
    b"10.1.2.3",
    b"{\"password\":\"hunter2\",\"a\":[1,{}]}",
    b"\xc3\xa9\xf0\x9f\x98\x80",
    b"\xff",
    b"\xed\xa0\x80",
    b"****",
    b"exception.type",
    b"user.id",
];
