//! Allocations per call, counted in the same callgrind profile as the instructions.
//!
//! A counting global allocator would add its own instructions; the profile already has the calls of
//! the C library's allocator.

use std::collections::HashMap;

/// The C library's functions that allocate. A `realloc` counts, since it may move the block.
const ALLOCATORS: [&str; 6] = [
    "malloc",
    "calloc",
    "realloc",
    "aligned_alloc",
    "memalign",
    "posix_memalign",
];

/// The number of calls of the allocator in a profile.
///
/// In callgrind's format a call is two lines, `cfn=(id) name` and `calls=count target`; the name is
/// written only where its id first appears.
pub fn in_profile(profile: &str) -> u64 {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut calls: HashMap<&str, u64> = HashMap::new();
    let mut callee = None;
    for line in profile.lines() {
        if let Some(function) = line
            .strip_prefix("cfn=")
            .or_else(|| line.strip_prefix("fn="))
        {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(id, name);
            }
            callee = line.starts_with("cfn=").then_some(id);
        } else if let Some(count) = line.strip_prefix("calls=") {
            let count = count
                .split(' ')
                .next()
                .and_then(|count| count.parse::<u64>().ok());
            if let (Some(id), Some(count)) = (callee.take(), count) {
                *calls.entry(id).or_insert(0_u64) += count;
            }
        }
    }
    let is_allocator = |id: &str| names.get(id).is_some_and(|name| ALLOCATORS.contains(name));
    calls
        .into_iter()
        .filter(|(id, _)| is_allocator(id))
        .map(|(_, count)| count)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::in_profile;

    #[test]
    fn calls_of_the_allocator_are_counted_by_name_or_id() {
        let profile = "fn=(1) main\n10 5\ncfn=(2) malloc\ncalls=3 0\n10 90\n\
                       cfn=(4) free\ncalls=9 0\n10 9\nfn=(3) work\n5 5\ncfn=(2)\ncalls=4 0\n5 70\n\
                       fn=(5) realloc\n1 1\nfn=(6) grow\n1 1\ncfn=(5)\ncalls=2 0\n1 1\n";
        assert_eq!(in_profile(profile), 3 + 4 + 2);
    }

    #[test]
    fn a_profile_without_calls_has_none() {
        assert_eq!(in_profile("fn=(1) malloc\n10 5\ntotals: 5\n"), 0);
    }
}
