"""Training: the loop, its step and state, checkpoints, logs, reports and sweeps."""
