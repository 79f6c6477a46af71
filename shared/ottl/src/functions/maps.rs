//! Editors of maps.

use std::borrow::Cow;

use spanlake_otlp::tree::Value;

use super::bounds;
use super::keyed::Keyed;
use crate::error::DataError;
use crate::frame::Frame;
use crate::function::{Args, Argument, Function, Kind, Param};

const TARGET: Param = Param::new("target", Kind::Target);

/// The editors of this file.
pub(super) const ALL: &[Function] = &[
    Function::editor("delete_key", &[TARGET, Param::new("key", Kind::Str)], delete_key),
    Function::editor("delete_matching_keys", &[TARGET, Param::new("pattern", Kind::Pattern)], delete_matching_keys),
    Function::editor("keep_keys", &[TARGET, Param::new("keys", Kind::Texts)], keep_keys),
    Function::editor("keep_matching_keys", &[TARGET, Param::new("pattern", Kind::Pattern)], keep_matching_keys),
    Function::editor("limit", &[TARGET, Param::new("limit", Kind::Int), Param::new("priority_keys", Kind::Texts)], limit)
        .checked(check_limit),
    Function::editor("merge_maps", &[TARGET, Param::new("source", Kind::Map), Param::new("strategy", Kind::Text)], merge_maps)
        .checked(check_merge),
    Function::editor("stringify_all", &[TARGET], stringify_all),
    Function::editor(
        "truncate_all",
        &[
            TARGET,
            Param::new("limit", Kind::Int),
            Param::optional("utf8_safe", Kind::Bool),
            Param::optional("truncation_marker", Kind::Text),
        ],
        truncate_all,
    )
    .checked(check_truncate),
];

fn delete_key<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let key = args.string(1)?;
    args.target(0)?.edit_map(frame, |map| {
        map.remove(key);
        Ok(())
    })
}

fn delete_matching_keys<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let pattern = args.pattern(1)?;
    args.target(0)?.edit_map(frame, |map| {
        map.0.retain(|(key, _)| !pattern.is_match(key));
        Ok(())
    })
}

fn keep_keys<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let keys = args.texts(1);
    args.target(0)?.edit_map(frame, |map| {
        map.0.retain(|(key, _)| keys.iter().any(|kept| kept == key));
        Ok(())
    })
}

fn keep_matching_keys<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let pattern = args.pattern(1)?;
    args.target(0)?.edit_map(frame, |map| {
        map.0.retain(|(key, _)| pattern.is_match(key));
        Ok(())
    })
}

fn check_limit(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Int(limit), _] if *limit < 0 => Err("the limit is negative".to_owned()),
        [_, Argument::Int(limit), Argument::Texts(keys)] if usize::try_from(*limit).is_ok_and(|limit| limit < keys.len()) => {
            Err(format!("the limit {limit} is less than the number of priority keys, {}", keys.len()))
        }
        _ => Ok(()),
    }
}

/// Keeps the priority keys, then the first others.
fn limit<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let limit = usize::try_from(args.int(1).unwrap_or(0)).unwrap_or(0);
    let keys = args.texts(2);
    args.target(0)?.edit_map(frame, |map| {
        if map.len() <= limit {
            return Ok(());
        }
        let is_kept = |key: &str| keys.iter().any(|kept| kept == key);
        let mut left = limit.saturating_sub(map.iter().filter(|(key, _)| is_kept(key)).count());
        map.0.retain(|(key, _)| {
            is_kept(key) || {
                let fits = left > 0;
                left = left.saturating_sub(1);
                fits
            }
        });
        Ok(())
    })
}

fn check_merge(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [.., Argument::Text(strategy)] if !["insert", "update", "upsert"].contains(&strategy.as_str()) => {
            Err(format!("`{strategy}` is none of `insert`, `update` and `upsert`"))
        }
        _ => Ok(()),
    }
}

/// Nested maps are replaced whole.
fn merge_maps<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let source = args.take_map(1);
    let strategy = args.string(2)?;
    let (inserts, updates) = (strategy != "update", strategy != "insert");
    let target = args.target(0)?;
    for (_, value) in source.iter() {
        bounds::value(value, target.keys.len() + 1)?;
    }
    target.edit_map(frame, |map| {
        bounds::items(map.len() + source.len())?;
        let mut merged = Keyed::new(std::mem::take(map));
        for (key, value) in source.0 {
            if if merged.has(&key) { updates } else { inserts } {
                // The number of keys has been checked: nothing of the map gets lost.
                merged.set(key, value)?;
            }
        }
        *map = merged.into_map();
        Ok(())
    })
}

/// Bytes become base64 here, as everywhere that the Collector calls `AsString`.
fn stringify_all<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    args.target(0)?.edit_map(frame, |map| {
        for (_, value) in &mut map.0 {
            *value = Value::String(std::mem::take(value).into_text());
        }
        Ok(())
    })
}

fn check_truncate(arguments: &[Argument]) -> Result<(), String> {
    match arguments {
        [_, Argument::Int(limit), ..] if *limit < 0 => Err("the limit is negative".to_owned()),
        [_, Argument::Int(limit), _, Argument::Text(marker)]
            if usize::try_from(*limit).is_ok_and(|limit| marker.len() > limit) =>
        {
            Err("the marker is longer than the limit".to_owned())
        }
        _ => Ok(()),
    }
}

/// Cuts at the start of a character also where that is not asked for: a half character is no text.
fn truncate_all<'a>(args: &mut Args<'a>, frame: &mut Frame<'_, 'a>) -> Result<(), DataError> {
    let limit = usize::try_from(args.int(1).unwrap_or(0)).unwrap_or(usize::MAX);
    let marker = args.text(3).unwrap_or_default();
    args.target(0)?.edit_map(frame, |map| {
        for (_, value) in &mut map.0 {
            let Value::String(text) = value else { continue };
            if text.len() <= limit {
                continue;
            }
            let end = bounds::floor(text, limit.saturating_sub(marker.len()));
            let kept = text.get(..end).unwrap_or_default();
            *text = Cow::Owned(format!("{kept}{marker}"));
        }
        Ok(())
    })
}
