//! What a server says about another try: `Retry-After` and its like, and the push-back of gRPC.

use std::time::{Duration, SystemTime};

use buttress_core::{Again, Classify, Rejected, Verdict};
use buttress_http::{ByGrpcStatus, ByStatus, retry_after, should_retry};
use http::header::DATE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::mutation::Chance;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The first byte chooses a status; then come lines `name:value`.
pub(crate) fn target(data: &[u8]) {
    let (first, lines) = data.split_first().unwrap_or((&0, &[]));
    let headers = parse(lines);
    let hint = retry_after(&headers);
    assert!(hint.is_none_or(|wait| wait <= YEAR), "{hint:?}");
    assert_eq!(hint_of_whole_seconds(&headers).or(hint), hint);
    check_http(
        StatusCode::from_u16(200 + u16::from(*first) * 2).unwrap(),
        &headers,
    );
    check_grpc(&headers);
}

fn parse(lines: &[u8]) -> HeaderMap {
    let fields = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, HeaderValue::from_bytes(&line[colon + 1..]).ok()?))
    });
    let mut headers: HeaderMap = fields.collect();
    // Without a date of its own an answer is as old as the clock says, which is another time at each look.
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    if date.is_none_or(|date| httpdate::parse_http_date(date).is_err()) {
        let date = HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT");
        headers.insert(DATE, date);
    }
    headers
}

/// The commonest form, read in another way.
fn hint_of_whole_seconds(headers: &HeaderMap) -> Option<Duration> {
    if headers.contains_key("retry-after-ms") {
        return None;
    }
    let value = headers.get("retry-after")?.to_str().ok()?.trim();
    let seconds: u32 = value.parse().ok().filter(|_| !value.starts_with('+'))?;
    Some(Duration::from_secs(seconds.into())).filter(|wait| *wait <= YEAR)
}

fn check_http(status: StatusCode, headers: &HeaderMap) {
    let (verdict, again) = judge(&ByStatus, status, headers);
    let hint = retry_after(headers);
    match again {
        Again::Later(wait) => assert_eq!(wait, hint),
        Again::NotSent => panic!("an answer says that nothing was sent"),
        _ => {}
    }
    // A service may only ask for a retry of what it has not done, and may always forbid it.
    if status.as_u16() < 400 {
        assert_eq!((verdict, again), (Verdict::Success, Again::No));
    } else if should_retry(headers) == Some(false) {
        assert_eq!(again, Again::No);
    }
}

fn check_grpc(headers: &HeaderMap) {
    let (_, again) = judge(&ByGrpcStatus, StatusCode::OK, headers);
    let pushback = headers.get("grpc-retry-pushback-ms");
    let negative = pushback.is_some_and(|value| value.as_bytes().starts_with(b"-"));
    match again {
        Again::Later(wait) => assert!(wait.is_some_and(|wait| wait <= YEAR && !negative)),
        Again::Yes => assert!(
            pushback.is_none(),
            "a push-back that forbids, or means a time"
        ),
        Again::No => {}
        again => panic!("{again:?} for an answer"),
    }
}

fn judge<C>(classifier: &C, status: StatusCode, headers: &HeaderMap) -> (Verdict, Again)
where
    C: Classify<Response<()>, Rejected>,
{
    let mut answer = Response::new(());
    *answer.status_mut() = status;
    *answer.headers_mut() = headers.clone();
    (
        classifier.classify(Ok(&answer)),
        classifier.again(Ok(&answer)),
    )
}

const NAMES: [&str; 6] = [
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "grpc-retry-pushback-ms",
    "grpc-status",
    "date",
];

pub(crate) fn generate(chance: &mut Chance) -> Vec<u8> {
    let mut input = vec![*chance.one_of(&[0, 104, 114, 151, 152, 164, 255])];
    for _ in 0..=chance.below(4) {
        let (name, value) = (chance.one_of(&NAMES), value(chance));
        input.extend_from_slice(format!("{name}:{value}\n").as_bytes());
    }
    input
}

fn value(chance: &mut Chance) -> String {
    let number = chance.u64() >> chance.below(64);
    let sign = chance.one_of(&["", "", "", "-", "+", " "]);
    match chance.below(8) {
        0 => format!("{sign}{number}"),
        1 => format!("{sign}{number}.{}", chance.below(1000)),
        2 => format!("{sign}{}", chance.below(20)),
        3 => format!("{number}e{}", chance.below(40)),
        4 => date(chance),
        5 => (*chance.one_of(&["true", "false", "True", "yes"])).to_owned(),
        6 => (*chance.one_of(&["inf", "NaN", "infinity", "", "0x1", "1_0", "٣"])).to_owned(),
        _ => format!("{number}, {number}"),
    }
}

/// In one of the three forms that HTTP knows, within the years that it can say.
fn date(chance: &mut Chance) -> String {
    let seconds = chance.u64() % 253_402_300_800;
    let imf = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let parts: Vec<&str> = imf
        .split([' ', ',', ':'])
        .filter(|part| !part.is_empty())
        .collect();
    let [weekday, day, month, year, hour, minute, second, _] = parts[..] else {
        return imf;
    };
    match chance.below(3) {
        0 => imf,
        1 => format!("{weekday} {month} {day} {hour}:{minute}:{second} {year}"),
        _ => format!(
            "{weekday}day, {day}-{month}-{} {hour}:{minute}:{second} GMT",
            &year[2..]
        ),
    }
}
