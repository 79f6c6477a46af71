use spanlake_testkit::object_store_contract;

use super::*;
use crate::disk::{Faults, ModelDisk, RealDisk};

const ROOT: &str = "/data/lake";

fn model() -> (ModelDisk, DiskStore<ModelDisk>) {
    let disk = ModelDisk::new();
    let store = reopened(&disk);
    (disk, store)
}

fn reopened(disk: &ModelDisk) -> DiskStore<ModelDisk> {
    DiskStore::open(disk.clone(), PathBuf::from(ROOT)).unwrap()
}

fn unfinished(disk: &ModelDisk) -> usize {
    disk.list(&Path::new(ROOT).join(UNFINISHED)).unwrap().len()
}

#[tokio::test]
async fn both_disks_keep_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    object_store_contract(&DiskStore::open(RealDisk, folder.path().join("lake")).unwrap()).await;
    let (disk, store) = model();
    object_store_contract(&store).await;
    assert_eq!(unfinished(&disk), 0);
}

#[tokio::test]
async fn the_folder_of_unfinished_writes_holds_no_objects() {
    let (_, store) = model();
    assert!(store.put("tmp/x", Bytes::new()).await.is_err());
    store.put("a/tmp/x", Bytes::new()).await.unwrap();
}

#[tokio::test]
async fn whatever_was_answered_survives_a_power_cut() {
    for seed in 0..60 {
        let (disk, store) = model();
        store.put("a/b/put", Bytes::from_static(b"1")).await.unwrap();
        let Conditional::Done(etag) = store.put_new("c/d/new", Bytes::from_static(b"2")).await.unwrap() else { panic!() };
        assert!(matches!(store.swap("c/d/new", &etag, Bytes::from_static(b"3")).await.unwrap(), Conditional::Done(_)));
        store.put("gone", Bytes::from_static(b"4")).await.unwrap();
        let gone = store.list("gone", None, 1).await.unwrap();
        store.delete(&gone).await.unwrap();
        let store = reopened(&disk.crash(seed));
        assert_eq!(store.get("a/b/put").await.unwrap().unwrap().bytes, "1");
        assert_eq!(store.get("c/d/new").await.unwrap().unwrap().bytes, "3");
        assert!(store.get("gone").await.unwrap().is_none());
    }
}

/// Swaps a counter up until the power goes; answers how far it surely came.
async fn count_up(store: &DiskStore<ModelDisk>) -> u64 {
    let mut sure = 0;
    let mut at = store.put_new("m/counter", Bytes::from_static(b"1")).await;
    while let Ok(Conditional::Done(etag)) = at {
        sure += 1;
        if sure == 6 {
            break;
        }
        at = store.swap("m/counter", &etag, Bytes::from((sure + 1).to_string())).await;
    }
    sure
}

#[tokio::test]
async fn a_swap_is_whole_or_not_at_all_wherever_the_power_goes() {
    let (disk, store) = model();
    assert_eq!(count_up(&store).await, 6);
    for point in 0..disk.changes() {
        for seed in 0..8 {
            let disk = ModelDisk::new();
            disk.set_faults(Faults { power_off_after: Some(point), ..Faults::default() });
            let opened = DiskStore::open(disk.clone(), PathBuf::from(ROOT));
            let sure = if let Ok(store) = opened { count_up(&store).await } else { 0 };
            let disk = disk.crash(seed);
            let store = reopened(&disk);
            let found = store.get("m/counter").await.unwrap().map(|object| object.bytes);
            let number = found.map_or(0, |bytes| std::str::from_utf8(&bytes).unwrap().parse::<u64>().unwrap());
            assert!(number == sure || number == sure + 1, "point {point}, seed {seed}: {number} after {sure}");
            assert_eq!(unfinished(&disk), 0);
        }
    }
}

#[tokio::test]
async fn a_full_or_read_only_disk_is_unavailable_and_leaves_nothing_behind() {
    let (disk, store) = model();
    store.put("a", Bytes::from_static(b"12345678")).await.unwrap();
    let faults = [
        Faults { capacity_bytes: Some(10), ..Faults::default() },
        Faults { read_only: true, ..Faults::default() },
        Faults { failing_sync: true, ..Faults::default() },
    ];
    for fault in faults {
        disk.set_faults(fault);
        let refused = store.put("b", Bytes::from_static(b"12345678")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })));
        assert!(store.put_new("b", Bytes::from_static(b"12345678")).await.is_err());
        assert_eq!(store.get("a").await.unwrap().unwrap().bytes, "12345678");
        disk.set_faults(Faults::default());
        assert!(store.get("b").await.unwrap().is_none());
        assert_eq!(unfinished(&disk), 0);
    }
    store.put("b", Bytes::from_static(b"12345678")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_writers_one_wins_each_version() {
    let (_, store) = model();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8_u8 {
        let store = store.clone();
        writers.spawn(async move {
            let mut wins = 0;
            for round in 0..40_u8 {
                let bytes = Bytes::from(vec![writer, round]);
                let result = match store.get("m").await.unwrap() {
                    None => store.put_new("m", bytes).await.unwrap(),
                    Some(found) => {
                        let mut longer = found.bytes.to_vec();
                        longer.extend(bytes);
                        store.swap("m", &found.etag, longer.into()).await.unwrap()
                    }
                };
                wins += usize::from(matches!(result, Conditional::Done(_)));
            }
            wins
        });
    }
    let wins: usize = writers.join_all().await.into_iter().sum();
    assert_eq!(store.get("m").await.unwrap().unwrap().bytes.len(), 2 * wins, "no win was overwritten");
    assert!(wins >= 40);
}

#[test]
fn leftovers_of_a_killed_process_are_removed() {
    let (disk, _) = model();
    let mut file = disk.create(&Path::new(ROOT).join("tmp/7")).unwrap();
    file.append(b"half").unwrap();
    reopened(&disk);
    assert_eq!(unfinished(&disk), 0);
}
