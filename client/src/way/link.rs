//! A meeting's link, as its organiser gives it out.

use crate::ClientError;
use crate::https::Origin;
use std::fmt;
use std::str::FromStr;
use url::Url;
use wire::control::Secret;
use wire::lookup::{LINK_PATH, PASSCODE_LEN_MAX, PASSCODE_LEN_MIN, is_number, is_plain};

/// `https://HOST/j/NUMBER#PASSCODE`. Shown without its passcode.
#[derive(Clone)]
pub struct MeetingLink {
    origin: Origin,
    number: String,
    passcode: Secret,
}

impl MeetingLink {
    /// A link on a command line: itself, or `@FILE`, which keeps its passcode out of the process list.
    ///
    /// # Errors
    /// The file can't be read, or there is no link in it.
    pub fn from_argument(argument: &str) -> Result<Self, ClientError> {
        crate::options::argument(argument).map_err(ClientError::Link)?.parse()
    }

    /// Where the web infrastructure is asked.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn number(&self) -> &str {
        &self.number
    }

    pub(crate) fn passcode(&self) -> &Secret {
        &self.passcode
    }
}

impl FromStr for MeetingLink {
    type Err = ClientError;

    fn from_str(text: &str) -> Result<Self, ClientError> {
        // Never the text itself: it has the passcode.
        let wrong = |why: &str| ClientError::Link(why.to_owned());
        let mut url = Url::parse(text.trim()).map_err(|cause| wrong(&cause.to_string()))?;
        let passcode = url.fragment().unwrap_or_default().to_owned();
        let number = url.path().strip_prefix(LINK_PATH).unwrap_or_default().to_owned();
        if !is_number(&number) {
            return Err(wrong("it has no meeting number of 11 digits"));
        }
        let fits = (PASSCODE_LEN_MIN..=PASSCODE_LEN_MAX).contains(&passcode.len());
        if !fits || !is_plain(&passcode) {
            return Err(wrong("there is no passcode behind its #; copy it whole, in quotes"));
        }
        url.set_fragment(None);
        url.set_path("/");
        let origin =
            url.as_str().parse().map_err(|_| wrong("it does not begin with https://HOST"))?;
        Ok(Self { origin, number, passcode: Secret(passcode) })
    }
}

impl fmt::Display for MeetingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{LINK_PATH}{}", self.origin, self.number)
    }
}

impl fmt::Debug for MeetingLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MeetingLink({self})")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may fail by panic
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_whole_and_shown_without_its_passcode() {
        for (text, shown) in [
            (
                "https://meet.example.org/j/01234567890#open.sesame",
                "https://meet.example.org/j/01234567890",
            ),
            (
                " https://[2001:db8::1]:8443/j/01234567890#open-se_same\n",
                "https://[2001:db8::1]:8443/j/01234567890",
            ),
        ] {
            let link: MeetingLink = text.parse().unwrap();
            assert_eq!(link.to_string(), shown);
            assert!(link.passcode().0.contains("open"));
            assert!(!format!("{link} {link:?}").contains("open"));
        }
    }

    #[test]
    fn what_is_no_link_is_told_so_without_repeating_it() {
        for wrong in [
            "",
            "meet.example.org/j/01234567890#open.sesame",
            "http://meet.example.org/j/01234567890#open.sesame",
            "https://ada:b@meet.example.org/j/01234567890#open.sesame",
            "https://meet.example.org/j/01234567890?a=b#open.sesame",
            "https://meet.example.org/x/01234567890#open.sesame",
            "https://meet.example.org/j/0123456789#open.sesame",
            "https://meet.example.org/j/01234567890",
            "https://meet.example.org/j/01234567890#open",
            "https://meet.example.org/j/01234567890#open%20sesame",
        ] {
            let error = wrong.parse::<MeetingLink>().unwrap_err().to_string();
            assert!(error.contains("https://HOST/j/NUMBER#PASSCODE"), "{error}");
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn a_link_is_read_from_a_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let text = b"https://meet.example.org/j/01234567890#open.sesame\n";
        std::io::Write::write_all(&mut file, text).unwrap();
        let link = MeetingLink::from_argument(&format!("@{}", file.path().display())).unwrap();
        assert_eq!(link.number(), "01234567890");
        assert!(
            MeetingLink::from_argument("@/nowhere").unwrap_err().to_string().contains("/nowhere")
        );
    }
}
