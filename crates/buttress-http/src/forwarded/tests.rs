use proptest::prelude::*;

use super::*;

fn of(name: &str, lines: &[&str]) -> HeaderMap {
    let name = HeaderName::try_from(name).unwrap();
    let line = |line: &&str| {
        (
            name.clone(),
            HeaderValue::from_bytes(line.as_bytes()).unwrap(),
        )
    };
    lines.iter().map(line).collect()
}

/// The chain from the right; a dash is what nobody can read.
fn chain(field: Field, lines: &[&str]) -> String {
    let name = match field {
        Field::XForwardedFor => "x-forwarded-for",
        Field::Forwarded => "forwarded",
    };
    let headers = of(name, lines);
    let hops: Vec<_> = hops(&headers, field).take(40).map(written).collect();
    hops.join(" ")
}

fn written(hop: Hop) -> String {
    match hop {
        Hop::Address(address) => address.to_string(),
        Hop::Unknown => "-".to_owned(),
    }
}

#[test]
fn x_forwarded_for_is_a_list_of_addresses_over_any_number_of_lines() {
    for (lines, expected) in [
        (&[][..], ""),
        (&[""], ""),
        (&["192.0.2.1"], "192.0.2.1"),
        (
            &["192.0.2.1, 192.0.2.2,192.0.2.3"],
            "192.0.2.3 192.0.2.2 192.0.2.1",
        ),
        (
            &["192.0.2.1, 192.0.2.2", "192.0.2.3"],
            "192.0.2.3 192.0.2.2 192.0.2.1",
        ),
        (
            &["192.0.2.1,, ,\t192.0.2.2 ,", "", ","],
            "192.0.2.2 192.0.2.1",
        ),
        (&["2001:db8::1"], "2001:db8::1"),
        (&["::ffff:192.0.2.1"], "::ffff:192.0.2.1"),
        (
            &["192.0.2.1:4711, [2001:db8::1]:4711, [2001:db8::2]"],
            "2001:db8::2 2001:db8::1 192.0.2.1",
        ),
        (&["192.0.2.1, unknown, 192.0.2.3"], "192.0.2.3 - 192.0.2.1"),
        (&["192.0.2.01"], "-"),
        (&["192.0.2"], "-"),
        (&["3221225985"], "-"),
        (&["0xc0.0.2.1"], "-"),
        (&["192.0.2.1:"], "-"),
        (&["192.0.2.1:123456"], "-"),
        (&["192.0.2.1 192.0.2.2"], "-"),
        (&["\"192.0.2.1\""], "-"),
        (&["[2001:db8::1"], "-"),
        (&["2001:db8::1]:80"], "-"),
        (&["fe80::1%eth0"], "-"),
        (&["localhost"], "-"),
        (&["192.0.2.1\u{a0}"], "-"),
    ] {
        assert_eq!(chain(Field::XForwardedFor, lines), expected, "{lines:?}");
    }
}

#[test]
fn forwarded_is_read_as_rfc_7239_has_it() {
    for (lines, expected) in [
        (
            &["for=192.0.2.60;proto=http;by=203.0.113.43"][..],
            "192.0.2.60",
        ),
        (
            &["for=192.0.2.43, for=198.51.100.17"],
            "198.51.100.17 192.0.2.43",
        ),
        (
            &["for=192.0.2.43", "for=198.51.100.17"],
            "198.51.100.17 192.0.2.43",
        ),
        (&["For=\"[2001:db8:cafe::17]:4711\""], "2001:db8:cafe::17"),
        (&["FOR=\"[::ffff:192.0.2.1]\""], "::ffff:192.0.2.1"),
        (
            &["for=\"192.0.2.43:47011\", for=\"192.0.2.44:_h.t-t_p\""],
            "192.0.2.44 192.0.2.43",
        ),
        (
            &["for=unknown, for=_hidden, for=_SEVKISEK, for=\"_gazonk\""],
            "- - - -",
        ),
        (&["proto=http;by=203.0.113.43"], "-"),
        (&[";;for=192.0.2.1;;"], "192.0.2.1"),
        (&["for=192.0.2.1 ; proto=https ;by=_x"], "192.0.2.1"),
        (
            &["host=\"a,b\\\",\\\\\";for=192.0.2.1, for=192.0.2.2"],
            "192.0.2.2 192.0.2.1",
        ),
        (&[" , for=192.0.2.1 ,"], "192.0.2.1"),
    ] {
        assert_eq!(chain(Field::Forwarded, lines), expected, "{lines:?}");
    }
}

#[test]
fn what_is_not_said_exactly_is_not_said() {
    for element in [
        "for=[2001:db8::1]",
        "for=192.0.2.1:80",
        "for=\"2001:db8::1\"",
        "for=192.0.2.1;for=192.0.2.1",
        "for=192.0.2.1;FOR=192.0.2.2",
        "for=192.0.2.1 proto=http",
        "for = 192.0.2.1",
        "for=\"192.0.2.1",
        "for=\"192.0.2.1\"\"",
        "for=\"192.0.2.\\1\"",
        "for=\"192.0.2.1\"x",
        "for=",
        "=192.0.2.1",
        "for",
        "192.0.2.1",
        "for=\"192.0.2.1:\"",
        "for=\"192.0.2.1:_\"",
        "for=\"192.0.2.1:123456\"",
        "for=\"[2001:db8::1]4711\"",
    ] {
        assert_eq!(chain(Field::Forwarded, &[element]), "-", "{element}");
    }
}

#[test]
fn no_quote_that_a_client_opens_reaches_into_the_entry_of_a_proxy() {
    for prefix in [
        "for=\"",
        "for=\"x",
        "for=\"\\",
        "\"",
        "\\",
        "for=1.1.1.1;x=\"",
        "\\\"",
        "for=\"a\\\"b",
    ] {
        for (entry, expected) in [
            ("for=192.0.2.7", "192.0.2.7"),
            ("for=\"[2001:db8::1]:80\";by=\"_a,b\"", "2001:db8::1"),
        ] {
            let line = format!("{prefix}, {entry}");
            let read = chain(Field::Forwarded, &[&line]);
            assert!(
                read == expected || read.starts_with(&format!("{expected} ")),
                "{line}: {read}"
            );
            let read = chain(Field::Forwarded, &[prefix, entry]);
            assert!(
                read.starts_with(expected),
                "{prefix:?}, then {entry}: {read}"
            );
        }
    }
}

#[test]
fn no_more_is_read_than_thirty_two_entries_and_four_kibibytes() {
    let many = |entries: usize| vec!["192.0.2.1"; entries].join(",");
    let read = |lines: &[&str]| chain(Field::XForwardedFor, lines);
    assert_eq!(read(&[&many(32)]), many(32).replace(',', " "));
    assert!(
        read(&[&many(33)]).ends_with("192.0.2.1 - - - - - - - -")
            || read(&[&many(33)]).ends_with("192.0.2.1 -")
    );
    assert_eq!(read(&[&many(33)]).matches("192").count(), 32);
    assert_eq!(read(&["192.0.2.1"; 33]).matches("192").count(), 32);
    // Empty entries count too: somebody has to look at them.
    let empty = format!("192.0.2.1{}", ",".repeat(31));
    assert_eq!(read(&[&empty]), "192.0.2.1");
    assert_eq!(read(&[&format!("{empty},")]), "-");

    let padded = |spaces: usize| format!("192.0.2.1,{}192.0.2.2", " ".repeat(spaces));
    assert_eq!(read(&[&padded(4000)]), "192.0.2.2 192.0.2.1");
    assert_eq!(read(&[&padded(4086)]), "192.0.2.2 -");
    assert_eq!(read(&[&padded(4087)]), "-");
    assert_eq!(
        read(&["192.0.2.1", &" ".repeat(4095)])
            .matches("192")
            .count(),
        0
    );
    let quoted = format!("for=192.0.2.1;x=\"{}\"", ",".repeat(5000));
    assert_eq!(chain(Field::Forwarded, &[&quoted]), "-");
}

/// The last entry of a list of elements, found from the left.
fn last_element(line: &[u8]) -> Option<&[u8]> {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => start = at + 1,
            _ => {}
        }
    }
    (!quoted).then(|| &line[start..])
}

proptest! {
    #[test]
    fn from_the_right_a_list_that_is_well_formed_has_the_entries_that_it_has_from_the_left(
        line in r#"([a-z=,;]|"([a-z,;]|\\["\\,])*")*"#,
    ) {
        let from_left = last_element(line.as_bytes()).unwrap();
        let comma = last_unquoted_comma(line.as_bytes());
        let from_right = comma.map_or(line.as_bytes(), |comma| &line.as_bytes()[comma + 1..]);
        prop_assert_eq!(from_left, from_right);
    }

    #[test]
    fn any_bytes_are_read_or_not(lines in prop::collection::vec(prop::collection::vec(32..=255_u8, 0..60), 0..4)) {
        for (name, field) in [("forwarded", Field::Forwarded), ("x-forwarded-for", Field::XForwardedFor)] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                if let Ok(line) = HeaderValue::from_bytes(line) {
                    headers.append(HeaderName::from_static(name), line);
                }
            }
            let _ = hops(&headers, field).take(100).count();
        }
    }
}
