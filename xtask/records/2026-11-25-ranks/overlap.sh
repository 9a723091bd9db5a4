#!/bin/bash
# What sending the gradient while the next level is computed could save at most: the time in which it is sent, as a share of a step.
# `overlap.sh MPIRUN` in the workspace, after `cargo xtask mpi`. Prints one line a measurement: medians over the steps of rank 0 and 1.
set -eu -o pipefail
mpirun=(${1:-mpirun} --allow-run-as-root --oversubscribe --bind-to none)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rank=(--quiet --threads 1 --set train.epochs=1 --set rank.archs=random:2 --set rank.images=100 --json)
small=()
large=(--set supernet.channels=16 --set supernet.cells=5 --set data.train_images=2560)
measure() {
  name=$1 steps=$2
  shift 2
  epoch=$(NO_COLOR=1 RUST_LOG=pada_engine=trace "${mpirun[@]}" -n 2 target/release/pada-train "${rank[@]}" "$@" --out "$work/run" 2> "$work/said" |
    tail -n 1 | sed 's/.*"train_s":\([0-9.e-]*\).*/\1/')
  rm -r "$work/run"
  sed -n 's/.*added up over ranks .*bytes=\([0-9]*\) seconds=\([0-9.e-]*\).*/\2 \1/p' "$work/said" | sort -g |
    awk -v name="$name" -v step="$(awk "BEGIN { print $epoch / $steps }")" '{ t[NR] = $1; b += $2 }
      END { m = t[int((NR + 1) / 2)]; printf "%s: %.0f bytes, median %.6f s, 9 in 10 below %.6f s, of a step of %.6f s: %.4f\n",
        name, b / NR, m, t[int(0.9 * NR)], step, m / step }'
}
for round in 1 2 3 4 5; do
  for norms in sync local; do
    measure "C=8, N=1, $norms" 125 "${small[@]}" --set compute.norms=$norms
    measure "C=16, N=5, $norms" 40 "${large[@]}" --set compute.norms=$norms
  done
done
