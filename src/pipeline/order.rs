//! The order in which questions are put: each host has a line of its own, so that one that hangs
//! holds up nobody who asks another.

use std::collections::{BTreeMap, VecDeque};

/// Questions under way in one line: a few more than requests, since each makes some in turn.
const IN_LINE: usize = 64;

/// What is still to be done, in a line for each host.
pub(super) struct Lines<T> {
    lines: Vec<Line<T>>,
    /// The line whose turn it is.
    at: usize,
}

struct Line<T> {
    waiting: VecDeque<T>,
    under_way: usize,
}

impl<T> Lines<T> {
    pub fn new(items: Vec<T>, host: impl Fn(&T) -> String) -> Self {
        let mut by_host: BTreeMap<String, VecDeque<T>> = BTreeMap::new();
        for item in items {
            by_host.entry(host(&item)).or_default().push_back(item);
        }
        let lines = by_host.into_values().map(|waiting| Line { waiting, under_way: 0 });
        Self { lines: lines.collect(), at: 0 }
    }

    /// The next to begin with and its line, the lines taking turns; `None` while all that are left
    /// must wait.
    pub fn next(&mut self) -> Option<(usize, T)> {
        for _ in 0..self.lines.len() {
            let at = self.at;
            self.at = (at + 1) % self.lines.len();
            let line = &mut self.lines[at];
            if line.under_way < IN_LINE
                && let Some(item) = line.waiting.pop_front()
            {
                line.under_way += 1;
                return Some((at, item));
            }
        }
        None
    }

    /// One of a line is done; what is next in it.
    pub fn done(&mut self, at: usize) -> Option<(usize, T)> {
        let line = &mut self.lines[at];
        line.under_way -= 1;
        let item = line.waiting.pop_front()?;
        line.under_way += 1;
        Some((at, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f29_a_thousand_questions_to_a_host_that_hangs_hold_up_no_other() {
        let hung = (0..1000).map(|n| ("a.hung", n));
        let items: Vec<_> = hung.chain((0..500).map(|n| ("b.well", n))).collect();
        let mut lines = Lines::new(items, |(host, _)| (*host).to_owned());
        let mut begun = Vec::new();
        while let Some(next) = lines.next() {
            begun.push(next);
        }
        assert_eq!(begun.len(), 2 * IN_LINE);
        assert!(
            begun
                .iter()
                .take(4)
                .map(|(_, item)| item.0)
                .eq(["a.hung", "b.well", "a.hung", "b.well"])
        );
        let mut well: Vec<_> = begun.into_iter().filter(|(_, item)| item.0 == "b.well").collect();
        let mut answered = 0;
        while let Some((at, _)) = well.pop() {
            answered += 1;
            well.extend(lines.done(at));
        }
        assert_eq!(answered, 500);
    }
}
