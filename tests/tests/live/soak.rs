//! Hours of everything at once, or half a minute of it: at the end all is accounted
//! for, and the recorder has not grown.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{Recording, Turn, finish, finish_within, program, workload};

use super::crash::{self, Random};
use super::watch::{Reading, Watch, most_bytes};
use super::{Test, ensure, equal, flood, no_mount_namespace};

pub(super) const TESTS: &[Test] = &[Test {
    name: "after_a_long_time_of_mixed_load_all_is_accounted_for",
    obstacle,
    run,
}];

fn obstacle() -> Option<String> {
    flood::obstacle().or_else(no_mount_namespace)
}

/// How long: an hour in a soak.
fn duration() -> Duration {
    let asked = std::env::var("WHENCE_SOAK").ok();
    let seconds = asked.and_then(|n| n.parse().ok()).unwrap_or(30);
    Duration::from_secs(seconds)
}

/// Processes that each round of the load runs, and its calls of the leaf.
const RUNS: i64 = 300;
const HITS: i64 = 1 << 12;

/// The load: storms of processes, deep stacks that all differ, a compiler, and
/// processes that are killed amid their work. Prints how many rounds it made.
const LOAD: &str = r#"
workload=$0 flood=$1 end=$(($(date +%s) + $2)) rounds=0
while [ "$(date +%s)" -lt "$end" ]; do
    "$workload" storm 300 2
    "$flood" 12 100
    gcc -c -O2 -o "$flood.o" "$flood.c"
    "$workload" storm 100000 2 & victim=$!
    sleep 0.2
    kill -9 $victim
    wait $victim
    rounds=$((rounds + 1))
    sleep 0.3
done
sleep 1
echo $rounds
"#;

fn run() -> Result<(), Failed> {
    let _turn = Turn::take()?;
    let duration = duration();
    let (dir, tools) = (TempDir::new()?, TempDir::new()?);
    let flood = flood::program(tools.path())?;
    let recorder = Command::new(program("whence-record"))
        .arg("-o")
        .arg(dir.path().join("x.whence"))
        .args(["--segment", "2s", "--unwind", "fp", "--off-cpu", "100ms"])
        .args(["-s", &flood::probe(&flood)])
        .args(["--", "/bin/sh", "-c", LOAD])
        .args([&workload(), &flood.display().to_string()])
        .arg(duration.as_secs().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let watch = Watch::start(recorder.id(), Duration::from_millis(100));
    let troubles = trouble_beside(duration);
    let output = finish_within(recorder, duration + Duration::from_secs(300))?;
    let readings = watch.stop();
    let troubles = troubles?;
    let recording = Recording::at(dir, output);
    let said = recording.said();
    equal!((recording.output.status.code(), &said), (Some(0), &said));
    // A soak is looked at afterwards, with its figures.
    println!(
        "{} s, {troubles} recorders killed and as many whose disk was full beside",
        duration.as_secs()
    );
    println!("{}", said.trim_end());
    accounted_for(&recording)?;
    has_not_grown(&readings)
}

/// Recorders that are killed, and others whose disk is full, until the time is over;
/// gives how many of each.
fn trouble_beside(duration: Duration) -> Result<u32, Failed> {
    let begin = Instant::now();
    let mut random = Random::new();
    let mut troubles = 0;
    while begin.elapsed() < duration {
        let top = TempDir::new()?;
        let dir = top.path().join("x.whence");
        let mut child = crash::recorder(&dir)?;
        std::thread::sleep(random.time(Duration::from_secs(3)));
        child.kill()?;
        finish(child)?;
        if dir.exists() {
            crash::is_usable(&dir)?;
        }
        let (dir, output) = crash::on_a_disk(
            "mkdir small && mount -t tmpfs -o size=1m none small || exit 99
             \"$0\" -o small/x.whence --segment 200ms --sample 2000 -- \"$1\" storm 60000 2
             status=$?; cp -r small/x.whence .; exit $status",
        )?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        equal!((output.status.code(), &said), (Some(1), &said));
        crash::is_usable(&dir.path().join("x.whence"))?;
        troubles += 1;
    }
    Ok(troubles)
}

/// generated = recorded + lost, of what is known to have happened.
fn accounted_for(recording: &Recording) -> Result<(), Failed> {
    let printed = recording.printed();
    let rounds: i64 = printed.trim().parse().map_err(|_| printed.clone())?;
    ensure!(rounds > 1, "the load made {rounds} rounds");
    let lost = |stream: &str| {
        recording.number(&format!(
            "SELECT coalesce(sum(count), 0) FROM loss WHERE stream = '{stream}'"
        ))
    };
    let count = |what: &str| recording.number(&format!("SELECT count(*) FROM {what}"));
    let (hits, lost_hits) = (count("sample WHERE event LIKE 'uprobe:%'")?, lost("probe")?);
    println!(
        "{rounds} rounds: {hits} hits recorded and {lost_hits} lost of {}",
        rounds * HITS
    );
    equal!(hits + lost_hits, rounds * HITS);
    // The command itself was forked before it was recorded.
    let (forks, exits) = (count("fork")?, count("exit")?);
    let (lost_forks, lost_exits) = (lost("fork")?, lost("exit")?);
    println!("{forks} forks recorded and {lost_forks} lost, {exits} exits and {lost_exits}");
    equal!(forks + lost_forks + 1, exits + lost_exits);
    let runs = count("exec WHERE argv[2] LIKE 'u-%'")?;
    let lost_runs = lost("exec")?;
    println!("{runs} execs recorded and {lost_runs} lost");
    ensure!(
        runs + lost_runs >= rounds * RUNS,
        "{runs} execs of {rounds} rounds"
    );
    let unread = recording.number("SELECT count(*) FROM loss WHERE cause = 'decode'")?;
    equal!(unread, 0);
    Ok(())
}

/// Neither memory nor descriptors, from the second quarter of the time to the last.
fn has_not_grown(readings: &[Reading]) -> Result<(), Failed> {
    let quarter = readings.len() / 4;
    ensure!(quarter > 10, "only {} readings", readings.len());
    let (second, last) = (&readings[quarter..2 * quarter], &readings[3 * quarter..]);
    for (n, quarter) in readings.chunks(quarter).take(4).enumerate() {
        let files = quarter.iter().map(|r| r.files);
        println!(
            "quarter {}: at most {} KiB of its own, {} to {} open files",
            n + 1,
            most_bytes(quarter) >> 10,
            files.clone().min().unwrap_or(0),
            files.max().unwrap_or(0),
        );
    }
    let (before, after) = (most_bytes(second), most_bytes(last));
    ensure!(
        after <= before + before / 4 + (8 << 20),
        "{before} bytes have become {after}"
    );
    // Between segments most are closed.
    let files = |readings: &[Reading]| readings.iter().map(|r| r.files).min().unwrap_or(0);
    let (before, after) = (files(second), files(last));
    ensure!(
        after <= before + 2,
        "{before} open files have become {after}"
    );
    Ok(())
}
