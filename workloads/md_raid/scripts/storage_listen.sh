# Listens on a port that no security group opens, and checks that it answers locally. Arguments: ADDRESS PORT SECONDS
address=$1
port=$2
seconds=$3
unit=tidemark-listener.service
systemctl stop "$unit" 2> /dev/null || true
systemctl reset-failed "$unit" 2> /dev/null || true
# It ends by itself, in case the task that started it is killed.
quiet systemd-run --collect --unit="$unit" --property=RuntimeMaxSec="$seconds" python3 -I -c '
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])))
while True:
    listener.accept()[0].close()
' "$address" "$port" || die "the listener for the closed port did not start" "see journalctl -u $unit on that host"
answers=false
for _ in {1..50}; do
    if { exec 3<> "/dev/tcp/$address/$port"; } 2> /dev/null; then
        exec 3>&-
        answers=true
        break
    fi
    rest 0.1
done
json '{"port": %s, "answers_locally": %s}' "$port" "$answers"
finish
# end of script
