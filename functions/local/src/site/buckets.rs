//! A deployment by its buckets: opened with care, since a wrong name or a missing right must not look like an empty state.

use anyhow::{Context, ensure};
use spanlake_aws::environment::Environment;
use spanlake_aws::{Buckets as Names, S3Store};
use spanlake_pipeline::keys;
use spanlake_pipeline::ports::ObjectStore;

use super::{Buckets, Place, Site};

/// The store in these buckets, once they are known to be there and the first to hold a state.
pub(super) async fn open(state: &str, lake: Option<&str>) -> anyhow::Result<Site<S3Store>> {
    ensure!(lake != Some(state), "the lake is in a bucket of its own: the output LakeBucketName of the stack names it");
    let environment = Environment::load().await;
    for bucket in std::iter::once(state).chain(lake) {
        environment.probe(bucket).await?;
    }
    let names = Names { state: state.to_owned(), lake: lake.unwrap_or_default().to_owned() };
    let store = environment.store_of(names);
    let mut holds_state = false;
    for prefix in [keys::MANIFEST, keys::PLAN] {
        holds_state |= !store.list(prefix, None, 1).await.with_context(|| format!("listing bucket {state}"))?.is_empty();
    }
    ensure!(
        holds_state,
        "bucket {state} holds no state: either it is not the one that the stack's output StateBucketName names, or its deployment \
         has had no heartbeat yet, which comes each minute"
    );
    let buckets = Buckets { state: state.to_owned(), lake: lake.map(str::to_owned) };
    Ok(Site { store, place: Place::Buckets(buckets) })
}
