//! The files of the repository, for tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file, by its path from the root of the repository.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Every text file under a folder of the repository, in order; `""` is the root. What was built is left out.
pub(crate) fn files_under(folder: &str) -> Vec<TextFile> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// The crates, each by the name of its folder.
pub(crate) fn crates() -> Vec<String> {
    let folders = fs::read_dir(root().join("crates")).unwrap();
    let mut names: Vec<_> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The crates that have a layer.
pub(crate) fn layer_crates() -> Vec<String> {
    let mut names = crates();
    names.retain(|name| {
        root()
            .join("crates")
            .join(name)
            .join("src/layer.rs")
            .exists()
    });
    names
}

/// A file that must be there.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn collect(folder: &Path, files: &mut Vec<TextFile>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.retain(|path| !path.ends_with("target") && !path.ends_with(".git"));
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root()).unwrap();
            let path = path.to_str().unwrap().replace('\\', "/");
            files.push(TextFile { path, text });
        }
    }
}
