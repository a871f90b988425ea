//! The two rows beside two sorted lists.

use buttress_sync::Random;

use super::super::rows::{Key, Row, Rows};

fn standing(rows: &Rows<u32>, row: Row) -> Vec<u32> {
    let standing: Vec<_> = rows.row(row).map(|(key, item)| (key, *item)).collect();
    assert_eq!(rows.length(row) as usize, standing.len());
    assert_eq!(rows.first(row), standing.first().map(|(key, _)| *key));
    assert_eq!(rows.last(row), standing.last().map(|(key, _)| *key));
    for (key, item) in &standing {
        assert_eq!((rows.get(*key), rows.row_of(*key)), (Some(item), Some(row)));
    }
    standing.into_iter().map(|(_, item)| item).collect()
}

#[test]
fn items_stand_in_the_order_of_arrival_wherever_they_were_meanwhile() {
    let random = Random::seeded(buttress_testkit::seed());
    let below = |end: u64| random.next_u64() % end;
    for _ in 0..200 {
        let mut rows = Rows::new();
        let mut keys: Vec<(u32, Key, Row)> = Vec::new();
        for item in 0..200 {
            let any = below(keys.len().max(1) as u64) as usize;
            match (below(5), keys.get_mut(any)) {
                (0 | 1, _) | (_, None) => keys.push((item, rows.push(item), Row::InTurn)),
                (2, Some((_, key, row))) => {
                    rows.pass_over(*key);
                    *row = Row::PassedOver;
                }
                (3, Some((_, key, row))) => {
                    rows.revive(*key);
                    *row = Row::InTurn;
                }
                (_, Some(_)) => {
                    let (item, key, _) = keys.remove(any);
                    assert_eq!(rows.remove(key), Some(item));
                    assert_eq!((rows.remove(key), rows.row_of(key)), (None, None));
                }
            }
            for row in [Row::InTurn, Row::PassedOver] {
                let expected = keys
                    .iter()
                    .filter(|known| known.2 == row)
                    .map(|known| known.0);
                assert_eq!(standing(&rows, row), expected.collect::<Vec<_>>());
            }
            assert_eq!(rows.occupied() as usize, keys.len());
        }
    }
}

#[test]
fn a_place_that_was_left_is_used_again_and_an_old_key_finds_nobody_there() {
    let mut rows = Rows::new();
    let stays = rows.push(0);
    let mut old = rows.push(1);
    for item in 2..100 {
        assert_eq!(rows.remove(old), Some(item - 1));
        let new = rows.push(item);
        assert_eq!(rows.get(old), None);
        assert_eq!(rows.get_mut(old), None);
        rows.pass_over(old);
        rows.revive(old);
        assert_eq!(standing(&rows, Row::InTurn), [0, item]);
        old = new;
    }
    assert_eq!(rows.get(stays), Some(&0));
    assert_eq!(rows.places(), 2);
}
