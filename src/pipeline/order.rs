//! The order in which questions are put: each host has a line of its own, so that one that hangs
//! holds up nobody who asks another.

use std::collections::BTreeMap;

use futures_util::stream::{self, Stream, StreamExt};

/// Questions under way in one line. A few more than requests, since each makes some in turn.
const IN_LINE: usize = 64;

/// Does the work for all items, in a line for each host; the results as they come. `lines`: so many
/// hosts are asked at the same time.
pub(super) fn by_host<T, F: Future>(
    items: Vec<T>,
    host: impl Fn(&T) -> String,
    lines: usize,
    work: impl Fn(T) -> F,
) -> impl Stream<Item = F::Output> {
    let mut by_host: BTreeMap<String, Vec<F>> = BTreeMap::new();
    for item in items {
        by_host.entry(host(&item)).or_default().push(work(item));
    }
    let in_line = |line: Vec<F>| stream::iter(line).buffer_unordered(IN_LINE);
    stream::iter(by_host.into_values()).map(in_line).flatten_unordered(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thousand_questions_to_a_host_that_hangs_hold_up_no_other() {
        let hung = (0..1000).map(|n| ("a.hung", n));
        let items: Vec<_> = hung.chain((0..500).map(|n| ("b.well", n))).collect();
        let ask = |(host, n)| async move {
            if host == "a.hung" {
                std::future::pending::<()>().await;
            }
            n
        };
        let answers = by_host(items, |(host, _)| (*host).to_owned(), 256, ask);
        let mut answers: Vec<i32> = answers.take(500).collect().await;
        answers.sort_unstable();
        assert!(answers.into_iter().eq(0..500));
    }
}
