"""A bandwidth cap for a process whose program can't be changed: `python -m workloads.throttle`.

Stops and continues a process with its children (SIGSTOP, SIGCONT) so that their TCP connections together move a given
rate. Uses one exception of this project, and rich beside the standard library. README.md lists its limits.
"""
