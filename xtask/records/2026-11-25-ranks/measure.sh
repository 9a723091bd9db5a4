#!/bin/bash
# What ranks cost on one machine: `measure.sh ranking MPIRUN` or `measure.sh training MPIRUN` in the workspace, after `cargo xtask mpi`.
# Prints one line a measurement.
set -eu
mpirun=(${2:-mpirun} --allow-run-as-root --oversubscribe --bind-to none)
program=target/release/pada-train
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ "$1" = ranking ]; then
run=$work/weights
$program --quiet --set train.epochs=1 --set rank.archs=random:2 --set rank.images=100 --out "$run" > "$work/log"
rank=(rank --channels 8 --cells 1 --data mini --archs random:400 --weights "$run/epoch-0001.safetensors" --quiet --json)
seconds() { tail -n 1 | sed 's/.*"seconds":\([0-9.e-]*\).*/\1/'; }
for round in 1 2 3 4 5; do
  echo "ranking, 1 process, 2 threads: $($program "${rank[@]}" --threads 2 --out "$work/a.csv" | seconds) s"
  echo "ranking, 2 ranks, 1 thread each: $("${mpirun[@]}" -n 2 $program "${rank[@]}" --threads 1 --out "$work/b.csv" | seconds) s"
  cmp "$work/a.csv" "$work/b.csv"
done
else
train=(--quiet --set train.epochs=1 --set rank.archs=random:2 --set rank.images=100 --json)
train_seconds() { tail -n 1 | sed 's/.*"train_s":\([0-9.e-]*\).*/\1/'; }
for round in 1 2 3 4 5; do
  echo "training, 1 process, 1 thread: $($program "${train[@]}" --threads 1 --out "$work/one-$round" | train_seconds) s"
  echo "training, 1 process, 2 threads: $($program "${train[@]}" --threads 2 --out "$work/two-$round" | train_seconds) s"
  echo "training, 2 ranks, 1 thread each: $(NO_COLOR=1 RUST_LOG=pada_trainer=info "${mpirun[@]}" -n 2 $program "${train[@]}" --threads 1 --out "$work/ranks-$round" 2> "$work/said" | train_seconds) s"
  sed -n 's/.*to other ranks so far //p' "$work/said"
done
fi
