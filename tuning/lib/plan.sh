# From the table to this host: one entry for each target that a knob has here, with what it is and what it should be.
#
# Fills the arrays names, means, targets, now, wanted, states, whys and effects. A state is
#   ok       as wanted, or left alone on purpose
#   differs  apply would change it
#   by-hand  differs, and only whoever sets up the host can change it
#   absent   this host does not have it: not an error

make_plan() { # table
    local name how target want why effect nic expanded
    names=() means=() targets=() now=() wanted=() states=() whys=() effects=()
    while IFS='|' read -r name how target want why effect; do
        case $name in '' | '#'*) continue ;; esac
        trim name how target want why effect
        for nic in $(nics_of "$name$target"); do
            expanded=${name//'{nic}'/$nic}
            is_chosen "$expanded" || continue
            plan_knob "$expanded" "$how" "$target" "$want" "$why" "$effect" "$nic"
        done
    done <"$1"
}

# A knob without a network card is looked at once.
nics_of() { # text
    case $1 in *'{nic}'*) printf '%s\n' "${nics[@]}" ;; *) echo - ;; esac
}

plan_knob() { # name means target wanted why effect nic
    local target worker found=() templates=("${3//'{nic}'/$7}")
    templates[0]=${templates[0]//'{port}'/$port}
    if [[ $3 == *'{worker}'* ]]; then
        local template=${templates[0]}
        templates=()
        for worker in "${workers[@]}"; do templates+=("${template//'{worker}'/$worker}"); done
    fi
    for target in "${templates[@]}"; do
        mapfile -t -O ${#found[@]} found < <("$2_expand" "$target")
    done
    # Nothing to expand to is said once.
    [ ${#found[@]} -gt 0 ] || found=("${templates[0]}")
    for target in "${found[@]}"; do
        plan_target "$1" "$2" "$target" "$4" "$5" "$6"
    done
}

plan_target() { # name means target wanted why effect
    local value='' reason='' fixed='' maximum='' want=$4 state
    names+=("$1") means+=("$2") targets+=("$3") whys+=("$5") effects+=("$6")
    if [[ $want == @* ]]; then
        want=$("rule_${want#@}" "$3")
        [ "$want" = any ] || want="=$want"
    fi
    if ! "$2_read" "$3"; then
        now+=("$reason") wanted+=("${want#=}") states+=(absent)
        return
    fi
    want=$(within "$want" "$maximum")
    if fits "$value" "$want" "$3"; then state=ok
    elif [ -n "$fixed" ]; then state=absent value="not here: the driver fixed it $value"
    elif [ "$2" = given ]; then state=by-hand
    else state=differs; fi
    now+=("$value") wanted+=("${want#=}") states+=("$state")
}

# No more than the card can do is wanted of it.
within() { # wanted maximum
    local want=$1
    case $want in '>='*) [[ $2 =~ ^[0-9]+$ ]] && [ "${want#>=}" -gt "$2" ] && want=">=$2" ;; esac
    printf '%s' "$want"
}

fits() { # value wanted target
    case $2 in
    any) return 0 ;;
    '>='*) [ "$1" = unlimited ] || [ "$1" -ge "${2#>=}" ] ;;
    '<='*) [ "$1" -le "${2#<=}" ] ;;
    '='*)
        if [[ $3 == *_cpus ]]; then
            [ "$(plain_mask "$1")" = "$(plain_mask "${2#=}")" ]
        else
            [ "$1" = "${2#=}" ]
        fi
        ;;
    esac
} 2>/dev/null

# What is written to a target to make it as wanted.
value_to_write() { # wanted
    local value=${1#>=}
    printf '%s' "${value#<=}"
}

trim() { # variable …
    local variable text
    for variable in "$@"; do
        text=${!variable}
        text=${text#"${text%%[![:space:]]*}"}
        text=${text%"${text##*[![:space:]]}"}
        printf -v "$variable" '%s' "$text"
    done
}
