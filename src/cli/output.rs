//! What is printed: results on stdout, everything else on stderr; colours only where a person looks.

use super::error::CliError;
use serde::Serialize;
use serde_json::Value;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

/// Where results go.
pub struct Output {
    json: bool,
    colours: bool,
    stdout: BufWriter<Stdout>,
}

/// How a text stands out on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// A heading or a name.
    Bold,
    /// What is of less interest.
    Dim,
    /// Good.
    Green,
    /// Not so good.
    Yellow,
    /// Bad.
    Red,
    /// A speaker.
    Cyan,
}

impl Output {
    /// `json`: results are JSON.
    pub fn new(json: bool) -> Self {
        let colours = !json && io::stdout().is_terminal() && colours_wanted();
        Self { json, colours, stdout: BufWriter::new(io::stdout()) }
    }

    /// Whether results are JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), CliError> {
        writeln!(self.stdout, "{}", text.as_ref())?;
        Ok(())
    }

    /// One line of bytes, as they are.
    pub fn raw_line(&mut self, parts: &[&[u8]]) -> Result<(), CliError> {
        for part in parts {
            self.stdout.write_all(part)?;
        }
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    /// One JSON value on one line: for lists and streams of things.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from)?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    /// One JSON value, indented: for one thing.
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), CliError> {
        serde_json::to_writer_pretty(&mut self.stdout, value).map_err(io::Error::from)?;
        self.stdout.write_all(b"\n")?;
        self.flush()
    }

    /// The value with `--json`, else the lines.
    pub fn result(&mut self, value: &Value, lines: impl FnOnce() -> String) -> Result<(), CliError> {
        if self.json { self.json(value) } else { self.line(lines()).and_then(|()| self.flush()) }
    }

    /// Hands everything to the reader: before waiting for something, and at the end.
    pub fn flush(&mut self) -> Result<(), CliError> {
        Ok(self.stdout.flush()?)
    }

    /// `text`, coloured where colours are wanted.
    pub fn styled(&self, style: Style, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.colours {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "31",
            Style::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A snippet as queries give it, `[{text, hit}…]`, on one line, with the hits bold.
    pub fn marked(&self, snippet: &Value) -> String {
        let pieces = snippet.as_array().into_iter().flatten().map(|piece| {
            let text = plain(piece["text"].as_str().unwrap_or_default()).replace('\n', " ");
            if piece["hit"] == true { self.styled(Style::Bold, text) } else { text }
        });
        pieces.collect()
    }

    /// Rows under a heading, with columns as wide as needed. Cells are one line, whatever is in them.
    pub fn table<const N: usize>(&mut self, heading: [&str; N], rows: &[[String; N]]) -> Result<(), CliError> {
        let rows: Vec<[String; N]> =
            rows.iter().map(|row| row.each_ref().map(|cell| plain(cell).replace('\n', " "))).collect();
        let mut widths = heading.map(width);
        for row in &rows {
            for (known, cell) in widths.iter_mut().zip(row) {
                *known = (*known).max(width(cell));
            }
        }
        let heading = self.styled(Style::Bold, pad(&heading.map(str::to_owned), &widths));
        self.line(heading)?;
        for row in &rows {
            self.line(pad(row, &widths))?;
        }
        self.flush()
    }
}

/// `text` without control characters: what a customer wrote must not be able to steer an operator's terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// A remark for a person, beside the results.
pub fn note(text: impl AsRef<str>) {
    // Nobody reads stderr any more: then nobody misses the remark.
    let _ = writeln!(io::stderr(), "{}", text.as_ref());
}

fn colours_wanted() -> bool {
    // As no-color.org asks, and terminals that cannot.
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

fn pad<const N: usize>(cells: &[String; N], widths: &[usize; N]) -> String {
    let mut line = String::new();
    for (cell, wanted) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(' ', wanted - width(cell) + 2));
    }
    line.trim_end().to_owned()
}

/// Columns on a terminal. Chinese characters take two; this is exact enough for tables.
fn width(text: &str) -> usize {
    text.chars().map(|c| if matches!(u32::from(c), 0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd) { 2 } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_customer_wrote_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\u{9b}c\n"), "a\u{fffd}[2Jb\u{fffd}c\n");
    }

    #[test]
    fn columns_are_counted_as_a_terminal_shows_them() {
        assert_eq!(width("客服 a"), 6);
        assert_eq!(pad(&["客服".to_owned(), "x".to_owned()], &[5, 1]), "客服   x");
    }
}
