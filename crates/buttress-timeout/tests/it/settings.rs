//! What makes no sense, and who says so.

use std::panic::catch_unwind;
use std::time::Duration;

use buttress_timeout::{AdaptiveTimeout, AdaptiveTimeoutBuilder};

use super::{MS, SECOND};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_setting_that_makes_no_sense_is_named() {
    type Change = fn(AdaptiveTimeoutBuilder) -> AdaptiveTimeoutBuilder;
    let table: [(&str, &str, Change); 20] = [
        ("head", "above zero", |builder| builder.head(Duration::ZERO)),
        ("head", "above zero", |builder| builder.read(Duration::ZERO)),
        ("idle", "above zero", |builder| builder.idle(Duration::ZERO)),
        ("first_byte", "above zero", |builder| {
            builder.first_byte(Duration::ZERO)
        }),
        ("total", "above zero", |builder| {
            builder.total(Duration::ZERO)
        }),
        ("ceiling", "above zero", |builder| {
            builder.ceiling(Duration::ZERO)
        }),
        ("quantile", "not 0", |builder| builder.quantile(0.0)),
        ("quantile", "not 1", |builder| builder.quantile(1.0)),
        ("quantile", "not -0.5", |builder| builder.quantile(-0.5)),
        ("quantile", "not 95", |builder| builder.quantile(95.0)),
        ("quantile", "not NaN", |builder| builder.quantile(f64::NAN)),
        ("factor", "not 0.99", |builder| builder.factor(0.99)),
        ("factor", "not -1", |builder| builder.factor(-1.0)),
        ("factor", "not inf", |builder| builder.factor(f64::INFINITY)),
        ("factor", "not NaN", |builder| builder.factor(f64::NAN)),
        ("min_samples", "above zero", |builder| {
            builder.min_samples(0)
        }),
        ("ceiling", "below the floor of 10ms", |builder| {
            builder.ceiling(9 * MS)
        }),
        ("ceiling", "below the floor of 1s", |builder| {
            builder.floor(SECOND).ceiling(999 * MS)
        }),
        ("ceiling", "above the total of 60s", |builder| {
            builder.ceiling(61 * SECOND)
        }),
        ("ceiling", "above the total of 1s", |builder| {
            builder.total(SECOND).ceiling(2 * SECOND)
        }),
    ];
    for (setting, problem, change) in table {
        let build = move || change(AdaptiveTimeout::builder("wrong"));
        let error = build().try_build().unwrap_err();
        assert_eq!(error.setting(), setting);
        assert!(
            error.to_string().contains(problem),
            "{error} does not say {problem}"
        );
        let panic = catch_unwind(move || build().build()).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(*text, format!("timeout `wrong`: {error}"));
    }
}

#[test]
fn a_name_that_is_none_is_refused_and_a_limit_of_zero_panics() {
    let long: &'static str = Box::leak("n".repeat(65).into_boxed_str());
    for name in ["", long] {
        let error = AdaptiveTimeout::builder(name).try_build().unwrap_err();
        assert_eq!(error.setting(), "name");
    }
    assert!(catch_unwind(|| AdaptiveTimeout::fixed(Duration::ZERO)).is_err());
}

#[test]
fn settings_at_their_bounds_make_sense() {
    let build = || AdaptiveTimeout::builder("bounds");
    for builder in [
        build().quantile(f64::MIN_POSITIVE),
        build().quantile(1.0 - f64::EPSILON),
        build().factor(1.0),
        build().factor(f64::MAX),
        build().min_samples(u32::MAX),
        build().floor(Duration::ZERO),
        build().floor(Duration::MAX),
        build().ceiling(10 * MS),
        build().ceiling(60 * SECOND),
        build().ceiling(Duration::MAX).no_total(),
        build().total(Duration::from_nanos(1)),
        build().total(MS).floor(SECOND),
        build()
            .total(Duration::MAX)
            .read(Duration::MAX)
            .first_byte(Duration::MAX),
    ] {
        let timeout = builder.try_build().unwrap();
        for took in [Duration::ZERO, MS, Duration::MAX] {
            timeout.record(took);
        }
        assert!(timeout.snapshot().current_timeout > Duration::ZERO);
    }
}

/// Where nobody said a ceiling, it follows the other limits.
#[test]
fn until_enough_is_known_the_ceiling_holds() {
    let build = || AdaptiveTimeout::builder("ceiling");
    for (builder, ceiling) in [
        (build(), 60 * SECOND),
        (build().total(5 * SECOND), 5 * SECOND),
        (build().no_total(), 30 * SECOND),
        (build().no_total().head(7 * SECOND), 7 * SECOND),
        (build().ceiling(2 * SECOND), 2 * SECOND),
    ] {
        assert_eq!(builder.build().current_timeout(), ceiling);
    }
}
