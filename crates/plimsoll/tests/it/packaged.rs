//! What a crate includes from files must be in its package: docs.rs builds from the package alone.

use std::{path::Path, process::Command};

#[test]
fn the_package_has_every_guide() {
    let list = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&list.stderr);
    assert!(list.status.success(), "{error}");
    let files = String::from_utf8(list.stdout).unwrap();
    let guides = include_str!("../../src/guides.rs").lines();
    let guides: Vec<&str> = guides
        .filter_map(|line| {
            line.split('"')
                .find(|part| Path::new(part).extension() == Some("md".as_ref()))
        })
        .filter(|guide| !guide.contains('/'))
        .chain(["links.md"])
        .collect();
    assert_eq!(guides.len(), 17, "{guides:?}");
    for guide in guides {
        let packaged = files.lines().any(|file| file == format!("docs/{guide}"));
        assert!(packaged, "docs/{guide} is not in the package:\n{files}");
    }
}
