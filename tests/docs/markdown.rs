//! As much of Markdown as the guide needs: fenced blocks, links and headings.

use std::ops::Range;

/// A fenced block.
#[derive(Debug, Clone)]
pub struct Block {
    /// The word behind the fence.
    pub language: String,
    /// What stands behind the language: `file=PATH`, `as=PATH`, `run="COMMAND"`.
    pub attribute: Option<(String, String)>,
    /// Without the indentation of the fence.
    pub text: String,
    /// Which lines of the document, from 0, without the fences.
    pub lines: Range<usize>,
    /// The indentation of the fence.
    pub indent: usize,
}

impl Block {
    pub fn attribute(&self, wanted: &str) -> Option<&str> {
        let (name, value) = self.attribute.as_ref()?;
        (name == wanted).then_some(value)
    }

    /// Whether a line of a YAML block begins with this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.text
            .lines()
            .any(|line| line.starts_with(&format!("{key}:")))
    }
}

pub fn blocks(document: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in document.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (open.as_mut(), fence) {
            (None, Some(info)) => {
                let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
                let attribute = rest.trim().split_once('=');
                open = Some(Block {
                    language: language.to_owned(),
                    attribute: attribute
                        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())),
                    text: String::new(),
                    lines: number + 1..number + 1,
                    indent: line.len() - line.trim_start().len(),
                });
            }
            (Some(block), None) => {
                let indent = block.indent.min(line.len() - line.trim_start().len());
                block.text.push_str(&line[indent..]);
                block.text.push('\n');
            }
            (Some(_), Some(_)) => {
                let mut block = open.take().unwrap();
                block.lines.end = number;
                found.push(block);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    found
}

/// The document with new texts for some of its blocks.
pub fn with_texts(document: &str, texts: &[(Block, String)]) -> String {
    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    for (block, text) in texts.iter().rev() {
        let indent = " ".repeat(block.indent);
        let new = text.lines().map(|line| format!("{indent}{line}"));
        lines.splice(block.lines.clone(), new);
    }
    lines.join("\n") + "\n"
}

/// The text without what stands in fenced blocks.
pub fn prose(document: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside;
        } else if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The targets of `[text](target)`.
pub fn links(document: &str) -> Vec<String> {
    let prose = prose(document);
    prose
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// The names that a browser can jump to, as GitHub makes them.
pub fn anchors(document: &str) -> Vec<String> {
    prose(document)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter))
                .map(|letter| if letter == ' ' { '-' } else { letter })
                .collect()
        })
        .collect()
}

/// What stands below a heading, up to the next of the same level.
pub fn section<'d>(document: &'d str, heading: &str) -> &'d str {
    let start = document
        .find(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("there is no heading `{heading}`"));
    let body = &document[start + heading.len() + 2..];
    let level = heading.split(' ').next().unwrap();
    let end = body.find(&format!("\n{level} ")).unwrap_or(body.len());
    &body[..end]
}

/// The cells of every row of every table, without the line below a head.
pub fn rows(text: &str) -> Vec<Vec<String>> {
    text.lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|-"))
        .map(|line| {
            let cells = line.trim_matches('|').replace("\\|", "\u{1}");
            let cells = cells.split('|');
            cells
                .map(|cell| cell.trim().replace('\u{1}', "|"))
                .collect()
        })
        .collect()
}

/// The words in backticks.
pub fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}
