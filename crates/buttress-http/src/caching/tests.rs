use http::HeaderValue;

use super::*;

fn answer(status: u16, headers: &[(&'static str, &'static str)]) -> Response<()> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().append(*name, value);
    }
    answer
}

/// What becomes of an answer to a `GET` that says nothing.
fn of(answer: &Response<()>) -> Fate {
    Fate::of(answer, &Asking::default())
}

/// The longest of times.
const EVER: u64 = u64::MAX;

fn keep(age: u64, fresh: u64, longest: u64) -> Fate {
    let of = |seconds| match seconds {
        EVER => Duration::MAX,
        seconds => Duration::from_secs(seconds),
    };
    Fate::Keep(Keep {
        bytes: 0,
        age: of(age),
        fresh: of(fresh),
        longest: of(longest),
    })
}

// proves: FC-8
#[test]
fn directives_say_for_how_long_an_answer_may_stand_in() {
    for (directives, fate) in [
        ("", keep(0, EVER, EVER)),
        ("max-age=5", keep(0, 5, EVER)),
        ("max-age=0", keep(0, 0, EVER)),
        ("max-age=soon", keep(0, 0, EVER)),
        ("max-age=5, must-revalidate", keep(0, 5, 5)),
        ("Max-Age=\"5\", Proxy-Revalidate", keep(0, 5, 5)),
        ("s-maxage=9, max-age=5", keep(0, 9, 9)),
        ("s-maxage=9, stale-if-error=30", keep(0, 9, 39)),
        ("max-age=5, stale-if-error=30", keep(0, 5, 35)),
        ("stale-if-error=30", keep(0, EVER, 30)),
        (
            "max-age=5, stale-if-error=30, must-revalidate",
            keep(0, 5, 5),
        ),
        ("s-maxage=0", Fate::Forget),
        ("must-revalidate", Fate::Forget),
        ("max-age=x, must-revalidate", Fate::Forget),
        ("no-cache", Fate::Forget),
        ("no-cache=\"set-cookie\"", Fate::Forget),
        ("max-age=60, NO-STORE", Fate::Forget),
        ("private", Fate::Forget),
    ] {
        let answer = answer(200, &[("cache-control", directives)]);
        assert_eq!(of(&answer), fate, "{directives}");
    }
}

// proves: FC-9
#[test]
fn an_answer_is_as_old_as_it_says() {
    let of = |headers: &[_]| of(&answer(200, headers));
    assert_eq!(of(&[("age", "70")]), keep(70, EVER, EVER));
    assert_eq!(of(&[("age", "old")]), keep(0, EVER, EVER));
    assert_eq!(of(&[("age", "70, 80")]), keep(70, EVER, EVER));
    assert_eq!(of(&[("age", "99999999999999999999")]), Fate::Forget);
    let revalidate = ("cache-control", "max-age=60, must-revalidate");
    assert_eq!(of(&[("age", "60"), revalidate]), Fate::Forget);
    assert_eq!(of(&[("age", "59"), revalidate]), keep(59, 60, 60));
}

// proves: FC-8
#[test]
fn a_date_says_for_how_long_an_answer_is_fresh_where_no_directive_does() {
    let date = ("date", "Thu, 26 Nov 2026 12:00:00 GMT");
    let minute = ("expires", "Thu, 26 Nov 2026 12:01:00 GMT");
    for (headers, fate) in [
        (vec![date, minute], keep(0, 60, EVER)),
        (
            vec![date, minute, ("cache-control", "max-age=5")],
            keep(0, 5, EVER),
        ),
        (
            vec![date, minute, ("cache-control", "must-revalidate")],
            keep(0, 60, 60),
        ),
        (
            vec![minute, ("date", "Thu, 26 Nov 2026 12:02:00 GMT")],
            keep(0, 0, EVER),
        ),
        (vec![("expires", "0")], keep(0, 0, EVER)),
    ] {
        assert_eq!(of(&answer(200, &headers)), fate, "{headers:?}");
    }
}

// proves: FC-8
#[test]
fn what_supersedes_a_good_answer_is_told_from_what_says_nothing_of_it() {
    for (status, fate) in [
        (301, Fate::Forget),
        (302, Fate::Forget),
        (304, Fate::Leave),
        (206, Fate::Leave),
        (400, Fate::Leave),
        (401, Fate::Forget),
        (403, Fate::Forget),
        (404, Fate::Forget),
        (410, Fate::Forget),
        (412, Fate::Leave),
        (416, Fate::Leave),
        (422, Fate::Leave),
        (429, Fate::Leave),
        (451, Fate::Forget),
    ] {
        assert_eq!(of(&answer(status, &[])), fate, "{status}");
    }
    for own in [("set-cookie", "a=1"), ("vary", "accept, *")] {
        assert_eq!(of(&answer(200, &[own])), Fate::Forget);
    }
}

// proves: FC-8
#[test]
fn a_request_says_whether_what_is_kept_will_do() {
    for (name, value, keeps, takes_kept) in [
        ("accept", "no-store", true, true),
        ("cache-control", "no-transform", true, true),
        ("cache-control", "no-cache", true, false),
        ("cache-control", "Max-Age=0", true, false),
        ("cache-control", "min-fresh=5", true, false),
        ("cache-control", "no-store", false, false),
        ("pragma", "no-cache", true, false),
    ] {
        let request = Request::get("/").header(name, value).body(()).unwrap();
        let asking = asking(&request);
        assert_eq!((asking.keeps, asking.takes_kept), (keeps, takes_kept));
    }
}

// proves: FC-8
#[test]
fn a_request_that_changes_things_outdates_what_was_kept_where_it_went_well() {
    for (method, status, fate) in [
        ("PUT", 204, Fate::Forget),
        ("POST", 201, Fate::Forget),
        ("POST", 303, Fate::Forget),
        ("DELETE", 200, Fate::Forget),
        ("PATCH", 412, Fate::Leave),
        ("PURGE", 200, Fate::Forget),
        ("PUT", 404, Fate::Leave),
        ("HEAD", 204, keep(0, EVER, EVER)),
    ] {
        let request = Request::builder().method(method).uri("/").body(()).unwrap();
        let asking = asking(&request);
        assert_eq!(asking.keeps, !asking.changes);
        assert_eq!(
            Fate::of(&answer(status, &[]), &asking),
            fate,
            "{method} {status}"
        );
    }
}

// proves: FC-8
#[test]
fn what_is_no_whole_answer_is_kept_only_where_it_says_for_how_long() {
    let minute = [("cache-control", "max-age=60")];
    for (status, fate) in [
        (200, keep(0, EVER, EVER)),
        (203, keep(0, EVER, EVER)),
        (204, keep(0, EVER, EVER)),
        (201, Fate::Forget),
        (202, Fate::Forget),
        (226, Fate::Forget),
    ] {
        assert_eq!(of(&answer(status, &[])), fate, "{status}");
        assert_eq!(of(&answer(status, &minute)), keep(0, 60, EVER), "{status}");
    }
    let stream = ("content-type", "text/event-stream; charset=utf-8");
    assert_eq!(of(&answer(200, &[stream])), Fate::Leave);
}
