//! `google.rpc.RetryInfo`, in which a gRPC service says when to try again, beside `grpc-retry-pushback-ms`.
//!
//! It stands among the details of a `google.rpc.Status`, as protobuf in base64:
//!
//! ```text
//! Status { int32 code = 1; string message = 2; repeated Any details = 3; }
//! Any { string type_url = 1; bytes value = 2; }
//! RetryInfo { Duration retry_delay = 1; }
//! Duration { int64 seconds = 1; int32 nanos = 2; }
//! ```
//!
//! A few lines by hand, so that no layer needs a code generator.

use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::Code;

/// The header or trailer with the details of a status.
pub(crate) const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// More than that is no message about a wait.
const MOST_BYTES: usize = 8 * 1024;

const TYPE: &str = "google.rpc.RetryInfo";
const TYPE_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// What protobuf allows in a `Duration`: ten thousand years.
const LONGEST: u64 = 315_576_000_000;

/// Written without padding, read either way, as gRPC has it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The details of a status that says when to try again.
pub(crate) fn status(code: Code, message: &str, delay: Duration) -> Vec<u8> {
    let mut duration = Vec::new();
    put_number(&mut duration, 1, delay.as_secs().min(LONGEST));
    put_number(&mut duration, 2, delay.subsec_nanos().into());
    let mut retry_info = Vec::new();
    put_bytes(&mut retry_info, 1, &duration);
    let mut any = Vec::new();
    put_bytes(&mut any, 1, TYPE_URL.as_bytes());
    put_bytes(&mut any, 2, &retry_info);
    let mut status = Vec::new();
    put_number(&mut status, 1, code.number().into());
    put_bytes(&mut status, 2, message.as_bytes());
    put_bytes(&mut status, 3, &any);
    status
}

/// The details as they stand in [`DETAILS`].
pub(crate) fn header(details: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(BASE64.encode(details)).ok()
}

/// The delay that the details of a status name; nothing where they are malformed, or above 8 KiB.
pub(crate) fn in_headers(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(DETAILS)?.as_bytes();
    if text.len() > MOST_BYTES {
        return None;
    }
    delay_in_status(&BASE64.decode(text).ok()?)
}

fn put_number(message: &mut Vec<u8>, field: u8, number: u64) {
    // What is zero is not sent.
    if number != 0 {
        message.push(field << 3);
        put_varint(message, number);
    }
}

fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    message.extend_from_slice(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or_default();
        number >>= 7;
        if number == 0 {
            return message.push(low);
        }
        message.push(low | 0x80);
    }
}

fn delay_in_status(status: &[u8]) -> Option<Duration> {
    let mut found = None;
    for field in Fields(status) {
        if let (3, Value::Bytes(any)) = field? {
            found = found.or_else(|| delay_in_any(any));
        }
    }
    found
}

/// The delay of a detail, if it is one that names a delay.
fn delay_in_any(any: &[u8]) -> Option<Duration> {
    let (mut url, mut value) = (&[][..], None);
    for field in Fields(any) {
        match field? {
            (1, Value::Bytes(bytes)) => url = bytes,
            (2, Value::Bytes(bytes)) => value = Some(bytes),
            _ => {}
        }
    }
    let name = url.rsplit(|byte| *byte == b'/').next();
    let is_meant = name == Some(TYPE.as_bytes());
    value.filter(|_| is_meant).and_then(delay_in_retry_info)
}

fn delay_in_retry_info(retry_info: &[u8]) -> Option<Duration> {
    let mut delay = None;
    for field in Fields(retry_info) {
        if let (1, Value::Bytes(duration)) = field? {
            delay = Some(read_duration(duration)?);
        }
    }
    delay
}

fn read_duration(duration: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(duration) {
        match field? {
            (1, Value::Number(number)) => seconds = number,
            (2, Value::Number(number)) => nanos = number,
            _ => {}
        }
    }
    // A negative number is one above all that are allowed.
    let nanos = u32::try_from(nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    (seconds <= LONGEST).then(|| Duration::new(seconds, nanos))
}

/// The fields of a message, one after the other; one that is malformed is the last.
struct Fields<'a>(&'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed size: nothing that is looked for here.
    Other,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
