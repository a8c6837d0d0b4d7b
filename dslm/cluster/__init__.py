"""The hosts of a run before it starts: the hostfile, what each says of itself, jobs of SLURM."""
