//! Whatever happens on the host, the recorder keeps to its bounds of memory and CPU
//! time, and what that costs is counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tempfile::TempDir;
use whence_tests::{Recording, Turn, finish, program, record, workload};

use super::watch::{Watch, most_bytes};
use super::{Test, ensure, equal, flood, test};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a_million_different_stacks_stay_within_the_bound_of_memory",
        obstacle: flood::obstacle,
        run: million_stacks,
    },
    Test {
        name: "with_little_memory_stacks_are_held_back_and_counted",
        obstacle: flood::obstacle,
        run: little_memory,
    },
    Test {
        name: "a_fork_bomb_is_recorded_within_the_bound_of_memory",
        obstacle: no_pids_cgroup,
        run: fork_bomb,
    },
    test(
        "above_its_budget_of_cpu_sampling_slows_down_and_weights_stay_right",
        slows_down,
    ),
];

/// What `--max-memory` is without it.
const MAX_MEMORY: u64 = 128 << 20;
/// What two rings of 8 MiB take, each mapped twice.
const RINGS: u64 = 32 << 20;

/// Records a command; gives the most memory that the recorder made for itself too.
fn watched(options: &[&str], command: &[&str]) -> Result<(Recording, u64), Failed> {
    let _turn = Turn::take()?;
    let dir = TempDir::new()?;
    let recorder = Command::new(program("whence-record"))
        .arg("-o")
        .arg(dir.path().join("x.whence"))
        .args(options)
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let watch = Watch::start(recorder.id(), Duration::from_millis(5));
    let output = finish(recorder)?;
    let most = most_bytes(&watch.stop());
    let recording = Recording::at(dir, output);
    let said = recording.said();
    equal!((recording.output.status.code(), &said), (Some(0), &said));
    ensure!(most > 4 << 20, "it was not watched: {most} bytes");
    Ok((recording, most))
}

/// Rows of a table, and what `loss` says of a stream.
fn kept_and_lost(recording: &Recording, table: &str, stream: &str) -> Result<(i64, i64), Failed> {
    let kept = recording.number(&format!("SELECT count(*) FROM {table}"))?;
    let lost = recording.number(&format!(
        "SELECT coalesce(sum(count), 0) FROM loss WHERE stream = '{stream}'"
    ))?;
    Ok((kept, lost))
}

/// That the answer about the recording tells of a loss, if there was one.
fn is_told(recording: &Recording, lost: i64) -> Result<(), Failed> {
    let info = recording.answer(&["info"])?;
    equal!((info.contains("lost:"), &info), (lost > 0, &info));
    Ok(())
}

fn million_stacks() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let flood = flood::program(dir.path())?;
    let probe = flood::probe(&flood);
    let (recording, most) = watched(
        &["--sample", "0", "--unwind", "fp", "-s", &probe],
        &[&flood.display().to_string(), "20"],
    )?;
    let (kept, lost) = kept_and_lost(&recording, "sample", "probe")?;
    equal!(kept + lost, 1 << 20);
    // Few enough are lost that what was kept is a flood too.
    ensure!(kept > 200_000, "only {kept} were recorded");
    let paths = recording.number("SELECT count(DISTINCT user_stack_id) FROM sample")?;
    equal!(paths, kept);
    let known = recording.number(
        "SELECT count(*) FROM sample s WHERE NOT EXISTS \
         (SELECT 1 FROM stack WHERE stack_id = s.user_stack_id)",
    )?;
    equal!(known, 0);
    ensure!(most + RINGS <= MAX_MEMORY, "{most} bytes beside the rings");
    is_told(&recording, lost)
}

fn little_memory() -> Result<(), Failed> {
    let dir = TempDir::new()?;
    let flood = flood::program(dir.path())?;
    let probe = flood::probe(&flood);
    let options = [
        "--sample",
        "0",
        "--unwind",
        "fp",
        "--ring",
        "1024",
        "--max-memory",
        "40MB",
        "-s",
        &probe,
    ];
    let (recording, most) = watched(&options, &[&flood.display().to_string(), "20"])?;
    let (kept, lost) = kept_and_lost(&recording, "sample", "probe")?;
    equal!(kept + lost, 1 << 20);
    let held = recording.number(
        "SELECT coalesce(sum(count), 0) FROM loss \
         WHERE stream = 'probe' AND cause = 'memory limit'",
    )?;
    ensure!(kept > 0 && held > 0, "{kept} kept, {held} held back");
    let bound = (40 << 20) - (4 << 20);
    ensure!(most <= bound, "{most} bytes beside the rings");
    is_told(&recording, lost)
}

/// A cgroup of a few processes at most. All that are in it are killed with it.
struct Pids(PathBuf);

impl Pids {
    /// Below the controller of processes, of either version of cgroups.
    fn make(most: u32) -> Result<Self, String> {
        let name = format!("whence-test-{}", std::process::id());
        let unified = |root: &Path| {
            let given = fs::read_to_string(root.join("cgroup.subtree_control"));
            given.is_ok_and(|given| given.split_whitespace().any(|c| c == "pids"))
        };
        let version_1 = |root: &Path| root.join("cgroup.sane_behavior").exists();
        let root = [
            ("/sys/fs/cgroup/pids", &version_1 as &dyn Fn(&Path) -> bool),
            ("/sys/fs/cgroup", &unified),
        ]
        .into_iter()
        .map(|(root, usable)| (Path::new(root), usable))
        .find_map(|(root, usable)| usable(root).then(|| root.join(&name)))
        .ok_or("no cgroup bounds the number of processes here")?;
        let made =
            fs::create_dir(&root).and_then(|()| fs::write(root.join("pids.max"), most.to_string()));
        let this = Self(root);
        made.map(|()| this)
            .map_err(|e| format!("no cgroup can be made: {e}"))
    }
}

impl Drop for Pids {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("pids.max"), "0");
        let begin = Instant::now();
        // What was killed leaves it when it has ended.
        while fs::remove_dir(&self.0).is_err() && begin.elapsed() < Duration::from_secs(20) {
            let procs = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
            for pid in procs.lines().filter_map(|pid| pid.parse().ok()) {
                // SAFETY: sends a signal to a process of this cgroup.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn no_pids_cgroup() -> Option<String> {
    Pids::make(1).err()
}

/// A fork bomb that runs for five seconds, and whose every process has ended then.
const BOMB: &str = r#"
sh -c 'echo 0 > "$0/cgroup.procs" && exec "$1" bomb' "$0" "$1" &
sleep 5
echo 0 > "$0/pids.max"
while pids=$(cat "$0/cgroup.procs") && [ -n "$pids" ]; do
    kill -9 $pids
    sleep 0.05
done
wait
"#;

fn fork_bomb() -> Result<(), Failed> {
    let cgroup = Pids::make(64)?;
    let place = cgroup.0.display().to_string();
    let command = ["/bin/sh", "-c", BOMB, &place, &workload()];
    let (recording, most) = watched(&["--segment", "1s"], &command)?;
    drop(cgroup);
    let (forks, lost_forks) = kept_and_lost(&recording, "fork", "fork")?;
    let (exits, lost_exits) = kept_and_lost(&recording, "exit", "exit")?;
    // The first one was forked before it was recorded.
    equal!(forks + lost_forks + 1, exits + lost_exits);
    ensure!(forks > 1000, "the bomb made only {forks} processes");
    ensure!(most + RINGS <= MAX_MEMORY, "{most} bytes beside the rings");
    let lost = recording.number("SELECT coalesce(sum(count), 0) FROM loss")?;
    is_told(&recording, lost)
}

/// CPU samples per second and CPU that are asked for, and nanoseconds between them.
const HZ: &str = "20000";
const PERIOD_NS: i64 = 50_000;

fn slows_down() -> Result<(), Failed> {
    const BURNT_NS: i64 = 12_000_000_000;
    // Calm for twice as long as a step back takes: something may come between.
    let command = ["/bin/sh", "-c", "\"$0\" burn 12000; sleep 25", &workload()];
    let recording = record(
        &["--sample", HZ, "--max-cpu", "2", "--unwind", "fp"],
        &command,
    )?;
    let said = recording.said();
    equal!((recording.output.status.code(), &said), (Some(0), &said));
    if recording.number("SELECT count(*) FROM sample WHERE event = 'cpu-clock'")? == 0 {
        return Err(format!("the sampler is not the clock: {said}").into());
    }
    // Slower in steps; how many depends on how busy the machine is.
    let periods = recording
        .query("SELECT sample_period FROM overhead WHERE subject = 'recorder' ORDER BY t0_ns")?;
    let periods: Vec<i64> = periods
        .iter()
        .filter_map(|row| row["sample_period"].as_i64())
        .collect();
    equal!(periods.first(), Some(&PERIOD_NS));
    let longest = periods.iter().copied().max().unwrap_or(0);
    ensure!(longest >= 2 * PERIOD_NS, "{periods:?}");
    // As often again, once it is calm.
    let last = periods.last().copied().unwrap_or(0);
    ensure!(last < longest, "{periods:?}");
    // Every sample has the weight of its time: all the time is there.
    let weights = recording.query("SELECT DISTINCT weight FROM sample ORDER BY weight")?;
    ensure!(weights.len() > 1, "{weights:?}");
    let burnt = recording.number(
        "SELECT sum(s.weight) FROM sample s JOIN process p ON p.upid = s.upid \
         WHERE p.cmdline LIKE '%burn 12000'",
    )?;
    let share = burnt as f64 / BURNT_NS as f64;
    ensure!((0.93..1.07).contains(&share), "{burnt} ns were sampled");
    // What was asked for is what there is and what is said to be left out.
    let left_out = recording.number(
        "SELECT coalesce(sum(count), 0) FROM loss \
         WHERE stream = 'sample' AND cause = 'cpu limit'",
    )?;
    let stood_for = recording.number(&format!(
        "SELECT sum(weight) / {PERIOD_NS} - count(*) FROM sample"
    ))?;
    let wrong = (left_out - stood_for).abs() as f64 / stood_for as f64;
    ensure!(
        (0.0..0.05).contains(&wrong),
        "{left_out} left out, {stood_for} stood for"
    );
    let info = recording.answer(&["info"])?;
    ensure!(info.contains("--max-cpu"), "{info}");
    Ok(())
}
