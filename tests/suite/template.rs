//! The template for AWS against the code: lifecycle rules for every prefix that is written, and tables that look where
//! files are.

use std::fmt::Write as _;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use spanlake_pipeline::archive::partition_of;
use spanlake_pipeline::keys;
use spanlake_table::schema::TABLES;

/// Removed by the sweeper once nothing refers to them, and by S3 if it does not run.
const SWEPT: &[&str] = &[keys::STAGED, keys::SEEN, keys::DECISIONS, keys::SEALED, keys::PAGE];
/// Read by people, within this time.
const NOTES: &[&str] = &[keys::QUARANTINE];
/// What the deployment is: it never expires.
const STATE: &[&str] = &[keys::MANIFEST, keys::LINEAGE, keys::PLAN, keys::RULES];

const BACKSTOP_DAYS: u32 = 14;
const NOTES_DAYS: u32 = 14;
/// Younger versions of the state than these are there to be restored.
const STATE_VERSIONS: u32 = 10;
/// Below about 3.8 MB a move to the cold class costs more than it saves.
const COLD_BYTES_MIN: u32 = 4 << 20;

const HOUR_NANOS: i64 = 3_600_000_000_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn template() -> String {
    fs::read_to_string(root().join("infra/template.yaml")).unwrap()
}

/// Where a section of the template begins and ends: behind the line that opens it, and before the one that closes it.
fn section(text: &str, name: &str) -> Range<usize> {
    let opening = text.find(&format!("# generated: {name},")).unwrap();
    let start = opening + text[opening..].find('\n').unwrap() + 1;
    let closing = start + text[start..].find(&format!("# end of generated: {name}")).unwrap();
    start..text[..closing].rfind('\n').unwrap() + 1
}

const UPLOADS: &str =
    "          - {Id: unfinished-uploads, Status: Enabled, AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}}\n";

fn state_lifecycle() -> String {
    let rule = |prefix: &str, what: &str| {
        let id = prefix.trim_end_matches('/');
        format!("          - Id: {id}\n            Status: Enabled\n            Prefix: {prefix}\n{what}")
    };
    let mut text = format!("{UPLOADS}          - {{Id: delete-markers, Status: Enabled, ExpiredObjectDeleteMarker: true}}\n");
    for (prefixes, days) in [(SWEPT, BACKSTOP_DAYS), (NOTES, NOTES_DAYS)] {
        for prefix in prefixes {
            let what =
                format!("            ExpirationInDays: {days}\n            NoncurrentVersionExpiration: {{NoncurrentDays: 1}}\n");
            text.push_str(&rule(prefix, &what));
        }
    }
    for prefix in STATE {
        let newer = format!("{{NoncurrentDays: 1, NewerNoncurrentVersions: {STATE_VERSIONS}}}");
        text.push_str(&rule(prefix, &format!("            NoncurrentVersionExpiration: {newer}\n")));
    }
    text
}

fn lake_lifecycle() -> String {
    let prefix = keys::LAKE;
    let mut text = UPLOADS.to_owned();
    let _infallible = write!(
        text,
        "          - Id: delete
            Status: Enabled
            Prefix: {prefix}
            ExpirationInDays: !If [IsDevelopment, 1, !Ref KeptDays]
          - !If
            - HasColdClass
            - Id: cold
              Status: Enabled
              Prefix: {prefix}
              ObjectSizeGreaterThan: '{COLD_BYTES_MIN}'
              Transitions: [{{StorageClass: !Ref ColdClass, TransitionInDays: !Ref HotDays}}]
            - !Ref AWS::NoValue
"
    );
    text
}

#[test]
fn the_lifecycle_of_the_template_is_that_of_the_prefixes() {
    let path = root().join("infra/template.yaml");
    let mut expected = template();
    for (name, text) in [("state lifecycle", state_lifecycle()), ("lake lifecycle", lake_lifecycle())] {
        let place = section(&expected, name);
        expected.replace_range(place, &text);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(template() == expected, "{} has other lifecycle rules; run with UPDATE_GOLDEN=1", path.display());
}

#[test]
fn every_prefix_has_a_rule_of_its_own() {
    let source = fs::read_to_string(root().join("shared/pipeline/src/keys.rs")).unwrap();
    let prefixes = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split('"').nth(1));
    let prefixes: Vec<_> = prefixes.filter(|text| text.ends_with('/')).collect();
    let ruled: Vec<_> = [SWEPT, NOTES, STATE, &[keys::LAKE]].concat();
    assert_eq!(prefixes.len(), ruled.len(), "{prefixes:?}");
    assert!(prefixes.iter().all(|prefix| ruled.contains(prefix)), "{prefixes:?}");
}

#[test]
fn every_table_looks_where_its_files_are_written() {
    let template = template();
    // A day and an hour of one digit: what is not padded differs.
    let hour = 1_767_225_600_000_000_000 + 8 * HOUR_NANOS;
    let (dt, hh) = ("2026-01-01", "08");
    for table in TABLES {
        let written = format!("{}{}/{}/", keys::LAKE, table.name, partition_of(hour));
        let looked = format!("{}{}/dt=${{!dt}}/hour=${{!hour}}/", keys::LAKE, table.name);
        let line = format!("          storage.location.template: !Sub 's3://${{LakeBucket}}/{looked}'\n");
        assert_eq!(template.matches(&line).count(), 1, "{}", table.name);
        assert_eq!(looked.replace("${!dt}", dt).replace("${!hour}", hh), written, "{}", table.name);
    }
    for (property, times) in [("projection.hour.digits: '2'", TABLES.len()), ("projection.dt.format: 'yyyy-MM-dd'", TABLES.len())]
    {
        assert_eq!(template.matches(property).count(), times, "{property}");
    }
}
