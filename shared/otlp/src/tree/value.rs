//! `AnyValue` and lists of `KeyValue`.

use std::borrow::Cow;

/// An `AnyValue`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'a> {
    /// No value: it is there and holds nothing.
    #[default]
    Empty,
    /// A text.
    String(Cow<'a, str>),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A list.
    List(Vec<Value<'a>>),
    /// A map.
    Map(Map<'a>),
}

impl Value<'_> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The same value, borrowed from this one.
    #[must_use]
    pub fn view(&self) -> Value<'_> {
        match self {
            Self::Empty => Value::Empty,
            Self::String(text) => Value::String(Cow::Borrowed(text)),
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Double(value) => Value::Double(*value),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Self::List(items) => Value::List(items.iter().map(Self::view).collect()),
            Self::Map(map) => Value::Map(Map(map.0.iter().map(|(key, value)| (Cow::Borrowed(&**key), value.view())).collect())),
        }
    }

    /// The same value, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Empty => Value::Empty,
            Self::String(text) => Value::String(Cow::Owned(text.into_owned())),
            Self::Bool(value) => Value::Bool(value),
            Self::Int(value) => Value::Int(value),
            Self::Double(value) => Value::Double(value),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::List(items) => Value::List(items.into_iter().map(Self::into_owned).collect()),
            Self::Map(map) => {
                let owned = |(key, value): (Cow<'_, str>, Self)| (Cow::Owned(key.into_owned()), value.into_owned());
                Value::Map(Map(map.0.into_iter().map(owned).collect()))
            }
        }
    }
}

/// Of so many attributes those that look alike are compared each with each: it takes less than sorting.
const FEW: usize = 64;

/// The same for the same key, and seldom for others: keys mostly differ in their lengths or their ends.
fn mark(key: &[u8]) -> u8 {
    let end = match key.last_chunk::<8>() {
        Some(end) => u64::from_le_bytes(*end),
        None => key.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
    };
    let [.., mark] = (end ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    mark
}

/// Attributes in their order. Of several of one key the first counts, as in the Collector.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Map<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Map<'a> {
    /// The value of a key.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        self.0.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of a key, made where it is absent.
    pub fn entry(&mut self, key: Cow<'a, str>) -> &mut Value<'a> {
        let place = self.0.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            self.0.push((key, Value::Empty));
            self.0.len() - 1
        });
        // The place is that of an entry; a list of one stands for the impossible.
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut self.0[place].1
    }

    /// Sets the value of a key.
    pub fn set(&mut self, key: Cow<'a, str>, value: Value<'a>) {
        *self.entry(key) = value;
    }

    /// Takes a key away as the Collector does: the last attribute moves into the hole.
    pub fn remove(&mut self, key: &str) -> Option<Value<'a>> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Of several attributes of one key, at any depth, the last stays.
    pub(super) fn dedupe(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.dedupe());
        if self.0.len() <= FEW && self.are_single() {
            return;
        }
        let doubles = self.doubles();
        if doubles.contains(&true) {
            let mut doubles = doubles.into_iter();
            self.0.retain(|_| !doubles.next().unwrap_or(false));
        }
    }

    /// Whether no key is there twice. A key is compared with those before it only where one of them has the same mark.
    fn are_single(&self) -> bool {
        let mut seen = [0u64; 4];
        self.0.iter().enumerate().all(|(at, (key, _))| {
            let mark = mark(key.as_bytes());
            let Some(word) = seen.get_mut(usize::from(mark >> 6)) else { return false };
            let bit = 1 << (mark & 63);
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new || self.0.iter().take(at).all(|(earlier, _)| earlier != key)
        })
    }

    /// Which attributes a later one of their key follows, in the time that sorting takes.
    fn doubles(&self) -> Vec<bool> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        let key = |at: &usize| self.0.get(*at).map(|(key, _)| key.as_ref());
        order.sort_by(|one, two| key(one).cmp(&key(two)).then(one.cmp(two)));
        let mut doubles = vec![false; self.0.len()];
        for pair in order.windows(2) {
            if let [one, two] = pair
                && key(one) == key(two)
                && let Some(double) = doubles.get_mut(*one)
            {
                *double = true;
            }
        }
        doubles
    }

    /// How many attributes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Whether two maps hold the same, in any order.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key).is_some_and(|theirs| value.same(theirs)))
    }
}

impl Value<'_> {
    /// See [`Map::dedupe`].
    pub(super) fn dedupe(&mut self) {
        match self {
            Self::Map(map) => map.dedupe(),
            Self::List(items) => items.iter_mut().for_each(Self::dedupe),
            _ => {}
        }
    }

    /// Whether two values are the same; the order of maps does not matter, the types of numbers do.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Map(one), Self::Map(two)) => one.same(two),
            (Self::List(one), Self::List(two)) => one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.same(two)),
            _ => self == other,
        }
    }
}
