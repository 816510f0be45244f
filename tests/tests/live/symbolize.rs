//! Names from debug files: right, and only from files that are the program's
//! own.

use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use serde_json::Value;
use tempfile::TempDir;
use whence_tests::{Recording, record, run};

use super::tools::{compile, missing};
use super::{Test, ensure, equal};

pub(super) const TESTS: &[Test] = &[
    Test {
        name: "a_stripped_program_is_named_down_to_inlines_and_lines",
        obstacle: no_compiler,
        run: inlines_and_lines,
    },
    Test {
        name: "a_debug_file_of_another_build_is_refused",
        obstacle: no_compiler,
        run: another_build,
    },
    Test {
        name: "a_stripped_program_leads_to_the_debug_file_that_it_names",
        obstacle: no_compiler,
        run: debug_link,
    },
];

fn no_compiler() -> Option<String> {
    missing(&["gcc", "objcopy", "readelf"])
}

fn tool(command: &[&str]) -> Result<String, Failed> {
    let output = run(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program, stripped, and its debug file.
struct Program {
    dir: TempDir,
    build_id: String,
}

impl Program {
    /// Programs of two variants differ in one number.
    fn build(variant: u32) -> Result<Self, Failed> {
        let dir = TempDir::new()?;
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live/prog.c");
        let define = format!("-DVARIANT={variant}");
        let this = Self {
            dir,
            build_id: String::new(),
        };
        let (program, debug) = (this.program(), this.debug());
        compile(source.as_ref(), program.as_ref(), &["-O1", "-g", &define])?;
        let notes = tool(&["readelf", "-n", &program])?;
        let id = notes
            .split("Build ID: ")
            .nth(1)
            .and_then(|id| id.split_whitespace().next());
        let build_id = id.ok_or("the program has no build-id")?.to_owned();
        tool(&["objcopy", "--only-keep-debug", &program, &debug])?;
        tool(&["objcopy", "--strip-all", &program])?;
        Ok(Self { build_id, ..this })
    }

    fn program(&self) -> String {
        self.dir.path().join("prog").display().to_string()
    }

    fn debug(&self) -> String {
        self.dir.path().join("prog.debug").display().to_string()
    }

    /// Puts its debug file into a folder under the build-id of a program.
    fn install(&self, folder: &Path, build_id: &str) -> Result<PathBuf, Failed> {
        let (first, rest) = build_id.split_at(2);
        let place = folder.join(".build-id").join(first);
        std::fs::create_dir_all(&place)?;
        let place = place.join(format!("{rest}.debug"));
        std::fs::copy(self.debug(), &place)?;
        Ok(place)
    }
}

/// Records the program, which is gone afterwards. Names that are known already are
/// those of the recorder, which has executed it.
fn recorded(program: Program) -> Result<(Recording, Program), Failed> {
    let recording = record(&["--sample", "499"], &[program.program()])?;
    std::fs::remove_file(program.program())?;
    let sql = "SELECT count(*) FROM symbol WHERE function IN ('whence_hot', 'whence_inlined')";
    equal!(recording.number(sql)?, 0);
    Ok((recording, program))
}

fn symbolize(recording: &Recording, dir: &Path) -> Result<Vec<Value>, Failed> {
    let dir = dir.display().to_string();
    let said = recording.answer(&["symbolize", "--debug-dir", &dir, "--format", "json"])?;
    Ok(serde_json::from_str(&said)?)
}

fn inlines_and_lines() -> Result<(), Failed> {
    let (recording, program) = recorded(Program::build(1)?)?;
    let folder = TempDir::new()?;
    let debug = program.install(folder.path(), &program.build_id)?;
    let before = recording.number("SELECT count(*) FROM symbol")?;
    let outcomes = symbolize(&recording, folder.path())?;
    let own = outcomes.iter().find(|o| o["build_id"] == program.build_id);
    let own = own.ok_or_else(|| format!("{outcomes:?}"))?;
    equal!(own["named"], own["frames"]);
    equal!(own["debug_file"].as_str(), debug.to_str());
    let rows = recording.query(
        "SELECT DISTINCT y.inline_depth, y.function, basename(y.file) AS file, y.line \
         FROM symbol y, stack t, sample s WHERE s.user_stack_id = t.stack_id \
         AND t.frame_ids[1] = y.frame_id AND y.source = 'dwarf' \
         AND y.frame_id IN (SELECT frame_id FROM symbol WHERE function = 'whence_inlined') \
         ORDER BY 1, 4",
    )?;
    let told = |row: &Value| {
        let text = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
        (row["inline_depth"].as_i64(), text("function"), text("file"))
    };
    let outer = (Some(0), "whence_hot".to_owned(), "prog.c".to_owned());
    let inner = (Some(1), "whence_inlined".to_owned(), "prog.c".to_owned());
    for row in &rows {
        ensure!([&outer, &inner].contains(&&told(row)), "{row}");
        let lines = if row["inline_depth"] == 0 {
            13..=13
        } else {
            7..=8
        };
        ensure!(lines.contains(&row["line"].as_i64().unwrap_or(0)), "{row}");
    }
    ensure!(rows.iter().any(|row| row["line"] == 8), "{rows:?}");
    let sql = "SELECT count(*) FROM sample WHERE \
               stack_text(user_stack_id) LIKE '%main;whence_hot;whence_inlined'";
    let inside = recording.number(sql)?;
    let all = recording.number("SELECT count(*) FROM sample WHERE context = 'task'")?;
    ensure!(
        inside * 10 > all * 8,
        "{inside} of {all} samples are in the loop"
    );
    let why = recording.answer(&["why", "whence_inlined"])?;
    ensure!(why.contains("whence_hot → whence_inlined"), "{why}");
    // What was named before is still, and once; to do it again changes nothing.
    let kept = recording.number("SELECT count(DISTINCT frame_id) FROM symbol")?;
    ensure!(kept > before, "{kept} frames have names, {before} had");
    let table = "SELECT * FROM symbol ORDER BY frame_id, inline_depth, function";
    let once = recording.query(table)?;
    symbolize(&recording, folder.path())?;
    equal!(recording.query(table)?, once);
    let files = std::fs::read_dir(recording.path().join("symbol"))?.count();
    equal!(files, 1);
    Ok(())
}

fn another_build() -> Result<(), Failed> {
    let (recording, program) = recorded(Program::build(1)?)?;
    let other = Program::build(2)?;
    ensure!(other.build_id != program.build_id, "both are of one build");
    let folder = TempDir::new()?;
    other.install(folder.path(), &program.build_id)?;
    let outcomes = symbolize(&recording, folder.path())?;
    let own = outcomes.iter().find(|o| o["build_id"] == program.build_id);
    let own = own.ok_or_else(|| format!("{outcomes:?}"))?;
    equal!(own["named"], 0);
    let reason = own["reason"].as_str().unwrap_or_default();
    ensure!(reason.starts_with("refused: "), "{reason}");
    ensure!(reason.contains(&other.build_id), "{reason}");
    let sql = "SELECT count(*) FROM symbol WHERE function IN ('whence_hot', 'whence_inlined')";
    equal!(recording.number(sql)?, 0);
    // Beside it, where a debug link would lead, lies the right one.
    std::fs::copy(program.debug(), folder.path().join("prog.debug"))?;
    symbolize(&recording, folder.path())?;
    ensure!(recording.number(sql)? > 0, "nothing was named");
    Ok(())
}

/// The folder has the program, and beside it, under an odd name, its debug file.
fn debug_link() -> Result<(), Failed> {
    let program = Program::build(1)?;
    let folder = TempDir::new()?;
    let hidden = folder.path().join(".debug");
    std::fs::create_dir(&hidden)?;
    let odd = hidden.join("odd-name.dbg");
    std::fs::copy(program.debug(), &odd)?;
    let link = format!("--add-gnu-debuglink={}", odd.display());
    tool(&["objcopy", &link, &program.program()])?;
    std::fs::copy(program.program(), folder.path().join("prog"))?;
    let (recording, program) = recorded(program)?;
    let outcomes = symbolize(&recording, folder.path())?;
    let own = outcomes.iter().find(|o| o["build_id"] == program.build_id);
    let own = own.ok_or_else(|| format!("{outcomes:?}"))?;
    equal!(own["debug_file"].as_str(), odd.to_str());
    let sql = "SELECT count(*) FROM symbol WHERE function = 'whence_inlined' AND line IS NOT NULL";
    ensure!(recording.number(sql)? > 0, "{outcomes:?}");
    Ok(())
}
