//! The table as text: the page `docs/lints.md`, and one kind explained.

use std::fmt::Write as _;

use super::{GROUPS, rows};

const HEAD: &str = "# What `spanlake check` finds

Generated from `shared/policy/src/lints`: change it there, and run `UPDATE_GOLDEN=1 cargo test -p spanlake-policy --test lints`.

Every finding has a kind, whose name never changes, a line, the reason, and a remedy. `spanlake check --list` names them all,
`spanlake check --explain KIND` says of one what stands here. How to use the command, also in CI, is in
[configuration](guides/configuration.md#check-a-file).

An **error** means that the file cannot be used. A **warning**: it can, but something looks wrong, and `--deny warnings` makes it
count. A **note** is worth to know.
";

/// The page `docs/lints.md`.
#[must_use]
pub fn lints_page() -> String {
    let mut page = HEAD.to_owned();
    for (title, rows) in GROUPS {
        // Writing to a String does not fail.
        let _infallible = write!(page, "\n## {title}\n\n| kind | severity | what is wrong | what to do |\n|---|---|---|---|\n");
        for row in rows {
            // Writing to a String does not fail.
            let _infallible = writeln!(page, "| `{}` | {} | {} | {} |", row.name, row.severity, row.explains, row.remedy);
        }
    }
    page
}

/// What a kind means and what to do about it; `None` for an unknown name.
#[must_use]
pub fn explain(name: &str) -> Option<String> {
    let row = rows().find(|row| row.name == name)?;
    Some(format!("{} ({})\n\n{}\n\nWhat to do: {}.\n", row.name, row.severity, row.explains, row.remedy))
}
