#!/usr/bin/env bash
# Two machines on one: two network namespaces with a cable between them, and a torchrun in each.
#
#     sudo PYTHON=.venv/bin/python tests/two_machines.sh \
#         -m cifar_lessons train resnet18_w16 --seconds 60 --data DIR --out trial-MACHINE
#
# The arguments are those of torchrun from the script or module on; MACHINE in them becomes a or b, so
# that each can have folders of its own. What is typed on two real machines is the line at `torchrun`.
# Ends with the worse of the two exit statuses. Needs Linux, root, and `ip` (iproute2).
set -euo pipefail

python=${PYTHON:-python3}
id=$$ # several of these may run at once
port=${PORT:-29400}
a=10.77.0.1 # machine a also holds the meeting place
b=10.77.0.2

clean_up() {
    kill $(jobs -p) 2>/dev/null || true
    ip netns del "a$id" 2>/dev/null || true # its end of the cable goes with it, and so the other end
    ip netns del "b$id" 2>/dev/null || true
}
trap clean_up EXIT

ip netns add "a$id"
ip netns add "b$id"
ip link add "va$id" netns "a$id" type veth peer name "vb$id" netns "b$id"

machine() { # name, its address, then what torchrun is to start
    local name=$1 address=$2
    shift 2
    ip -n "$name$id" address add "$address/24" dev "v$name$id"
    ip -n "$name$id" link set "v$name$id" up
    ip -n "$name$id" link set lo up
    # What the host's name leads to is the wrong thing here, as on many real machines: the interface
    # that gloo would take, and whether this is the machine that holds the meeting place (is_host).
    local host=0
    [ "$address" != "$a" ] || host=1
    GLOO_SOCKET_IFNAME="v$name$id" OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} \
        ip netns exec "$name$id" \
        "$python" -m torch.distributed.run --nnodes 2 --nproc-per-node 1 --rdzv-backend c10d \
        --rdzv-conf "is_host=$host" --rdzv-id lesson --rdzv-endpoint "$a:$port" \
        --local-addr "$address" "${@//MACHINE/$name}"
}

machine a "$a" "$@" &
first=$!
machine b "$b" "$@" &
second=$!
worse=0
wait "$first" || worse=$?
wait "$second" || worse=$?
exit "$worse"
