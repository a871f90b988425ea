//! Every interleaving of a reader, and of one who changes the rate.

use loom::sync::Arc;
use loom::thread;

use super::*;

/// The width goes with the limit, however often they change meanwhile, and never back.
// proves: RL-1
#[test]
fn nobody_sees_the_limit_of_one_rate_with_the_width_of_another() {
    loom::model(|| {
        let rate = Arc::new(Published::new(1, 10));
        let reader = {
            let rate = rate.clone();
            thread::spawn(move || [rate.read(), rate.read()])
        };
        for limit in [2, 3] {
            rate.publish(limit, u64::from(limit) * 10);
        }
        let [first, second] = reader.join().unwrap();
        for edition in [first, second] {
            assert_eq!(u64::from(edition.limit), edition.version + 1);
            assert_eq!(edition.width, u64::from(edition.limit) * 10);
        }
        assert!(second.version >= first.version);
        assert_eq!(rate.read().limit, 3);
    });
}
