//! Syntax that newer compilers accept.

use syn::{
    Expr,
    visit::{self, Visit},
};

use crate::{
    run::root,
    rust::{is_test, parse, sources},
};

/// Syntax and the first Rust version that has it.
type Newer = (&'static str, (u32, u32));

const LET_CHAIN: Newer = ("a let chain", (1, 88));
const LET_GUARD: Newer = ("`if let` in a guard", (1, 95));
const CFG_TRUE: Newer = ("`cfg(true)` or `cfg(false)`", (1, 88));
const INFERRED_LENGTH: Newer = ("an inferred length of an array", (1, 89));

/// What a crate's sources use that is newer than `rust`. Its tests are left out: they depend on
/// newer crates as well.
pub(super) fn faults(package: &str, rust: (u32, u32)) -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    for path in sources(&root().join("crates").join(package).join("src"))? {
        let file = parse(&path)?;
        for (line, (what, since)) in newer_in(&file) {
            if since > rust {
                let path = path.strip_prefix(root()).unwrap_or(&path).display();
                faults.push(format!(
                    "{path}:{line}: {what} needs {}.{}",
                    since.0, since.1
                ));
            }
        }
    }
    Ok(faults)
}

/// The lines of a file with newer syntax.
fn newer_in(file: &syn::File) -> Vec<(usize, Newer)> {
    let mut search = Search::default();
    search.visit_file(file);
    search.0
}

#[derive(Default)]
struct Search(Vec<(usize, Newer)>);

impl Search {
    fn found(&mut self, what: Newer, at: proc_macro2::Span) {
        self.0.push((at.start().line, what));
    }

    /// A condition with `let` beside other conditions.
    fn condition(&mut self, condition: &Expr) {
        if let Expr::Binary(both) = condition
            && let Some(at) = first_let(condition)
            && matches!(both.op, syn::BinOp::And(_))
        {
            self.found(LET_CHAIN, at);
        }
    }
}

/// Where the first `let` of a chain is.
fn first_let(condition: &Expr) -> Option<proc_macro2::Span> {
    match condition {
        Expr::Let(expression) => Some(expression.let_token.span),
        Expr::Binary(both) => first_let(&both.left).or_else(|| first_let(&both.right)),
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        self.condition(&branch.cond);
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_while(&mut self, repeat: &'ast syn::ExprWhile) {
        self.condition(&repeat.cond);
        visit::visit_expr_while(self, repeat);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard
            && let Some(at) = first_let(guard)
        {
            self.found(LET_GUARD, at);
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_repeat(&mut self, array: &'ast syn::ExprRepeat) {
        if matches!(&*array.len, Expr::Infer(_)) {
            self.found(INFERRED_LENGTH, array.bracket_token.span.open());
        }
        visit::visit_expr_repeat(self, array);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            let text = list.tokens.to_string();
            if list.path.is_ident("cfg") && (text == "true" || text == "false") {
                self.found(CFG_TRUE, attribute.pound_token.span);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<&'static str> {
        let file = syn::parse_file(code).unwrap();
        newer_in(&file)
            .into_iter()
            .map(|(_, (what, _))| what)
            .collect()
    }

    #[test]
    fn each_newer_syntax_is_found() {
        for (code, what) in [
            ("fn f() { if let Some(_) = x && y {} }", LET_CHAIN),
            ("fn f() { if y && let Some(_) = x {} }", LET_CHAIN),
            ("fn f() { while a && b && let Some(_) = x {} }", LET_CHAIN),
            ("fn f() { let _ = [0; _]; }", INFERRED_LENGTH),
            ("#[cfg(true)] fn f() {}", CFG_TRUE),
            (
                "fn f() { match x { a if let Some(_) = a => {}, _ => {} } }",
                LET_GUARD,
            ),
        ] {
            assert_eq!(found(code), [what.0], "{code}");
        }
    }

    #[test]
    fn old_syntax_and_tests_are_not() {
        for code in [
            "fn f() { if let Some(_) = x { if y && z {} } }",
            "fn f() { if y && matches!(x, Some(_)) {} }",
            "fn f() { match x { Some(a) if a => {}, _ => {} } }",
            "#[cfg(test)] mod tests { fn f() { if let Some(_) = x && y {} } }",
            "#[cfg(unix)] fn f() { let _ = [0; 4]; }",
        ] {
            assert_eq!(found(code), [""; 0], "{code}");
        }
    }

    #[test]
    fn a_fault_names_the_line_and_the_version() {
        let file = syn::parse_file("fn f() {\n    if let Some(_) = x\n        && y {}\n}").unwrap();
        assert_eq!(newer_in(&file), [(2, LET_CHAIN)]);
    }
}
