//! Where statements come from: a prompt with history, or a text.

use std::path::PathBuf;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Editor, Helper};

use super::complete::Names;
use crate::{Error, Result};

/// Statements that are remembered.
const REMEMBERED: usize = 10_000;

/// A prompt.
pub(super) struct Input {
    editor: Editor<Names, FileHistory>,
    history: Option<PathBuf>,
}

impl Input {
    /// A prompt that completes these names.
    pub(super) fn new(names: Names) -> Result<Self> {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .history_ignore_dups(true)
            .and_then(|config| config.max_history_size(REMEMBERED))
            .map_err(broken)?
            .history_ignore_space(true)
            .build();
        let mut editor = Editor::with_config(config).map_err(broken)?;
        editor.set_helper(Some(names));
        let history = history();
        if let Some(path) = &history {
            // The first time, there is none.
            let _ = editor.load_history(path);
        }
        Ok(Self { editor, history })
    }

    /// The next statement or command; `None` at the end.
    pub(super) fn read(&mut self) -> Result<Option<String>> {
        loop {
            match self.editor.readline("whence> ") {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    self.remember(&text);
                    return Ok(Some(text));
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(e) => return Err(broken(e)),
            }
        }
    }

    /// At once, so that a shell that is killed forgets nothing. A history that
    /// cannot be written is no reason not to answer.
    fn remember(&mut self, text: &str) {
        if let (Ok(true), Some(path)) = (self.editor.add_history_entry(text), &self.history) {
            let _ = self.editor.append_history(path);
        }
    }
}

fn broken(error: ReadlineError) -> Error {
    Error::Io {
        action: "read",
        object: "the prompt".into(),
        source: std::io::Error::other(error.to_string()),
    }
}

/// The file of the history, in the user's folder for state, which is made.
fn history() -> Option<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state"));
    let dir = state.filter(|dir| dir.is_absolute()).or_else(home)?;
    let dir = dir.join("whence");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(&dir).ok()?;
    Some(dir.join("history"))
}

impl Validator for Names {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_whole(context.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}

impl Helper for Names {}

/// Whether a text is a command, or SQL that ends with `;`.
fn is_whole(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.starts_with('.') {
        return true;
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    let is_text = |token: &&Token| !matches!(token, Token::Whitespace(_));
    match tokens {
        Ok(tokens) => tokens.iter().rfind(is_text) == Some(&Token::SemiColon),
        // A text or comment that goes on in the next line.
        Err(_) => false,
    }
}

/// The statements and commands of a text. What has no `;` at the end is one, too.
pub(super) fn split(all: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut begun = String::new();
    for line in all.lines() {
        if begun.trim().is_empty() {
            begun.clear();
        }
        begun.push_str(line);
        begun.push('\n');
        if is_whole(&begun) {
            found.push(std::mem::take(&mut begun));
        }
    }
    found.push(begun);
    found.retain(|text| !text.trim().is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_with_a_semicolon_outside_of_text() {
        for whole in ["SELECT 1;", ".tables", "", "SELECT ';';", "SELECT 1; -- so"] {
            assert!(is_whole(whole), "{whole}");
        }
        for begun in [
            "SELECT 1",
            "SELECT ';",
            "SELECT 1 -- ;",
            "SELECT /* ; ",
            "'a;\n",
        ] {
            assert!(!is_whole(begun), "{begun}");
        }
    }

    #[test]
    fn a_text_is_split_into_statements_and_commands() {
        let all = ".mode csv\nSELECT\n  1;\n\nSELECT 2; SELECT 3;\nSELECT 4";
        let found = split(all);
        let found: Vec<&str> = found.iter().map(|text| text.trim()).collect();
        assert_eq!(
            found,
            [
                ".mode csv",
                "SELECT\n  1;",
                "SELECT 2; SELECT 3;",
                "SELECT 4"
            ]
        );
    }
}
