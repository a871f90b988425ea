use std::collections::HashSet;
use std::sync::OnceLock;

use buttress_core::{ConfigError, Name};

/// How many names made at run time a process may have.
const MOST_NAMES: usize = 10_000;

/// Makes a [`Name`] of a string that is only known at run time.
///
/// The same string gives the same name. Names live as long as the program, so their number is bounded: 10 000.
///
/// ```
/// let shard = 7;
/// let name = buttress_sync::intern(&format!("orders-{shard}"))?;
/// assert_eq!(name.as_str(), "orders-7");
/// # Ok::<(), buttress_core::ConfigError>(())
/// ```
///
/// # Errors
/// When the string is no valid name, see [`Name::validate`], and when the table is full.
pub fn intern(name: &str) -> Result<Name, ConfigError> {
    static NAMES: OnceLock<Table> = OnceLock::new();
    NAMES.get_or_init(Table::default).intern(name, MOST_NAMES)
}

/// Never modelled: a name is made while a component is built.
#[expect(clippy::disallowed_types, reason = "a static table, also under loom")]
#[derive(Default)]
struct Table(std::sync::Mutex<HashSet<&'static str>>);

impl Table {
    fn intern(&self, name: &str, most: usize) -> Result<Name, ConfigError> {
        Name::check(name)?;
        let mut names = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Ok(Name::new(known));
        }
        if names.len() >= most {
            return Err(ConfigError::new(
                "name",
                format!("is one too many: {most} exist"),
            ));
        }
        let kept: &'static str = Box::leak(Box::from(name));
        names.insert(kept);
        Ok(Name::new(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_string_gives_the_same_name() {
        let first = intern("shard-1").unwrap();
        let again = intern(&String::from("shard-1")).unwrap();
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
    }

    #[test]
    fn a_full_table_refuses_new_names_and_keeps_the_old() {
        let table = Table::default();
        assert!(table.intern("a", 2).is_ok());
        assert!(table.intern("b", 2).is_ok());
        assert!(table.intern("c", 2).is_err());
        assert!(table.intern("a", 2).is_ok());
    }

    #[test]
    fn what_is_no_name_is_not_kept() {
        let table = Table::default();
        for bad in ["", "Orders", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(
                table.intern(bad, 1).map_err(|error| error.setting()),
                Err("name")
            );
        }
        assert!(table.intern("good", 1).is_ok());
    }
}
