"""A bandwidth cap for a process that is not ours to change: `python -m workloads.throttle`.

It stops and continues a process with its children (SIGSTOP, SIGCONT) so that their TCP connections together move a
given rate. It stands on its own: of this project it uses one exception, and beside the standard library only rich.
README.md says what it can't do.
"""
