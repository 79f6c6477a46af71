//! Changes to a message, and writing the message with them.

use spanlake_otlp::schema::{Kind, Message};
use spanlake_otlp::wire::{Reader, Value, WireError, put_len, put_nested, varint_len};

/// A change, as byte offsets into the message that is walked. Edits are noted in the order of the walk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) action: Action,
}

/// What is done at an edit's place. New bytes are a range of the edits' texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// `start..end` is the payload of a length-delimited field: it gets other bytes.
    Payload(usize, usize),
    /// `start..end` is a whole field: it goes.
    Remove,
    /// `start..end` is a whole message's content: whole fields are appended to it.
    Append(usize, usize),
}

/// The edits of one message and their texts; reused from message to message.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    list: Vec<Edit>,
    texts: Vec<u8>,
}

impl Edits {
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.texts.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// Forgets the edits after the first `length`: the field that they lie in goes or is replaced whole.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.list.truncate(length);
    }

    pub(crate) fn remove(&mut self, start: usize, end: usize) {
        self.list.push(Edit { start, end, action: Action::Remove });
    }

    pub(crate) fn payload(&mut self, start: usize, end: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.texts.len();
        write(&mut self.texts);
        self.list.push(Edit { start, end, action: Action::Payload(from, self.texts.len()) });
    }

    pub(crate) fn append(&mut self, start: usize, end: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.texts.len();
        write(&mut self.texts);
        self.list.push(Edit { start, end, action: Action::Append(from, self.texts.len()) });
    }

    /// Appends the message with its edits to `out`.
    pub(crate) fn write(&self, schema: &'static Message, message: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let mut cursor = Cursor { edits: self, next: 0 };
        cursor.message(schema, message, 0, out)?;
        // An edit that was not met would leave what it masks: the message goes instead.
        if cursor.next == self.list.len() { Ok(()) } else { Err(WireError { offset: 0, what: "edits out of order" }) }
    }
}

struct Cursor<'a> {
    edits: &'a Edits,
    next: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<&Edit> {
        self.edits.list.get(self.next)
    }

    fn text(&self, from: usize, to: usize) -> &[u8] {
        self.edits.texts.get(from..to).unwrap_or_default()
    }

    fn message(&mut self, schema: &'static Message, message: &[u8], base: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
        let mut fields = Reader::with_base(message, base);
        // Up to where the message is written. What no edit is about is copied in one piece.
        let mut written = 0;
        while let Some(edit) = self.peek().copied() {
            let Some(field) = fields.next()? else { break };
            let end = fields.position();
            let raw = end - field.raw.len();
            if edit.action == Action::Remove && (edit.start, edit.end) == (base + raw, base + end) {
                self.next += 1;
                copy(message, written, raw, out);
                written = end;
                continue;
            }
            let Value::Len(payload) = field.value else { continue };
            let start = end - payload.len();
            if edit.start < base + start || edit.end > base + end {
                continue;
            }
            match (edit.action, schema.field(field.number).map(|field| field.kind)) {
                (Action::Payload(from, to), _) if (edit.start, edit.end) == (base + start, base + end) => {
                    self.next += 1;
                    copy(message, written, raw, out);
                    put_len(out, field.number, self.text(from, to));
                    written = end;
                }
                (_, Some(Kind::Message(inner))) => {
                    copy(message, written, raw, out);
                    // As wide as it was.
                    let width = varint_len(payload.len() as u64);
                    put_nested(width, field.number, out, |out| self.message(inner, payload, base + start, out))?;
                    written = end;
                }
                _ => {}
            }
        }
        copy(message, written, message.len(), out);
        let whole = (base, base + message.len());
        if let Some(Edit { start, end, action: Action::Append(from, to) }) = self.peek().copied()
            && (start, end) == whole
        {
            self.next += 1;
            out.extend_from_slice(self.text(from, to));
        }
        Ok(())
    }
}

#[inline]
fn copy(message: &[u8], from: usize, to: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(message.get(from..to).unwrap_or_default());
}
