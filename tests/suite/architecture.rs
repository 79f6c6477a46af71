//! The shape of the workspace: who may depend on whom, who may see which library, and where the pure crates end. The
//! rules of files and texts are in [`sources`].

mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate depends only on crates of strictly lower rings.
const RINGS: &[(&str, u8)] = &[
    ("spanlake-model", 0),
    ("spanlake-otlp", 1),
    ("spanlake-ottl", 2),
    ("spanlake-policy", 3),
    ("spanlake-table", 3),
    ("spanlake-pipeline", PIPELINE),
    ("spanlake-aws", 5),
    ("spanlake-local", 5),
    ("spanlake-sql", 5),
    (TESTKIT, 5),
    ("spanlake", 6),
    ("spanlake-archiver", 6),
    ("spanlake-grouper", 6),
    ("spanlake-ingest", 6),
    (AWS_TWIN, TESTS),
    ("spanlake-sim", TESTS),
    ("spanlake-tests", TESTS),
];
const PIPELINE: u8 = 4;
/// Nothing of this ring is in the product, whatever a crate of it depends on.
const TESTS: u8 = 7;
const TESTKIT: &str = "spanlake-testkit";
const AWS_TWIN: &str = "spanlake-aws-twin";
/// What adapters and use cases are tested on.
const STAND_INS: &[&str] = &[TESTKIT, AWS_TWIN];

/// Crates without I/O, clock, environment, threads and randomness, which clippy holds them to.
const PURE: &[&str] = &["model", "otlp", "ottl", "policy", "table", "pipeline"];

/// Who may use what, in the product and in its tests. What is not listed here may be used by all.
const RESERVED: &[Reserved] = &[
    Reserved { libraries: &["arrow", "parquet"], product: &["spanlake-table"], tests: &["spanlake-sim", "spanlake-tests"] },
    Reserved {
        libraries: &["aws-config", "aws-sdk-kinesis", "aws-sdk-s3", "aws-sdk-secretsmanager"],
        product: &["spanlake-aws"],
        tests: &[AWS_TWIN],
    },
    Reserved {
        libraries: &["lambda_http", "lambda_runtime"],
        product: &["spanlake-archiver", "spanlake-grouper", "spanlake-ingest"],
        tests: &[],
    },
    Reserved { libraries: &["datafusion"], product: &["spanlake-sql"], tests: &[] },
    Reserved {
        // The binary is the demo's sender and shows waterfalls; on the way of a span there are no message objects.
        libraries: &["opentelemetry-proto", "prost"],
        product: &["spanlake"],
        tests: &["spanlake-otlp", "spanlake-ottl", "spanlake-policy", "spanlake-sim", "spanlake-table", "spanlake-tests"],
    },
    Reserved {
        libraries: &["tokio", "futures", "async-trait"],
        product: &[
            "spanlake-archiver",
            "spanlake-aws",
            "spanlake-grouper",
            "spanlake-ingest",
            "spanlake-local",
            "spanlake-sql",
            "spanlake",
        ],
        tests: &[AWS_TWIN, "spanlake-tests"],
    },
    Reserved {
        libraries: &["hyper", "hyper-util", "http-body-util", "axum", "rustls", "rustls-pki-types", "tokio-rustls", "rcgen"],
        product: &["spanlake-local"],
        tests: &[AWS_TWIN, "spanlake-tests"],
    },
    // Patterns are Go's: whoever compiles one goes through `spanlake_ottl::regex`.
    Reserved { libraries: &["regex"], product: &["spanlake-ottl", "spanlake-policy"], tests: &["spanlake-tests"] },
    // What the linter judges the speed of a pattern by.
    Reserved { libraries: &["regex-syntax"], product: &["spanlake-policy"], tests: &[] },
    Reserved { libraries: &["serde-saphyr"], product: &["spanlake-policy"], tests: &["spanlake-ottl", "spanlake-tests"] },
    Reserved { libraries: &["jiff", "quick-xml"], product: &["spanlake-ottl"], tests: &[] },
    Reserved {
        libraries: &["anyhow", "clap", "rustix", "tracing-subscriber", "ureq"],
        product: &["spanlake"],
        tests: &["spanlake-tests"],
    },
    Reserved { libraries: &["rand", "uuid", "chrono", "time", "getrandom"], product: &[], tests: &[] },
    Reserved { libraries: &["tempfile"], product: &["spanlake"], tests: &["spanlake-local", "spanlake-sql", "spanlake-tests"] },
];

/// Libraries that only some crates may depend on.
struct Reserved {
    libraries: &'static [&'static str],
    product: &'static [&'static str],
    /// Those that may have it as a development dependency as well.
    tests: &'static [&'static str],
}

struct Package {
    name: String,
    folder: PathBuf,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    is_dev: bool,
}

/// The workspace, without its dependencies' dependencies and without a network.
fn workspace() -> Vec<Package> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(sources::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dependency = |value: &Value| Dependency { name: text(&value["name"]), is_dev: value["kind"] == "dev" };
    let package = |value: &Value| Package {
        name: text(&value["name"]),
        folder: Path::new(&text(&value["manifest_path"])).parent().unwrap().to_owned(),
        dependencies: value["dependencies"].as_array().unwrap().iter().map(dependency).collect(),
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn ring(package: &str) -> Option<u8> {
    RINGS.iter().find(|(name, _)| *name == package).map(|(_, ring)| *ring)
}

#[test]
fn every_crate_has_a_ring() {
    let found: BTreeSet<String> = workspace().into_iter().map(|package| package.name).collect();
    let listed: BTreeSet<String> = RINGS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn a_crate_depends_only_on_lower_rings() {
    let mut wrong = Vec::new();
    for package in workspace() {
        let Some(own) = ring(&package.name) else { continue };
        for dependency in &package.dependencies {
            let Some(other) = ring(&dependency.name) else { continue };
            let is_stand_in_for_tests = dependency.is_dev && STAND_INS.contains(&dependency.name.as_str()) && own >= PIPELINE;
            if other >= own && !is_stand_in_for_tests {
                wrong.push(format!("{} (ring {own}) -> {} (ring {other})", package.name, dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_stand_ins_are_in_no_product() {
    for package in workspace() {
        let is_stand_in = |dependency: &&Dependency| STAND_INS.contains(&dependency.name.as_str()) && !dependency.is_dev;
        let used = package.dependencies.iter().find(is_stand_in).map(|dependency| &dependency.name);
        assert!(used.is_none() || ring(&package.name) == Some(TESTS), "{} depends on {used:?}", package.name);
    }
}

#[test]
fn only_the_crates_that_are_meant_to_see_a_library_see_it() {
    let mut wrong = Vec::new();
    for package in workspace() {
        for dependency in &package.dependencies {
            let Some(reserved) = RESERVED.iter().find(|reserved| reserved.libraries.contains(&dependency.name.as_str())) else {
                continue;
            };
            let name = package.name.as_str();
            let is_test = dependency.is_dev || ring(name) == Some(TESTS);
            let is_meant = reserved.product.contains(&name) || is_test && reserved.tests.contains(&name);
            if !is_meant {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_crate_takes_its_lints_and_versions_from_the_workspace() {
    for package in workspace() {
        let manifest = std::fs::read_to_string(package.folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{} has lints of its own", package.name);
        let mut in_dependencies = false;
        for line in manifest.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with('[') {
                in_dependencies = line.ends_with("dependencies]");
            } else if in_dependencies {
                assert!(
                    line.contains("workspace = true"),
                    "{}: versions stand in the workspace's manifest: {line}",
                    package.name
                );
            }
        }
    }
}

#[test]
fn the_pure_crates_are_held_to_it_by_clippy() {
    let root = sources::root();
    let master = std::fs::read_to_string(root.join("shared/clippy-pure.toml")).unwrap();
    for name in PURE {
        let copy = std::fs::read_to_string(root.join(format!("shared/{name}/clippy.toml"))).unwrap_or_default();
        assert!(copy == master, "shared/{name}/clippy.toml is no copy of shared/clippy-pure.toml");
        let manifest = std::fs::read_to_string(root.join(format!("shared/{name}/Cargo.toml"))).unwrap();
        assert!(!manifest.contains("build ="), "{name} has a build script");
    }
    // Clippy reads one file and does not merge it with the root's.
    let common = std::fs::read_to_string(root.join("clippy.toml")).unwrap();
    let settings = |text: &str| text.split("\n\n").flat_map(str::lines).map(str::to_owned).collect::<BTreeSet<_>>();
    let missing: Vec<_> = settings(&common).difference(&settings(&master)).cloned().collect();
    assert!(missing.is_empty(), "shared/clippy-pure.toml lacks what clippy.toml says: {missing:#?}");
}

#[test]
fn the_rings_of_the_pure_crates_are_the_lowest() {
    let pure: BTreeMap<String, Option<u8>> =
        PURE.iter().map(|name| (format!("spanlake-{name}"), ring(&format!("spanlake-{name}")))).collect();
    for (name, own) in RINGS {
        assert_eq!(pure.contains_key(*name), *own <= PIPELINE, "{name}");
    }
}
