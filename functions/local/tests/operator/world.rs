//! A state with something of everything, in a data folder and in buckets.

use spanlake_aws_twin::S3Twin;
use spanlake_local::{DiskStore, Floor, LogOptions, RealDisk, SegmentLog};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;
use tempfile::TempDir;

use crate::{Ran, run, state};

/// The same objects in a data folder and in buckets.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) s3: S3Twin,
}

impl World {
    /// Two traces are filed; a third waits for its decision; a record was no envelope.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(SegmentLog::open(RealDisk, folder.path().join("stream"), LogOptions::new(1, Floor::default(), 0)).unwrap());
        let store = DiskStore::open(RealDisk, folder.path().to_owned()).unwrap();
        let s3 = S3Twin::start(&["state", "lake", "empty"], 1).await;
        s3.enable_versioning("state");
        for (key, bytes) in state::objects() {
            s3.put(if key.starts_with(keys::LAKE) { "lake" } else { "state" }, &key, bytes.clone());
            store.put(&key, bytes).await.unwrap();
        }
        Self { folder, s3 }
    }

    /// Keys of the state with this prefix.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        self.s3.objects("state").into_keys().filter(|key| key.starts_with(prefix)).collect()
    }

    /// The batch that the manifest lists.
    pub(crate) fn waiting_batch(&self) -> String {
        let manifest = self.keys(keys::MANIFEST).pop().map(|key| self.s3.objects("state").remove(&key).unwrap()).unwrap();
        let manifest = String::from_utf8(manifest.to_vec()).unwrap();
        self.keys(keys::STAGED).into_iter().find(|key| manifest.contains(key)).unwrap()
    }

    /// Takes an object away from both.
    pub(crate) fn lose(&self, key: &str) {
        assert!(self.s3.lose("state", key));
        std::fs::remove_file(self.folder.path().join(key)).unwrap();
    }

    /// Runs a command on the folder.
    pub(crate) fn on_folder(&self, words: &[&str]) -> Ran {
        let folder = self.folder.path().display().to_string();
        run(&[words, &["--data", &folder]].concat(), &[])
    }

    /// Runs a command on both buckets.
    pub(crate) fn on_buckets(&self, words: &[&str]) -> Ran {
        self.with(&[words, &["--bucket", "state", "--lake-bucket", "lake"]].concat())
    }

    /// Runs a command against the stand-in.
    pub(crate) fn with(&self, words: &[&str]) -> Ran {
        let url = self.s3.url();
        let environment = [
            ("AWS_ENDPOINT_URL", url.as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ];
        // The stand-in answers on this runtime.
        tokio::task::block_in_place(|| run(words, &environment))
    }
}
