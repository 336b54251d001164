# Ends what a run has left behind: a copy under way, the mount, the open volume.
release
finish
# end of script
