//! What the documentation promises by name, as CB-3, is proven by a test that names it too.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::tree::{TextFile, files_under};

/// The line before a test that names what it proves.
const PROOF: &str = "// proves: ";

#[test]
fn every_promise_of_the_documentation_has_a_test_that_proves_it() {
    let crates = files_under("crates");
    let promises = promised(&crates);
    let proven = proven(crates.iter().chain(&files_under("tests")));
    assert!(
        !promises.is_empty(),
        "the documentation promises nothing: is it read?"
    );
    println!(
        "{} promises, {} proofs of them",
        promises.len(),
        proven.values().sum::<usize>()
    );
    let unproven: Vec<_> = promises
        .iter()
        .filter(|(promise, _)| !proven.contains_key(*promise))
        .map(|(promise, path)| format!("{promise}, made in {path}"))
        .collect();
    assert!(
        unproven.is_empty(),
        "no test proves:\n  {}",
        unproven.join("\n  ")
    );
}

#[test]
fn every_proof_stands_before_a_test() {
    let files = ["crates", "tests"].into_iter().flat_map(files_under);
    for file in files.filter(is_source) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        for (number, _) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.starts_with(PROOF))
        {
            let mut after = lines[number + 1..]
                .iter()
                .filter(|line| !line.starts_with("//"));
            let next = after.next().copied().unwrap_or_default();
            let is_test = next.starts_with("#[") && next.contains("test");
            assert!(
                is_test,
                "{}:{}: this proof is no test's: {next}",
                file.path,
                number + 1
            );
        }
    }
}

/// Every promise, and a file that makes it: a crate's README, or a comment of its documentation.
fn promised(files: &[TextFile]) -> BTreeMap<String, &str> {
    let mut promises = BTreeMap::new();
    for file in files {
        let is_readme = file.path.ends_with("README.md");
        let is_doc = |line: &&str| line.trim().starts_with("///") || line.trim().starts_with("//!");
        let documentation = file
            .text
            .lines()
            .filter(|line| is_readme || is_source(file) && is_doc(line));
        for promise in documentation.flat_map(ids) {
            promises.entry(promise).or_insert(file.path.as_str());
        }
    }
    promises
}

/// How many tests prove each promise.
fn proven<'a>(files: impl IntoIterator<Item = &'a TextFile>) -> BTreeMap<String, usize> {
    let sources = files.into_iter().filter(|file| is_source(file));
    let lines = sources.flat_map(|file| file.text.lines());
    let mut proven = BTreeMap::new();
    for proof in lines.filter_map(|line| line.trim().strip_prefix(PROOF)) {
        for promise in ids(proof) {
            *proven.entry(promise).or_default() += 1;
        }
    }
    proven
}

fn is_source(file: &TextFile) -> bool {
    file.path.ends_with(".rs")
}

/// The names of promises in a text: one or two capitals, a hyphen, a number.
fn ids(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
    words
        .filter(|word| is_id(word))
        .map(str::to_owned)
        .collect()
}

fn is_id(word: &str) -> bool {
    let Some((family, number)) = word.split_once('-') else {
        return false;
    };
    (1..=2).contains(&family.len())
        && family.bytes().all(|byte| byte.is_ascii_uppercase())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

// === The reading itself ===

fn file(path: &str, text: &str) -> TextFile {
    let (path, text) = (path.to_owned(), text.to_owned());
    TextFile { path, text }
}

#[test]
fn promises_are_read_from_documentation_and_from_nothing_else() {
    let files = [
        file(
            "a/README.md",
            "| CB-3 | `A-1`, (PB-12). UTF-8 SHA-1 X-Y a-1 CB-x CB- CB-1-2 |",
        ),
        file(
            "a/src/lib.rs",
            "/// RB-1\n//! AT-2\n// CB-9\nlet x = \"CB-8\";\n    /// ID-7",
        ),
        file("a/CHANGES.md", "CB-7"),
    ];
    let promises: Vec<_> = promised(&files).into_keys().collect();
    assert_eq!(promises, ["A-1", "AT-2", "CB-3", "ID-7", "PB-12", "RB-1"]);
}

#[test]
fn proofs_are_read_from_their_own_lines_only() {
    let text = "    // proves: CB-3, A-1\n// It proves: CB-4\nlet proof = \"// proves: CB-5\"; // proves: CB-6\n// proves: A-1";
    let proven = proven(&[
        file("tests/a.rs", text),
        file("tests/a.md", "// proves: CB-7"),
    ]);
    let expected = [("A-1".to_owned(), 2), ("CB-3".to_owned(), 1)];
    assert_eq!(proven, BTreeMap::from(expected));
}
