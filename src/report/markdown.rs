//! A comment for a pull request: counts, tables of what is denied and warned of, and the rest folded
//! away. Read on GitHub, GitLab and their like, which turn `@name`, `#1`, links and HTML into acts:
//! every text from outside stands inside a table cell and goes through [`escape`]. What does not fit
//! is left out from the end, and the last line says how much.

use super::heading::{Heading, Level};
use super::images::ByImage;
use super::{Report, Result, outside, place, summary};
use crate::manifest::Note;
use crate::text;

/// Longest comment, in characters; GitHub takes 65,536.
const LIMIT: usize = 60_000;
/// Kept free for the line that tells what was left out, and for closing what is folded.
const RESERVED: usize = 400;
/// Longest text in a cell, in characters before they are escaped.
const CELL: usize = 300;
/// Places shown of one result.
const PLACES: usize = 3;

/// The report as a comment.
pub fn render(report: &Report) -> String {
    let offline = report.summary.offline;
    let told: Vec<(Level, Row)> = report
        .results
        .iter()
        .filter_map(|it| Heading::of(it, offline).map(|heading| (heading.level, row(it, &heading))))
        .collect();
    let of = |wanted: fn(Level) -> bool| -> Vec<&Row> {
        told.iter().filter(|(level, _)| wanted(*level)).map(|(_, row)| row).collect()
    };
    let errors = of(|level| level == Level::Error);
    let warnings = of(|level| level == Level::Warning);
    let doubts = of(|level| matches!(level, Level::CouldNotTell { .. }));
    let notes = of(|level| level == Level::Note);
    let remarks: Vec<Row> = report.notes.iter().map(remark).collect();

    let mut page = Page::new();
    let counts = [
        (errors.len(), "error", "errors"),
        (warnings.len(), "warning", "warnings"),
        (doubts.len(), "not judged", "not judged"),
    ];
    page.line(&format!("## pullproof: {}", headline(&counts)));
    page.line("");
    page.line(&summary::line(report));
    page.table("### Errors", &errors, Fold::Open);
    page.table("### Warnings", &warnings, Fold::Open);
    page.table(&counted(doubts.len(), "could not be judged"), &doubts, Fold::Closed);
    let noted: Vec<&Row> = notes.into_iter().chain(&remarks).collect();
    let title = counted(noted.len(), if noted.len() == 1 { "note" } else { "notes" });
    page.table(&title, &noted, Fold::Closed);
    page.finish("pullproof validate -o full")
}

/// The images that manifests name, as a table.
pub(super) fn images(images: ByImage<'_>) -> String {
    let row = |(image, uses): (&&str, &Vec<&crate::image::ImageUse>)| {
        let first = uses.first().map(|it| place::of_use(it)).unwrap_or_default();
        let more =
            if uses.len() > 1 { format!(" and {} more", uses.len() - 1) } else { String::new() };
        format!("| {}{more} | {} |\n", code(&first), code(image))
    };
    let rows: Vec<String> = images.iter().map(row).collect();
    let mut page = Page::new();
    page.line(&format!("## pullproof: {}", counted(rows.len(), "images")));
    page.rows("| Where | Image |\n| --- | --- |\n", rows.iter().map(String::as_str));
    page.finish("pullproof images")
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}")
}

fn headline(counts: &[(usize, &str, &str)]) -> String {
    let some = counts.iter().filter(|(number, ..)| *number > 0);
    let parts: Vec<String> = some
        .map(|(number, one, many)| counted(*number, if *number == 1 { one } else { many }))
        .collect();
    if parts.is_empty() { "nothing to complain of".to_owned() } else { parts.join(", ") }
}

/// One line of a table, with its line break.
type Row = String;

fn row(result: &Result, heading: &Heading) -> Row {
    let mut places = place::all(result).into_iter();
    let shown: Vec<String> = places.by_ref().take(PLACES).map(|place| code(&place)).collect();
    let mut shown = shown.join("<br>");
    let more = places.count();
    if more > 0 {
        shown.push_str(&format!("<br>and {more} more"));
    }
    let advice = result.diagnosis.advice.first().map(|advice| escape(&outside::sentence(advice)));
    format!(
        "| {shown} | {} | {} | {} |\n",
        heading.id.map(code).unwrap_or_default(),
        escape(&heading.title),
        advice.unwrap_or_default()
    )
}

fn remark(note: &Note) -> Row {
    let place = place::of_note(note).map(|place| code(&place)).unwrap_or_default();
    format!("| {place} | {} | {} | |\n", code(note.id), escape(&outside::sentence(&note.text)))
}

/// Words from outside between words of ours: shown as they are, and nothing but shown.
fn escape(words: &str) -> String {
    let words = text::clean(words, CELL);
    let mut out = String::with_capacity(words.len() * 2);
    let mut rest = words.chars().peekable();
    while let Some(c) = rest.next() {
        let refers = matches!(c, '@' | '#' | '!' | '$' | '%' | '~' | '^' | '&');
        let names = rest.peek().is_some_and(|next| next.is_alphanumeric() || *next == '"');
        // Names of people and issues, and on GitLab addresses, are looked for in what is shown, where
        // entities are gone; a tag between sign and name parts them.
        let begins_address = c == ':' && rest.peek() == Some(&'/');
        if c == '@' || begins_address || (refers && names) {
            out.push_str(&format!("<span>&#{};</span>", u32::from(c)));
        } else {
            push(&mut out, c);
        }
    }
    out
}

/// The same for a place, an image or an id. What stands in code refers to nobody.
fn code(words: &str) -> String {
    let mut out = String::from("<code>");
    text::clean(words, CELL).chars().for_each(|c| push(&mut out, c));
    out.push_str("</code>");
    out
}

/// A character that no Markdown gives a meaning to: punctuation but the harmless as an entity.
/// The dot is not harmless: `www.` and `a.b` become links.
fn push(out: &mut String, c: char) {
    let harmless = matches!(c, ' ' | '/' | '-' | ',' | ';' | '"' | '\'' | '=' | '?' | '+')
        || c.is_alphanumeric()
        || !c.is_ascii();
    match c {
        '.' | ':' if is_prose(out) => out.push(c),
        c if harmless => out.push(c),
        c => out.push_str(&format!("&#{};", u32::from(c))),
    }
}

/// Whether a dot or colon here can be none of a link's: not after `www` or a scheme's name.
fn is_prose(before: &str) -> bool {
    let word = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    let word = word.to_ascii_lowercase();
    !["www", "http", "https", "ftp", "mailto", "xmpp"].iter().any(|end| word.ends_with(end))
}

#[derive(PartialEq, Eq)]
enum Fold {
    Open,
    Closed,
}

/// A comment on its way, and what no longer fits.
struct Page {
    text: String,
    used: usize,
    left_out: usize,
}

impl Page {
    /// The first line lets a program find its own comment again.
    fn new() -> Self {
        let text = "<!-- pullproof -->\n".to_owned();
        Self { used: text.len(), text, left_out: 0 }
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.used += text.chars().count();
    }

    fn line(&mut self, line: &str) {
        self.push(line);
        self.push("\n");
    }

    fn fits(&self, text: &str) -> bool {
        self.used + text.chars().count() <= LIMIT - RESERVED
    }

    fn table(&mut self, title: &str, rows: &[&Row], fold: Fold) {
        const HEAD: &str =
            "| Where | Cause | What is the matter | What to do |\n| --- | --- | --- | --- |\n";
        if rows.is_empty() {
            return;
        }
        // A section of which not even one line fits is counted and not begun.
        if self.left_out > 0 || !self.fits(&format!("{title}{HEAD}{}", rows[0])) {
            self.left_out += rows.len();
            return;
        }
        match fold {
            Fold::Open => self.push(&format!("\n{title}\n")),
            Fold::Closed => self.push(&format!("\n<details><summary>{title}</summary>\n")),
        }
        self.rows(HEAD, rows.iter().map(|row| row.as_str()));
        if fold == Fold::Closed {
            self.push("\n</details>\n");
        }
    }

    fn rows<'r>(&mut self, head: &str, rows: impl Iterator<Item = &'r str>) {
        self.push("\n");
        self.push(head);
        for row in rows {
            // Nothing after the first that does not fit, so that the order is kept.
            if self.left_out > 0 || !self.fits(row) {
                self.left_out += 1;
            } else {
                self.push(row);
            }
        }
    }

    fn finish(mut self, whole: &str) -> String {
        match self.left_out {
            0 => {}
            1 => self.push(&format!("\n**1 line is left out for length;** `{whole}` shows all.\n")),
            more => {
                self.push(&format!(
                    "\n**{more} lines are left out for length;** `{whole}` shows all.\n"
                ));
            }
        }
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn b45_outside_words_are_shown_and_do_nothing() {
        for (words, shown) in [
            ("a|b", "a&#124;b"),
            ("`x` *y* _z_", "&#96;x&#96; &#42;y&#42; &#95;z&#95;"),
            ("<img src=x>", "&#60;img src=x&#62;"),
            ("![i](u)", "&#33;&#91;i&#93;&#40;u&#41;"),
            ("@team fixes #12", "<span>&#64;</span>team fixes <span>&#35;</span>12"),
            ("see https://x.test", "see https<span>&#58;</span>//x.test"),
            ("WWW.x.test", "WWW&#46;x.test"),
            ("a\n## b \\", "a &#35;&#35; b &#92;"),
            ("&amp;", "<span>&#38;</span>amp;"),
            ("nginx:1.27", "nginx:1.27"),
        ] {
            assert_eq!(escape(words), shown, "{words}");
        }
        assert_eq!(code("a@sha256:b`"), "<code>a&#64;sha256:b&#96;</code>");
    }

    #[test]
    fn a_row_has_its_four_cells_whatever_it_holds() {
        let text = render(&sample::report());
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.len() > 15, "{text}");
        for row in rows {
            assert_eq!(row.matches('|').count(), 5, "{row}");
        }
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }

    #[test]
    fn a_long_report_is_cut_and_says_so() {
        let mut report = sample::report();
        for _ in 0..7 {
            let again = sample::report().results;
            report.results.extend(again);
            report.results.extend(sample::report().results);
        }
        report.results.iter_mut().for_each(|it| it.diagnosis.advice = vec!["|".repeat(1000)]);
        let text = render(&report);
        let length = text.chars().count();
        assert!(length <= LIMIT, "{length}");
        assert!(length > LIMIT / 2, "{length}");
        let told = report.results.iter().filter(|it| Heading::of(it, false).is_some()).count();
        let rows = text.lines().filter(|it| it.starts_with("| <code>")).count();
        let left_out = told + report.notes.len() - rows;
        assert!(text.ends_with(&format!("**{left_out} lines are left out for length;** `pullproof validate -o full` shows all.\n")), "{}", &text[text.len() - 300..]);
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    }

    #[test]
    fn a_good_report_is_short() {
        let mut report = sample::report();
        report.results.retain(|it| it.image == "nginx:1.27.4");
        report.notes.clear();
        let text = render(&report);
        assert!(text.starts_with("<!-- pullproof -->\n## pullproof: nothing to complain of\n\n"));
        assert_eq!(text.lines().count(), 4, "{text}");
    }
}
