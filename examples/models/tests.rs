use super::chain::Answer;
use super::*;

async fn asked(says: [Says; 3]) -> (Answer, [u32; 3]) {
    let providers = [
        Provider::start("alpha").await.unwrap(),
        Provider::start("beta").await.unwrap(),
        Provider::start("gamma").await.unwrap(),
    ];
    for (provider, says) in providers.iter().zip(says) {
        provider.now(says);
    }
    let answer = Models::new(&providers).ask("why?").await.unwrap();
    (answer, providers.map(|provider| provider.asked()))
}

fn whole(level: &'static str, text: &str) -> Answer {
    let text = text.to_owned();
    Answer {
        level,
        text,
        whole: true,
    }
}

#[tokio::test]
async fn a_provider_that_fails_before_its_first_word_is_replaced() {
    for says in [
        Says::NoQuota,
        Says::Overloaded,
        Says::ErrorFirst,
        Says::BreaksFirst,
    ] {
        let (answer, asked) = asked([says, Says::Words, Says::Words]).await;
        assert_eq!(answer, whole("replica", "beta says so"), "{says:?}");
        assert_eq!(asked, [1, 1, 0], "{says:?}");
    }
    let (answer, asked) = asked([Says::NoQuota, Says::ErrorFirst, Says::Words]).await;
    assert_eq!(
        (answer, asked),
        (whole("backup", "gamma says so"), [1, 1, 1])
    );
}

#[tokio::test]
async fn a_provider_that_fails_after_its_first_word_is_not() {
    let (answer, asked) = asked([Says::BreaksLater, Says::Words, Says::Words]).await;
    assert_eq!(
        (answer.level, answer.text.as_str(), answer.whole),
        ("primary", "alpha", false)
    );
    assert_eq!(asked, [1, 0, 0]);
}

#[tokio::test]
async fn one_that_is_well_is_asked_alone() {
    let (answer, asked) = asked([Says::Words; 3]).await;
    assert_eq!(
        (answer, asked),
        (whole("primary", "alpha says so"), [1, 0, 0])
    );
}
