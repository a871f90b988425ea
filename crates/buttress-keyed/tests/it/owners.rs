use buttress_keyed::{KeyedMap, Owner};

#[test]
fn a_step_is_told_whose_the_value_is() {
    let map = KeyedMap::seeded(1, 1).sharing(0);
    let owner = |key| map.with_owned(&key, || 0, |_| false, |_, owner| owner);
    assert_eq!(
        [1, 1, 2, 1].map(owner),
        [Owner::Key, Owner::Key, Owner::All, Owner::Key]
    );
}
