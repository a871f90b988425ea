use buttress_core::{Chosen, Plain, Reclassify, RequestContext, Verdict};
use http::Request;

use super::*;
use crate::{Grpc, Http, HttpExt};

struct Permit(Option<Quota>);

impl Settle for Permit {
    fn settle(self, _: Verdict) {}

    fn quota(&self) -> Option<Quota> {
        self.0
    }
}

const POLICY: QuotaPolicy = QuotaPolicy {
    limit: 100,
    window: Duration::from_secs(60),
};

fn quota(remaining: u64, reset: Duration) -> Quota {
    Quota {
        policy: POLICY,
        remaining,
        reset,
    }
}

fn tell(fields: QuotaFields, headers: &mut HeaderMap, quota: Quota) {
    fields.tell(&Permit(Some(quota)), headers);
}

fn told(fields: QuotaFields, quota: Quota) -> HeaderMap {
    let mut headers = HeaderMap::new();
    tell(fields, &mut headers, quota);
    headers
}

#[test]
fn each_choice_writes_its_own_fields() {
    let some = quota(50, Duration::from_secs(30));
    assert!(told(QuotaFields::None, some).is_empty());
    let headers = told(QuotaFields::Draft11, some);
    assert_eq!(headers["ratelimit"], r#""default";r=50;t=30"#);
    assert_eq!(headers["ratelimit-policy"], r#""default";q=100;w=60"#);
    assert_eq!(headers.len(), 2);
    let headers = told(QuotaFields::XRateLimit, some);
    assert_eq!(headers["x-ratelimit-limit"], "100");
    assert_eq!(headers["x-ratelimit-remaining"], "50");
    assert_eq!(headers["x-ratelimit-reset"], "30");
    assert_eq!(headers.len(), 3);
    assert_eq!(told(QuotaFields::Draft11AndXRateLimit, some).len(), 5);

    let mut headers = HeaderMap::new();
    QuotaFields::Draft11AndXRateLimit.tell(&Permit(None), &mut headers);
    assert!(headers.is_empty(), "a permit that knows nothing");
}

#[test]
fn only_a_server_over_http_tells_unless_somebody_says_otherwise() {
    fn follows(protocol: &impl RequestContext<Request<()>>) -> bool {
        protocol.follows_quota()
    }
    let (http, grpc) = (Http::new().serving(), Grpc::new().serving());
    assert!(follows(&Plain::new().adopt(http)) && !follows(&Plain::new().adopt(grpc)));
    assert!(!follows(&Plain::new().http()) && !follows(&Plain::new().grpc()));
    assert!(follows(&http.until_headers()) && follows(&http.with(Chosen::new(()))));
    assert!(follows(&Plain::new().until_headers().adopt(http)));
    // Whatever the order.
    let draft = QuotaFields::Draft11;
    assert!(follows(&Plain::new().http().quota_fields(draft)));
    assert!(follows(&Plain::new().quota_fields(draft).http()));
    assert!(follows(
        &Plain::new().grpc().quota_fields(draft).until_headers()
    ));
    assert!(follows(
        &Plain::new().grpc().until_headers().quota_fields(draft)
    ));
    let none = QuotaFields::None;
    assert!(!follows(&http.quota_fields(none)));
    assert!(!follows(&Plain::new().quota_fields(none).adopt(http)));
    assert!(follows(&Http::new().quota_fields(none).quota_fields(draft)));
    // The first choice of a protocol stays, and what it tells with it.
    assert!(!follows(&Plain::new().http().adopt(http)));
}

#[test]
fn times_are_rounded_up_and_a_window_is_never_nothing() {
    let millis = Duration::from_millis;
    for (reset, seconds) in [
        (Duration::ZERO, 0),
        (Duration::from_nanos(1), 1),
        (millis(1000), 1),
        (millis(1001), 2),
        (Duration::MAX, LARGEST),
    ] {
        let headers = told(QuotaFields::Draft11, quota(1, reset));
        assert_eq!(
            headers["ratelimit"],
            format!(r#""default";r=1;t={seconds}"#)
        );
    }
    for (window, seconds) in [
        (Duration::ZERO, None),
        (millis(100), None),
        (millis(1000), Some(1)),
        (millis(1500), Some(2)),
        (Duration::MAX, Some(LARGEST)),
    ] {
        let policy = QuotaPolicy {
            limit: u64::MAX,
            window,
        };
        let some = Quota {
            policy,
            remaining: u64::MAX,
            reset: window,
        };
        let headers = told(QuotaFields::Draft11AndXRateLimit, some);
        // There is no shorter time that a client could be told.
        let within = seconds.map_or_else(String::new, |seconds| format!(";w={seconds}"));
        assert_eq!(
            headers["ratelimit-policy"],
            format!(r#""default";q={LARGEST}{within}"#)
        );
        assert_eq!(headers["x-ratelimit-limit"], LARGEST.to_string());
    }
}

#[test]
fn the_limit_with_less_left_is_told_whichever_stands_inside() {
    let (less, more) = (
        quota(3, Duration::from_secs(1)),
        quota(7, Duration::from_secs(2)),
    );
    for (inner, outer) in [(less, more), (more, less)] {
        let mut headers = told(QuotaFields::Draft11AndXRateLimit, inner);
        tell(QuotaFields::Draft11AndXRateLimit, &mut headers, outer);
        assert_eq!(headers["ratelimit"], r#""default";r=3;t=1"#);
        assert_eq!(headers["x-ratelimit-remaining"], "3");
        assert_eq!(headers["x-ratelimit-reset"], "1");
        assert_eq!(headers.len(), 5);
    }
    let mut headers = told(QuotaFields::Draft11, less);
    tell(
        QuotaFields::Draft11,
        &mut headers,
        quota(3, Duration::from_secs(9)),
    );
    assert_eq!(
        headers["ratelimit"], r#""default";r=3;t=1"#,
        "the inner of two alike"
    );
}

#[test]
fn what_others_have_written_stays_as_it_is() {
    for (name, value) in [
        ("ratelimit", r#""burst";r=5;t=1"#),
        ("ratelimit", r#"limit=10, remaining=5, reset=1"#),
        ("ratelimit", r#""default";r=-5"#),
        ("ratelimit", r#""default";r="#),
        ("ratelimit", r#""default";r=99999999999999999999"#),
        ("ratelimit-policy", r#""burst";q=100"#),
        ("x-ratelimit-remaining", "5.5"),
        ("x-ratelimit-limit", "100"),
    ] {
        let value = HeaderValue::from_static(value);
        let mut headers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
        let before = headers.clone();
        let fields = if name.starts_with('x') {
            QuotaFields::XRateLimit
        } else {
            QuotaFields::Draft11
        };
        tell(fields, &mut headers, quota(0, Duration::ZERO));
        assert_eq!(headers, before);
    }
}

#[test]
fn a_refusal_has_nothing_left_until_its_wait_is_over() {
    let mut headers = HeaderMap::new();
    let wait = Duration::from_millis(1200);
    QuotaFields::Draft11AndXRateLimit.refuse(&mut headers, POLICY, Some(wait));
    assert_eq!(headers["ratelimit"], r#""default";r=0;t=2"#);
    assert_eq!(headers["ratelimit-policy"], r#""default";q=100;w=60"#);
    assert_eq!(headers["x-ratelimit-reset"], "2");

    let mut headers = HeaderMap::new();
    QuotaFields::Draft11AndXRateLimit.refuse(&mut headers, POLICY, None);
    assert_eq!(headers["ratelimit"], r#""default";r=0"#);
    assert!(!headers.contains_key("x-ratelimit-reset"));
}
