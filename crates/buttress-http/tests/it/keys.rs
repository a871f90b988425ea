//! Whose call it is, as axum's connections say it.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::connect_info::MockConnectInfo;
use axum::extract::{MatchedPath, Request};
use axum::routing::get;
use buttress_core::Key;
use buttress_http::{ClientIp, by_path, respond};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::quotas::meter;
use crate::support::spawn;

/// Says who it takes the client for.
fn app(client: ClientIp) -> Router {
    let name = move |request: Request| async move {
        client
            .key(&request)
            .map_or_else(|| "nobody".to_owned(), |key| key.to_string())
    };
    Router::new().route("/", get(name))
}

async fn ask(address: SocketAddr, chain: &'static str) -> http::Response<Bytes> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let request = http::Request::builder()
        .uri(format!("http://{address}/"))
        .header("x-forwarded-for", chain);
    let response = client.request(request.body(Empty::new()).unwrap()).await;
    let (head, body) = response.unwrap().into_parts();
    http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

async fn listen(address: &str) -> Option<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await.ok()?;
    let address = listener.local_addr().unwrap();
    Some((listener, address))
}

#[tokio::test]
async fn axum_says_who_is_connected_when_it_is_asked_to() {
    for (client, expected) in [
        (ClientIp::peer(), "127.0.0.1"),
        (ClientIp::peer().trusting(["127.0.0.0/8"]), "203.0.113.9"),
        (ClientIp::peer().trusting(["10.0.0.0/8"]), "127.0.0.1"),
        (ClientIp::peer().hops(2), "198.51.100.1"),
    ] {
        let (listener, address) = listen("127.0.0.1:0").await.unwrap();
        let app = app(client).into_make_service_with_connect_info::<SocketAddr>();
        spawn(async move { axum::serve(listener, app).await });
        let answer = ask(address, "198.51.100.1, 203.0.113.9").await;
        assert_eq!(answer.body(), expected);
    }
}

#[tokio::test]
async fn a_router_that_is_served_as_it_is_knows_no_client() {
    let (listener, address) = listen("127.0.0.1:0").await.unwrap();
    spawn(async move { axum::serve(listener, app(ClientIp::peer().hops(1))).await });
    assert_eq!(ask(address, "203.0.113.9").await.body(), "nobody");
}

#[tokio::test]
async fn a_listener_for_both_kinds_sees_ipv4_as_ipv4() {
    // A machine without IPv6 has nothing to show here.
    let Some((listener, address)) = listen("[::]:0").await else {
        return;
    };
    let app = app(ClientIp::peer()).into_make_service_with_connect_info::<SocketAddr>();
    spawn(async move { axum::serve(listener, app).await });
    let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    assert_eq!(ask(address, "203.0.113.9").await.body(), "127.0.0.1");
}

#[tokio::test]
async fn a_test_without_a_connection_says_who_it_is_as_axum_has_it() {
    let mock = MockConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711)));
    let app = app(ClientIp::peer()).layer(mock);
    let request = Request::new(axum::body::Body::empty());
    let answer = app.oneshot(request).await.unwrap();
    assert_eq!(
        answer.into_body().collect().await.unwrap().to_bytes(),
        "192.0.2.1"
    );
}

#[tokio::test]
async fn a_matched_route_is_one_key_where_a_path_is_many() {
    let keys = |request: Request| async move {
        let route = request.extensions().get::<MatchedPath>().unwrap();
        format!("{} {}", route.as_str(), by_path().key(&request).unwrap())
    };
    let app = Router::new().route("/order/{id}", get(keys));
    let ask = async |path: &str| {
        let request = Request::builder()
            .uri(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.split_once(' ')
            .map(|(route, key)| (route.to_owned(), key.to_owned()))
            .unwrap()
    };
    let (one, other) = (ask("/order/1").await, ask("/order/2").await);
    assert_eq!((one.0.as_str(), &one.0), ("/order/{id}", &other.0));
    assert_ne!(one.1, other.1);
    assert_eq!(one.1, ask("/order/1").await.1);
}

#[tokio::test]
async fn a_client_of_axum_reads_its_quota() {
    for (left, status, field) in [
        (50, 200, r#""default";r=49;t=30"#),
        (0, 429, r#""default";r=0;t=2"#),
    ] {
        let (listener, address) = listen("127.0.0.1:0").await.unwrap();
        let app = app(ClientIp::peer()).layer(respond(meter("limit", 100, left)));
        spawn(async move { axum::serve(listener, app).await });
        let answer = ask(address, "203.0.113.9").await;
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["ratelimit"], field);
        assert_eq!(
            answer.headers()["ratelimit-policy"],
            r#""default";q=100;w=60"#
        );
        assert_eq!(answer.headers().contains_key("retry-after"), status == 429);
    }
}
