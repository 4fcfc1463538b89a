//! A copy of `docs/example` to run the commands of the guide in.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use regex_lite::Regex;
use tempfile::TempDir;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_firedrill");

pub struct Project {
    folder: TempDir,
    last_status: i32,
}

impl Project {
    /// A fresh copy of the example.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(Path::new("docs/example"), folder.path());
        Self {
            folder,
            last_status: 0,
        }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs a line of shell. Standard error comes with standard output, `$?` is that of the line before.
    pub fn shell(&mut self, line: &str) -> String {
        let programs = Path::new(PROGRAM).parent().unwrap().display();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("exec 2>&1; (exit {}); {line}", self.last_status))
            .current_dir(self.folder.path())
            .env("PATH", format!("{programs}:{path}"))
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        self.last_status = output.status.code().unwrap_or(-1);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs firedrill in the project.
    pub fn firedrill(&self, arguments: &[&str]) -> Output {
        Command::new(PROGRAM)
            .args(arguments)
            .current_dir(self.folder.path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Both streams, for a message.
pub fn told(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// Without what differs from run to run and from machine to machine.
pub fn redacted(text: &str) -> String {
    let variable = [
        (r" +\d+ ms", " N ms"),
        (r#"time="[\d.]+""#, r#"time="N""#),
        (r#""duration_us": \d+"#, r#""duration_us": N"#),
        (r#""(kernel|nft)": "[^"]*""#, r#""$1": "V""#),
    ];
    variable
        .iter()
        .fold(text.to_owned(), |text, (pattern, instead)| {
            let pattern = Regex::new(pattern).unwrap();
            pattern.replace_all(&text, *instead).into_owned()
        })
}

/// A JSON document, indented, its keys in the order in which they were written.
pub fn indented(json: &str) -> String {
    let mut text = String::new();
    let mut depth = 0;
    let (mut quoted, mut escaped) = (false, false);
    for letter in json.chars() {
        if quoted {
            text.push(letter);
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        match letter {
            '{' | '[' => {
                depth += 1;
                text.push(letter);
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
            }
            '}' | ']' => {
                depth -= 1;
                text.push('\n');
                text.push_str(&"  ".repeat(depth));
                text.push(letter);
            }
            ',' => {
                text.push_str(",\n");
                text.push_str(&"  ".repeat(depth));
            }
            ':' => text.push_str(": "),
            letter if letter.is_whitespace() => {}
            letter => {
                quoted = letter == '"';
                text.push(letter);
            }
        }
    }
    text + "\n"
}
