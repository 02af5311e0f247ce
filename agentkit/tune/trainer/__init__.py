"""The training program: the only part that loads torch, TRL and PEFT. Runs as `python -m agentkit.tune.trainer`."""
