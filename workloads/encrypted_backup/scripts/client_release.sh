# Ends what a run has left: a copy under way, the mount, the open volume.
release
finish
# end of script
