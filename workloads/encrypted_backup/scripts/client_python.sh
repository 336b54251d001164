# Runs a Python program with the host's own python3. The program's text is inserted below; the arguments are the program's.
# Its process is noted, so that a later run can end it.
IFS= read -r -d '' program << 'END_OF_PYTHON' || true
@PROGRAM@
END_OF_PYTHON
# shellcheck disable=SC2174  # /run is there
mkdir -p -m 0700 "$RUN"
python3 -I -c "$program" "$@" &
pid=$!
note_under_way "$pid"
code=0
wait "$pid" || code=$?
rm -f "$UNDER_WAY"
[ "$code" -eq 0 ] || exit "$code"
finish
# end of script
