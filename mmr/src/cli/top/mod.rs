//! `mmr top`: a live view on a terminal, plain text elsewhere. Both are the same picture.

mod rates;
mod screen;

use super::args::TopArgs;
use super::ask::{newest, socket};
use super::{Failure, runtime};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use rates::Rates;
use std::io::{self, IsTerminal, Write, stdout};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wire::stats::Stats;

/// Columns of plain output.
const PLAIN_WIDTH: u16 = 100;

pub(super) fn top(args: &TopArgs) -> Result<(), Failure> {
    let socket = socket(&args.socket);
    let looks = Looks::begin(&socket, args.interval)?;
    if stdout().is_terminal() { live(looks, args.count) } else { plain(looks, args.count) }
}

/// The daemon's stats, one look after the other.
struct Looks<'a> {
    socket: &'a Path,
    interval: Duration,
    runtime: Runtime,
    before: Stats,
    taken_at: Instant,
}

impl<'a> Looks<'a> {
    fn begin(socket: &'a Path, interval: Duration) -> Result<Self, Failure> {
        let runtime = runtime()?;
        let before = runtime.block_on(newest(socket))?;
        Ok(Self { socket, interval, runtime, before, taken_at: Instant::now() })
    }

    fn next(&mut self) -> Result<Rates, Failure> {
        let now = self.runtime.block_on(newest(self.socket))?;
        let taken_at = Instant::now();
        let rates = Rates::between(&self.before, &now, taken_at - self.taken_at);
        self.before = now;
        self.taken_at = taken_at;
        Ok(rates)
    }

    fn due_in(&self) -> Duration {
        self.interval.saturating_sub(self.taken_at.elapsed())
    }
}

fn live(mut looks: Looks<'_>, count: Option<u32>) -> Result<(), Failure> {
    let mut terminal = ratatui::try_init().map_err(no_terminal)?;
    let mut watch = || -> Result<(), Failure> {
        let mut left = count;
        while left != Some(0) {
            if is_end_asked(looks.due_in()).map_err(no_terminal)? {
                break;
            }
            if looks.due_in().is_zero() {
                let rates = looks.next()?;
                terminal.draw(|frame| screen::draw(frame, &rates)).map_err(no_terminal)?;
                left = left.map(|left| left - 1);
            }
        }
        Ok(())
    };
    let watched = watch();
    ratatui::restore();
    watched
}

/// Waits for a key, at most so long.
fn is_end_asked(wait: Duration) -> io::Result<bool> {
    if !event::poll(wait)? {
        return Ok(false);
    }
    let Event::Key(key) = event::read()? else { return Ok(false) };
    let interrupted =
        key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(interrupted || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

fn plain(mut looks: Looks<'_>, count: Option<u32>) -> Result<(), Failure> {
    for _ in 0..count.unwrap_or(1) {
        std::thread::sleep(looks.due_in());
        let rates = looks.next()?;
        let text = render(&rates, screen::height(&rates))?;
        // Who reads along may have seen enough (`mmr top | head`).
        if stdout().write_all(text.as_bytes()).is_err() {
            break;
        }
    }
    Ok(())
}

/// The picture as text.
fn render(rates: &Rates, height: u16) -> Result<String, Failure> {
    let backend = TestBackend::new(PLAIN_WIDTH, height);
    let mut terminal = Terminal::new(backend).map_err(Failure::failed)?;
    terminal.draw(|frame| screen::draw(frame, rates)).map_err(Failure::failed)?;
    Ok(text(terminal.backend().buffer()))
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width);
    let line = |row: &[ratatui::buffer::Cell]| {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        format!("{}\n", line.trim_end())
    };
    rows.map(line).collect()
}

fn no_terminal(cause: io::Error) -> Failure {
    Failure::failed(format!("the terminal can't be used: {cause}. Try `mmr top | cat`."))
}
