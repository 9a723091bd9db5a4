#!/bin/bash
# All runs of a table as a job array: each job executes a part of the runs on one node. It needs no MPI.
# Submit:  sbatch configs/cluster/slurm-table1.sh    (submit again to resume jobs that ended early)
# Merge:   cargo xtask reproduce merge table1 --preset mini --out runs/table1-mini
# Cost:    not measured
# Result:  not measured
#SBATCH --job-name=pada-table1
#SBATCH --array=0-7
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
set -eu
cargo xtask reproduce table1 --preset mini --out runs/table1-mini --threads "$SLURM_CPUS_PER_TASK" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
