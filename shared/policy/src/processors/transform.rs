//! The `transform` processor: groups of OTTL statements.
//!
//! Source: `processor/transformprocessor` (contrib v0.161): groups run one after the other over the whole payload; within
//! a group the statements run in order for each item, if one of the conditions holds.
//!
//! It fails closed, unlike the Collector: where a statement that redacts cannot be executed, what it was to redact is
//! masked whole.

use spanlake_model::{PerSignal, Signal};
use spanlake_otlp::tree::{Map, Payload, Want};
use spanlake_ottl::{Context, DataError, Frame, Statement};

use super::visit::{Fate, visit};
use super::{ErrorMode, Gate, Process, Tally};
use crate::rewrite::MASK;

/// A `transform` processor.
#[derive(Debug, Default)]
pub(crate) struct Transform {
    pub(crate) groups: PerSignal<Vec<Group>>,
    /// Its number among the rules' names.
    pub(crate) rule: usize,
    /// What a redacting statement that fails was to redact is masked.
    pub(crate) fail_closed: bool,
}

/// Statements of one context.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) context: Context,
    pub(crate) error_mode: ErrorMode,
    /// One of them must hold; none always holds.
    pub(crate) conditions: Vec<Gate>,
    pub(crate) statements: Vec<Line>,
    /// `cache` is one for all groups of this context that share it, and for all items.
    pub(crate) shared_cache: bool,
}

/// A statement of a group.
#[derive(Debug)]
pub(crate) struct Line {
    /// In the configuration.
    number: u32,
    statement: Statement,
    /// Whether it is there to take something away.
    redacts: bool,
}

impl Line {
    pub(crate) fn new(number: u32, statement: Statement) -> Self {
        let redacts = redacts(&statement);
        Self { number, statement, redacts }
    }
}

impl Process for Transform {
    fn process<'a>(&'a self, payload: &mut Payload<'a>, tally: &mut Tally) -> Result<(), DataError> {
        let mut shared: Vec<(Context, Map<'a>)> = Vec::new();
        for group in &self.groups[payload.signal] {
            if group.shared_cache && !shared.iter().any(|(context, _)| *context == group.context) {
                shared.push((group.context, Map::default()));
            }
            let mut spent = std::mem::take(&mut tally.spent);
            let own = shared.iter_mut().find(|(context, _)| group.shared_cache && *context == group.context);
            let cache = own.map(|(_, map)| map);
            visit(payload, group.context, (tally.now_nanos, &mut spent), cache, |frame| self.group(group, frame, tally))?;
            tally.spent = spent;
        }
        Ok(())
    }

    fn rewrites(&self, signal: Signal) -> bool {
        self.runs(signal)
    }

    fn redacts(&self, signal: Signal) -> bool {
        self.groups[signal].iter().flat_map(|group| &group.statements).any(|line| line.redacts)
    }

    fn wants(&self, signal: Signal) -> Want {
        let groups = self.groups[signal].iter();
        let each = groups.flat_map(|group| {
            let statements = group.statements.iter().map(|line| line.statement.wants());
            statements.chain(group.conditions.iter().map(|gate| gate.condition.wants())).chain([group.context.wants()])
        });
        each.fold(Want::default(), Want::and)
    }

    fn runs(&self, signal: Signal) -> bool {
        !self.groups[signal].is_empty()
    }
}

impl Transform {
    fn group<'a>(&'a self, group: &'a Group, frame: &mut Frame<'_, 'a>, tally: &mut Tally) -> Result<Fate, DataError> {
        match group.applies(frame, tally) {
            Ok(true) => {}
            Ok(false) => return Ok(Fate::Keep),
            Err(error) => {
                if group.error_mode == ErrorMode::Propagate {
                    return Err(error);
                }
                let masked = group.statements.iter().all(|line| self.mask(line, frame, tally));
                return Ok(if masked { Fate::Keep } else { Fate::Drop });
            }
        }
        for line in &group.statements {
            match line.statement.run(frame) {
                Ok(true) if line.redacts => tally.mask(self.rule),
                Ok(_) => {}
                Err(error) => {
                    tally.fail(line.number, error);
                    if group.error_mode == ErrorMode::Propagate {
                        return Err(error);
                    }
                    if !self.mask(line, frame, tally) {
                        return Ok(Fate::Drop);
                    }
                }
            }
        }
        Ok(Fate::Keep)
    }

    /// Masks what a statement was to redact; false if that can't be done.
    fn mask<'a>(&'a self, Line { statement, redacts, .. }: &'a Line, frame: &mut Frame<'_, 'a>, tally: &mut Tally) -> bool {
        if !self.fail_closed || !redacts {
            return true;
        }
        tally.mask(self.rule);
        let hides_keys = HIDING_KEYS.contains(&statement.editor());
        statement.target().is_some_and(|target| {
            let cleared = hides_keys && target.clear(frame).is_ok();
            cleared || target.mask(frame, MASK).is_ok()
        })
    }
}

impl Group {
    fn applies<'a>(&'a self, frame: &mut Frame<'_, 'a>, tally: &mut Tally) -> Result<bool, DataError> {
        let mut failed = None;
        for Gate { line, condition } in &self.conditions {
            match condition.holds(frame) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => {
                    tally.fail(*line, error);
                    failed = Some(error);
                }
            }
        }
        failed.map_or(Ok(self.conditions.is_empty()), Err)
    }
}

/// Editors that take something away.
const REDACTING: [&str; 13] = [
    "aggregate_on_attribute_value",
    "aggregate_on_attributes",
    "clear",
    "delete_index",
    "replace_pattern",
    "replace_all_patterns",
    "replace_match",
    "replace_all_matches",
    "delete_key",
    "delete_matching_keys",
    "keep_keys",
    "keep_matching_keys",
    "truncate_all",
];
/// Of these what is to be hidden may be a key: all that they work on goes.
const HIDING_KEYS: [&str; 4] = ["delete_matching_keys", "keep_keys", "keep_matching_keys", "replace_all_patterns"];
/// Converters after which a value can't be read any more.
const HASHES: [&str; 9] = ["SHA1", "SHA256", "SHA512", "MD5", "FNV", "Murmur3Hash", "Murmur3Hash128", "XXH3", "XXH128"];

/// Whether a statement is there to take something away.
fn redacts(statement: &Statement) -> bool {
    let editor = statement.editor();
    let sets_mask = || editor == "set" && statement.literal().is_some_and(is_mask);
    REDACTING.contains(&editor) || sets_mask() || statement.functions().iter().any(|name| HASHES.contains(name))
}

/// Whether a text that is set stands for what must not be seen.
fn is_mask(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.is_empty() || ["***", "redact", "mask", "hidden", "removed", "xxx"].iter().any(|word| text.contains(word))
}
