"""What runs on the uploader: one sync under one way of capping it, measured from beside. It stands on its own: of this
project it uses the throttle, and beside the standard library nothing.
"""
