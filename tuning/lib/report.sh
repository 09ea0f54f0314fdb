# The plan as people and as programs read it.

# One line for each knob: a card with 64 queues has one for all of them.
print_table() {
    local -a knob_column=('knob') now_column=('now') wanted_column=('wanted') why_column=('why') effect_column=('effect')
    local index next
    for ((index = 0; index < ${#names[@]}; index = next)); do
        next=$((index + 1))
        while [ $next -lt ${#names[@]} ] && [ "${names[next]}" = "${names[index]}" ]; do next=$((next + 1)); done
        knob_column+=("$(worst_mark $index $next) ${names[index]}")
        now_column+=("$(summary "${now[@]:index:next - index}")")
        wanted_column+=("$(summary "${wanted[@]:index:next - index}")")
        why_column+=("${whys[index]}") effect_column+=("${effects[index]}")
    done
    knob_column[0]="  knob"
    local widths
    widths="$(widest "${knob_column[@]}") $(widest "${now_column[@]}") $(widest "${wanted_column[@]}") $(widest "${why_column[@]}")"
    for index in "${!knob_column[@]}"; do
        print_row "$widths" "${knob_column[index]}" "${now_column[index]}" "${wanted_column[index]}" \
            "${why_column[index]}" "${effect_column[index]}"
    done
}

# printf counts bytes; a column is counted in characters.
print_row() { # widths, five cells
    local widths text='' cell width
    read -ra widths <<<"$1"
    shift
    for width in "${widths[@]}"; do
        cell=$1
        text+=$cell
        for ((width -= ${#cell}; width > 0; width--)); do text+=' '; done
        text+=' | '
        shift
    done
    printf '%s\n' "$text$1"
}

widest() { # text …
    local text most=0
    for text in "$@"; do [ ${#text} -gt $most ] && most=${#text}; done
    printf '%s' "$most"
}

# The one value that all have, or the first and how many there are.
summary() { # value …
    local value first=$1
    for value in "$@"; do
        [ "$value" = "$first" ] || { printf '%s … (%s)' "$first" $#; return; }
    done
    if [ $# -gt 1 ]; then printf '%s (%s×)' "$first" $#; else printf '%s' "$first"; fi
}

worst_mark() { # from to
    local index mark='-'
    for ((index = $1; index < $2; index++)); do
        case ${states[index]} in
        differs) mark='!'; break ;;
        by-hand) mark='?' ;;
        ok) [ "$mark" = '-' ] && mark='=' ;;
        esac
    done
    printf '%s' "$mark"
}

count_state() { # state
    local state count=0
    for state in "${states[@]}"; do [ "$state" = "$1" ] && count=$((count + 1)); done
    printf '%s' "$count"
}

print_json() {
    local index separator=''
    printf '{"workers": "%s", "nics": %s, "as_wanted": %s, "knobs": [' "$(cores_to_list "${workers[@]}")" \
        "$(json_list "${nics[@]}")" "$1"
    for index in "${!names[@]}"; do
        printf '%s\n  {"knob": %s, "target": %s, "now": %s, "wanted": %s, "state": %s, "why": %s, "effect": %s}' "$separator" \
            "$(json_text "${names[index]}")" "$(json_text "${targets[index]}")" "$(json_text "${now[index]}")" \
            "$(json_text "${wanted[index]}")" "$(json_text "${states[index]}")" "$(json_text "${whys[index]}")" \
            "$(json_text "${effects[index]}")"
        separator=,
    done
    printf '\n]}\n'
}

json_list() { # text …
    local text separator='' list='['
    for text in "$@"; do
        list+=$separator$(json_text "$text")
        separator=', '
    done
    printf '%s]' "$list"
}

json_text() { # text
    local text=${1//\\/\\\\}
    text=${text//\"/\\\"}
    text=${text//$'\t'/\\t}
    printf '"%s"' "$text"
}
