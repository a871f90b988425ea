//! `cargo bench -p benches --features peers`: how long a call takes, ours and the peers' side by side.

use std::time::{Duration, Instant};

use benches::cases;
use benches::inner::Inner;
use benches::runtime;
use criterion::{Criterion, criterion_group, criterion_main};

fn calls(criterion: &mut Criterion) {
    for case in cases::all().into_iter().filter(|case| !case.grows) {
        let runtime = runtime::single();
        let mut subject = runtime.block_on(async { case.build(Inner::Prompt) });
        runtime.block_on(subject.warm_up(case.warm_up));
        let mut group = criterion.benchmark_group(case.path);
        group.bench_function(case.who, |bencher| {
            bencher.iter_custom(|calls| {
                let start = Instant::now();
                runtime.block_on(subject.run(calls));
                start.elapsed()
            });
        });
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    targets = calls
}
criterion_main!(benches);
