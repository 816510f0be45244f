//! Filters: what is asked for is recorded, and nothing else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use libtest_mimic::Failed;
use serde_json::json;
use whence_tests::{Recorder, Recording, record, run, workload};

use super::{Test, ensure, equal, test};

pub(super) const TESTS: &[Test] = &[
    test("a_pid_is_recorded_with_children_of_before_and_later", pid),
    test("only_one_users_processes_are_recorded", uid),
    test("only_processes_of_one_name_are_recorded", comm),
    Test {
        name: "only_processes_of_one_cgroup_are_recorded",
        obstacle: no_cgroup,
        run: cgroup,
    },
    test("the_whole_host_is_recorded_beside_a_command", system_wide),
];

/// A process that has a child which starts `true MARKER` again and again.
struct Family(Child);

impl Family {
    fn start(before: &[&str], marker: &str) -> std::io::Result<Self> {
        let workload = workload();
        let command = [before, &[workload.as_str(), "family", marker]].concat();
        let child = Command::new(command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        // The child ends with its parent.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What was executed, by the second argument.
fn arguments(recording: &Recording) -> std::io::Result<BTreeSet<String>> {
    let rows = recording.query("SELECT DISTINCT argv[2] AS a FROM exec")?;
    let of = |row: &serde_json::Value| Some(row["a"].as_str()?.to_owned());
    Ok(rows.iter().filter_map(of).collect())
}

/// Records two families with a filter that fits the first, until some of its
/// programs were recorded.
fn two_families(before: &[&str], filter: &dyn Fn(u32) -> Vec<String>) -> Result<Recording, Failed> {
    let wanted = Family::start(before, "wanted")?;
    let _other = Family::start(&[], "other")?;
    let mut options = vec!["--sample".to_owned(), "0".to_owned()];
    options.extend(filter(wanted.0.id()));
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    // It has printed one of its lines when this returns.
    let recorder = Recorder::start(&options)?;
    let recording = recorder.stop(libc::SIGINT)?;
    equal!(recording.output.status.code(), Some(0));
    Ok(recording)
}

/// All of the wanted, and nothing else.
fn only_wanted(recording: &Recording) -> Result<(), Failed> {
    equal!(arguments(recording)?, BTreeSet::from(["wanted".to_owned()]));
    for (stream, key) in [("fork", "child_upid"), ("exit", "upid")] {
        let strange = recording.number(&format!(
            "SELECT count(*) FROM {stream} s JOIN process p ON p.upid = s.{key} \
             WHERE p.argv[2] <> 'wanted' AND p.argv[3] <> 'wanted'"
        ))?;
        equal!((stream, strange), (stream, 0));
    }
    Ok(())
}

fn pid() -> Result<(), Failed> {
    let recording = two_families(&[], &|pid| vec!["--pid".into(), pid.to_string()])?;
    only_wanted(&recording)?;
    // The child that was there before is known, with its ancestors.
    let source = recording.query(
        "SELECT DISTINCT q.source, q.argv[2] AS what FROM exec e \
         JOIN process p ON p.upid = e.upid JOIN process q ON q.upid = p.parent_upid",
    )?;
    equal!(source, [json!({"source": "snapshot", "what": "family"})]);
    let first = recording.number("SELECT pid FROM process ORDER BY tree_first LIMIT 1")?;
    equal!(first, 1);
    Ok(())
}

fn uid() -> Result<(), Failed> {
    // The program must be where that user may run it.
    let as_user = ["setpriv", "--reuid=65533", "--clear-groups"];
    let shell = ["sh", "-c", "while :; do /bin/true wanted; sleep 0.02; done"];
    let mut child = Command::new(as_user[0])
        .args(&as_user[1..])
        .args(shell)
        .stdin(Stdio::null())
        .spawn()?;
    let recorded = (|| {
        let _other = Family::start(&[], "other")?;
        Recorder::start(&["--sample", "0", "--uid", "65533"])?.stop(libc::SIGINT)
    })();
    let _ = child.kill();
    let _ = child.wait();
    let recording = recorded?;
    let users = recording.query("SELECT DISTINCT uid FROM exec")?;
    equal!(users, [json!({"uid": 65533})]);
    let arguments = arguments(&recording)?;
    ensure!(!arguments.contains("other"), "{arguments:?}");
    Ok(())
}

fn comm() -> Result<(), Failed> {
    let recording = two_families(&[], &|_| vec!["--comm".into(), "true".into()])?;
    let names = recording.query("SELECT DISTINCT comm FROM exec")?;
    equal!(names, [json!({"comm": "true"})]);
    // Of both families, since both run programs of that name.
    let both = BTreeSet::from(["wanted", "other"].map(str::to_owned));
    ensure!(
        arguments(&recording)?.is_subset(&both),
        "{:?}",
        arguments(&recording)?
    );
    Ok(())
}

/// Where the unified hierarchy is mounted.
fn hierarchy() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").ok()?;
    let line = mounts
        .lines()
        .find(|l| l.split(' ').nth(2) == Some("cgroup2"))?;
    line.split(' ').nth(1).map(PathBuf::from)
}

/// A cgroup that is removed at the end.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make() -> Option<Self> {
        let path = hierarchy()?.join(format!("whence-tests-{}", std::process::id()));
        std::fs::create_dir(&path).ok().map(|()| Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(self.0.join("below"));
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn no_cgroup() -> Option<String> {
    match hierarchy() {
        None => Some("no cgroup2 is mounted".into()),
        Some(_) if Cgroup::make().is_none() => Some("no cgroup can be made here".into()),
        Some(_) => None,
    }
}

fn cgroup() -> Result<(), Failed> {
    let cgroup = Cgroup::make().ok_or("no cgroup")?;
    let below = cgroup.0.join("below");
    std::fs::create_dir(&below)?;
    // The shell goes there, and then becomes the family.
    let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", below.display());
    let before = ["sh", "-c", &enter, "sh"];
    let path = cgroup.0.display().to_string();
    let recording = two_families(&before, &|_| vec!["--cgroup".into(), path.clone()])?;
    only_wanted(&recording)?;
    let paths = recording.query("SELECT DISTINCT cgroup_path FROM exec")?;
    let name = cgroup.0.file_name().unwrap_or_default().to_string_lossy();
    equal!(paths, [json!({"cgroup_path": format!("/{name}/below")})]);
    Ok(())
}

fn system_wide() -> Result<(), Failed> {
    let _other = Family::start(&[], "other")?;
    let options = ["--sample", "0", "--system-wide"];
    let recording = record(&options, &["sh", "-c", "/bin/true wanted; sleep 0.5"])?;
    let arguments = arguments(&recording)?;
    for argument in ["wanted", "other"] {
        ensure!(arguments.contains(argument), "no {argument}: {arguments:?}");
    }
    Ok(run(&["true"]).map(|_| ())?)
}
