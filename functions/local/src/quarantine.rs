//! `spanlake quarantine`: the notes about records that could not be read, and a record's bytes while the stream has them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use spanlake_local::{RealDisk, Seen, look, read_shards};
use spanlake_model::Sequence;
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use tokio::runtime::Runtime;

use crate::cli::QuarantineArgs;
use crate::folder::STREAM;
use crate::site::{Access, Place, Site, Task, on};
use crate::terminal::{note, print};
use crate::why::timestamp_text;

/// How many notes are shown: the newest of each shard are the last.
const NOTES_MAX: usize = 10_000;

pub(crate) fn run(args: &QuarantineArgs) -> anyhow::Result<()> {
    on(&args.site, Access::Beside, args)
}

impl Task for &QuarantineArgs {
    type Output = ();

    fn run<S: ObjectStore>(self, runtime: &Runtime, site: &Site<S>) -> anyhow::Result<()> {
        let notes = runtime.block_on(notes(&site.store))?;
        match (&self.fetch, &self.out) {
            (Some((shard, sequence)), Some(out)) => note(&fetch(&site.place, &notes, (shard, *sequence), out)?),
            _ => print(&list(&site.place, &notes)?),
        }
        Ok(())
    }
}

/// What is known of a record that could not be read.
struct Note {
    shard: String,
    sequence: Sequence,
    arrival_nanos: i64,
    bytes: u64,
    reason: String,
}

async fn notes<S: ObjectStore>(store: &S) -> anyhow::Result<Vec<Note>> {
    let mut notes = Vec::new();
    for listed in store.list(keys::QUARANTINE, None, NOTES_MAX).await.context("listing the notes")? {
        let object = store.get(&listed.key).await.with_context(|| format!("reading {}", listed.key))?;
        let value: Value = object.and_then(|object| serde_json::from_slice(&object.bytes).ok()).unwrap_or_default();
        let field = |name: &str| value.get(name).unwrap_or(&Value::Null);
        let text = |name: &str| field(name).as_str().unwrap_or("?").to_owned();
        let number = |name: &str| field(name).as_u64().unwrap_or_default();
        notes.push(Note {
            shard: text("shard"),
            sequence: text("sequence").parse().unwrap_or_default(),
            arrival_nanos: field("arrival_unix_nano").as_i64().unwrap_or_default(),
            bytes: number("bytes"),
            reason: text("reason"),
        });
    }
    Ok(notes)
}

fn list(place: &Place, notes: &[Note]) -> anyhow::Result<String> {
    let Some(first) = notes.iter().map(|note| note.sequence).min() else {
        return Ok("No record is in quarantine: everything on the stream could be read.\n".to_owned());
    };
    let mut there = BTreeSet::new();
    if let Place::Folder(folder) = place {
        on_stream(folder, first, |shard, seen| {
            there.insert((shard.to_owned(), seen.sequence));
        })?;
    }
    let mut out = format!("{:<42} {:<24} {:>9}  {:<7}  reason\n", "record", "arrived", "bytes", "stream");
    for note in notes {
        let record = format!("{}:{}", note.shard, note.sequence);
        let stream = match place {
            Place::Folder(_) if there.contains(&(note.shard.clone(), note.sequence)) => "there",
            Place::Folder(_) => "gone",
            Place::Buckets(_) => "Kinesis",
        };
        writeln!(out, "{record:<42} {} {:>9}  {stream:<7}  {}", timestamp_text(note.arrival_nanos), note.bytes, note.reason)?;
    }
    writeln!(
        out,
        "\nThe bytes of a record{}: spanlake quarantine {} --fetch RECORD --out FILE",
        if matches!(place, Place::Folder(_)) { " that is still there" } else { ", while Kinesis has them" },
        place.flags()
    )?;
    Ok(out)
}

/// Writes a record's bytes into a file; answers what to say of it.
fn fetch(place: &Place, notes: &[Note], (shard, sequence): (&str, Sequence), out: &Path) -> anyhow::Result<String> {
    ensure!(
        notes.iter().any(|note| note.shard == shard && note.sequence == sequence),
        "there is no note about {shard}:{sequence}: `spanlake quarantine` without --fetch lists them"
    );
    let Place::Folder(folder) = place else {
        bail!(
            "this command does not read Kinesis. Within 48 hours of the record's arrival these do (STREAM is the stack's output \
             StreamName). NO RULE HAS MASKED THE BYTES: delete the file when you are done.\n\n{}",
            on_kinesis(shard, sequence, out)
        )
    };
    let mut found = None;
    on_stream(folder, sequence, |of, seen| {
        if of == shard && seen.sequence == sequence {
            found = Some(seen);
        }
    })?;
    let Some(seen) = found else {
        bail!(
            "the bytes of {shard}:{sequence} are gone: what is read leaves the stream after about a minute, and at a stop. The stream \
             last changed at {}. The note is all that is left",
            changed(&folder.join(STREAM))?
        )
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let written = options.open(out).and_then(|mut file| file.write_all(&seen.bytes));
    written.with_context(|| format!("writing {}", out.display()))?;
    let damage = if seen.is_whole { "" } else { " The disk has damaged them: they are not what was written." };
    Ok(format!(
        "{} bytes are in {}.{damage} They are as the client sent them: NO RULE HAS MASKED THEM. Delete the file when you are done.",
        seen.bytes.len(),
        out.display()
    ))
}

/// The commands that write a record of a stream on Kinesis into a file.
fn on_kinesis(shard: &str, sequence: Sequence, out: &Path) -> String {
    format!(
        "umask 077\n\
         it=$(aws kinesis get-shard-iterator --stream-name STREAM --shard-id {shard} --shard-iterator-type AT_SEQUENCE_NUMBER \
         --starting-sequence-number {sequence} --query ShardIterator --output text)\n\
         aws kinesis get-records --shard-iterator \"$it\" --limit 1 --query 'Records[0].Data' --output text | base64 -d > {}",
        out.display()
    )
}

/// Shows the records of the stream from a sequence number on, each with its shard's id.
fn on_stream(folder: &Path, from: Sequence, mut show: impl FnMut(&str, Seen)) -> anyhow::Result<()> {
    let stream = folder.join(STREAM);
    let reading = || format!("reading {}", stream.display());
    let shards = read_shards(&RealDisk, &stream).with_context(reading)?;
    let each = |seen: Seen| shards.get(seen.shard).into_iter().for_each(|shard| show(&shard.id, seen.clone()));
    look(&RealDisk, &stream, from, each).with_context(reading)
}

/// When a file was last made or removed in a folder.
fn changed(folder: &Path) -> anyhow::Result<String> {
    let modified =
        folder.metadata().and_then(|found| found.modified()).with_context(|| format!("reading {}", folder.display()))?;
    let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(timestamp_text(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use spanlake_local::{DiskStore, Floor, LogOptions, SegmentLog};
    use spanlake_model::Bucket;
    use spanlake_pipeline::ports::{EventStream, NewRecord};

    use super::*;

    #[tokio::test]
    async fn a_noted_record_is_listed_and_its_bytes_are_fetched_while_the_stream_has_them() {
        let data = tempfile::tempdir().unwrap();
        let store = DiskStore::open(RealDisk, data.path().to_owned()).unwrap();
        let log = SegmentLog::open(RealDisk, data.path().join(STREAM), LogOptions::new(2, Floor::default(), 0)).unwrap();
        let record = |bytes: &'static [u8]| NewRecord { bucket: Bucket::new(0).unwrap(), bytes: bytes.into() };
        assert!(log.append(vec![record(b"fine"), record(b"no envelope")]).await.iter().all(Result::is_ok));
        let place = Place::Folder(data.path().to_owned());
        assert!(list(&place, &notes(&store).await.unwrap()).unwrap().starts_with("No record"));
        let shard = "shard-000000000000";
        let note = serde_json::json!({ "shard": shard, "sequence": "2", "arrival_unix_nano": 5_000_000_000_i64, "bytes": 11,
            "blake3_128": "00", "reason": "not an envelope" });
        store.put(&format!("{}{shard}-2.json", keys::QUARANTINE), note.to_string().into()).await.unwrap();
        let notes = notes(&store).await.unwrap();
        let text = list(&place, &notes).unwrap();
        let line = text.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line, ["shard-000000000000:2", "1970-01-01T00:00:05.000Z", "11", "there", "not", "an", "envelope"]);

        let out = data.path().join("out");
        let said = fetch(&place, &notes, (shard, 2.into()), &out).unwrap();
        assert!(said.contains("NO RULE HAS MASKED THEM") && !said.contains("damaged"), "{said}");
        assert_eq!(std::fs::read(&out).unwrap(), b"no envelope");
        assert_eq!(out.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fetch(&place, &notes, (shard, 2.into()), &out).is_err(), "a file that is there is not written over");
        assert!(
            fetch(&place, &notes, (shard, 1.into()), &out).unwrap_err().to_string().contains("no note"),
            "no way to any record"
        );

        log.trim_all(&[2.into(), Sequence::ZERO]).unwrap();
        let gone = fetch(&place, &notes, (shard, 2.into()), &data.path().join("other")).unwrap_err().to_string();
        assert!(gone.contains("are gone") && gone.contains("The stream last changed at 20"), "{gone}");
        assert!(list(&place, &notes).unwrap().lines().nth(1).unwrap().contains("gone"));
    }
}
