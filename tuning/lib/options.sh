# Arguments, and what they set. Exit codes are the daemon's: 64 for a command line that can't be understood.

# Where Debian keeps ethtool and nft, which not everybody's path has.
PATH=$PATH:/usr/sbin:/sbin
table=$here/knobs
state_file=/var/lib/mmr-tuning/state
interrupts=onto
port=8801
cores=''
nics=()
only=()
skip=()
json=no
dry_run=no

read_options() { # allowed options, then arguments
    local allowed=$1
    shift
    while [ $# -gt 0 ]; do
        case $1 in
        -h | --help) usage; exit 0 ;;
        esac
        [[ " $allowed " == *" $1 "* ]] || refuse "$1 is not known here"
        case $1 in
        --json) json=yes; shift; continue ;;
        --dry-run) dry_run=yes; shift; continue ;;
        esac
        [ $# -ge 2 ] || refuse "$1 needs a value"
        case $1 in
        --nic) IFS=, read -ra nics <<<"$2" ;;
        --workers) cores=$2 ;;
        --interrupts) interrupts=$2 ;;
        --port) port=$2 ;;
        --only) only+=("$2") ;;
        --skip) skip+=("$2") ;;
        --state) state_file=$2 ;;
        esac
        shift 2
    done
    [[ $interrupts =~ ^(onto|away)$ ]] || refuse "--interrupts is onto or away, not $interrupts"
    [[ $port =~ ^[1-9][0-9]{0,4}$ ]] && [ "$port" -lt 65536 ] || refuse "--port is 1 to 65535, not $port"
    case $state_file in /*) ;; *) state_file=$PWD/$state_file ;; esac
}

# The host as far as the knobs need it: cores, and cards.
look_at_host() {
    local nic
    find_workers "$cores" || refuse "--workers is a list of cores such as 1-7 or 2,4,6, all online ($(</sys/devices/system/cpu/online)), not $cores"
    [ ${#nics[@]} -gt 0 ] || find_nics
    for nic in "${nics[@]}"; do
        [ -d "/sys/class/net/$nic" ] || refuse "there is no network card $nic: $(cd /sys/class/net && echo *)"
    done
}

# Cards are interfaces with a device behind them; the others (bridges, tunnels, veth) are asked for by name.
find_nics() {
    local path
    for path in /sys/class/net/*/device; do
        path=${path%/device}
        [ -e "$path" ] && nics+=("${path##*/}")
    done
}

is_chosen() { # knob
    local pattern
    for pattern in "${skip[@]}"; do [[ $1 == *"$pattern"* ]] && return 1; done
    [ ${#only[@]} -gt 0 ] || return 0
    for pattern in "${only[@]}"; do [[ $1 == *"$pattern"* ]] && return 0; done
    return 1
}

refuse() { # message
    printf '%s: %s. %s --help tells more.\n' "${0##*/}" "$1" "$0" >&2
    exit 64
}

need_root() {
    [ "$(id -u)" -eq 0 ] && return
    printf '%s: only root may change these knobs: sudo %s\n' "${0##*/}" "$0" >&2
    exit 77
}

options_help() {
    cat <<'HELP'
  --nic NAME,…         network cards to look at; without it, all that have a device behind them
  --workers LIST       the workers' cores, such as 1-7 (workers.cores in mmr.toml); without it, all but the first,
                       as mmr itself does it
  --interrupts onto    receive work on the workers' cores, spread evenly (the default)
  --interrupts away    receive work on the other cores only
  --port N             the media port, for the conntrack bypass (listen.media_port; 8801)
  --only TEXT          only knobs whose name contains TEXT; may be given several times
  --skip TEXT          not the knobs whose name contains TEXT; may be given several times
HELP
}
