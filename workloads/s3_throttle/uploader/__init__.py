"""The program on the uploader: runs syncs under a cap, and samples the interface meanwhile.

It needs the throttle and the standard library only.
"""
