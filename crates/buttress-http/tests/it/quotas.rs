//! What clients hear of their quotas, and what other people's clients do not.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use buttress_core::{
    Adopt, Gate, Guarded, Name, Plain, Quota, QuotaPolicy, QuotaSource, QuotaSources, Reason,
    Rejected, RequestContext, Settle, Verdict, WidenLayer,
};
use buttress_http::{HttpExt, QuotaFields, RespondLayer, as_is, respond, respond_grpc};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{recorder, refuser};

/// Lets calls in while something is left, and says how much that is.
#[derive(Clone)]
pub(crate) struct Meter {
    name: Name,
    limit: u64,
    left: u64,
    wait: Duration,
}

pub(crate) struct Permit(Option<Quota>);

impl Settle for Permit {
    fn settle(self, _: Verdict) {}

    fn quota(&self) -> Option<Quota> {
        self.0
    }
}

impl<Req, P: RequestContext<Req>> Gate<Req, P> for Meter {
    type Permit = Permit;

    fn admit(&self, _: &Req, protocol: &P) -> Result<Permit, Rejected> {
        let quota = Quota {
            policy: self.policy(),
            remaining: self.left.checked_sub(1).ok_or_else(|| {
                Rejected::new(Reason::Throttled, self.name).with_retry_after(self.wait)
            })?,
            reset: Duration::from_millis(29_001),
        };
        Ok(Permit(protocol.follows_quota().then_some(quota)))
    }
}

impl QuotaSource for Meter {
    fn name(&self) -> Name {
        self.name
    }

    fn policy(&self) -> QuotaPolicy {
        QuotaPolicy {
            limit: self.limit,
            window: Duration::from_secs(60),
        }
    }
}

#[derive(Clone)]
pub(crate) struct MeterLayer<P = Plain>(Meter, P);

/// A limit with so many calls left.
pub(crate) fn meter(name: &'static str, limit: u64, left: u64) -> MeterLayer {
    let meter = Meter {
        name: Name::new(name),
        limit,
        left,
        wait: Duration::from_millis(1200),
    };
    MeterLayer(meter, Plain::new())
}

impl<P: Adopt<Q>, Q> Adopt<Q> for MeterLayer<P> {
    type Adopted = MeterLayer<P::Adopted>;

    fn adopt(self, protocol: Q) -> Self::Adopted {
        MeterLayer(self.0, self.1.adopt(protocol))
    }

    fn quota_sources(&self, sources: &mut QuotaSources) {
        sources.push(Arc::new(self.0.clone()));
    }
}

impl<S, P: Clone> Layer<S> for MeterLayer<P> {
    type Service = Guarded<S, Meter, P>;

    fn layer(&self, inner: S) -> Self::Service {
        Guarded::new(inner, self.0.clone(), self.1.clone())
    }
}

async fn hello(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

async fn headers<S, B>(service: S) -> HeaderMap
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible>,
{
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.headers().clone()
}

/// Those that have to do with quotas, in the order of their names.
fn fields(headers: &HeaderMap) -> Vec<String> {
    let is_meant = |name: &str| name.contains("ratelimit") || name == "retry-after";
    let all = headers.iter().filter(|(name, _)| is_meant(name.as_str()));
    let mut fields: Vec<_> = all
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    fields.sort();
    fields
}

macro_rules! told {
    ($layer:expr) => {
        told!($layer, service_fn(hello))
    };
    ($layer:expr, $service:expr) => {
        fields(&headers($layer.layer($service)).await)
    };
}

const NOTHING: [&str; 0] = [];

// proves: S-11
#[tokio::test]
async fn an_admitted_client_hears_what_is_left_and_never_of_whom() {
    let expected = [
        r#"ratelimit-policy: "default";q=100;w=60"#,
        r#"ratelimit: "default";r=49;t=30"#,
    ];
    let limit = || meter("secret-component", 100, 50);
    assert_eq!(told!(respond(limit())), expected);
    assert_eq!(told!(respond((limit(),))), expected);
    assert_eq!(told!(respond(limit().until_headers())), expected);
    assert_eq!(
        told!(respond((recorder().0, limit(), recorder().0))),
        expected
    );
    let all = headers(respond(limit()).layer(service_fn(hello))).await;
    assert!(!format!("{all:?}").contains("secret"));
}

#[tokio::test]
async fn a_client_that_is_refused_hears_the_policy_and_its_wait() {
    let expected = [
        r#"ratelimit-policy: "default";q=100;w=60"#,
        r#"ratelimit: "default";r=0;t=2"#,
        "retry-after: 2",
    ];
    let limit = || meter("secret-component", 100, 0);
    assert_eq!(told!(respond(limit())), expected);
    assert_eq!(
        told!(respond((meter("wide", 1000, 900), limit()))),
        expected
    );
    assert_eq!(told!(respond((limit(), meter("wide", 1000, 0)))), expected);
    assert_eq!(
        told!(respond((recorder().0, limit().until_headers()))),
        expected
    );
    let own = respond(limit()).render(|_| Response::new("no"));
    assert_eq!(told!(own), expected[..2]);
    let all = headers(respond(limit()).layer(service_fn(hello))).await;
    assert!(!format!("{all:?}").contains("secret"));
}

#[tokio::test]
async fn refusals_that_have_nothing_to_do_with_quotas_have_no_fields() {
    let wait = Some(Duration::from_secs(1));
    for reason in Reason::ALL {
        // It refuses under a name that no source has.
        let layers = respond((meter("limit", 100, 50), refuser(reason, wait)));
        assert_eq!(told!(layers), ["retry-after: 1"], "{reason}");
    }
    let shut = refuser(Reason::Overloaded, None);
    let limit = meter("limit", 100, 50);
    assert_eq!(told!(respond((shut, limit))), NOTHING);
}

#[tokio::test]
async fn of_two_limits_the_one_with_less_left_is_told() {
    let (narrow, wide) = (|| meter("narrow", 10, 4), || meter("wide", 1000, 900));
    let expected = [
        r#"ratelimit-policy: "default";q=10;w=60"#,
        r#"ratelimit: "default";r=3;t=30"#,
    ];
    assert_eq!(told!(respond((narrow(), wide()))), expected);
    assert_eq!(told!(respond((wide(), narrow()))), expected);
    let nested = respond(wide()).layer(respond(narrow()).layer(service_fn(hello)));
    assert_eq!(fields(&headers(nested).await), expected);
    let refused = respond(wide()).layer(respond(meter("spent", 10, 0)).layer(service_fn(hello)));
    let told = fields(&headers(refused).await);
    assert_eq!(
        told[1..],
        [r#"ratelimit: "default";r=0;t=2"#, "retry-after: 2"]
    );
}

#[tokio::test]
async fn of_two_limits_of_one_name_no_policy_is_told_that_may_be_the_wrong_one() {
    let (spent, other) = (|| meter("same", 10, 0), || meter("same", 1000, 900));
    assert_eq!(told!(respond((spent(), other()))), ["retry-after: 2"]);
    assert_eq!(told!(respond((other(), spent()))), ["retry-after: 2"]);
    // Where both say the same, it is no matter which of them has refused.
    assert_eq!(told!(respond((spent(), spent()))).len(), 3);
    let named = respond(spent()).quota_source(Arc::new(spent().0));
    assert_eq!(told!(named).len(), 3, "named twice");
}

#[tokio::test]
async fn what_a_handler_says_of_quotas_stays() {
    async fn own(_: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
        let response = Response::builder().header("ratelimit", r#""daily";r=7"#);
        Ok(response.body(Full::default()).unwrap())
    }
    let limit = respond(meter("limit", 100, 50));
    assert_eq!(told!(limit, service_fn(own)), [r#"ratelimit: "daily";r=7"#]);
}

#[tokio::test]
async fn the_fields_are_a_choice() {
    let x = [
        "x-ratelimit-limit: 100",
        "x-ratelimit-remaining: 49",
        "x-ratelimit-reset: 30",
    ];
    let limit = || meter("limit", 100, 50);
    let chosen = |fields| respond((limit(), recorder().0)).quota_fields(fields);
    assert_eq!(told!(chosen(QuotaFields::None)), NOTHING);
    assert_eq!(told!(chosen(QuotaFields::XRateLimit)), x);
    let both = told!(chosen(QuotaFields::Draft11AndXRateLimit));
    assert_eq!((both.len(), &both[2..]), (5, &x.map(str::to_owned)[..]));
    let alone = respond((limit().quota_fields(QuotaFields::XRateLimit), recorder().0));
    assert_eq!(told!(alone), x);

    let spent = || respond(meter("limit", 100, 0));
    let off = spent().quota_fields(QuotaFields::None);
    assert_eq!(told!(off), ["retry-after: 2"]);
    let on = spent().quota_fields(QuotaFields::XRateLimit);
    assert_eq!(told!(on)[2], "x-ratelimit-remaining: 0");
}

#[tokio::test]
async fn a_limit_of_what_goes_out_tells_nobody() {
    let limit = || meter("outbound", 100, 50);
    let client = (limit().http(), WidenLayer).layer(service_fn(hello));
    let response = client.oneshot(Request::new(())).await.unwrap();
    assert_eq!(fields(response.headers()), NOTHING);
    let client = (limit().http().until_headers(), WidenLayer).layer(service_fn(hello));
    let response = client.oneshot(Request::new(())).await.unwrap();
    assert_eq!(fields(response.headers()), NOTHING);
    // It stands around channels, too.
    assert_eq!(told!(respond_grpc(limit())), NOTHING);
}

#[tokio::test]
async fn over_grpc_the_fields_are_told_where_somebody_says_so() {
    let limit = meter("limit", 100, 50);
    let told = told!(respond_grpc(limit).quota_fields(QuotaFields::Draft11));
    assert_eq!(told[1], r#"ratelimit: "default";r=49;t=30"#);
    let spent = respond_grpc(meter("limit", 100, 0)).quota_fields(QuotaFields::Draft11);
    let told = told!(spent);
    assert_eq!(told[1], r#"ratelimit: "default";r=0;t=2"#);
    assert_eq!(told!(respond_grpc(meter("limit", 100, 0))), NOTHING);
}

#[tokio::test]
async fn a_flat_stack_names_its_limits_itself() {
    let flat = |left, top: RespondLayer| {
        let limit = meter("limit", 100, left).http();
        let limit = limit.quota_fields(QuotaFields::Draft11);
        ServiceBuilder::new()
            .layer(top.quotas_of(&limit))
            .layer(limit)
            .layer(WidenLayer)
            .service(service_fn(hello))
    };
    let told = fields(&headers(flat(50, RespondLayer::new())).await);
    assert_eq!(told[1], r#"ratelimit: "default";r=49;t=30"#);
    let told = fields(&headers(flat(0, RespondLayer::new())).await);
    assert_eq!(told[1], r#"ratelimit: "default";r=0;t=2"#);
    let silent = RespondLayer::new().quota_fields(QuotaFields::None);
    assert_eq!(fields(&headers(flat(0, silent)).await), ["retry-after: 2"]);

    let spent = || meter("limit", 100, 0).http();
    let flat = |top: RespondLayer| (top, spent(), WidenLayer).layer(service_fn(hello));
    let told = fields(&headers(flat(RespondLayer::new())).await);
    assert_eq!(told, ["retry-after: 2"], "nobody named it");
    let named = RespondLayer::new().quota_source(Arc::new(spent().0));
    assert_eq!(fields(&headers(flat(named)).await).len(), 3);
}

#[tokio::test]
async fn a_limit_in_a_foreign_layer_is_named_by_hand() {
    let spent = || meter("limit", 100, 0);
    let layers = || respond((recorder().0, as_is(spent().http())));
    assert_eq!(told!(layers()), ["retry-after: 2"]);
    let named = layers().quota_source(Arc::new(spent().0));
    assert_eq!(told!(named).len(), 3);
}
