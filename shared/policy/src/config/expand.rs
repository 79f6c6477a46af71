//! The Collector's variables: `${env:X}`, `${X}`, `${X:-default}`, and `$$` for a `$`.

use super::yaml::{Node, Scalar, TEXT_BYTES_MAX, Tree};

/// The setting whose text is a secret itself.
pub(crate) const SECRET_KEY: &str = "hmac_key";

/// Looks up an environment variable.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands the variables in all values of a tree (not in keys), collecting every fault with its line. What they become may
/// take `left_bytes`.
pub(crate) fn expand(tree: &mut Tree, env: Environment<'_>, left_bytes: &mut usize, errors: &mut Vec<(u32, String)>) {
    match &mut tree.node {
        Node::Scalar(scalar) => match expand_text(&scalar.text, env, left_bytes) {
            Ok(None) => {}
            // A value that is only a variable takes the type of the variable's text.
            Ok(Some(Expanded { text, variable, only })) => *scalar = Scalar { plain: scalar.plain || only, text, variable },
            Err(message) => errors.push((tree.line, message)),
        },
        Node::List(items) => items.iter_mut().for_each(|item| expand(item, env, left_bytes, errors)),
        Node::Map(entries) => {
            for entry in entries {
                let known = errors.len();
                expand(&mut entry.value, env, left_bytes, errors);
                // A message shows what could not be read, and nothing of a key is shown.
                if entry.key == SECRET_KEY {
                    let hidden = "the variable of this key can't be read: write `${env:NAME}`";
                    errors.iter_mut().skip(known).for_each(|(_, message)| hidden.clone_into(message));
                }
            }
        }
    }
}

/// Whether a variable stood in any value of a tree.
pub(crate) fn has_variable(tree: &Tree) -> bool {
    match &tree.node {
        Node::Scalar(scalar) => scalar.variable,
        Node::List(items) => items.iter().any(has_variable),
        Node::Map(entries) => entries.iter().any(|entry| has_variable(&entry.value)),
    }
}

/// Whether some of a text stands in the file and does not come out of a variable.
pub(crate) fn is_written(text: &str) -> bool {
    !matches!(expand_text(text, &|_| None, &mut TEXT_BYTES_MAX.clone()), Ok(Some(expanded)) if expanded.text.is_empty())
}

struct Expanded {
    text: String,
    /// A variable stood in it.
    variable: bool,
    /// It was nothing but one variable.
    only: bool,
}

/// The expanded text; `None` without a `$`.
fn expand_text(text: &str, env: Environment<'_>, left_bytes: &mut usize) -> Result<Option<Expanded>, String> {
    if !text.contains('$') {
        return Ok(None);
    }
    let mut out = String::with_capacity(text.len());
    let (mut variable, mut only) = (false, false);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let (name, after) = inner.split_once('}').ok_or_else(|| format!("`${{{inner}` has no closing brace"))?;
            let value = look_up(name, env)?;
            let too_large = || format!("the values of all variables take more than {TEXT_BYTES_MAX} bytes");
            *left_bytes = left_bytes.checked_sub(value.len()).ok_or_else(too_large)?;
            out.push_str(&value);
            variable = true;
            only = rest.len() == text.len() && before.is_empty() && after.is_empty();
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(Some(Expanded { text: out, variable, only }))
}

fn look_up(reference: &str, env: Environment<'_>) -> Result<String, String> {
    let (name, default) = reference.split_once(":-").map_or((reference, None), |(name, default)| (name, Some(default)));
    let name = match name.split_once(':') {
        None => name,
        Some(("env", name)) => name,
        Some((scheme, _)) => return Err(format!("`${{{scheme}:...}}` is not supported: only variables of the environment are")),
    };
    let valid = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !valid {
        return Err(format!("`${{{reference}}}` names no variable; write `$${{{reference}}}` for the text itself"));
    }
    Ok(env(name).unwrap_or_else(|| default.unwrap_or_default().to_owned()))
}
