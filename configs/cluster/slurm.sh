#!/bin/bash
# One run on 4 ranks, each with 8 threads: they share every batch, and then the ranking.
# Send it off:  sbatch configs/cluster/slurm.sh runs/mini-4
# The same command goes on with a run that was ended, also with another number of ranks (unless compute.norms is "local"):
# sbatch --ntasks=2 ...
#SBATCH --job-name=pada
#SBATCH --ntasks=4
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
# Ask for an end two minutes before it comes: the run writes a checkpoint and stops.
#SBATCH --signal=TERM@120
set -eu
run=${1:?"give a folder for the run, on a disk that all nodes see"}
config=configs/mini/pada.toml
what=(--config "$config" --out "$run")
if [ -e "$run/config.toml" ]; then what=(--resume "$run"); fi
# The program was built on a node of this kind: cargo build --release -p pada-train --features mpi
srun --mpi=pmix target/release/pada --threads "$SLURM_CPUS_PER_TASK" "${what[@]}"
