#!/bin/bash
# One chief and its workers under Slurm: sbatch slurm.sh
# The job's folder must be on a file system that all nodes share. If the time limit ends
# the job, submit it again: the search resumes where it stopped.
#SBATCH --job-name=tune
#SBATCH --ntasks=5
#SBATCH --cpus-per-task=4
#SBATCH --time=04:00:00
#SBATCH --output=tune-%j.log

set -euo pipefail
export KERASTUNER_ORACLE_IP=$(hostname --ip-address | cut -d' ' -f1)
export KERASTUNER_ORACLE_PORT=$((20000 + SLURM_JOB_ID % 10000))
export BPTT_KERAS_TUNING_SECRET=$(head -c 24 /dev/urandom | base64)

# Task 0 is the chief, on the node with the address above; the others are its workers.
srun --distribution=block --kill-on-bad-exit=0 bash -c '
    [ "$SLURM_PROCID" = 0 ] && name=chief || name=worker-$SLURM_PROCID
    # A worker that dies is restarted under the same name, and resumes its trial.
    for attempt in 1 2 3 4 5; do
        KERASTUNER_TUNER_ID=$name bptt-zoo tune forecasting --data my.csv \
            --trials 100 --budget 230 --out runs/search && break
    done'
