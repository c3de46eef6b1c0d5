//! Files, folders and standard input to texts. The only part of `manifest` with I/O.
//!
//! Folders are walked in order of name, `.gitignore` obeyed, hidden entries skipped, symlinks to
//! files followed and to folders not. Nothing that could block or never end (FIFOs, devices,
//! sockets) is opened when found; sizes are bounded before and while reading.

mod charts;
mod filter;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use ignore::{DirEntry, Walk, WalkBuilder};

use super::extract::{Chart, Extractor, looks_like_manifest};
use super::yaml::FILE_LIMIT;
use super::{Broken, Extraction, Note};
use crate::image::usage::{Place, Source};
use charts::Charts;
use filter::Filter;

/// What a text from standard input is called.
pub const STDIN: &str = "<stdin>";
/// How much of a file that is too large is looked at.
const HEAD: usize = 64 << 10;
/// Most texts that are extracted at a time, and that wait for it.
const WORKERS: usize = 8;
const QUEUE: usize = 16;

/// Which files of a folder are read.
#[derive(Debug, Clone, Default)]
pub struct SourceOptions {
    /// Patterns as in `.gitignore` of files and folders to leave out.
    pub exclude: Vec<String>,
    /// Patterns of the files to read, instead of those ending in .yaml, .yml or .json.
    pub include: Vec<String>,
    /// Read what `.gitignore` names, too.
    pub no_ignore: bool,
    /// The absolute path of the folder that the patterns count from, besides the folder that is walked
    /// and the working directory.
    pub patterns_from: Option<PathBuf>,
    /// How the texts are read.
    pub extractor: Extractor,
}

/// Why an input that was asked for can not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no such file or folder: {path}")]
    Missing { path: String },
    #[error("{path} is {what}, not a file or folder")]
    NotAFile { path: String, what: &'static str },
    #[error("cannot read {path}")]
    Unreadable { path: String, source: io::Error },
    #[error("pattern \"{pattern}\" cannot be understood")]
    Pattern { pattern: String, source: ignore::Error },
}

/// One thing met while reading.
#[derive(Debug)]
pub enum Found {
    Text(Arc<Source>),
    /// A manifest that is no text.
    Broken(Broken),
    Note(Note),
}

/// Reads inputs one after the other; inputs that do not exist come first.
pub fn read(inputs: &[String], options: &SourceOptions) -> Result<Sources, Error> {
    let filter = Filter::new(options)?;
    let (present, missing): (Vec<_>, Vec<_>) = inputs
        .iter()
        .cloned()
        .partition(|input| is_stdin(input) || Path::new(input).symlink_metadata().is_ok());
    Ok(Sources {
        ready: missing.into_iter().map(|path| Err(Error::Missing { path })).collect(),
        inputs: present.into_iter(),
        walk: None,
        filter: Arc::new(filter),
        no_ignore: options.no_ignore,
        seen: HashSet::new(),
        chart: None,
        charts: HashMap::new(),
        templates: BTreeMap::new(),
    })
}

/// Reads inputs and extracts what they hold, as much of it at a time as there are cores.
pub fn extract(inputs: &[String], options: &SourceOptions) -> Result<Extraction, Error> {
    let mut charts = Charts::default();
    let (sender, queue) = mpsc::sync_channel::<Text>(QUEUE);
    let queue = Mutex::new(queue);
    let sources = read(inputs, options)?;
    let mut parts = thread::scope(|scope| {
        let work = || extract_texts(&queue, &options.extractor);
        let workers: Vec<_> = (0..workers()).map(|_| scope.spawn(work)).collect();
        let mut parts = Vec::new();
        // Owned here, so that an error ends the workers as well.
        let sender = sender;
        for (nth, found) in sources.enumerate() {
            match found? {
                Found::Text(source) => {
                    let chart = charts.of(&source.name).cloned();
                    // Refused only when all workers have panicked, which joining them tells.
                    let _ = sender.send(Text { nth, source, chart });
                }
                Found::Broken(broken) => {
                    parts.push((nth, Extraction { broken: vec![broken], ..Extraction::default() }));
                }
                Found::Note(note) => {
                    parts.push((nth, Extraction { notes: vec![note], ..Extraction::default() }));
                }
            }
        }
        drop(sender);
        for worker in workers {
            parts.extend(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(parts)
    })?;
    parts.sort_by_key(|(nth, _)| *nth);
    let mut all = Extraction::default();
    parts.into_iter().for_each(|(_, part)| all.append(part));
    all.drop_other_secrets();
    Ok(all)
}

/// A text in the queue, and its turn.
struct Text {
    nth: usize,
    source: Arc<Source>,
    chart: Option<Chart>,
}

/// Extracts until no more texts come.
fn extract_texts(queue: &Mutex<Receiver<Text>>, extractor: &Extractor) -> Vec<(usize, Extraction)> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
    let texts = std::iter::from_fn(next);
    texts.map(|text| (text.nth, extractor.extract(&text.source, text.chart.as_ref()))).collect()
}

fn workers() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(WORKERS)
}

/// The texts of all inputs, read when asked for.
pub struct Sources {
    ready: VecDeque<Result<Found, Error>>,
    inputs: std::vec::IntoIter<String>,
    walk: Option<Walk>,
    filter: Arc<Filter>,
    no_ignore: bool,
    seen: HashSet<PathBuf>,
    /// The chart whose templates the current input lies in.
    chart: Option<PathBuf>,
    /// Whether a `templates` folder belongs to a chart.
    charts: HashMap<PathBuf, bool>,
    /// Templates skipped, by chart.
    templates: BTreeMap<PathBuf, usize>,
}

impl Iterator for Sources {
    type Item = Result<Found, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                return Some(found);
            }
            if let Some(walk) = &mut self.walk {
                match walk.next() {
                    Some(entry) => self.entry(entry),
                    None => self.walk = None,
                }
            } else if let Some(input) = self.inputs.next() {
                self.input(input);
            } else {
                let (chart, count) = self.templates.pop_first()?;
                return Some(Ok(Found::Note(templates_note(&chart, count))));
            }
        }
    }
}

impl Sources {
    fn input(&mut self, input: String) {
        if is_stdin(&input) {
            if self.seen.insert(PathBuf::from(STDIN)) {
                let text = read_text(io::stdin().lock(), STDIN, true);
                self.ready
                    .push_back(text.map_err(|source| Error::Unreadable { path: input, source }));
            }
            return;
        }
        let path = PathBuf::from(&input);
        let kind = match fs::metadata(&path) {
            Ok(metadata) => metadata.file_type(),
            Err(source) => {
                return self.ready.push_back(Err(Error::Unreadable { path: input, source }));
            }
        };
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        self.chart = self.chart_of(&real);
        if kind.is_dir() {
            self.walk = Some(self.walker(&path));
        } else if kind.is_file() || is_fifo(kind) {
            self.asked_for(&path, input);
        } else {
            self.ready.push_back(Err(Error::NotAFile { path: input, what: describe(kind) }));
        }
    }

    fn asked_for(&mut self, path: &Path, input: String) {
        if !self.is_new(path) || self.is_template(path) {
            return;
        }
        let text = File::open(path).and_then(|file| read_file(file, &shown(path), true));
        self.ready.push_back(text.map_err(|source| Error::Unreadable { path: input, source }));
    }

    fn walker(&self, root: &Path) -> Walk {
        let filter = Arc::clone(&self.filter);
        let base = root.to_owned();
        WalkBuilder::new(root)
            .ignore(false)
            .git_global(false)
            .git_exclude(!self.no_ignore)
            .git_ignore(!self.no_ignore)
            .require_git(false)
            .parents(!self.no_ignore)
            .sort_by_file_name(|a, b| a.cmp(b))
            .filter_entry(move |entry| entry.depth() == 0 || filter.lets_pass(entry, &base))
            .build()
    }

    fn entry(&mut self, entry: Result<DirEntry, ignore::Error>) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return self.note("unreadable-path", "", error.to_string()),
        };
        let (path, Some(kind)) = (entry.path(), entry.file_type()) else { return };
        let name = shown(path);
        let wanted = self.filter.wants(path);
        let target = if kind.is_symlink() {
            fs::metadata(path).map(|target| target.file_type())
        } else {
            Ok(kind)
        };
        match target {
            Ok(target) if target.is_dir() && kind.is_symlink() => {
                let text = format!("{name} is a link to a folder, not followed");
                self.note("symlinked-folder", &name, text);
            }
            Ok(target) if target.is_dir() || !wanted => {}
            Ok(target) if target.is_file() => self.found(path, &name),
            Ok(target) => {
                let text = format!("{name} is {}, not read", describe(target));
                self.note("special-file", &name, text);
            }
            Err(error) if wanted => {
                let text = format!("{name} is a link that leads nowhere: {error}");
                self.note("dangling-link", &name, text);
            }
            Err(_) => {}
        }
    }

    fn found(&mut self, path: &Path, name: &str) {
        if !self.is_new(path) || self.is_template(path) {
            return;
        }
        match File::open(path).and_then(|file| read_file(file, name, false)) {
            Ok(found) => self.ready.push_back(Ok(found)),
            Err(error) => {
                self.note("unreadable-path", name, format!("{name} cannot be read: {error}"))
            }
        }
    }

    /// Counts a file that lies below the `templates` folder of a chart.
    fn is_template(&mut self, path: &Path) -> bool {
        let Some(chart) = self.chart.clone().or_else(|| self.chart_of(path)) else { return false };
        *self.templates.entry(chart).or_default() += 1;
        true
    }

    fn chart_of(&mut self, path: &Path) -> Option<PathBuf> {
        for folder in path.ancestors().filter(|folder| folder.ends_with("templates")) {
            let chart = folder.parent()?;
            let known = self.charts.entry(folder.to_owned());
            if *known.or_insert_with(|| chart.join("Chart.yaml").is_file()) {
                return Some(chart.to_owned());
            }
        }
        None
    }

    fn is_new(&mut self, path: &Path) -> bool {
        self.seen.insert(path.components().filter(|part| *part != Component::CurDir).collect())
    }

    fn note(&mut self, id: &'static str, name: &str, text: String) {
        self.ready.push_back(Ok(Found::Note(note(id, name, text))));
    }
}

fn read_file(file: File, name: &str, asked_for: bool) -> io::Result<Found> {
    let length = file.metadata()?.len();
    if length > FILE_LIMIT as u64 {
        let mut head = Vec::new();
        file.take(HEAD as u64).read_to_end(&mut head)?;
        return Ok(too_large(name, &head, asked_for));
    }
    read_text(file, name, asked_for)
}

fn read_text(reader: impl Read, name: &str, asked_for: bool) -> io::Result<Found> {
    let mut bytes = Vec::new();
    reader.take(FILE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > FILE_LIMIT {
        return Ok(too_large(name, &bytes[..HEAD], asked_for));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(text) => Found::Text(Arc::new(Source { name: name.to_owned(), text })),
        Err(error) => not_utf8(name, error.as_bytes(), error.utf8_error().valid_up_to(), asked_for),
    })
}

fn too_large(name: &str, head: &[u8], asked_for: bool) -> Found {
    let reason = format!("larger than {} MiB", FILE_LIMIT >> 20);
    if asked_for || looks_like_manifest(&String::from_utf8_lossy(head)) {
        return broken(name, reason);
    }
    Found::Note(note("file-too-large", name, format!("{name} is {reason}, not read")))
}

fn not_utf8(name: &str, bytes: &[u8], valid: usize, asked_for: bool) -> Found {
    let reason = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        "UTF-16, not UTF-8".to_owned()
    } else {
        format!("not UTF-8 from byte {valid}")
    };
    let is_yaml = [".yaml", ".yml"].iter().any(|end| name.ends_with(end));
    if asked_for || is_yaml || looks_like_manifest(&String::from_utf8_lossy(bytes)) {
        return broken(name, reason);
    }
    Found::Note(note("unparsable-file", name, format!("{name} is {reason}")))
}

fn broken(name: &str, reason: String) -> Found {
    let source = Arc::new(Source { name: name.to_owned(), text: String::new() });
    Found::Broken(Broken { place: Place { source, span: 0..0, line: 1, column: 1 }, reason })
}

fn note(id: &'static str, name: &str, text: String) -> Note {
    let place = (!name.is_empty()).then(|| (name.to_owned(), 1));
    Note { id, text, place, object: None }
}

fn templates_note(chart: &Path, count: usize) -> Note {
    let name = shown(&chart.join("Chart.yaml"));
    let files =
        if count == 1 { "1 Helm template".to_owned() } else { format!("{count} Helm templates") };
    let text = format!(
        "{files} of the chart {} skipped: validate what `helm template` prints",
        shown(chart)
    );
    note("helm-template", &name, text)
}

fn is_stdin(input: &str) -> bool {
    matches!(input, "-" | "/dev/stdin")
}

/// The path as a person would write it.
fn shown(path: &Path) -> String {
    let shown = path.strip_prefix(".").unwrap_or(path).to_string_lossy();
    if shown.is_empty() { ".".to_owned() } else { shown.into_owned() }
}

#[cfg(unix)]
fn is_fifo(kind: FileType) -> bool {
    std::os::unix::fs::FileTypeExt::is_fifo(&kind)
}

#[cfg(not(unix))]
fn is_fifo(_: FileType) -> bool {
    false
}

#[cfg(unix)]
fn describe(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        kind if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    }
}

#[cfg(not(unix))]
fn describe(_: FileType) -> &'static str {
    "something else"
}
