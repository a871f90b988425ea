use proptest::prelude::*;

use super::*;

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_network_is_read_as_it_is_written() {
    for (text, written) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.7/32", "192.0.2.7/32"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("10.0.0.0/08", "10.0.0.0/8"),
    ] {
        assert_eq!(cidr(text).to_string(), written);
    }
    for text in [
        "",
        "/",
        "10.0.0.0/",
        "/8",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "10.0.0/8",
        "10.0.0.0/8 ",
        " 10.0.0.0/8",
        "010.0.0.0/8",
        "::1/64",
        "10.0.0.1/8",
        "10.0.0.0/256",
        "::ffff:10.0.0.1/104",
        "fe80::1%eth0",
        "localhost",
    ] {
        let error = text.parse::<Cidr>().unwrap_err();
        assert_eq!(error.setting(), "trusting", "{text:?}");
    }
}

#[test]
fn no_network_holds_addresses_of_both_kinds() {
    assert!(cidr("::/0").contains(ip("::1")) && !cidr("::/0").contains(ip("10.0.0.1")));
    assert!(!cidr("::/0").contains(ip("::ffff:10.0.0.1")), "it is IPv4");
    assert!(cidr("0.0.0.0/0").contains(ip("::ffff:10.0.0.1")));
    assert!(!cidr("0.0.0.0/0").contains(ip("::1")));
    assert!(Cidr::from(ip("::ffff:10.0.0.1")).contains(ip("10.0.0.1")));
}

proptest! {
    #[test]
    fn a_network_holds_what_has_its_first_bits(
        bits: u32, other: u32, flipped in 0..32_u32, prefix in 0..=32_u8,
    ) {
        let network = bits & u32::try_from(mask(32 - prefix) & u128::from(u32::MAX)).unwrap();
        let cidr = Cidr::new(IpAddr::from(network.to_be_bytes()), prefix).unwrap();
        prop_assert!(cidr.contains(IpAddr::from(bits.to_be_bytes())));
        let one_off = bits ^ (1 << (31 - flipped));
        let holds = cidr.contains(IpAddr::from(one_off.to_be_bytes()));
        prop_assert_eq!(holds, flipped >= u32::from(prefix));
        let same = (0..u32::from(prefix)).all(|bit| (bits ^ other) >> (31 - bit) & 1 == 0);
        prop_assert_eq!(cidr.contains(IpAddr::from(other.to_be_bytes())), same);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}") {
        if let Ok(cidr) = text.parse::<Cidr>() {
            prop_assert_eq!(cidr.to_string().parse(), Ok(cidr));
        }
    }
}
