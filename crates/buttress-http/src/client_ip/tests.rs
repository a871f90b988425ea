use std::net::SocketAddr;

use buttress_core::Key;
use http::{HeaderName, HeaderValue};

use super::*;
use crate::Peer;

fn request(peer: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::new(());
    let peer: IpAddr = peer.parse().unwrap();
    request
        .extensions_mut()
        .insert(Peer(SocketAddr::new(peer, 4711)));
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).unwrap();
        request
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    request
}

fn client(client: &ClientIp, peer: &str, chain: &str) -> String {
    let headers: &[_] = if chain.is_empty() {
        &[]
    } else {
        &[("x-forwarded-for", chain)]
    };
    client.key(&request(peer, headers)).unwrap().to_string()
}

// proves: S-1
#[test]
fn the_client_is_the_peer_and_nothing_else_unless_somebody_is_trusted() {
    for chain in ["", "198.51.100.1", "nonsense", "10.0.0.2, 10.0.0.3"] {
        assert_eq!(client(&ClientIp::peer(), "192.0.2.1", chain), "192.0.2.1");
        let trusting = ClientIp::peer().trusting(["10.0.0.0/8"]);
        assert_eq!(
            client(&trusting, "192.0.2.1", chain),
            "192.0.2.1",
            "{chain}"
        );
        assert_eq!(
            client(&ClientIp::peer().hops(0), "192.0.2.1", chain),
            "192.0.2.1"
        );
        let nobody = ClientIp::peer().trusting(<[Cidr; 0]>::default());
        assert_eq!(client(&nobody, "192.0.2.1", chain), "192.0.2.1");
    }
}

#[test]
fn the_walk_ends_at_the_first_that_is_not_trusted() {
    let trusting = ClientIp::peer().trusting(["10.0.0.0/8", "2001:db8::/32"]);
    for (chain, expected) in [
        ("", "10.0.0.1"),
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (
            "198.51.100.1, 203.0.113.9, [2001:db8::1]:80, 10.0.0.2",
            "203.0.113.9",
        ),
        ("nonsense, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("::ffff:203.0.113.9, ::ffff:10.0.0.2", "203.0.113.9"),
        // All of them are ours: then the first has called.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        // What cannot be read on the way is no client's.
        ("203.0.113.9, nonsense, 10.0.0.2", "10.0.0.1"),
        ("203.0.113.9, unknown", "10.0.0.1"),
    ] {
        assert_eq!(client(&trusting, "10.0.0.1", chain), expected, "{chain}");
        assert_eq!(
            client(&trusting, "::ffff:10.0.0.1", chain),
            expected,
            "{chain}"
        );
    }
    let long = format!("203.0.113.9, {}", vec!["10.0.0.2"; 32].join(","));
    assert_eq!(client(&trusting, "10.0.0.1", &long), "10.0.0.1");
}

#[test]
fn so_many_hops_are_counted_from_the_right_whoever_they_are() {
    for (hops, chain, expected) in [
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (2, "198.51.100.1, 203.0.113.9", "198.51.100.1"),
        (2, "198.51.100.1, unknown", "198.51.100.1"),
        (3, "198.51.100.1, 203.0.113.9", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "203.0.113.9, unknown", "192.0.2.1"),
        (255, "203.0.113.9", "192.0.2.1"),
    ] {
        let client = client(&ClientIp::peer().hops(hops), "192.0.2.1", chain);
        assert_eq!(client, expected, "{hops} in {chain}");
    }
    let long = |entries: usize| format!("203.0.113.9{}", ", 10.0.0.2".repeat(entries - 1));
    assert_eq!(
        client(&ClientIp::peer().hops(32), "10.0.0.1", &long(32)),
        "203.0.113.9"
    );
    assert_eq!(
        client(&ClientIp::peer().hops(33), "10.0.0.1", &long(33)),
        "10.0.0.1"
    );
    let last_choice = ClientIp::peer().trusting(["192.0.2.0/24"]).hops(2);
    assert_eq!(
        client(&last_choice, "10.0.0.1", "1.1.1.1, 2.2.2.2"),
        "1.1.1.1"
    );
}

#[test]
fn one_header_is_read_and_never_the_other() {
    let both = request(
        "10.0.0.1",
        &[
            ("x-forwarded-for", "203.0.113.1"),
            ("forwarded", "for=203.0.113.2"),
        ],
    );
    let trusting = ClientIp::peer().trusting(["10.0.0.0/8"]);
    assert_eq!(trusting.key(&both).unwrap().to_string(), "203.0.113.1");
    let forwarded = trusting.clone().forwarded();
    assert_eq!(forwarded.key(&both).unwrap().to_string(), "203.0.113.2");
    let other = request("10.0.0.1", &[("forwarded", "for=203.0.113.2")]);
    assert_eq!(trusting.key(&other).unwrap().to_string(), "10.0.0.1");
    let other = request("10.0.0.1", &[("x-forwarded-for", "203.0.113.1")]);
    assert_eq!(forwarded.key(&other).unwrap().to_string(), "10.0.0.1");
}

// proves: S-1
#[test]
fn ipv6_counts_by_its_network_and_ipv4_by_its_address() {
    let key = |client: &ClientIp, peer: &str| client.key(&request(peer, &[])).unwrap();
    let usual = ClientIp::peer();
    assert_eq!(
        key(&usual, "2001:db8:1:2::1"),
        key(&usual, "2001:db8:1:2:ffff::9")
    );
    assert_ne!(
        key(&usual, "2001:db8:1:2::1"),
        key(&usual, "2001:db8:1:3::1")
    );
    assert_eq!(key(&usual, "2001:db8:1:2::1").to_string(), "2001:db8:1:2::");
    assert_ne!(key(&usual, "192.0.2.1"), key(&usual, "192.0.2.2"));
    assert_eq!(key(&usual, "::ffff:192.0.2.1"), key(&usual, "192.0.2.1"));
    assert_ne!(key(&usual, "::192.0.2.1"), key(&usual, "192.0.2.1"));

    let wide = ClientIp::peer().ipv6_prefix(48);
    assert_eq!(key(&wide, "2001:db8:1:2::1"), key(&wide, "2001:db8:1:3::1"));
    for bits in [128, 255] {
        let narrow = ClientIp::peer().ipv6_prefix(bits);
        assert_ne!(key(&narrow, "2001:db8::1"), key(&narrow, "2001:db8::2"));
    }
    let none = ClientIp::peer().ipv6_prefix(0);
    assert_eq!(key(&none, "2001:db8::1"), key(&none, "fe80::1"));
    assert_ne!(key(&none, "192.0.2.1"), key(&none, "192.0.2.2"));
    assert_ne!(key(&none, "::ffff:0.0.0.0"), key(&none, "::1"));
}

#[test]
fn a_key_is_small_and_tells_its_address() {
    assert_eq!(size_of::<ClientKey>(), 16);
    let address = "192.0.2.1".parse().unwrap();
    let key = ClientIp::peer().key_of(address);
    assert_eq!(key.address(), address);
    assert_eq!(format!("{key} {key:?}"), "192.0.2.1 ClientKey(192.0.2.1)");
    assert_eq!(Some(key), ClientIp::peer().key(&request("192.0.2.1", &[])));
}

#[test]
fn a_request_without_a_peer_has_no_key_whatever_it_says() {
    let mut request = Request::new(());
    let chain = HeaderValue::from_static("203.0.113.9");
    request.headers_mut().insert("x-forwarded-for", chain);
    for client in [
        ClientIp::peer(),
        ClientIp::peer().hops(1),
        ClientIp::peer().trusting(["0.0.0.0/0", "::/0"]),
    ] {
        assert_eq!(client.key(&request), None);
    }
}

#[test]
#[should_panic(
    expected = "client address: `trusting` must be networks like `10.0.0.0/8`, not \"proxy\""
)]
fn what_is_no_network_is_no_proxy() {
    let _ = ClientIp::peer().trusting(["proxy"]);
}

#[test]
fn the_peer_is_found_where_servers_put_it() {
    let address = |last| SocketAddr::from(([192, 0, 2, last], 4711));
    let mut request = Request::new(());
    let key = |request: &Request<()>| ClientIp::peer().key(request).map(|key| key.to_string());
    assert_eq!(key(&request), None);
    #[cfg(feature = "tonic")]
    {
        use tonic::transport::server::TcpConnectInfo;
        let at = |remote_addr| TcpConnectInfo {
            local_addr: None,
            remote_addr,
        };
        request.extensions_mut().insert(at(None));
        assert_eq!(key(&request), None);
        request.extensions_mut().insert(at(Some(address(1))));
        assert_eq!(key(&request).unwrap(), "192.0.2.1");
    }
    request.extensions_mut().insert(address(2));
    assert_eq!(key(&request).unwrap(), "192.0.2.2");
    #[cfg(feature = "axum")]
    {
        use axum::extract::ConnectInfo;
        use axum::extract::connect_info::MockConnectInfo;
        request.extensions_mut().insert(MockConnectInfo(address(3)));
        assert_eq!(key(&request).unwrap(), "192.0.2.3");
        request.extensions_mut().insert(ConnectInfo(address(4)));
        assert_eq!(key(&request).unwrap(), "192.0.2.4");
    }
    request.extensions_mut().insert(Peer(address(5)));
    assert_eq!(key(&request).unwrap(), "192.0.2.5");
}
