# Counts packets between this host and its peer, by protocol and port. Arguments: start ADDRESS PEER | stop
# It reads every whole packet on the interface with ADDRESS, and searches for marks of an unencrypted target.
# It runs as a unit until it is stopped, or its time is over.
unit=tidemark-capture.service
result=$STATE/capture.json
systemctl stop "$unit" 2> /dev/null || true
if [ "$1" = stop ]; then
    [ -s "$result" ] || die "nothing was captured" "see journalctl -u $unit on that host"
    cat "$result"
    rm -f "$result"
    finish
    exit 0
fi
address=$2
peer=$3
interface=$(ip -brief -4 address show to "$address" | { read -r name _; echo "${name%%@*}"; })
[ -n "$interface" ] || die "no interface has the address $address" "correct private_address in the inventory"
mkdir -p "$STATE"
rm -f "$result"
systemctl reset-failed "$unit" 2> /dev/null || true
quiet systemd-run --collect --unit="$unit" --property=RuntimeMaxSec=600 --property=TimeoutStopSec=10 \
    python3 -I -c "$(cat << 'PYTHON'
import collections, json, os, signal, socket, struct, sys, time

interface, peer, result = sys.argv[1:]
MARKS = (b"iqn.", b"LIO-ORG")  # of iSCSI's log-in, and of the target's answer to INQUIRY
SOL_PACKET, PACKET_STATISTICS = 263, 6  # linux/if_packet.h
packets, size, marked = collections.Counter(), collections.Counter(), 0
peer_bytes = socket.inet_aton(peer)
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))  # all protocols, both directions
SO_RCVBUFFORCE = 33  # asm-generic/socket.h: root may go beyond rmem_max
tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
tap.bind((interface, 0x0003))
tap.settimeout(1.0)
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(True))
began = time.time()
open(result + ".ready", "w").close()
while not ending:
    try:
        frame, (_, protocol, kind, _, _) = tap.recvfrom(65535)
    except (TimeoutError, InterruptedError):
        continue
    if protocol != 0x0800:
        if protocol == 0x86DD and frame[24] == 0xFF:
            packets["ipv6-multicast"] += 1  # multicasts of any host on the link
        else:
            packets["arp" if protocol == 0x0806 else "ethertype-%04x" % protocol] += 1
        continue
    if peer_bytes not in (frame[12:16], frame[16:20]):
        continue
    header = (frame[0] & 15) * 4
    if frame[9] in (6, 17):
        source, target = struct.unpack("!HH", frame[header : header + 4])
        # The port that serves is the lower one of the two: both ends' other ports are ephemeral.
        name = "%s-%d" % ("tcp" if frame[9] == 6 else "udp", min(source, target))
    else:
        name = "icmp" if frame[9] == 1 else "protocol-%d" % frame[9]
    packets[name] += 1
    size[name] += len(frame)
    marked += any(mark in frame for mark in MARKS)
seen, dropped = struct.unpack("II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
document = {"captured_s": round(time.time() - began, 1), "packets": packets, "bytes": size, "readable": marked, "dropped": dropped}
with open(result + ".new", "w") as file:
    json.dump(document, file)
    file.write("\n")
os.rename(result + ".new", result)
PYTHON
)" "$interface" "$peer" "$result" || die "the capture did not start" "see journalctl -u $unit on that host"
for _ in {1..100}; do
    [ -e "$result.ready" ] && break
    rest 0.1
done
[ -e "$result.ready" ] || die "the capture did not start" "see journalctl -u $unit on that host"
rm -f "$result.ready"
finish
# end of script
