"""iscsi-tunnel: a volume of a server, reached through an SSH tunnel and by no other way.

`attachment` attaches, detaches and shows, whichever machine is the client; encrypted-backup stands on it.
"""
