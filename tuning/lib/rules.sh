# What is wanted where that depends on the host: each @rule of the table is a function that takes the target and prints
# the value, or "any".

# Queue i belongs to worker i, round and round; or no interrupt comes to a worker's core.
rule_interrupts() { # "irq queue"
    if [ "$interrupts" = away ]; then
        [ ${#others[@]} -gt 0 ] || { printf any; return; }
        cores_to_list "${others[@]}"
    else
        printf '%s' "${workers[${1##* } % ${#workers[@]}]}"
    fi
}

# A card with a queue for each worker spreads by itself; another gets help, unless interrupts shall stay away.
rule_steering() { # …/queues/rx-N/rps_cpus
    local queues=("${1%/rx-*}"/rx-*)
    if [ "$interrupts" = onto ] && [ ${#queues[@]} -lt ${#workers[@]} ]; then
        cores_to_mask "${workers[@]}"
    else
        printf 0
    fi
}

# Transmit queue i is worker i's. With fewer queues, each serves several; with one, there is nothing to choose.
rule_transmit() { # …/queues/tx-N/xps_cpus
    local queues=("${1%/tx-*}"/tx-*) queue=${1##*/tx-} index mine=()
    [ ${#queues[@]} -gt 1 ] || { printf any; return; }
    queue=${queue%%/*}
    for index in "${!workers[@]}"; do
        [ $((index % ${#queues[@]})) -eq "$queue" ] && mine+=("${workers[index]}")
    done
    # Queues beyond the last worker's serve the other cores.
    [ ${#mine[@]} -gt 0 ] || mine=("${others[@]:-${workers[0]}}")
    cores_to_mask "${mine[@]}"
}

rule_notrack() {
    printf on
}

# Deep states only: the others cost power and gain nothing.
rule_idle() { # …/stateN/disable
    local latency=0
    { read -r latency <"${1%/disable}/latency"; } 2>/dev/null
    if [ "$latency" -gt 30 ]; then printf 1; else printf any; fi
}
