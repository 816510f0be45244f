//! Where a program ran: working directories, namespaces, root directories.
//!
//! A shell says what it sees of itself in `/proc`, and then executes.

use libtest_mimic::Failed;
use serde_json::Value;
use whence_tests::{Recording, record, run, workload};

use super::{Test, ensure, equal, no_mount_namespace, test};

pub(super) const TESTS: &[Test] = &[
    test("a_deep_working_directory_is_whole", deep),
    test("a_working_directory_longer_than_any_path_says_so", too_long),
    Test {
        name: "a_working_directory_below_a_bind_mount_is_as_seen",
        obstacle: no_mount_namespace,
        run: bind_mount,
    },
    Test {
        name: "paths_begin_at_the_root_that_the_process_has",
        obstacle: no_mount_namespace,
        run: chroot,
    },
    Test {
        name: "namespaces_and_ids_are_told_from_inside_and_outside",
        obstacle: no_user_namespace,
        run: namespaces,
    },
];

/// As an ordinary user, who gets all from a namespace of users.
const AS_NOBODY: [&str; 8] = [
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "unshare",
    "--map-root-user",
    "--mount",
    "--pid",
    "--fork",
];

fn no_user_namespace() -> Option<String> {
    let made = run(&[&AS_NOBODY[..], &["true"]].concat());
    let made = made.is_ok_and(|output| output.status.success());
    (!made).then(|| "an ordinary user can make no user namespace here".into())
}

fn of_script(before: &[&str], script: &str) -> std::io::Result<Recording> {
    let shell = ["sh", "-c", script];
    let recording = record(&["--sample", "0"], &[before, &shell].concat())?;
    if recording.output.status.success() {
        return Ok(recording);
    }
    Err(std::io::Error::other(recording.said()))
}

/// What the script said that its directory is, and what was recorded.
fn directories(recording: &Recording) -> Result<(String, Value), Failed> {
    let recorded = recording.value("SELECT cwd FROM exec WHERE argv[2] = 'here'")?;
    let said = recording.printed();
    Ok((said.lines().last().unwrap_or_default().to_owned(), recorded))
}

fn deep() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let name = "d".repeat(120);
    // Near the 4095 bytes that a path may have.
    let deep = (0..31).fold(dir.path().to_path_buf(), |path, _| path.join(&name));
    std::fs::create_dir_all(&deep)?;
    let script = format!(
        "cd '{}' && readlink /proc/self/cwd; /bin/true here",
        deep.display()
    );
    let (said, recorded) = directories(&of_script(&[], &script)?)?;
    equal!(Some(said.as_str()), deep.to_str());
    equal!(recorded, said.as_str());
    Ok(())
}

fn too_long() -> Result<(), Failed> {
    let recording = record(&["--sample", "0"], &[workload().as_str(), "long-cwd"])?;
    equal!(recording.printed(), "30\n");
    let cwd = recording.value("SELECT cwd FROM exec WHERE argv[1] = '/bin/true'")?;
    let cwd = cwd.as_str().unwrap_or_default();
    // The near end is kept, and that the far end is missing is said.
    let components: Vec<&str> = cwd.trim_start_matches("...").split('/').collect();
    ensure!(
        cwd.starts_with("..."),
        "it does not say that it is cut: {cwd}"
    );
    ensure!(components.len() > 20, "{} components", components.len());
    ensure!(components[1..].iter().all(|c| c.len() == 200), "{cwd}");
    Ok(())
}

fn bind_mount() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let top = dir.path().display();
    let script = format!(
        "set -e; cd '{top}'; mkdir -p real/inner/most seen; mount --bind real/inner seen; \
         cd seen/most; readlink /proc/self/cwd; /bin/true here"
    );
    let (said, recorded) = directories(&of_script(&["unshare", "--mount"], &script)?)?;
    equal!(said, format!("{top}/seen/most"));
    equal!(recorded, said.as_str());
    Ok(())
}

fn chroot() -> Result<(), Failed> {
    let dir = tempfile::tempdir()?;
    let top = dir.path().display();
    let inner = "cd /usr/lib; readlink /proc/self/cwd; /bin/true here";
    let script = format!(
        "set -e; mount --rbind / '{top}'; mkdir -p /tmp; exec chroot '{top}' sh -c '{inner}'"
    );
    let recording = of_script(&["unshare", "--mount"], &script)?;
    let (said, recorded) = directories(&recording)?;
    equal!(said, "/usr/lib");
    equal!(recorded, "/usr/lib");
    let exe = recording.value("SELECT exe FROM exec WHERE argv[2] = 'here'")?;
    equal!(exe.as_str(), std::fs::canonicalize("/bin/true")?.to_str());
    Ok(())
}

fn namespaces() -> Result<(), Failed> {
    let script = "for ns in user mnt pid; do readlink /proc/self/ns/$ns; done | tr -dc '0-9\\n'; \
                  id -u; echo $$; exec /bin/true here";
    let recording = of_script(&AS_NOBODY, script)?;
    let said = recording.printed();
    let said: Vec<&str> = said.lines().collect();
    let row = &recording.query(
        "SELECT user_ns, mnt_ns, pid_ns, ns_pid, pid, uid FROM exec WHERE argv[2] = 'here'",
    )?[0];
    let inside = ["user_ns", "mnt_ns", "pid_ns"].map(|name| row[name].to_string());
    equal!(inside, said[..3]);
    // Root and process 1 to itself, and what they are to the host.
    equal!(said[3..], ["0", "1"]);
    equal!(row["ns_pid"], 1);
    ensure!(row["pid"].as_i64().is_some_and(|pid| pid > 1), "{row}");
    equal!(row["uid"], 65534);
    Ok(())
}
