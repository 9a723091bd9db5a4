#!/bin/bash
# One run on 4 processes with 8 threads each. The processes share every batch in training, and then the ranking.
# Submit:  sbatch configs/cluster/slurm.sh runs/mini-4
# Resume:  the same command, also with another number of processes (sbatch --ntasks=2 ...) unless compute.norms is "local"
# Cost:    not measured
# Result:  as configs/mini/pada.toml
#SBATCH --job-name=pada
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
# SIGTERM arrives two minutes before the time limit. The run then writes a checkpoint and stops.
#SBATCH --signal=TERM@120
set -eu
run=${1:?"give a folder for the run, on a disk that all nodes see"}
config=configs/mini/pada.toml
what=(--config "$config" --out "$run")
if [ -e "$run/config.toml" ]; then what=(--resume "$run"); fi
# Build the program on a node of the same kind: cargo build --release -p pada-train --features mpi
srun --mpi=pmix target/release/pada --threads "$SLURM_CPUS_PER_TASK" "${what[@]}"
