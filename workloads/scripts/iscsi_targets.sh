# An iSCSI target for each volume: one IQN, one LUN, one portal, one initiator.
# Arguments: ADDRESS INITIATOR PARAMETERS UNITS IQN=VOLUME_ID=PATH...
# PARAMETERS: NAME=VALUE of the negotiation (RFC 7143, 13), separated by spaces; others stay as they are.
# UNITS: systemd units, separated by spaces, that provide ADDRESS and each PATH at boot, before the targets.
#
# Targets are made through the kernel's configfs, which is also what targetcli shows; targetctl writes them to the
# file from which rtslib-fb-targetctl.service restores them at boot.
address=$1
initiator=$2
parameters=$3
units=$4
shift 4

# At boot the service restores the targets, as soon as what they export is there.
boot_is_over rtslib-fb-targetctl.service

config=/sys/kernel/config/target
saved=$STATE/targets-saved
unsaved=
mkdir -p "$STATE" /etc/target/pr /etc/target/alua # the kernel keeps reservations there, and complains without
[ -d "$config/core" ] || modprobe -a target_core_mod
if [ ! -d /sys/module/target_core_iblock ] || [ ! -d /sys/module/iscsi_target_mod ]; then
    modprobe -a target_core_iblock iscsi_target_mod
fi

# altering WORDS: called before a change, so that the next run notices an interruption before the save.
altering() {
    if [ -z "$unsaved" ]; then
        rm -f "$saved"
        unsaved=yes
    fi
    did "$1"
}

attribute() {
    local now
    read -r now < "$1"
    if [ "$now" != "$2" ]; then
        altering "set ${1#"$config"/} to $2"
        echo "$2" > "$1"
    fi
}

# systemd reads this at the next boot, when the service runs; reloading now would cost seconds.
put /etc/systemd/system/rtslib-fb-targetctl.service.d/tidemark.conf "[Unit]
Wants=$units
After=$units"
enable_unit rtslib-fb-targetctl.service multi-user.target

number=0
[ -d "$config/iscsi" ] || mkdir "$config/iscsi"
for pair in "$@"; do
    iqn=${pair%%=*}
    id=${pair#*=}
    path=${id#*=}
    id=${id%%=*}
    tpg=$config/iscsi/$iqn/tpgt_1
    acl=$tpg/acls/$initiator

    object=
    for candidate in "$config"/core/iblock_*/"$id"; do
        [ -d "$candidate" ] && object=$candidate
    done
    missing=()
    if [ -z "$object" ]; then
        while [ -d "$config/core/iblock_$number" ]; do
            number=$((number + 1))
        done
        object=$config/core/iblock_$number/$id
        missing+=("$config/core/iblock_$number" "$object")
    fi
    # In configfs, making a directory makes the object.
    for directory in "$config/iscsi/$iqn" "$tpg" "$tpg/lun/lun_0" "$acl" "$acl/lun_0" "$tpg/np/$address:$PORT"; do
        [ -d "$directory" ] || missing+=("$directory")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        altering "made ${missing[*]#"$config"/}"
        mkdir "${missing[@]}"
    fi

    read -r enabled < "$object/enable"
    if [ "$enabled" != 1 ]; then
        altering "exported $path"
        echo "udev_path=$path" > "$object/control"
        echo "$path" > "$object/udev_path"
        echo "${id//-/}" > "$object/wwn/vpd_unit_serial"
        echo 1 > "$object/enable"
    fi

    # No demo mode: an initiator without an ACL can neither log in nor see the target. Initiators' names are no secret,
    # and there is no CHAP, as in the original; the security group keeps others out.
    attribute "$tpg/attrib/generate_node_acls" 0
    attribute "$tpg/attrib/demo_mode_write_protect" 1
    attribute "$tpg/attrib/demo_mode_discovery" 0
    attribute "$tpg/attrib/authentication" 0
    for parameter in $parameters; do
        attribute "$tpg/param/${parameter%%=*}" "${parameter#*=}"
    done
    if ! compgen -G "$tpg/lun/lun_0/*/udev_path" > /dev/null; then
        altering "mapped $path as LUN 0 of $iqn"
        ln -s "$object" "$tpg/lun/lun_0/volume"
    fi
    if ! compgen -G "$acl/lun_0/*/alua_tg_pt_gp" > /dev/null; then
        altering "let $initiator use $iqn"
        ln -s "$tpg/lun/lun_0" "$acl/lun_0/volume"
    fi
    attribute "$acl/lun_0/write_protect" 0
    for other in "$tpg/acls/"*; do
        if [ "$other" != "$acl" ]; then
            altering "withdrew ${other##*/} from $iqn"
            find "$other"/lun_* -maxdepth 1 -type l -delete
            rmdir "$other"/lun_* "$other"
        fi
    done
    for portal in "$tpg/np/"*; do
        if [ "${portal##*/}" != "$address:$PORT" ]; then
            altering "closed portal ${portal##*/} of $iqn"
            rmdir "$portal"
        fi
    done
    attribute "$tpg/enable" 1
    read -r exported < "$object/udev_path"
    json '{"target": "%s", "volume": "%s", "portal": "%s", "initiator": "%s", "path": "%s"}' \
        "$iqn" "$id" "$address:$PORT" "$initiator" "$exported"
done

for target in "$config/iscsi/$AUTHORITY":*; do
    [ -d "$target" ] || continue
    case " $*" in
        *" ${target##*/}="*) ;;
        *) die "target ${target##*/} is not in the inventory" "run targetcli /iscsi delete ${target##*/} on that host" ;;
    esac
done

if [ ! -e "$saved" ]; then
    quiet targetctl save || die "targetctl save failed" "see the message above"
    touch "$saved"
    # shellcheck disable=SC2034  # lib.sh uses it
    to_last=yes
    did "saved the targets for the next boot"
fi
finish
# end of script
