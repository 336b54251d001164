# Checks that each source can be backed up. Arguments: COUNT SOURCE... PATTERN...; COUNT is the number of sources.
for source in "${@:2:$1}"; do
    [ -d "$source" ] || die "there is no directory $source" "give --source a directory of this host"
    found=$(readlink -f -- "$source")
    case $found/ in
        "$RUN"/*) die "$source is in the backup volume itself" "give another directory" ;;
    esac
done
command -v rsync cryptsetup python3 > /dev/null || die "rsync, cryptsetup or python3 is not on this host" "install them there"
IFS= read -r -d '' program << 'END_OF_PYTHON' || true
@PROGRAM@
END_OF_PYTHON
python3 -I -c "$program" look "$RUN" "$@"
finish
# end of script
