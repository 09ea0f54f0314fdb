//! `mmr top` on a terminal: what its user sees of a running daemon, and what is left when it ends.

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::binary;
use tests::pair::Pair;
use tests::process::Process;

const PATIENCE: Duration = Duration::from_secs(20);
const ROWS: u16 = 30;
const COLUMNS: u16 = 110;

/// A program on a terminal of its own.
struct Terminal {
    program: Child,
    /// The side the keyboard is on.
    keyboard: File,
    /// The program's side.
    line: OwnedFd,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    fn run(mut program: Command) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave: line } = openpty(&size, None).unwrap();
        let end = || line.try_clone().unwrap();
        let program = program.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let (mut output, shown) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Fails once nobody has the program's side open any more.
            while let Ok(len @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().process(&bytes[..len]);
            }
        });
        Self { program, keyboard, line, screen }
    }

    /// What is on the screen once `enough` of it is there.
    fn shows(&self, what: &str, enough: impl Fn(&vt100::Screen) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let parser = self.screen.lock().unwrap();
            let text = parser.screen().contents();
            if enough(parser.screen()) {
                return text;
            }
            assert!(Instant::now() < deadline, "no {what} on the screen:\n{text}");
            drop(parser);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether keys are shown and lines edited, as a shell expects.
    fn is_cooked(&self) -> bool {
        let flags = tcgetattr(&self.line).unwrap().local_flags;
        flags.contains(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    fn press(&mut self, key: &[u8]) {
        self.keyboard.write_all(key).unwrap();
    }

    /// The program ends well and leaves the terminal as it found it.
    fn assert_ends(mut self) {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.program.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(status.success(), "{status}");
        assert!(self.is_cooked(), "the terminal is left raw");
        self.shows("cursor, and the screen from before,", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended unless the test failed.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn top(process: &Process) -> Terminal {
    let mut command = Command::new(binary("mmr"));
    command.arg("top").arg("--socket").arg(process.admin_socket());
    Terminal::run(command)
}

#[tokio::test]
async fn top_shows_a_running_meeting_and_leaves_the_terminal_as_it_was() {
    let process = Process::start("");
    let mut pair = Pair::join(process.tls(), &process.venue.dev, 256_000).await;
    let mut terminal = top(&process);
    // Audio, and with each packet one that nobody may send.
    let deadline = Instant::now() + PATIENCE;
    let text = loop {
        let packet = pair.next_packet();
        pair.publisher.socket.send(&packet).unwrap();
        pair.publisher.socket.send(&[0xff; 40]).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let text = terminal.screen.lock().unwrap().screen().contents();
        if is_complete(&text) {
            break text;
        }
        assert!(Instant::now() < deadline, "something is missing:\n{text}");
    };
    for wanted in ["zone dev", "taking newcomers", "1 meetings  2 participants  1 streams", "2 udp"]
    {
        assert!(text.contains(wanted), "no {wanted:?}:\n{text}");
    }
    assert!(!terminal.is_cooked(), "keys would be shown");
    assert!(terminal.screen.lock().unwrap().screen().alternate_screen());
    terminal.press(b"x");
    terminal.press(b"q");
    terminal.assert_ends();

    let mut terminal = top(&process);
    terminal.shows("workers", |screen| screen.contents().contains("workers"));
    // In raw mode Ctrl-C is a key.
    terminal.press(&[3]);
    terminal.assert_ends();
}

/// Every worker's load, packets of the kind that flows, the drops by reason, a latency.
fn is_complete(text: &str) -> bool {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let are_positive = |cells: &[&str]| {
        !cells.is_empty()
            && cells.iter().all(|cell| cell.parse::<f64>().is_ok_and(|number| number > 0.0))
    };
    // kind, packets in, bits in; reason, packets, packets since start
    let flows =
        |name| rows.iter().any(|row| row.len() > 2 && row[0] == name && are_positive(&row[1..3]));
    // worker, backend, bar, percentage, "%", packets in, out, latencies
    let workers: Vec<_> = rows.iter().filter(|row| row.get(4) == Some(&"%")).collect();
    workers.len() == 2
        && workers.iter().any(|row| are_positive(&row[5..]))
        && flows("audio")
        && flows("malformed")
        && text.contains("\nvideo ")
        && text.contains("\ncontent ")
}
