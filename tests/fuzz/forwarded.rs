//! Whom the proxies in front say that a request comes from: `X-Forwarded-For` and `Forwarded`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use buttress_core::Key;
use buttress_http::{ClientIp, Peer};
use http::{HeaderName, HeaderValue, Request};

use crate::mutation::Chance;

const PEERS: [&str; 5] = [
    "10.0.0.1",
    "::ffff:10.9.9.9",
    "2001:db8::5",
    "192.0.2.1",
    "fe80::1",
];
const OURS: [&str; 2] = ["10.0.0.0/8", "2001:db8::/32"];

/// The first byte chooses the peer, the second how many hops there are; then come lines, `x` of the one header, `f` of the other.
pub(crate) fn target(data: &[u8]) {
    let (head, lines) = data.split_at(data.len().min(2));
    let peer = PEERS[usize::from(head.first().copied().unwrap_or(0)) % PEERS.len()];
    let hops = head.get(1).copied().unwrap_or(0);
    let peer: IpAddr = peer.parse().unwrap();
    let lines: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').collect();
    let request = request(peer, &lines);
    let key = |client: &ClientIp| client.key(&request).unwrap().to_string();

    assert_eq!(key(&ClientIp::peer()), named(peer));
    assert_eq!(key(&ClientIp::peer().forwarded()), named(peer));
    for name in [b'x', b'f'] {
        let chain = naive_chain(&lines, name);
        let client = match name {
            b'x' => ClientIp::peer(),
            _ => ClientIp::peer().forwarded(),
        };
        let told = key(&client.clone().trusting(OURS));
        assert_eq!(told, named(naive_walk(peer, &chain).unwrap_or(peer)));
        if !is_ours(peer) {
            assert_eq!(told, named(peer), "nobody here may say so");
        }
        let told = key(&client.clone().hops(hops));
        let nth = usize::from(hops).checked_sub(1);
        let nth = nth.and_then(|nth| chain.get(nth).copied().flatten());
        assert_eq!(told, named(nth.unwrap_or(peer)));
    }
}

fn request(peer: IpAddr, lines: &[&[u8]]) -> Request<()> {
    let mut request = Request::new(());
    request
        .extensions_mut()
        .insert(Peer(SocketAddr::new(peer, 4711)));
    for (name, line) in lines.iter().filter_map(|line| line.split_first()) {
        let name = match name {
            b'x' => HeaderName::from_static("x-forwarded-for"),
            b'f' => HeaderName::from_static("forwarded"),
            _ => continue,
        };
        if let Ok(value) = HeaderValue::from_bytes(line) {
            request.headers_mut().append(name, value);
        }
    }
    request
}

// === The same again, without care for what it costs ===

fn named(address: IpAddr) -> String {
    match plain(address) {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if v6.segments()[..6] == [0, 0, 0, 0, 0, 0xffff] => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

fn is_ours(address: IpAddr) -> bool {
    match plain(address) {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0xdb8],
    }
}

fn naive_walk(peer: IpAddr, chain: &[Option<IpAddr>]) -> Option<IpAddr> {
    let known: Vec<IpAddr> = chain.iter().map_while(|hop| *hop).collect();
    let stranger = known.iter().find(|address| !is_ours(**address));
    match stranger {
        _ if !is_ours(peer) => None,
        Some(stranger) => Some(*stranger),
        None if known.len() < chain.len() => None,
        None => known.last().copied(),
    }
}

/// From the right, as far as is read; what is beyond that is one that nobody knows.
fn naive_chain(lines: &[&[u8]], name: u8) -> Vec<Option<IpAddr>> {
    let mut chain = Vec::new();
    let (mut entries, mut bytes) = (32_usize, 4096_usize);
    let texts = lines
        .iter()
        .filter_map(|line| line.strip_prefix(&[name]))
        .filter_map(|line| HeaderValue::from_bytes(line).ok())
        // Each byte a character: what is no UTF-8 stays what it is.
        .map(|line| {
            line.as_bytes()
                .iter()
                .map(|byte| char::from(*byte))
                .collect()
        })
        .collect::<Vec<String>>();
    for text in texts.iter().rev() {
        let list: Vec<char> = text.chars().collect();
        let split = split_naively(&list, name);
        for (at, entry) in split.iter().enumerate().rev() {
            let needed = entry.len() + usize::from(at > 0);
            if entries == 0 || needed > bytes {
                chain.push(None);
                return chain;
            }
            entries -= 1;
            bytes = bytes.saturating_sub(entry.len() + 1);
            let entry: String = entry.iter().collect();
            match entry.trim_matches([' ', '\t']) {
                "" => {}
                entry if name == b'x' => chain.push(address(entry, true).map(plain)),
                entry => chain.push(
                    parameter(entry)
                        .and_then(|node| address(&node, false))
                        .map(plain),
                ),
            }
        }
    }
    chain
}

/// The entries of a list, the first first. A comma parts two when the quotes to the right of it, up to the next that does, are
/// even in number.
fn split_naively(list: &[char], name: u8) -> Vec<Vec<char>> {
    let mut entries = Vec::new();
    let mut end = list.len();
    for at in (0..list.len()).rev().filter(|at| list[*at] == ',') {
        let quotes = (at..end).filter(|quote| list[*quote] == '"' && !is_escaped(list, *quote));
        if name == b'x' || quotes.count() % 2 == 0 {
            entries.insert(0, list[at + 1..end].to_vec());
            end = at;
        }
    }
    entries.insert(0, list[..end].to_vec());
    entries
}

fn is_escaped(list: &[char], at: usize) -> bool {
    at > 0 && list[at - 1] == '\\' && !is_escaped(list, at - 1)
}

/// What stands behind the only `for` of a well-formed element.
fn parameter(element: &str) -> Option<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in element.chars() {
        if c == ';' && !quoted {
            parts.push(String::new());
            continue;
        }
        parts.last_mut().unwrap().push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    let mut found = Vec::new();
    for part in &parts {
        let part = part.trim_matches([' ', '\t']);
        if part.is_empty() {
            continue;
        }
        let (name, value) = part.split_once('=')?;
        let value = match value.strip_prefix('"') {
            Some(rest) => quoted_text(rest.strip_suffix('"')?)?,
            None => token(value)?,
        };
        if token(name)?.eq_ignore_ascii_case("for") {
            found.push(value);
        }
    }
    match found.as_slice() {
        [value] => Some((*value).to_owned()),
        _ => None,
    }
}

fn token(text: &str) -> Option<&str> {
    let is_token = |c: char| c.is_ascii_graphic() && !"\"(),/:;<=>?@[\\]{}".contains(c);
    (!text.is_empty() && text.chars().all(is_token)).then_some(text)
}

/// The inside of quotes that end where they should.
fn quoted_text(text: &str) -> Option<&str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()?),
            '"' => return None,
            _ => {}
        }
    }
    Some(text)
}

fn address(text: &str, bare: bool) -> Option<IpAddr> {
    let alone = |text: &str| {
        let v4 = text.parse::<Ipv4Addr>().ok().map(IpAddr::from);
        let inside = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let v6 = inside.and_then(|text| text.parse::<Ipv6Addr>().ok());
        v4.or(v6.map(IpAddr::from))
    };
    let v6 = text.parse::<Ipv6Addr>().ok().filter(|_| bare);
    v6.map(IpAddr::from).or_else(|| alone(text)).or_else(|| {
        let (address, port) = text.rsplit_once(':')?;
        let is_number = (1..=5).contains(&port.len()) && port.chars().all(|c| c.is_ascii_digit());
        let name = port.strip_prefix('_').filter(|name| !name.is_empty());
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let is_named = name.is_some_and(|name| name.chars().all(is_plain));
        alone(address).filter(|_| is_number || is_named)
    })
}

// === What proxies write, and clients ===

pub(crate) fn generate(chance: &mut Chance) -> Vec<u8> {
    let hops = chance.one_of(&[0, 1, 1, 2, 3, 5, 32, 33, 255]);
    let mut input = vec![chance.below(5) as u8, *hops];
    for _ in 0..=chance.below(3) {
        let name = *chance.one_of(&["x", "f"]);
        let entries = if chance.below(50) == 0 {
            40
        } else {
            chance.below(5)
        };
        let list: Vec<_> = (0..=entries).map(|_| entry(chance, name)).collect();
        let comma = chance.one_of(&[", ", ",", " ,", ",,", ", ,\t"]);
        input.extend_from_slice(name.as_bytes());
        input.extend_from_slice(list.join(comma).as_bytes());
        if chance.below(50) == 0 {
            let room = 3900 + chance.below(300);
            input.extend(std::iter::repeat_n(b' ', room));
            input.extend_from_slice(b",10.0.0.7");
        }
        input.push(b'\n');
    }
    input
}

fn entry(chance: &mut Chance, name: &str) -> String {
    let node = node(chance);
    if name == "x" {
        return node;
    }
    let quote = chance.below(4) != 0 || node.contains([':', '[']) && chance.below(10) != 0;
    let node = if quote { format!("\"{node}\"") } else { node };
    let label = chance.one_of(&["for", "for", "For", "FOR", "for", "by", "host"]);
    let other = chance.one_of(&[
        "proto=https",
        "by=\"_a,b;c\"",
        "host=\"a\\\"b\\\\\"",
        "for=10.0.0.3",
        "for=\"",
        "\\",
        "host=\"",
        "x",
        "",
    ]);
    let semicolon = chance.one_of(&[";", "; ", " ; ", ";;"]);
    match chance.below(6) {
        0 => format!("{label}={node}{semicolon}{other}"),
        1 => format!("{other}{semicolon}{label}={node}"),
        2 => (*other).to_owned(),
        _ => format!("{label}={node}"),
    }
}

fn node(chance: &mut Chance) -> String {
    let byte = chance.u64() % 256;
    let port = chance.one_of(&["", "", "", ":80", ":65536", ":123456", ":_x", ":_", ":"]);
    match chance.below(12) {
        0..=3 => format!("10.0.{byte}.2{port}"),
        4 => format!("203.0.113.{byte}{port}"),
        5 => format!("[2001:db8::{byte:x}]{port}"),
        6 => format!("2001:db8:{byte:x}::1"),
        7 => format!("[2001:db9:{byte:x}::1]{port}"),
        8 => format!("::ffff:10.0.0.{byte}"),
        9 => format!("[::ffff:203.0.113.{byte}]{port}"),
        10 => (*chance.one_of(&[
            "unknown",
            "_hidden",
            "",
            "localhost",
            "10.0.0.01",
            "10.0.0.256",
        ]))
        .to_owned(),
        _ => format!("10.0.0.2 {byte}"),
    }
}
