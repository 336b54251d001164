"""iscsi-tunnel: is the target reached through the tunnel alone, and what does the tunnel cost?"""
