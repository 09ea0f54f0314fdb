//! /proc/net/snmp and snmp6: what UDP lost in this network namespace.

use super::Malformed;

/// Datagrams lost since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpErrors {
    /// A socket's receive buffer was full.
    pub receive_buffer: u64,
    /// A socket's send buffer was full.
    pub send_buffer: u64,
}

/// IPv4: a line `Udp:` of names, and a line `Udp:` of their values.
///
/// # Errors
/// One of them is missing.
pub fn udp_errors(text: &str) -> Result<UdpErrors, Malformed> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (Some(names), Some(values)) = (lines.next(), lines.next()) else { return Err(Malformed) };
    let value = |wanted: &str| {
        let at = names.split_whitespace().position(|name| name == wanted)?;
        values.split_whitespace().nth(at)?.parse().ok()
    };
    match (value("RcvbufErrors"), value("SndbufErrors")) {
        (Some(receive_buffer), Some(send_buffer)) => Ok(UdpErrors { receive_buffer, send_buffer }),
        _ => Err(Malformed),
    }
}

/// IPv6: a name and its value on each line.
///
/// # Errors
/// One of them is missing.
pub fn udp6_errors(text: &str) -> Result<UdpErrors, Malformed> {
    let value = |wanted: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(wanted))?;
        line.strip_prefix(char::is_whitespace)?.trim().parse().ok()
    };
    match (value("Udp6RcvbufErrors"), value("Udp6SndbufErrors")) {
        (Some(receive_buffer), Some(send_buffer)) => Ok(UdpErrors { receive_buffer, send_buffer }),
        _ => Err(Malformed),
    }
}
