#!/bin/bash
# All runs of a table as a job array: every job takes its part of them, on one node, and no MPI is needed.
# Send it off:  sbatch configs/cluster/slurm-table1.sh
# Afterwards:   cargo xtask reproduce merge table1 --preset mini --out runs/table1-mini
# Jobs that were ended go on when the same array is sent off again.
#SBATCH --job-name=pada-table1
#SBATCH --array=0-7
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
set -eu
cargo xtask reproduce table1 --preset mini --out runs/table1-mini --threads "$SLURM_CPUS_PER_TASK" \
  --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
