//! The chain of addresses that proxies write into a request, read from the right: from the nearest proxy towards the client.

use std::iter::Rev;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::HeaderMap;
use http::header::{FORWARDED, GetAll, HeaderName, HeaderValue, ValueIter};

/// The most that is read of a chain. Further left stands only what its client wrote, or proxies wrote that nobody has so many of.
const MOST_ENTRIES: usize = 32;
const MOST_BYTES: usize = 4096;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// In which header the chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    XForwardedFor,
    Forwarded,
}

/// Whom a proxy has seen at the other end of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Address(IpAddr),
    /// It did not say, or not so that anybody could read it.
    Unknown,
}

/// The chain from the right. Where it is longer than is read, one that is unknown ends it.
pub(crate) fn hops(headers: &HeaderMap, field: Field) -> Hops<'_> {
    let name = match field {
        Field::XForwardedFor => X_FORWARDED_FOR,
        Field::Forwarded => FORWARDED,
    };
    let all: GetAll<'_, HeaderValue> = headers.get_all(name);
    Hops {
        lines: all.iter().rev(),
        line: None,
        field,
        entries_left: MOST_ENTRIES,
        bytes_left: MOST_BYTES,
    }
}

pub(crate) struct Hops<'a> {
    lines: Rev<ValueIter<'a, HeaderValue>>,
    /// What is left of the line that is being read.
    line: Option<&'a [u8]>,
    field: Field,
    entries_left: usize,
    bytes_left: usize,
}

impl Iterator for Hops<'_> {
    type Item = Hop;

    fn next(&mut self) -> Option<Hop> {
        loop {
            let line = match self.line.take() {
                Some(line) => line,
                None => self.lines.next()?.as_bytes(),
            };
            let Some(entry) = self.last_entry(line) else {
                self.entries_left = 0;
                return Some(Hop::Unknown);
            };
            // A list may have empty entries, which mean nothing.
            let entry = entry.trim_ascii();
            if !entry.is_empty() {
                return Some(self.field.read(entry));
            }
        }
    }
}

impl<'a> Hops<'a> {
    /// Cuts off the last entry of the line, unless enough has been read.
    fn last_entry(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        self.entries_left = self.entries_left.checked_sub(1)?;
        let unread = line.len().saturating_sub(self.bytes_left);
        let (beyond, within) = line.split_at_checked(unread)?;
        let entry = match self.field.last_comma(within) {
            Some(comma) => {
                self.line = line.get(..unread + comma);
                within.get(comma + 1..)?
            }
            None if beyond.is_empty() => within,
            None => return None,
        };
        self.bytes_left = self.bytes_left.saturating_sub(entry.len() + 1);
        Some(entry)
    }
}

impl Field {
    fn last_comma(self, list: &[u8]) -> Option<usize> {
        match self {
            Self::XForwardedFor => list.iter().rposition(|byte| *byte == b','),
            Self::Forwarded => last_unquoted_comma(list),
        }
    }

    fn read(self, entry: &[u8]) -> Hop {
        let address = match self {
            Self::XForwardedFor => x_forwarded_for(entry),
            Self::Forwarded => forwarded(entry),
        };
        address.map_or(Hop::Unknown, Hop::Address)
    }
}

/// From the right, so that nothing further left can change what our own proxy's entry means: a quote that a client opened is
/// closed in nobody else's entry.
fn last_unquoted_comma(list: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut end = list.len();
    while let Some((last, before)) = list.get(..end)?.split_last() {
        match last {
            b',' if !quoted => return Some(before.len()),
            b'"' if !is_escaped(before) => quoted = !quoted,
            _ => {}
        }
        end = before.len();
    }
    None
}

/// Whether what comes after these bytes is escaped by the backslashes at their end.
fn is_escaped(before: &[u8]) -> bool {
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
    backslashes.count() % 2 == 1
}

/// An address, with a port or without: there is no standard, and some proxies write one.
fn x_forwarded_for(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?;
    let bare = text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    bare.or_else(|| node(text))
}

/// The node behind `for`, in an element of `Forwarded` that keeps to its grammar.
fn forwarded(element: &[u8]) -> Option<IpAddr> {
    node(str::from_utf8(for_parameter(element)?).ok()?)
}

/// The value of `for`, which stands in an element once at most.
///
/// A value with an escaped character in it is none that stands for an address.
fn for_parameter(element: &[u8]) -> Option<&[u8]> {
    let mut rest = element;
    let mut found = None;
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return found;
        }
        if rest.first() != Some(&b';') {
            let (name, after) = token(rest)?;
            let (value, after) = value(after.strip_prefix(b"=")?)?;
            if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
                return None;
            }
            rest = after.trim_ascii_start();
        }
        match rest.split_first() {
            None => return found,
            Some((b';', after)) => rest = after,
            Some(_) => return None,
        }
    }
}

/// A token, and what follows it.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let end = text.iter().position(|byte| !is_token(*byte));
    let (token, after) = text.split_at_checked(end.unwrap_or(text.len()))?;
    (!token.is_empty()).then_some((token, after))
}

/// A token or what stands in quotes, and what follows it.
fn value(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        return token(text);
    };
    let mut is_escaped = false;
    let end = quoted.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    let (value, after) = quoted.split_at_checked(end?)?;
    Some((value, after.get(1..)?))
}

/// An IPv4 address or an IPv6 address in brackets, perhaps with a port; not `unknown`, and no obfuscated identifier.
fn node(text: &str) -> Option<IpAddr> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (address, port) = text.split_at_checked(end)?;
            (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port)
        }
    };
    is_port(port).then_some(address)
}

/// Nothing, or a colon and one to five digits, or a colon and an obfuscated identifier.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else {
        return text.is_empty();
    };
    match port.strip_prefix('_') {
        None => (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit()),
        Some(name) => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !name.is_empty() && name.bytes().all(is_plain)
        }
    }
}

#[cfg(test)]
mod tests;
