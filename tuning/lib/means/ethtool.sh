# Knobs of a network card. A target is "NIC feature NAME", "NIC ring rx|tx" or "NIC coalesce NAME".

# What ethtool prints a feature as, where that is not the name it takes.
declare -A feature_names=([gro]=generic-receive-offload [gso]=generic-segmentation-offload)

ethtool_expand() {
    printf '%s\n' "$1"
}

ethtool_read() { # target
    local nic group name
    read -r nic group name <<<"$1"
    command -v ethtool >/dev/null || { reason='not here: no ethtool'; return 1; }
    "ethtool_read_$group" "$nic" "$name" && [ -n "$value" ] && [ "$value" != n/a ] || { reason='not here'; return 1; }
}

ethtool_write() { # target value
    local nic group name flag
    read -r nic group name <<<"$1"
    case $group in feature) flag=-K ;; ring) flag=-G ;; coalesce) flag=-C ;; esac
    ethtool "$flag" "$nic" "$name" "$2"
}

# "tx-udp-segmentation: on [fixed]"; what the driver fixed at another value than wanted can't be had.
ethtool_read_feature() { # nic name
    value=$(ethtool -k "$1" 2>/dev/null | sed -n "s/^[[:space:]]*${feature_names[$2]:-$2}: //p")
    fixed=
    case $value in *'[fixed]'*) fixed=yes ;; esac
    value=${value%% *}
}

# Two sections, each with "RX: 256": the card's maxima, then what is.
ethtool_read_ring() { # nic name
    local sizes
    sizes=$(ethtool -g "$1" 2>/dev/null | sed -n "s/^${2^^}:[[:space:]]*//p")
    maximum=${sizes%%$'\n'*}
    value=${sizes##*$'\n'}
}

# "Adaptive RX: off  TX: off", "rx-usecs: 3"
ethtool_read_coalesce() { # nic name
    local pattern="^$2:[[:space:]]*"
    [ "$2" = adaptive-rx ] && pattern='^Adaptive RX:[[:space:]]*'
    value=$(ethtool -c "$1" 2>/dev/null | sed -n "s/$pattern//p")
    value=${value%% *}
}
