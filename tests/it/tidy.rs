//! The rules of the repository that no lint knows.

use std::collections::BTreeSet;

use toml::{Table, Value};

use crate::support::tree::{TextFile, crates, files_under, layer_crates, read};

/// The longest source file, its tests apart.
const MOST_LINES: usize = 300;

/// What no layer does, and why.
const BANNED: [(&str, &str); 6] = [
    (
        "Box::pin",
        "a layer's futures are named types: boxing them costs an allocation for each call",
    ),
    (
        "std::time::Instant",
        "only tokio's clock obeys a paused test",
    ),
    ("tokio::spawn", "a layer owns no task"),
    ("todo!", "everything is written to its end"),
    ("unimplemented!", "everything is written to its end"),
    ("unsafe", "no code of ours is unsafe"),
];

/// Where a layer may box a future all the same: what is asked when the service has failed already.
const BOXED: [&str; 2] = [
    "crates/buttress-fallback/src/source.rs",
    "crates/buttress-fallback/src/cache/distributed.rs",
];

/// What every layer's README answers.
const QUESTIONS: [&str; 4] = [
    "When does it refuse?",
    "What does it cost when nothing is wrong?",
    "What if the caller goes away?",
    "Where does it stand in a stack?",
];

/// What stands nowhere: paths of somebody's machine, and notes to oneself. Put together, so that it does not stand here.
const MISPLACED: [&str; 9] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("/tm", "p/"),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("collea", "gue"),
];

/// Fails with everything that was found, not only the first.
#[track_caller]
fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

// === Sources ===

fn sources(folder: &str) -> Vec<TextFile> {
    let mut files = files_under(folder);
    files.retain(|file| file.path.ends_with(".rs"));
    files
}

/// The files and folders of modules that are compiled for tests only, by their paths without `.rs`.
fn test_modules(sources: &[TextFile]) -> BTreeSet<String> {
    sources.iter().flat_map(test_modules_of).collect()
}

fn test_modules_of(file: &TextFile) -> Vec<String> {
    let (folder, name) = file
        .path
        .rsplit_once('/')
        .expect("a source stands in a folder");
    let folder = match name.trim_end_matches(".rs") {
        "lib" | "main" | "mod" => folder.to_owned(),
        name => format!("{folder}/{name}"),
    };
    let mut names = Vec::new();
    let mut is_for_tests = false;
    for line in file.text.lines().map(str::trim) {
        is_for_tests |= line.starts_with("#[cfg(") && line.contains("test");
        let module = line
            .strip_prefix("mod ")
            .and_then(|line| line.strip_suffix(';'));
        names.extend(module.filter(|_| is_for_tests));
        // An attribute holds for the item that follows it, whatever other attributes stand in between.
        is_for_tests &= !line.is_empty() && !line.ends_with(';');
    }
    names
        .into_iter()
        .map(|name| format!("{folder}/{name}"))
        .collect()
}

#[test]
fn modules_for_tests_are_told_from_others() {
    let text = "mod a;\n#[cfg(test)]\nmod b;\nmod c;\n#[cfg(all(test, x))]\n#[expect(\n    y,\n)]\nmod d;\n\
        #[cfg(test)]\nuse e;\nmod f;\n#[cfg(test)]\nmod g {\n\nmod h;";
    let (path, text) = ("crates/x/src/state.rs".to_owned(), text.to_owned());
    let found = test_modules_of(&TextFile { path, text });
    assert_eq!(found, ["crates/x/src/state/b", "crates/x/src/state/d"]);
}

/// The sources of a crate that reach its users, without the tests that stand in them.
fn shipped(crate_name: &str) -> Vec<TextFile> {
    let mut files = sources(&format!("crates/{crate_name}/src"));
    let tests = test_modules(&files);
    files.retain(|file| {
        let path = file.path.trim_end_matches(".rs");
        let is_test = |test: &String| path == test || path.starts_with(&format!("{test}/"));
        !tests.iter().any(is_test)
    });
    for file in &mut files {
        let inline_tests = file.text.find("\n#[cfg(test)]\nmod tests {");
        file.text.truncate(inline_tests.unwrap_or(file.text.len()));
    }
    files
}

#[test]
fn no_source_file_is_longer_than_a_reader_likes() {
    let shipped: Vec<_> = crates().iter().flat_map(|name| shipped(name)).collect();
    assert!(
        shipped.len() > 50,
        "only {} files: are they read?",
        shipped.len()
    );
    let lengths = shipped.iter().map(|file| (file, file.text.lines().count()));
    let long: Vec<_> = lengths
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines", file.path))
        .collect();
    assert_none("longer than 300 lines", &long);
}

#[test]
fn no_layer_does_what_layers_do_not() {
    let mut found = Vec::new();
    for file in layer_crates().iter().flat_map(|name| shipped(name)) {
        for (line, text) in file.text.lines().enumerate() {
            let code = text.split("//").next().unwrap_or_default();
            let may_box = BOXED.contains(&file.path.as_str());
            let banned = BANNED
                .iter()
                .filter(|(word, _)| code.contains(word) && !(may_box && *word == "Box::pin"));
            found.extend(
                banned.map(|(word, why)| format!("{}:{}: {word}: {why}", file.path, line + 1)),
            );
        }
    }
    assert_none("banned in layers", &found);
}

// === Manifests ===

fn manifest(crate_name: &str) -> Table {
    read(&format!("crates/{crate_name}/Cargo.toml"))
        .parse()
        .unwrap()
}

/// What a crate needs to be built, for any target; what only its tests need is left out.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(Value::as_table);
    let per_target = targets
        .into_iter()
        .flat_map(Table::values)
        .filter_map(Value::as_table);
    let tables = std::iter::once(manifest).chain(per_target);
    let kinds = ["dependencies", "build-dependencies"];
    let tables =
        tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    tables.flat_map(|table| table.keys().cloned()).collect()
}

fn is_published(manifest: &Table) -> bool {
    manifest["package"].get("publish") != Some(&Value::Boolean(false))
}

#[test]
fn no_layer_knows_another() {
    let layers = layer_crates();
    assert!(layers.len() >= 2, "only {layers:?}: are they read?");
    let mut arrows = Vec::new();
    for layer in &layers {
        let known = dependencies(&manifest(layer))
            .into_iter()
            .filter(|name| layers.contains(name));
        arrows.extend(known.map(|other| format!("{layer} → {other}")));
    }
    assert_none("arrows between layers", &arrows);
}

#[test]
fn dependencies_of_every_kind_but_the_tests_are_seen() {
    let manifest = "[dependencies]\na.workspace = true\n[dependencies.b]\nversion = '1'\n[dev-dependencies]\nc = '1'\n\
        [target.'cfg(x)'.dependencies]\nd = '1'\n[build-dependencies]\ne = '1'";
    assert_eq!(
        dependencies(&manifest.parse().unwrap()),
        ["a", "b", "e", "d"]
    );
}

#[test]
fn every_published_crate_says_what_it_is() {
    let workspace: Table = read("Cargo.toml").parse().unwrap();
    let mut missing = Vec::new();
    for name in crates() {
        let manifest = manifest(&name);
        if !is_published(&manifest) {
            continue;
        }
        for field in [
            "description",
            "license",
            "keywords",
            "documentation",
            "readme",
            "rust-version",
        ] {
            let inherited = |value: &&Value| value.get("workspace") == Some(&Value::Boolean(true));
            let value = manifest["package"].get(field);
            let value = match value.filter(inherited) {
                Some(_) => workspace["workspace"]["package"].get(field),
                None => value,
            };
            if !value.is_some_and(is_said) {
                missing.push(format!("{name}: {field}"));
            }
        }
        if manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"))
            != Some(&Value::Boolean(true))
        {
            missing.push(format!("{name}: the workspace's lints"));
        }
    }
    assert_none("not said", &missing);
}

fn is_said(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        // crates.io takes five keywords at most.
        Value::Array(words) => (1..=5).contains(&words.len()),
        _ => false,
    }
}

// === Texts ===

#[test]
fn every_layers_readme_answers_the_four_questions() {
    let mut unanswered = Vec::new();
    for name in layer_crates() {
        let readme = read(&format!("crates/{name}/README.md"));
        let headings: BTreeSet<_> = readme
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .collect();
        let open = QUESTIONS
            .iter()
            .filter(|question| !headings.contains(*question));
        unanswered.extend(open.map(|question| format!("{name}: {question}")));
    }
    assert_none("unanswered", &unanswered);
}

#[test]
fn nothing_speaks_of_anything_but_the_project() {
    let files = files_under("");
    assert!(
        files.len() > 150,
        "only {} files: are they read?",
        files.len()
    );
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.path != "Cargo.lock") {
        for (line, text) in file.text.lines().enumerate() {
            let misplaced = MISPLACED.iter().filter(|word| text.contains(*word));
            found.extend(misplaced.map(|word| format!("{}:{}: {word}", file.path, line + 1)));
        }
    }
    assert_none("misplaced", &found);
}
