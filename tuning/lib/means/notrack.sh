# No connection tracking for the media port. A target is the port; the value is "on" or "off".
# The rules are a table of our own, so that taking them away disturbs no other.

notrack_expand() {
    printf '%s\n' "$1"
}

notrack_read() { # port
    command -v nft >/dev/null || { reason='not here: no nft'; return 1; }
    [ "$(id -u)" -eq 0 ] || { reason='only root can see it'; return 1; }
    local rules
    rules=$(nft list table inet "mmr_notrack_$1" 2>/dev/null)
    if [ -n "$rules" ]; then value=on; return; fi
    value=off
    tracks_connections || { reason='not here: nothing tracks connections'; return 1; }
}

notrack_write() { # port value
    if [ "$2" = off ]; then
        nft delete table inet "mmr_notrack_$1"
        return
    fi
    nft -f - <<RULES
table inet mmr_notrack_$1 {
    chain arriving { type filter hook prerouting priority raw; udp dport $1 notrack; }
    chain leaving { type filter hook output priority raw; udp sport $1 notrack; }
}
RULES
}

# Tracking begins when a rule first asks for it: for a state, or for address translation.
tracks_connections() {
    local entries=0 rules
    { read -r entries </proc/sys/net/netfilter/nf_conntrack_count; } 2>/dev/null
    [ "$entries" -eq 0 ] || return 0
    rules=$(nft list ruleset 2>/dev/null)
    [[ $rules =~ [[:space:]]ct[[:space:]]|type[[:space:]]nat|masquerade|[sd]nat[[:space:]] ]]
}
