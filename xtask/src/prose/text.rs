//! Prose from a source or Markdown file, without code, as words with their lines.

use std::collections::HashMap;

use super::terms::TERMS;

/// A word or a punctuation mark, in lower case. An empty text separates paragraphs.
pub(crate) struct Word {
    line: usize,
    text: String,
}

/// A phrase of [`TERMS`] in a file.
#[derive(Debug, PartialEq)]
pub(crate) struct Hit {
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) phrase: String,
    pub(crate) better: &'static str,
}

/// What a file holds: how many lines of prose, and the hits in them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) lines: usize,
    pub(crate) hits: Vec<Hit>,
}

/// Searches the comments of Rust source.
pub(crate) fn rust(source: &str) -> Found {
    let mut prose = Prose::default();
    for (number, line) in (1..).zip(source.lines()) {
        let trimmed = line.trim_start();
        if trimmed.starts_with("//") {
            let text = trimmed.trim_start_matches('/');
            prose.add(number, text.strip_prefix('!').unwrap_or(text));
        } else {
            prose.end_paragraph();
            prose.fenced = false;
            if let Some(comment) = comment(line) {
                prose.add(number, comment);
                prose.end_paragraph();
            }
        }
    }
    prose.found()
}

/// Searches the text of a Markdown file.
pub(crate) fn markdown(source: &str) -> Found {
    let mut prose = Prose::default();
    for (number, line) in (1..).zip(source.lines()) {
        prose.add(number, line);
    }
    prose.found()
}

/// The comment at the end of a line of code. Quotes are counted, so that a string with `//` is not
/// a comment.
fn comment(line: &str) -> Option<&str> {
    let (code, comment) = line.split_once(" // ")?;
    code.matches('"')
        .count()
        .is_multiple_of(2)
        .then_some(comment)
}

#[derive(Default)]
struct Prose {
    words: Vec<Word>,
    lines: usize,
    fenced: bool,
}

impl Prose {
    fn add(&mut self, line: usize, text: &str) {
        let text = text.trim();
        if text.starts_with("```") {
            self.fenced = !self.fenced;
            self.end_paragraph();
            return;
        }
        // Of examples, only the comments are prose.
        let text = if self.fenced {
            self.end_paragraph();
            match text.strip_prefix("// ").or_else(|| comment(text)) {
                Some(comment) => comment,
                None => return,
            }
        } else {
            text
        };
        if text.is_empty() {
            self.end_paragraph();
            return;
        }
        self.lines += 1;
        for chunk in without_code(text).split_whitespace() {
            // Paths, addresses and identifiers are not English.
            if chunk.contains(['/', '_', '`']) || chunk.contains("::") {
                self.push(line, "`");
            } else {
                self.split(line, chunk);
            }
        }
    }

    fn split(&mut self, line: usize, chunk: &str) {
        let chunk = chunk.to_lowercase().replace('’', "'");
        let in_word = |c: char| c.is_alphanumeric() || c == '\'';
        let mut rest = &*chunk;
        while let Some(first) = rest.chars().next() {
            let end = if in_word(first) {
                rest.find(|c| !in_word(c)).unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            let (word, tail) = rest.split_at(end);
            let word = word.strip_suffix("'s").unwrap_or(word);
            self.push(line, word.trim_matches('\''));
            rest = tail;
        }
    }

    fn push(&mut self, line: usize, text: &str) {
        let text = text.to_owned();
        self.words.push(Word { line, text });
    }

    fn end_paragraph(&mut self) {
        self.push(0, "");
    }

    fn found(self) -> Found {
        let phrases = Phrases::new();
        let mut hits = Vec::new();
        let mut rest = &*self.words;
        while let [first, tail @ ..] = rest {
            let Some((length, better)) = phrases.at_start_of(rest) else {
                rest = tail;
                continue;
            };
            let phrase: Vec<&str> = rest[..length].iter().map(|word| &*word.text).collect();
            if !better.is_empty() {
                hits.push(Hit {
                    line: first.line,
                    phrase: phrase.join(" "),
                    better,
                });
            }
            rest = &rest[length..];
        }
        let lines = self.lines;
        Found { lines, hits }
    }
}

/// The words of a phrase after the first, each with its alternatives, and the better term.
type Tail = (Vec<Vec<&'static str>>, &'static str);

/// [`TERMS`] by their first word, each in the order of the table.
struct Phrases(HashMap<&'static str, Vec<Tail>>);

impl Phrases {
    fn new() -> Self {
        let mut phrases: HashMap<_, Vec<_>> = HashMap::new();
        for (phrase, better) in TERMS {
            let mut words = phrase.split(' ').map(|word| word.split('|').collect());
            let first: Vec<&str> = words.next().unwrap_or_default();
            let tail: Vec<Vec<_>> = words.collect();
            for word in first {
                let same_start = phrases.entry(word).or_default();
                same_start.push((tail.clone(), *better));
            }
        }
        Self(phrases)
    }

    /// The length of the first phrase that matches at the start of `words`, and the better term.
    fn at_start_of(&self, words: &[Word]) -> Option<(usize, &'static str)> {
        let (first, rest) = words.split_first()?;
        let same_start = self.0.get(&*first.text)?;
        let matches = |(tail, _): &&Tail| {
            tail.len() <= rest.len() && tail.iter().zip(rest).all(|(any, word)| is_any(any, word))
        };
        let (tail, better) = same_start.iter().find(matches)?;
        Some((1 + tail.len(), *better))
    }
}

fn is_any(alternatives: &[&str], word: &Word) -> bool {
    let wildcard = alternatives == ["_"] && word.text.starts_with(char::is_alphabetic);
    wildcard || alternatives.contains(&&*word.text)
}

/// Replaces code in backticks by a backtick, and removes the targets of links.
fn without_code(text: &str) -> String {
    let mut kept = String::new();
    let mut parts = text.split('`');
    kept.push_str(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(prose) => {
                kept.push_str(" ` ");
                kept.push_str(prose);
            }
            None => kept.push_str(code),
        }
    }
    while let Some(start) = kept.find("](") {
        let end = kept[start..]
            .find(')')
            .map_or(kept.len(), |at| start + at + 1);
        kept.replace_range(start..end, " ");
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases(found: &Found) -> Vec<(usize, &str)> {
        let hits = found.hits.iter();
        hits.map(|hit| (hit.line, &*hit.phrase)).collect()
    }

    #[test]
    fn a_hit_has_its_line_its_phrase_and_the_better_term() {
        let found = rust("fn f() {}\n\n/// The gate lets in\n/// a request.\n");
        assert_eq!(
            found.hits,
            [Hit {
                line: 3,
                phrase: "lets in".to_owned(),
                better: "admit"
            }]
        );
        assert_eq!(found.lines, 2);
    }

    #[test]
    fn a_phrase_matches_over_a_line_break_but_not_over_a_paragraph() {
        assert_eq!(
            phrases(&rust("//! turned\n//! away\n")),
            [(1, "turned away")]
        );
        assert_eq!(phrases(&rust("//! turned\n//!\n//! away\n")), []);
        assert_eq!(phrases(&rust("// turned\nf();\n// away\n")), []);
    }

    #[test]
    fn only_whole_words_match_in_any_case() {
        let found = rust("// Nobody's reminder. Toldo knowsy. NOBODY\n");
        assert_eq!(phrases(&found), [(1, "nobody"), (1, "nobody")]);
    }

    #[test]
    fn punctuation_is_part_of_a_phrase() {
        assert_eq!(
            phrases(&rust("// The same, but faster.")),
            [(1, "the same , but")]
        );
        assert_eq!(phrases(&rust("// The same but faster.")), []);
        assert_eq!(phrases(&rust("// Let. In")), []);
    }

    #[test]
    fn a_wildcard_stands_for_one_word() {
        let hits = rust("// gives it back, gives the slot back, gives, back");
        assert_eq!(phrases(&hits), [(1, "gives it back")]);
    }

    #[test]
    fn code_paths_and_link_targets_are_not_prose() {
        assert_eq!(
            phrases(&rust(
                "// `nobody` [page](nobody.md) a/nobody plimsoll::told"
            )),
            []
        );
        assert_eq!(phrases(&rust("let nobody = \" // nobody\";")), []);
        assert_eq!(
            phrases(&markdown("See [what nobody does](x.md).")),
            [(1, "nobody")]
        );
    }

    #[test]
    fn the_comments_of_examples_are_prose_and_the_code_is_not() {
        let found = markdown("```rust\nlet nobody = 1;\n// told\nf(); // lest\n```\nknows\n");
        assert_eq!(phrases(&found), [(3, "told"), (4, "lest"), (6, "knows")]);
        assert_eq!(found.lines, 3);
    }

    #[test]
    fn a_comment_behind_code_counts() {
        let found = rust("f(); // lest\ng();\n");
        assert_eq!((phrases(&found), found.lines), (vec![(1, "lest")], 1));
    }

    #[test]
    fn connections_may_be_refused() {
        assert_eq!(
            phrases(&rust("// connection refused, request refused")),
            [(1, "refused")]
        );
    }

    #[test]
    fn every_phrase_of_the_table_can_match() {
        for (phrase, better) in TERMS {
            let text: Vec<&str> = phrase
                .split(' ')
                .map(|word| word.split('|').next().unwrap())
                .map(|word| if word == "_" { "it" } else { word })
                .collect();
            let found = markdown(&text.join(" "));
            let shadowed = found.hits.iter().any(|hit| hit.better == *better);
            assert!(
                shadowed || better.is_empty(),
                "{phrase} is found as {:?}",
                found.hits
            );
        }
    }
}
