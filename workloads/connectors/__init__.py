"""Runs scripts as root on a host over SSH, or on this machine."""
