# What only whoever sets up the host can change: boot parameters, services, limits of a running daemon. Read only.

given_expand() {
    printf '%s\n' "$1"
}

given_read() { # what
    case $1 in
    isolated)
        file_read /sys/devices/system/cpu/isolated || return 1
        value=${value:-none}
        ;;
    irqbalance)
        value=off
        process_named irqbalance && value=on
        return 0
        ;;
    limit*)
        process_named mmr || { reason='not here: mmr does not run'; return 1; }
        value=$(sed -n "s/^${1#limit } *\([^ ]*\).*/\1/p" "/proc/$pid/limits" 2>/dev/null)
        ;;
    esac
}

process_named() { # name; leaves its id in pid
    local comm name
    for comm in /proc/[0-9]*/comm; do
        { IFS= read -r name <"$comm"; } 2>/dev/null || continue
        [ "$name" = "$1" ] || continue
        pid=${comm#/proc/}
        pid=${pid%/comm}
        return 0
    done
    return 1
}
