//! Which protocol a layer ends up with: types, checked by the compiler, and the verdicts that follow from them.

use std::any::{TypeId, type_name};
use std::convert::Infallible;

use buttress_core::{Adopt, Plain, Verdict, WidenLayer};
use buttress_http::{
    ByGrpcStatus, ByStatus, Grpc, Http, HttpExt, RespondLayer, UntilHeaders, as_is, by_head,
};
use http::{Request, Response, StatusCode};
use tower::layer::util::Identity;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::{FAILURE, SUCCESS, recorder};

fn same<A: 'static, B: 'static>(_: A) {
    assert_eq!(
        TypeId::of::<A>(),
        TypeId::of::<B>(),
        "{} is no {}",
        type_name::<A>(),
        type_name::<B>()
    );
}

type ShortHttp = Http<ByStatus, UntilHeaders>;
type ShortGrpc = Grpc<ByGrpcStatus, UntilHeaders>;

#[test]
fn a_protocol_is_taken_on_where_none_was_chosen_and_the_first_choice_stays() {
    same::<_, Http>(Plain::new().http());
    same::<_, Grpc>(Plain::new().grpc());
    same::<_, Http>(Plain::new().http().grpc().http());
    same::<_, Grpc>(Plain::new().grpc().http());
}

#[test]
fn until_headers_stands_before_or_after_the_protocol() {
    same::<_, ShortHttp>(Plain::new().http().until_headers());
    same::<_, ShortHttp>(Plain::new().until_headers().http());
    same::<_, ShortHttp>(Http::new().until_headers().until_headers());
    same::<_, UntilHeaders>(Plain::new().until_headers().until_headers());
    same::<_, ShortGrpc>(Plain::new().grpc().until_headers());
    same::<_, ShortGrpc>(Plain::new().until_headers().grpc().http());
}

#[test]
fn a_tuple_takes_it_on_in_each_of_its_layers() {
    let tuple = (
        Plain::new(),
        Plain::new().until_headers(),
        Plain::new().grpc(),
        WidenLayer,
    );
    same::<_, (Http, ShortHttp, Grpc, WidenLayer)>(tuple.http());
    same::<_, (RespondLayer, Http)>((RespondLayer::new(), Plain::new()).http());
}

#[test]
fn a_foreign_layer_stays_as_it_is() {
    same::<_, buttress_http::AsIs<Identity>>(as_is(Identity::new()).adopt(Http::new()));
}

async fn not_found(_: Request<()>) -> Result<Response<String>, Infallible> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// The classifier survives, whichever protocol comes later and whenever the call is over.
#[tokio::test]
async fn a_chosen_classifier_survives_the_adoption() {
    macro_rules! strict {
        () => {
            by_head(|head| match head.status().as_u16() {
                404 => Verdict::Failure,
                _ => head.usual().0,
            })
        };
    }
    macro_rules! ends_with {
        ($ending:expr, |$layer:ident| $adopted:expr) => {{
            let ($layer, mut ledger) = recorder();
            let service = $adopted.layer(WidenLayer.layer(service_fn(not_found)));
            drop(service.oneshot(Request::new(())).await.unwrap());
            assert_eq!(ledger.next().await, $ending);
        }};
    }
    ends_with!(SUCCESS, |layer| layer.http());
    ends_with!(FAILURE, |layer| layer.classify(strict!()).http());
    ends_with!(FAILURE, |layer| layer.http().classify(strict!()));
    ends_with!(FAILURE, |layer| layer
        .classify(strict!())
        .until_headers()
        .http());
    ends_with!(FAILURE, |layer| layer
        .until_headers()
        .classify(strict!())
        .http());
    ends_with!(FAILURE, |layer| layer
        .http()
        .classify(strict!())
        .until_headers()
        .grpc());
}
