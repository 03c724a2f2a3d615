"""From an account on a machine to a box that is ready: a key, docker, GPUs in containers."""
