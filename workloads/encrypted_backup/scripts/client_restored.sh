# A restore is complete and was compared. Argument: TARGET
rm -f "$1/.tidemark-restore"
finish
# end of script
