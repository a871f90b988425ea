use proptest::prelude::*;
use prost::Message;

use super::*;

/// The messages as prost reads them, which shares no code with ours.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtobufDuration>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ProtobufDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

fn any(type_url: &str, value: Vec<u8>) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value,
    }
}

fn info(seconds: i64, nanos: i32) -> Any {
    let retry_delay = Some(ProtobufDuration { seconds, nanos });
    any(TYPE_URL, RetryInfo { retry_delay }.encode_to_vec())
}

fn with(details: Vec<Any>) -> Vec<u8> {
    let message = "throttled".to_owned();
    Status {
        code: 8,
        message,
        details,
    }
    .encode_to_vec()
}

fn headers(text: &str) -> HeaderMap {
    HeaderMap::from_iter([(DETAILS, HeaderValue::from_str(text).unwrap())])
}

#[test]
fn what_is_written_is_what_other_implementations_read() {
    for delay in [
        Duration::ZERO,
        Duration::from_nanos(1),
        Duration::from_millis(1500),
        Duration::from_secs(u64::from(u32::MAX)),
        Duration::MAX,
    ] {
        let bytes = status(Code::ResourceExhausted, "throttled", delay);
        let read = Status::decode(bytes.as_slice()).unwrap();
        assert_eq!((read.code, read.message.as_str()), (8, "throttled"));
        let [detail] = read.details.as_slice() else {
            panic!("one detail")
        };
        assert_eq!(detail.type_url, "type.googleapis.com/google.rpc.RetryInfo");
        let read = RetryInfo::decode(detail.value.as_slice())
            .unwrap()
            .retry_delay
            .unwrap();
        let seconds = i64::try_from(delay.as_secs().min(LONGEST)).unwrap();
        assert_eq!(read.seconds, seconds);
        assert_eq!(read.nanos, delay.subsec_nanos() as i32);
        // Not only does it mean the same: it is the same.
        let same = ProtobufDuration {
            seconds,
            nanos: read.nanos,
        };
        let info = RetryInfo {
            retry_delay: Some(same),
        };
        assert_eq!(with(vec![any(TYPE_URL, info.encode_to_vec())]), bytes);
        let text = header(&bytes).unwrap();
        assert!(!text.to_str().unwrap().contains('='), "no padding");
        let nanos = delay.subsec_nanos();
        let believed = Duration::new(delay.as_secs().min(LONGEST), nanos);
        assert_eq!(
            in_headers(&HeaderMap::from_iter([(DETAILS, text)])),
            Some(believed)
        );
    }
}

fn other() -> Any {
    any("type.googleapis.com/google.rpc.ErrorInfo", vec![10, 1, 120])
}

#[test]
fn a_delay_is_read_wherever_it_stands_among_the_details() {
    let seven = any("google.rpc.RetryInfo", vec![10, 2, 8, 7]);
    for (details, delay) in [
        (vec![info(3, 0)], Duration::from_secs(3)),
        (vec![other(), info(3, 5), other()], Duration::new(3, 5)),
        (vec![info(1, 0), info(2, 0)], Duration::from_secs(1)),
        (vec![info(-1, 0), info(2, 0)], Duration::from_secs(2)),
        (vec![seven], Duration::from_secs(7)),
        (vec![any(TYPE_URL, vec![10, 0])], Duration::ZERO),
    ] {
        let read = delay_in_status(&with(details.clone()));
        assert_eq!(read, Some(delay), "{details:?}");
    }
}

#[test]
fn what_is_not_there_or_malformed_is_no_delay() {
    for details in [
        vec![],
        vec![other()],
        vec![any(TYPE_URL, vec![])],
        vec![any("x/mygoogle.rpc.RetryInfo", vec![10, 2, 8, 7])],
        vec![info(-1, 0)],
        vec![info(0, -1)],
        vec![info(0, 1_000_000_000)],
        vec![info(i64::MAX, 0)],
        vec![any(TYPE_URL, vec![10, 200])],
    ] {
        assert_eq!(delay_in_status(&with(details.clone())), None, "{details:?}");
    }
    for (bytes, why) in [
        (&b"\x1a\xff"[..], "cut off"),
        (&[0xff; 11], "a number without an end"),
        (&[0x0b], "a group"),
    ] {
        assert_eq!(delay_in_status(bytes), None, "{why}");
    }
}

#[test]
fn base64_may_be_padded_and_must_be_base64() {
    let bytes = with(vec![info(3, 0)]);
    let padded = base64::prelude::BASE64_STANDARD.encode(&bytes);
    let plain = base64::prelude::BASE64_STANDARD_NO_PAD.encode(&bytes);
    let three = Some(Duration::from_secs(3));
    assert_eq!(
        (in_headers(&headers(&padded)), in_headers(&headers(&plain))),
        (three, three)
    );
    for text in [
        "",
        "?",
        "%%%%",
        &plain[..plain.len() - 3],
        &"A".repeat(8 * 1024 + 1),
    ] {
        assert_eq!(in_headers(&headers(text)), None, "{text}");
    }
    assert_eq!(in_headers(&HeaderMap::new()), None);
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_ignored(bytes in prop::collection::vec(prop::num::u8::ANY, 0..40)) {
        let _ = delay_in_status(&bytes);
    }

    #[test]
    fn a_changed_byte_is_read_or_ignored(
        seconds in 0..1000_i64, nanos in 0..1_000_000_000_i32, at in 0..60_usize, byte: u8,
    ) {
        let mut bytes = with(vec![info(seconds, nanos)]);
        if let Some(changed) = bytes.get_mut(at) {
            *changed = byte;
        }
        if let Some(delay) = delay_in_status(&bytes) {
            prop_assert!(delay <= Duration::from_secs(LONGEST + 1));
        }
    }
}
