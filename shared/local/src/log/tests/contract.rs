use super::{ModelDisk, open, options};

#[tokio::test]
async fn it_is_a_stream_as_the_contract_says() {
    for shards in [1, 3] {
        spanlake_testkit::event_stream_contract(&open(&ModelDisk::new(), options(shards))).await;
    }
}
