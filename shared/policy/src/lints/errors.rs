//! Kinds of errors.

use super::{Lint, Row, error};

pub(super) const ROWS: [Row; 13] = [
    error(
        Lint::InvalidYaml,
        "invalid-yaml",
        "The file is not YAML as it is read here: a fault of syntax, a key that stands twice, a merge key, an unknown anchor, a second document.",
        "mend the line; indent with blanks, never with tabs",
    ),
    error(
        Lint::UnknownKey,
        "unknown-key",
        "A key that is not known at this place. The Collector swallows some of them, and then does what nobody has written.",
        "correct the key, or take it out",
    ),
    error(
        Lint::WrongType,
        "wrong-type",
        "A value of another type than the key has, such as a text where a number is expected.",
        "write a value of the type that the message names: quotes make a text, a number and true or false stand without them",
    ),
    error(
        Lint::InvalidValue,
        "invalid-value",
        "A value, or values together, that the Collector refuses too, or that can have no meaning.",
        "correct it as the message says; docs/guides/configuration.md has what is allowed",
    ),
    error(
        Lint::InvalidPattern,
        "invalid-pattern",
        "A regular expression that is not one of RE2, as the Collector reads them.",
        "mend the pattern; RE2 has no look-around and no back references",
    ),
    error(
        Lint::InvalidStatement,
        "invalid-statement",
        "An OTTL statement or condition that cannot be read: syntax, or a path, function or enum that this context does not have.",
        "mend the statement at the column",
    ),
    error(
        Lint::InvalidVariable,
        "invalid-variable",
        "`${...}` that names no environment variable.",
        "write `${env:NAME}`, or `$$` for a `$`",
    ),
    error(
        Lint::UndefinedReference,
        "undefined-reference",
        "A pipeline names a component that the file does not define.",
        "define it, or correct the name",
    ),
    error(
        Lint::UnknownComponent,
        "unknown-component",
        "A processor or a policy of a type that is not known: it might have masked or dropped something.",
        "correct the type, or take it out of the pipeline",
    ),
    error(
        Lint::WrongSignal,
        "wrong-signal",
        "A component, or a key of it, in a pipeline of a signal that it does not work on.",
        "take it out of this pipeline",
    ),
    error(
        Lint::DuplicateName,
        "duplicate-name",
        "Two policies of one name, or a processor twice in one pipeline.",
        "give each a name of its own: a second processor of a type is `transform/second`",
    ),
    error(
        Lint::NotSupported,
        "not-supported",
        "Something that the Collector has and Spanlake has not. It changes or drops data, so it is not ignored.",
        "do it before the data is sent, or take it out",
    ),
    error(
        Lint::TooLarge,
        "too-large",
        "More than one of the limits on a configuration allows.",
        "make it smaller: the limits are in the README and in docs/guides/configuration.md",
    ),
];
