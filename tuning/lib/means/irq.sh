# Interrupts of a card. A target is "IRQ QUEUE": on which cores it is handled, as a list such as 1-3.

irq_expand() { # nic
    local directory number line name
    for directory in "/sys/class/net/$1/device/msi_irqs" "/sys/class/net/$1/device/../msi_irqs"; do
        [ -d "$directory" ] || continue
        for number in "$directory"/*; do
            number=${number##*/}
            line=$(grep "^ *$number:" /proc/interrupts) || continue
            name=${line##* }
            name=${name%%@*}
            # virtio0-input.3, eth0-TxRx-3, mlx5_comp3: the queue is the number at the end. Others are no queue's.
            [[ $name =~ ([0-9]+)$ ]] && printf '%s %s\n' "$number" "${BASH_REMATCH[1]}"
        done
        return
    done
}

irq_read() { # irq queue
    file_read "/proc/irq/${1%% *}/smp_affinity_list"
}

irq_write() { # irq-and-queue cores
    file_write "/proc/irq/${1%% *}/smp_affinity_list" "$2"
}
