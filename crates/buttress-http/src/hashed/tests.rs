use std::collections::HashSet;

use http::HeaderValue;

use super::*;

const NAME: HeaderName = HeaderName::from_static("x-tenant");

fn with(values: &[&str]) -> Request<()> {
    let mut request = Request::new(());
    for value in values {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(NAME, value);
    }
    request
}

fn key(values: &[&str]) -> Option<HashedKey> {
    by_header(NAME).key(&with(values))
}

#[test]
fn a_header_that_is_not_there_is_no_key_and_an_empty_one_is() {
    assert_eq!(key(&[]), None);
    assert!(key(&[""]).is_some());
    assert_eq!(key(&[""]), key(&[""]));
    assert_ne!(key(&[""]), key(&["", ""]));
}

#[test]
fn several_values_are_one_key_of_their_own() {
    let all = [
        &["red"][..],
        &["Red"],
        &["red", "red"],
        &["red, red"],
        &["re", "d"],
        &["r", "ed"],
        &["red", ""],
        &["", "red"],
        &["blue", "red"],
        &["red", "blue"],
        &["redblue"],
    ];
    let keys: HashSet<_> = all.iter().map(|values| key(values).unwrap()).collect();
    assert_eq!(keys.len(), all.len());
}

#[test]
fn a_text_of_any_length_is_sixteen_bytes_that_do_not_tell_it() {
    assert_eq!(size_of::<HashedKey>(), 16);
    let long = "secret".repeat(10_000);
    let key = key(&[&long]).unwrap();
    assert_eq!(key.to_string().len(), 32);
    assert!(!format!("{key} {key:?}").contains("secret"));
    assert_ne!(key.high, key.low);
}

#[test]
fn a_path_counts_without_its_method_and_query() {
    let of = |method: &str, uri: &str| {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        by_path().key(&request).unwrap()
    };
    assert_eq!(of("GET", "/order"), of("POST", "/order?id=7"));
    assert_eq!(of("GET", "/order"), of("GET", "http://shop.example/order"));
    assert_ne!(of("GET", "/order"), of("GET", "/order/"));
    assert_ne!(of("GET", "/order"), of("GET", "/Order"));
    assert_eq!(of("OPTIONS", "*"), of("OPTIONS", "*"));
}

#[test]
fn a_uri_counts_with_its_host_and_query_whatever_the_method() {
    let of = |method: &str, uri: &str, host: Option<&str>| {
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        by_uri().key(&request.body(()).unwrap()).unwrap()
    };
    let order = of("GET", "http://shop/order?id=7", None);
    assert_eq!(order, of("PUT", "/order?id=7", Some("shop")));
    for (uri, host) in [
        ("/order?id=8", "shop"),
        ("/order?", "shop"),
        ("/order", "shop"),
        ("/order?id=7", "store"),
        ("/orde?r?id=7", "shop"),
        ("/order?id=7", ""),
    ] {
        assert_ne!(order, of("GET", uri, Some(host)), "{uri} {host}");
    }
    assert_ne!(of("GET", "/order?", None), of("GET", "/order", None));
}

#[test]
fn many_keys_are_many() {
    let keys = (0..100_000).map(|number: u32| HashedKey::of([number.to_string()].into_iter()));
    assert_eq!(keys.collect::<HashSet<_>>().len(), 100_000);
}
