//! `make bench`: what reading manifests costs beside a bare parse of the same bytes by the same
//! parser on as many threads, and what the program costs before it does anything.
//!
//! `PULLPROOF_BINARY` names another build of the program to start, such as the released one.

#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use granit_parser::Parser;
use pullproof::manifest::{self, SourceOptions};

const FILES: usize = 6_000;
const DOCUMENTS: usize = 15_000;
const FOLDERS: usize = 60;
const RUNS: usize = 7;
const STARTS: usize = 51;

fn main() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let files = write_files(folder.path());
    extraction(folder.path(), &files);
    start(&files[0]);
}

/// Two documents in one file, three in the next, as applications are written down.
fn write_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::with_capacity(FILES);
    let mut documents = 0;
    for nth in 0..FILES {
        let below = folder.join(format!("team-{:02}", nth % FOLDERS));
        fs::create_dir_all(&below).expect("a folder can be made");
        let mut text = deployment(nth) + "---\n" + &service(nth);
        documents += 2;
        if nth % 2 == 1 {
            text = text + "---\n" + &config_map(nth);
            documents += 1;
        }
        let file = below.join(format!("app-{nth:04}.yaml"));
        fs::write(&file, text).expect("a file can be written");
        files.push(file);
    }
    assert_eq!(documents, DOCUMENTS);
    files
}

fn deployment(nth: usize) -> String {
    let mut text = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app-{nth}\n  namespace: team-{}\n  \
         labels: {{app.kubernetes.io/name: app-{nth}, app.kubernetes.io/part-of: shop}}\nspec:\n  \
         replicas: 3\n  selector:\n    matchLabels:\n      app.kubernetes.io/name: app-{nth}\n  \
         template:\n    metadata:\n      labels:\n        app.kubernetes.io/name: app-{nth}\n    \
         spec:\n      serviceAccountName: app\n      containers:\n",
        nth % FOLDERS
    );
    for container in ["web", "proxy"] {
        let _ = write!(
            text,
            "        - name: {container}\n          \
             image: registry.example/team-{}/{container}-{nth}:1.{}.0   # the released one\n          \
             args: [\"--listen=:8080\", \"--log-level=info\"]\n          env:\n            \
             - name: LOG_LEVEL\n              value: info\n            \
             - name: POD_NAME\n              valueFrom:\n                fieldRef:\n                  \
             fieldPath: metadata.name\n          ports:\n            - containerPort: 8080\n          \
             readinessProbe:\n            httpGet:\n              path: /ready\n              port: 8080\n          \
             resources:\n            requests:\n              cpu: 100m\n              memory: 128Mi\n",
            nth % FOLDERS,
            nth % 40
        );
    }
    text
}

fn service(nth: usize) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: app-{nth}\n  namespace: team-{}\nspec:\n  \
         selector:\n    app.kubernetes.io/name: app-{nth}\n  ports:\n    - name: http\n      \
         port: 80\n      targetPort: 8080\n",
        nth % FOLDERS
    )
}

fn config_map(nth: usize) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: app-{nth}\n  namespace: team-{}\ndata:\n  \
         application.properties: |\n    server.port=8080\n    cache.size=10000\n    \
         feature.checkout=true\n  LOG_LEVEL: \"info\"\n",
        nth % FOLDERS
    )
}

fn extraction(folder: &Path, files: &[PathBuf]) {
    let texts: Vec<String> =
        files.iter().map(|file| fs::read_to_string(file).expect("it was written")).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    let threads = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
    println!(
        "{FILES} files, {DOCUMENTS} documents, {bytes} bytes, {threads} threads; least of {RUNS} runs\n"
    );
    println!("{:<44} {:>9} {:>9} {:>9}", "", "seconds", "times", "CPU s");
    let inputs = [folder.to_string_lossy().into_owned()];
    let mut least = [(f64::MAX, f64::MAX); 3];
    // In turn, so that a busy machine troubles all of them.
    for _ in 0..RUNS {
        let rounds = [
            cost(|| shared(threads, texts.len(), |nth| parse(&texts[nth]))),
            cost(|| {
                shared(threads, files.len(), |nth| {
                    parse(&fs::read_to_string(&files[nth]).expect("it was written"));
                });
            }),
            cost(|| {
                let found = manifest::extract(&inputs, &SourceOptions::default());
                assert_eq!(found.expect("all can be read").uses.len(), 2 * FILES);
            }),
        ];
        for (least, round) in least.iter_mut().zip(rounds) {
            *least = (least.0.min(round.0), least.1.min(round.1));
        }
    }
    let names = ["a bare parse", "reading and a bare parse", "walk, reading and extraction"];
    for (name, (time, cpu)) in names.iter().zip(least) {
        println!("{name:<44} {time:>9.3} {:>9.2} {cpu:>9.2}", time / least[0].0);
    }
}

fn parse(text: &str) {
    black_box(Parser::new_from_str(text).take_while(Result::is_ok).count());
}

/// Runs all turns, each thread taking the next one.
fn shared(threads: usize, turns: usize, act: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(nth) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|nth| *nth < turns)
        {
            act(nth);
        }
    };
    thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
}

/// Seconds of the clock, and of all cores together, which tell more on a busy machine.
fn cost(act: impl FnOnce()) -> (f64, f64) {
    let before = cpu_seconds();
    let time = seconds(act);
    (time, cpu_seconds() - before)
}

/// What this process has used, in hundredths as Linux counts them; not a number elsewhere.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: Vec<f64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    if ticks.len() == 2 { (ticks[0] + ticks[1]) / 100.0 } else { f64::NAN }
}

fn seconds(act: impl FnOnce()) -> f64 {
    let started = Instant::now();
    act();
    started.elapsed().as_secs_f64()
}

fn start(file: &Path) {
    println!("\nstart on one file, nothing asked; median of {STARTS} runs\n");
    println!("{:<44} {:>9} {:>9}", "", "ms", "peak MiB");
    row("pullproof version", &["version"]);
    row("pullproof images", &["images", &file.to_string_lossy()]);
    row("pullproof validate --offline", &["validate", "--offline", &file.to_string_lossy()]);
}

fn row(name: &str, arguments: &[&str]) {
    let mut times: Vec<f64> = (0..STARTS)
        .map(|_| seconds(|| drop(program(arguments).stdout(Stdio::null()).status())))
        .collect();
    times.sort_by(f64::total_cmp);
    let peak = peak_of(program(arguments)).map_or_else(|| "-".to_owned(), |it| format!("{it:.1}"));
    println!("{name:<44} {:>9.2} {peak:>9}", times[STARTS / 2] * 1e3);
}

fn program(arguments: &[&str]) -> Command {
    let built = || env!("CARGO_BIN_EXE_pullproof").into();
    let mut command = Command::new(std::env::var_os("PULLPROOF_BINARY").unwrap_or_else(built));
    command.args(arguments).env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    command
}

/// Most memory in use until the report is printed, in MiB. The program writes into a pipe that is
/// full already, so it stands still with its work done for as long as we look at it.
#[cfg(target_os = "linux")]
fn peak_of(mut command: Command) -> Option<f64> {
    use std::io::{Read, Write, pipe};

    /// What a pipe of Linux holds.
    const PIPE: usize = 64 << 10;
    let (mut reader, mut writer) = pipe().ok()?;
    writer.write_all(&[0; PIPE]).ok()?;
    let mut child = command.stdout(writer).spawn().ok()?;
    // The command holds the writing end, too; without this the pipe would never end.
    drop(command);
    thread::sleep(Duration::from_millis(500));
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok();
    let mut all = Vec::new();
    let _ = reader.read_to_end(&mut all);
    let _ = child.wait();
    let line = status?.lines().find_map(|line| Some(line.strip_prefix("VmHWM:")?.to_owned()))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    // Only where it was still there, waiting for us to read.
    (all.len() > PIPE).then_some(kib / 1024.0)
}

#[cfg(not(target_os = "linux"))]
fn peak_of(_: Command) -> Option<f64> {
    None
}
