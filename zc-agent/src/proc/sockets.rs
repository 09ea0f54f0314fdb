//! /proc/net/udp and udp6: what each socket dropped.

use super::Malformed;

/// Datagrams that sockets bound to one of these local ports dropped, as long as they are open.
///
/// ```text
///   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
///  812: 00000000:2261 00000000:0000 07 00000000:00000000 00:00000000 00000000   990        0 31337 2 0000000000000000 4
/// ```
///
/// # Errors
/// A line that is no socket's.
pub fn socket_drops(text: &str, ports: &[u16]) -> Result<u64, Malformed> {
    let mut sum = 0_u64;
    for line in text.lines().skip(1) {
        let mut columns = line.split_whitespace();
        let port = columns.nth(1).and_then(port).ok_or(Malformed)?;
        if ports.contains(&port) {
            let drops: u64 =
                columns.next_back().and_then(|text| text.parse().ok()).ok_or(Malformed)?;
            sum = sum.saturating_add(drops);
        }
    }
    Ok(sum)
}

fn port(address: &str) -> Option<u16> {
    let (_, port) = address.rsplit_once(':')?;
    u16::from_str_radix(port, 16).ok()
}
