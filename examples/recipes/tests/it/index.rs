//! The index and the head comments.

use std::{fs, path::Path};

#[test]
fn the_index_and_the_head_comments_have_the_run_line_of_each_recipe() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let index = fs::read_to_string(folder.join("README.md")).expect("the index");
    let recipes = fs::read_dir(folder.join("examples")).expect("the recipes");
    for recipe in recipes {
        let path = recipe.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        let run = format!("cargo run -p recipes --example {name}");
        assert!(index.contains(&format!("`{run}`")), "{name} in the index");
        let text = fs::read_to_string(&path).expect("a recipe");
        assert!(text.contains(&run) && text.contains("curl "), "{name}");
        assert!(text.lines().count() <= 90, "{name} is too long to copy");
    }
}
