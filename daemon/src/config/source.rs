//! A configuration's text, and where in it a value stands.

use super::{ConfigError, parse_duration};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The text being read.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// For messages, and for the folder relative paths count from.
    pub file: &'a Path,
    /// What stands in it.
    pub text: &'a str,
}

/// A text as it stands in a file.
pub type Text = Option<Spanned<String>>;
/// A number as it stands in a file.
pub type Number = Option<Spanned<i64>>;
/// A list as it stands in a file.
pub type List<T> = Option<Spanned<Vec<Spanned<T>>>>;

/// One text or a list of them, as it stands in a file.
pub type Texts = Option<Spanned<OneOrMany>>;

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged, expecting = "invalid type: expected a text, or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several, or none.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::Many(texts) => texts,
        }
    }
}

impl Source<'_> {
    /// A value that can't be used.
    pub fn wrong(
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
    pub fn missing(&self, key: &str, remedy: &str) -> ConfigError {
        let header = key.rsplit_once('.').map(|(table, _)| format!("[{table}]"));
        let line = header.and_then(|header| {
            let is_header = |line: &str| line == header || line == format!("[{header}]");
            self.text.lines().position(|line| is_header(line.trim())).map(|at| at + 1)
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
    ///
    /// # Errors
    /// When it is out of range.
    pub fn number<T: TryFrom<i64>>(
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
    ///
    /// # Errors
    /// When it makes nothing of it.
    pub fn text<T>(
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

    /// A duration within `range`, or the default.
    ///
    /// # Errors
    /// When it is none, or out of range.
    pub fn duration(
        &self,
        value: Text,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Result<Duration, ConfigError> {
        let remedy = format!(
            "Write a whole number and its unit, such as \"500ms\", \"90s\", \"10m\" or \"2h\": {} s to {} s.",
            range.start().as_secs_f64(),
            range.end().as_secs_f64(),
        );
        let fits = |text: &str| parse_duration(text).filter(|duration| range.contains(duration));
        self.text(value, default, fits, &remedy)
    }

    /// The file as it is written; `example` is the commented one of the source tree.
    ///
    /// # Errors
    /// Syntax, an unknown key, or a value of another type.
    pub fn read<T: DeserializeOwned>(&self, example: &str) -> Result<T, ConfigError> {
        toml::from_str(self.text).map_err(|error| {
            let remedy = match error.message() {
                message if message.starts_with("unknown field") => {
                    format!("Mend the key's name or remove it; {example} of the source tree lists every key.")
                }
                message if message.starts_with("invalid type") => format!(
                    "Write a value of that type; {example} of the source tree shows every key's default."
                ),
                _ => "Mend the syntax (https://toml.io).".to_owned(),
            };
            let reason = error.message().replace('\n', ", ").replace(" i64", " a whole number");
            self.wrong(error.span().unwrap_or(0..0), reason, remedy)
        })
    }

    /// A text that must be there and not be empty.
    ///
    /// # Errors
    /// When it is not.
    pub fn required(&self, value: Text, key: &str, remedy: &str) -> Result<String, ConfigError> {
        let value = value.ok_or_else(|| self.missing(key, remedy))?;
        if value.get_ref().is_empty() {
            return Err(self.wrong(value.span(), "the value is empty", remedy));
        }
        Ok(value.into_inner())
    }

    /// The zone's name.
    ///
    /// # Errors
    /// When it is missing, or no name.
    pub fn zone(&self, zone: Text) -> Result<String, ConfigError> {
        let remedy = "Name the zone as its join tokens do (their audience), in 1 to 64 bytes.";
        let zone = zone.ok_or_else(|| self.missing("zone", remedy))?;
        if zone.get_ref().is_empty() || zone.get_ref().len() > wire::limits::NAME_LEN_MAX {
            return Err(self.wrong(zone.span(), "a zone's name has 1 to 64 bytes", remedy));
        }
        Ok(zone.into_inner())
    }

    /// A path, relative ones from the configuration file's folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// A file, or none: an empty name is none.
    pub fn file(&self, path: Text) -> Option<PathBuf> {
        path.filter(|path| !path.get_ref().is_empty()).map(|path| self.path(path.get_ref()))
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
pub fn line_of(text: &str, key: &str) -> Option<usize> {
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
