use super::*;

#[test]
fn what_waits_for_an_fsync_has_a_budget_that_one_call_may_always_take() {
    let disk = ModelDisk::new();
    let log = open(&disk, LogOptions { queue_bytes_max: 1_000, ..options(1) });
    let records = |bytes: usize| vec![NewRecord { bucket: of(&log, 0), bytes: Bytes::from(vec![7; bytes]) }; 2];
    let mut first = Box::pin(log.append(records(5_000)));
    {
        let _held = log.shared.writer();
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        let refused = wait_for(log.append(records(1)));
        assert_eq!(refused, vec![Err(AppendError::Throttled { retry_after_ms: 1_000 }); 2]);
    }
    assert_eq!(wait_for(first), [Ok(()), Ok(())]);
    assert_eq!(wait_for(log.append(records(5_000))), [Ok(()), Ok(())]);
}
