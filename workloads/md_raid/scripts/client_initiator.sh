# The initiator's name and its timeouts. Arguments: INITIATOR_IQN SETTING=VALUE...
initiator=$1
shift

iscsid_conf=/etc/iscsi/iscsid.conf
[ -f "$iscsid_conf" ] || die "$iscsid_conf is missing" "reinstall open-iscsi (apt-get install --reinstall open-iscsi)"
text=$(< "$iscsid_conf")
for setting in "$@"; do
    name=${setting%%=*}
    value=${setting#*=}
    if [[ $'\n'$text$'\n' == *$'\n'"$name = $value"$'\n'* ]]; then
        continue
    fi
    kept=
    while IFS= read -r line; do
        [[ $line == "$name"[\ =]* ]] || kept+=$line$'\n'
    done <<< "$text"
    text=$kept"$name = $value"
done
put "$iscsid_conf" "$text"

before=$changed
put /etc/iscsi/initiatorname.iscsi "InitiatorName=$initiator"
if [ "$changed" -ne "$before" ] && systemctl --quiet is-active iscsid.service; then
    # Sessions keep the name that they logged in with: none may be left under the old one.
    quiet iscsiadm --mode node --logoutall=all || true
    quiet systemctl restart iscsid.service
    did "restarted iscsid under its new name"
fi
# The one logs in at boot, the other starts the daemon for it.
enable_unit open-iscsi.service sysinit.target
enable_unit iscsid.socket sockets.target

# A temporary stripe shows the first mirror's start, and there the label of the whole stripe: udev must not assemble
# from it.
before=$changed
put /etc/udev/rules.d/63-tidemark-bench.rules 'KERNEL=="md98", ENV{SYSTEMD_READY}="0", OPTIONS+="nowatch"'
if [ "$changed" -ne "$before" ]; then
    udevadm control --reload
fi

# Only arrays that are listed are assembled at boot; configure adds them to the file once they exist.
conf=/etc/mdadm/mdadm.conf.d/tidemark.conf
[ -f "$conf" ] || put "$conf" "AUTO -all"
finish
# end of script
