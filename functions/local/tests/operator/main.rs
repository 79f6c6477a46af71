//! The operator's commands, really run, on a data folder and on a deployment's buckets that hold the same.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[cfg(feature = "aws")]
mod buckets;
mod keep_all;
mod replay;
mod state;
#[cfg(feature = "aws")]
mod world;

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What a run of the program came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// Runs the program in an environment of its own.
fn run(words: &[&str], environment: &[(&str, &str)]) -> Ran {
    run_on(b"", words, environment)
}

/// The same, with something on its standard input.
fn run_on(input: &[u8], words: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spanlake"));
    command.args(words).env_clear().envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who does not read it may have ended by now.
    let _ended = child.stdin.take().unwrap().write_all(input);
    let ran = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: ran.status.code().unwrap(), out: text(ran.stdout), err: text(ran.stderr) }
}

/// Commands that take buckets, and what they end with if they cannot be asked.
const COMMANDS: [(&[&str], i32); 5] = [
    (&["status"], 1),
    (&["verify"], 2),
    (&["repair", "staged/00", "--yes-count-as-lost"], 2),
    (&["quarantine"], 1),
    (&["keep-all", "--list"], 1),
];

#[cfg(not(feature = "aws"))]
#[test]
fn a_build_without_aws_says_how_to_get_one_that_knows_buckets() {
    for (words, code) in COMMANDS {
        let ran = run(&[words, &["--bucket", "state", "--lake-bucket", "lake"]].concat(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{words:?}: {}", ran.err);
        assert!(ran.err.contains("this build knows no AWS") && ran.err.contains("--features aws"), "{words:?}: {}", ran.err);
    }
}

#[test]
fn buckets_and_a_folder_are_not_mixed_up() {
    for (words, _) in COMMANDS {
        for wrong in [&["--bucket", "state", "--data", "somewhere"][..], &["--lake-bucket", "lake"]] {
            let ran = run(&[words, wrong].concat(), &[]);
            assert_eq!(ran.code, 2, "{words:?} {wrong:?}: {}", ran.err);
            assert!(ran.err.contains("--bucket <STATE>"), "{words:?} {wrong:?}: {}", ran.err);
        }
    }
}
