# Records every packet that passes any interface of this host. Argument: start or stop
CAPTURE=/var/tmp/tidemark-backup.pcap
case $1 in
    start)
        systemctl --quiet is-active tidemark-capture && quiet systemctl stop tidemark-capture
        rm -f "$CAPTURE"
        quiet systemd-run --collect --unit=tidemark-capture tcpdump -i any -n -s 0 -U -Z root -w "$CAPTURE" \
            || die "tcpdump does not start" "install tcpdump on that host"
        for second in {1..50}; do
            [ ! -s "$CAPTURE" ] || break
            rest 0.2
        done
        [ -s "$CAPTURE" ] || die "tcpdump records nothing ($second)" "see journalctl -u tidemark-capture on that host"
        did "recording"
        ;;
    stop)
        quiet systemctl stop tidemark-capture || true
        read -r bytes < <(stat --format=%s "$CAPTURE")
        json '{"bytes": %s}' "$bytes"
        ;;
esac
finish
# end of script
