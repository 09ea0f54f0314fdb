# The record of what apply replaced: a text file, one line for each target:
#
#   boot-id
#   means|target|value before|value after|knob
#
# A knob lasts until the next boot, so a record of an earlier boot is of no use and is taken away.

record_targets=()
record_lines=()
record_befores=()

# False when it is there but can't be read as a record.
load_record() {
    local boot how target before after name
    record_targets=() record_lines=() record_befores=()
    [ -e "$state_file" ] || return 0
    {
        read -r boot || return 1
        [[ $boot =~ ^[0-9a-f-]{36}$ ]] || return 1
        if [ "$boot" != "$(boot_id)" ]; then
            say "the record in $state_file is from before the last boot, which undid it: not used"
            return 0
        fi
        while IFS='|' read -r how target before after name; do
            [ -n "$name" ] && [ -r "$here/lib/means/$how.sh" ] || return 1
            record_targets+=("$how $target")
            record_befores+=("$before")
            record_lines+=("$how|$target|$before|$after|$name")
        done
    } <"$state_file"
}

# Before a change: the value that was there when apply first changed the target stays the one to go back to.
record_change() { # means target before after knob
    local index
    for index in "${!record_targets[@]}"; do
        [ "${record_targets[index]}" = "$1 $2" ] || continue
        record_lines[index]="$1|$2|${record_befores[index]}|$4|$5"
        save_record
        return
    done
    record_targets+=("$1 $2")
    record_befores+=("$3")
    record_lines+=("$1|$2|$3|$4|$5")
    save_record
}

# Whole, or not at all: a new file takes the old one's place once it is on the disk.
save_record() {
    { boot_id && printf '%s\n' "${record_lines[@]}"; } >"$state_file.new" &&
        sync "$state_file.new" && mv -f "$state_file.new" "$state_file"
}

# After a change that did not happen: a target changed by an earlier run stays recorded, with what it still is.
forget_change() { # means target value
    local index
    for index in "${!record_targets[@]}"; do
        [ "${record_targets[index]}" = "$1 $2" ] && [ "${record_befores[index]}" = "$3" ] && drop_line "$index"
    done
    return 0
}

drop_line() { # index
    unset "record_lines[$1]" "record_targets[$1]" "record_befores[$1]"
    if [ ${#record_lines[@]} -gt 0 ]; then save_record; else rm -f "$state_file"; fi
}

# Two at once would record each other's changes. Held until the script ends.
lock_record() {
    local folder=${state_file%/*}
    if ! (umask 022 && mkdir -p "${folder:-/}") || ! exec 9>"$state_file.lock"; then
        fail "$state_file can't be written: choose another place with --state"
    fi
    command -v flock >/dev/null || return 0
    flock -n 9 || fail "another apply or revert is under way with $state_file: wait for it"
}

boot_id() {
    cat /proc/sys/kernel/random/boot_id
}

say() { printf '%s\n' "$1"; }

fail() { # message
    printf '%s: %s.\n' "${0##*/}" "$1" >&2
    exit 1
}
