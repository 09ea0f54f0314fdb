//! The HTTP proxies of Debian: squid and tinyproxy, with and without a password.

use crate::PATIENCE;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use tests::Host;

/// User and password of those that ask for them.
pub const USER: &str = "ada:s3cret";

/// A running proxy; ends with its test.
pub struct Proxy {
    child: Child,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whom a proxy lets through, and where to.
#[derive(Clone, Copy)]
pub struct Rules<'a> {
    pub asks_for_password: bool,
    /// Nowhere else than to these; anywhere when there are none.
    pub only_to: &'a [IpAddr],
}

/// Debian's squid, on this port of a host.
pub fn squid(host: &Host, port: u16, rules: Rules<'_>, folder: &Path) -> Proxy {
    let room = room(folder, &format!("squid-{port}"));
    let mut config = format!(
        "http_port {port}\nvisible_hostname squid\ncache deny all\nshutdown_lifetime 0 seconds\n\
         pid_filename none\naccess_log none\ncache_log {0}/cache.log\ncoredump_dir {0}\nmax_filedescriptors 1024\n\
         cache_effective_user proxy\nhttpd_suppress_version_string on\npinger_enable off\n",
        room.display()
    );
    if rules.asks_for_password {
        let (user, password) = USER.split_once(':').unwrap();
        let hashed = output(Command::new("openssl").args(["passwd", "-apr1", password]));
        std::fs::write(room.join("passwords"), format!("{user}:{hashed}")).unwrap();
        let passwords = room.join("passwords");
        config += &format!(
            "auth_param basic program /usr/lib/squid/basic_ncsa_auth {}\nauth_param basic children 1\n\
             acl known proxy_auth REQUIRED\nhttp_access deny !known\n",
            passwords.display()
        );
    }
    for address in rules.only_to {
        config += &format!("acl there dst {address}\n");
    }
    config += if rules.only_to.is_empty() {
        "http_access allow all\n"
    } else {
        "http_access allow there\n"
    };
    config += "http_access deny all\n";
    std::fs::write(room.join("squid.conf"), config).unwrap();
    let mut command = Command::new("squid");
    // One process in the foreground.
    command.arg("-N").arg("-f").arg(room.join("squid.conf"));
    start(host, command, port)
}

/// Debian's tinyproxy, on this port of a host.
pub fn tinyproxy(host: &Host, port: u16, asks_for_password: bool, folder: &Path) -> Proxy {
    let room = room(folder, &format!("tinyproxy-{port}"));
    let mut config =
        format!("Port {port}\nTimeout 600\nMaxClients 100\nConnectPort 443\nConnectPort 8443\n");
    if asks_for_password {
        config += &format!("BasicAuth {}\n", USER.replace(':', " "));
    }
    std::fs::write(room.join("tinyproxy.conf"), config).unwrap();
    let mut command = Command::new("tinyproxy");
    command.arg("-d").arg("-c").arg(room.join("tinyproxy.conf"));
    start(host, command, port)
}

/// A folder that a proxy may read and write as the user it becomes.
fn room(folder: &Path, name: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let room = folder.join(name);
    std::fs::create_dir(&room).unwrap();
    for folder in [folder, &room] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    room
}

fn start(host: &Host, mut command: Command, port: u16) -> Proxy {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = host.run(|| command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    let mut proxy = Proxy { child };
    let began = Instant::now();
    while host.run(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_err()) {
        assert!(proxy.child.try_wait().unwrap().is_none(), "{command:?} has ended");
        assert!(began.elapsed() < PATIENCE, "{command:?} does not listen");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    proxy
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}
