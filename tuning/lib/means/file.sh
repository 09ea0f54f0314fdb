# Knobs that are files of the kernel: under /proc/sys, /sys and /proc/irq. A target is the file's path.

file_expand() { # template
    local path
    for path in $1; do printf '%s\n' "$path"; done # unquoted: * is each that exists
}

file_read() { # path
    [ -e "$1" ] || { reason='not here'; return 1; }
    { IFS= read -r value <"$1"; } 2>/dev/null || { reason="not here: can't be read"; return 1; }
}

file_write() { # path value
    printf '%s\n' "$2" >"$1"
}
