"""The root file system that every host of the region starts from."""
