# Whether each source can be backed up, before anything is started. Arguments: SOURCE...
for source in "$@"; do
    [ -d "$source" ] || die "there is no directory $source" "give --source a directory of this host"
    found=$(readlink -f -- "$source")
    case $found/ in
        "$RUN"/*) die "$source is in the backup volume itself" "give another directory" ;;
    esac
done
command -v rsync cryptsetup > /dev/null || die "rsync or cryptsetup is not on this host" "install both there"
finish
# end of script
