# Marks a restore as complete, after it was compared. Argument: TARGET
rm -f "$1/.tidemark-restore"
finish
# end of script
