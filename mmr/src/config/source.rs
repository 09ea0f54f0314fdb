//! A configuration's text, and where in it a value stands.

use super::ConfigError;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// The text being read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// A value that can't be used.
    pub(super) fn wrong(
        &self,
        at: Range<usize>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ConfigError {
        let (line, key) = self.locate(at.start);
        ConfigError {
            file: self.file.to_owned(),
            line: Some(line),
            key,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// A key without a default that is not there; points at its table when that is there.
    pub(super) fn missing(&self, key: &str, remedy: &str) -> ConfigError {
        let header = key.rsplit_once('.').map(|(table, _)| format!("[{table}]"));
        let line = header.and_then(|header| {
            self.text.lines().position(|line| line.trim() == header).map(|at| at + 1)
        });
        ConfigError {
            file: self.file.to_owned(),
            line: Some(line.unwrap_or(1)),
            key: Some(key.to_owned()),
            reason: "the key is missing and has no default".to_owned(),
            remedy: remedy.to_owned(),
        }
    }

    /// A whole number within `range`, or the default.
    pub(super) fn number<T: TryFrom<i64>>(
        &self,
        value: Option<Spanned<i64>>,
        range: RangeInclusive<i64>,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        let (least, most) = (*range.start(), *range.end());
        let number = *value.get_ref();
        let fits = range.contains(&number).then(|| T::try_from(number).ok()).flatten();
        fits.ok_or_else(|| {
            self.wrong(
                value.span(),
                format!("{number} is out of range"),
                format!("Use a number from {least} to {most}."),
            )
        })
    }

    /// What `parse` makes of a text, or the default.
    pub(super) fn text<T>(
        &self,
        value: Option<Spanned<String>>,
        default: T,
        parse: impl FnOnce(&str) -> Option<T>,
        remedy: &str,
    ) -> Result<T, ConfigError> {
        let Some(value) = value else { return Ok(default) };
        parse(value.get_ref()).ok_or_else(|| {
            self.wrong(value.span(), format!("\"{}\" is no such value", value.get_ref()), remedy)
        })
    }

    /// A path, relative ones from the configuration file's folder.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// Line (from 1) and key of a place in the text.
    fn locate(&self, at: usize) -> (usize, Option<String>) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let mut key = None;
        for text in self.text.lines().take(line).collect::<Vec<_>>().into_iter().rev() {
            let text = text.trim();
            if let Some(table) = text.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
                let table = table.trim_start_matches('[').trim();
                return (line, Some(join(table, key)));
            }
            if key.is_none() && !text.starts_with('#') {
                key = text.split_once('=').map(|(key, _)| key.trim().to_owned());
            }
        }
        (line, key)
    }
}

/// The line (from 1) of a key, such as `tls.key`, in a configuration's text.
pub(crate) fn line_of(text: &str, key: &str) -> Option<usize> {
    let source = Source { file: Path::new(""), text };
    let mut start = 0;
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let is_value = line.contains('=') && !line.trim_start().starts_with('#');
        if is_value && source.locate(start).1.as_deref() == Some(key) {
            return Some(at + 1);
        }
        start += line.len();
    }
    None
}

fn join(table: &str, key: Option<String>) -> String {
    key.map_or_else(|| table.to_owned(), |key| format!("{table}.{key}"))
}
