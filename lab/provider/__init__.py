"""An AWS provider for the resource types in use: create, read, delete against the region's API.

One implementation serves two callers: the SDK's own run of the program in this process (lab/program.py), and
the real engine, as the executable `pulumi-resource-aws` (lab/provider/engine.py).
"""
