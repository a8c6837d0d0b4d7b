#!/usr/bin/env bash
# The ranks of one host in a container, without ssh; the same line in the container of each host:
#   HOSTFILE=hosts NODE_RANK=0 MASTER_ADDR=ADDRESS launch/container.sh \
#       gpt2_small --deepspeed_config ds_configs/zero3_bf16.json data.train=shards/train run=runs/b
# SIGTERM, which a container gets before it is ended, is handed to the ranks as SIGUSR1: the run saves
# itself on all hosts. The exit code is 0 only once the run is done; else start the container again.
set -uo pipefail

run=
for word in "$@"; do
    case $word in run=*) run=${word#run=} ;; esac
done
if [ -z "$run" ]; then
    echo "error: run: is missing; give run=FOLDER, on a disk that all hosts share" >&2
    exit 2
fi

deepspeed --hostfile "$HOSTFILE" --no_ssh --node_rank "$NODE_RANK" --master_addr "$MASTER_ADDR" \
    launch/pretrain.py "$@" &
launcher=$!
trap 'pkill -USR1 -f "launch/pretrain.py --local_rank"' TERM INT
wait "$launcher"
code=$?
while kill -0 "$launcher" 2>/dev/null; do # a signal has ended the wait, not the launcher
    wait "$launcher"
    code=$?
done
[ "$code" = 0 ] || exit "$code"
dslm status "$run" --expect done
