#!/bin/bash
# sbatch slurm.sh: four processes on two hosts, one GPU each. `initialize` finds its
# peers in the variables that `srun` sets.
#SBATCH --job-name=tbptt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=2
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
# Told two minutes before the end, the processes save once more; then the job comes back.
#SBATCH --signal=TERM@120
#SBATCH --requeue

srun python train.py --folder "$SLURM_SUBMIT_DIR/saves" --epochs 100
