//! Does an image offer what its Pod may land on? The runtimes' choices compared, for every platform
//! wanted.

use super::advice::Words;
use super::cause::{Cause, Reason};
use super::diagnose::{finding, inconclusive, pullable};
use super::{Diagnosis, Outcome};
use crate::image::Platform;
use crate::image::platform::{Agreement, Content, agreed, offered, runs};

/// Reads the content of an image against the platforms wanted.
pub(super) fn read(words: &Words<'_>, content: &Content) -> Diagnosis {
    let wanted = &words.question.platforms;
    let (mut diagnosis, missing) = match content {
        Content::Manifest { config } => {
            let fits = |node: &Platform| config.as_ref().is_some_and(|config| runs(node, config));
            let missing: Vec<Platform> = wanted.iter().filter(|it| !fits(it)).cloned().collect();
            (plain(words, wanted.len() - missing.len()), missing)
        }
        index => indexed(words, index),
    };
    diagnosis.lacking.platforms = missing;
    diagnosis.offered = offered(content);
    diagnosis
}

/// A single image: the pull does not look at its platform, the first start does.
fn plain(words: &Words<'_>, fitting: usize) -> Diagnosis {
    match fitting {
        0 => finding(Cause::PlatformWrong, words),
        some if some < words.question.platforms.len() => partial(words),
        _ => runs_everywhere(words),
    }
}

/// The diagnosis, and the platforms that no runtime finds anything for.
fn indexed(words: &Words<'_>, index: &Content) -> (Diagnosis, Vec<Platform>) {
    let question = words.question;
    let (mut taken, mut refused) = (0, Vec::new());
    for platform in &question.platforms {
        match agreed(&question.runtimes, platform, index) {
            Agreement::All => taken += 1,
            Agreement::None => refused.push(platform.clone()),
            Agreement::Differ | Agreement::NeedsConfig(_) | Agreement::NeedsIndex(_) => {
                let text = format!(
                    "{}: container runtimes choose differently for {platform} from what it offers",
                    words.image()
                );
                return (inconclusive(Reason::RuntimeUnknown, text), Vec::new());
            }
        }
    }
    let diagnosis = match (taken, refused.len()) {
        (_, 0) => runs_everywhere(words),
        (0, _) => finding(Cause::PlatformMissing, words),
        _ => partial(words),
    };
    (diagnosis, refused)
}

fn partial(words: &Words<'_>) -> Diagnosis {
    finding(Cause::PlatformPartial, words)
}

fn runs_everywhere(words: &Words<'_>) -> Diagnosis {
    let mut diagnosis = pullable(words);
    debug_assert_eq!(diagnosis.outcome, Outcome::Pullable);
    diagnosis.runs = Some(true);
    diagnosis
}
