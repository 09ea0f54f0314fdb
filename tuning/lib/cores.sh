# Cores as lists (1-3,7), arrays and masks (f,00000000), and which of them are the workers'.

# 0-2,5 as lines 0 1 2 5.
list_to_lines() { # list
    local part parts
    IFS=, read -ra parts <<<"$1"
    for part in "${parts[@]}"; do
        if [[ $part =~ ^([0-9]+)-([0-9]+)$ ]]; then
            seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
        elif [[ $part =~ ^[0-9]+$ ]]; then
            printf '%s\n' "$part"
        else
            return 1
        fi
    done
}

# Cores as the kernel prints a list: runs with a dash.
cores_to_list() { # core …
    local list='' start='' last='' core
    for core in "$@" end; do
        if [ -n "$last" ] && [ "$core" = $((last + 1)) ]; then last=$core; continue; fi
        if [ -n "$last" ]; then
            list+=${list:+,}$start
            [ "$start" = "$last" ] || list+=-$last
        fi
        start=$core last=$core
        [ "$core" = end ] && break
    done
    printf '%s' "$list"
}

# Cores as the kernel prints a mask: 32 bits a word, the highest first.
cores_to_mask() { # core …
    local -a words=(0)
    local core word mask='' text
    for core in "$@"; do
        for ((word = ${#words[@]}; word <= core / 32; word++)); do words[word]=0; done
        words[core / 32]=$((words[core / 32] | 1 << core % 32))
    done
    for ((word = ${#words[@]} - 1; word >= 0; word--)); do
        printf -v text '%x' "${words[word]}"
        [ -n "$mask" ] && printf -v text '%08x' "${words[word]}"
        mask+=${mask:+,}$text
    done
    printf '%s' "$mask"
}

# 00000000,00000003 and 3 are the same mask.
plain_mask() { # mask
    local mask=${1//,/}
    mask=${mask#"${mask%%[!0]*}"}
    printf '%s' "${mask:-0}"
}

# As mmr places its workers when mmr.toml says nothing: on all cores but the first.
find_workers() { # list or nothing; fills workers and others
    local online core
    mapfile -t online < <(list_to_lines "$(</sys/devices/system/cpu/online)")
    if [ -n "$1" ]; then
        mapfile -t workers < <(list_to_lines "$1")
        [ ${#workers[@]} -gt 0 ] || return 1
    elif [ ${#online[@]} -gt 1 ]; then
        workers=("${online[@]:1}")
    else
        workers=("${online[@]}")
    fi
    others=()
    for core in "${workers[@]}"; do
        [[ " ${online[*]} " == *" $core "* ]] || return 1
    done
    for core in "${online[@]}"; do
        [[ " ${workers[*]} " == *" $core "* ]] || others+=("$core")
    done
}
