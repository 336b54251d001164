# Functions that all scripts share; sent before each of them.
#
# A script prints facts as JSON, one object a line, on standard output; the last has "changed", the number of things it
# changed. Messages for people go to standard error. A fault ends the script with one line, which the task shows: what is
# wrong, and what to do.
#
# Starting a process takes a rehearsal host, whose system calls are emulated, tens of milliseconds. So files are read with
# bash itself, and a tool is run once for all devices. A python3 of the host has -I: no module of the folder that an account
# logs in to, and no PYTHONPATH, takes the place of Python's own.
# shellcheck disable=SC2034  # the scripts use what is set here
set -euo pipefail
export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
# What root may have set for its own programs (/etc/environment, ~/.bashrc), and what would change ours.
unset -v BASH_ENV ENV LD_LIBRARY_PATH LD_PRELOAD POSIXLY_CORRECT TAR_OPTIONS TMPDIR "${!RSYNC_@}"
umask 022
STATE=/var/lib/tidemark
changed=0

# did WORDS: counts a change.
did() {
    changed=$((changed + 1))
    echo "$*" >&2
}

# die WHAT REMEDY
die() {
    echo "tidemark-error: $1|$2" >&2
    exit 1
}

# json FORMAT VALUE...: prints a line of JSON. FORMAT is printf's, with each text in quotation marks ("%s"). Every VALUE is
# escaped (RFC 8259, 7): mount options, device names and tools' messages may contain quotation marks, backslashes or line
# feeds. No process is started.
json() {
    local format=$1 value code byte escaped
    local -a values=()
    shift
    for value in "$@"; do
        value=${value//\\/\\\\}
        value=${value//\"/\\\"}
        value=${value//$'\n'/\\n}
        value=${value//$'\t'/\\t}
        if [[ $value == *[[:cntrl:]]* ]]; then
            for code in {1..31}; do
                printf -v escaped '\\u%04x' "$code"
                printf -v byte '%b' "\\x${escaped: -2}"
                value=${value//"$byte"/"$escaped"}
            done
        fi
        values+=("$value")
    done
    # shellcheck disable=SC2059  # the format is the script's own; what comes from outside is a value
    printf "$format\n" "${values[@]}"
}

# quiet COMMAND...: runs it; its output is shown only when it fails.
quiet() {
    local output code=0
    output=$("$@" 2>&1 < /dev/null) || code=$?
    if [ "$code" -ne 0 ]; then
        echo "$output" >&2
    fi
    return "$code"
}

# lines_of FILE: sets `lines` to the lines of a file of the kernel's. A loop of `read` would return to the end of each line
# by its position, where another line begins or goes on when a counter before it has got another digit.
lines_of() {
    mapfile -t lines < "$1" || die "$1 can't be read" "see that /proc is mounted on that host"
}

# rest SECONDS: pauses without starting a process, which `sleep` would.
never=
rest() {
    [ -n "$never" ] || exec {never}<> <(:) # nobody writes to it
    read -r -t "$1" -u "$never" || true
}

# to_last: makes `finish` write changes to the disk, so that they survive a power failure right after the script.
# Otherwise a file may be missing or empty for half a minute (ext4(5): commit, delalloc).
to_last=no

# put PATH TEXT: writes TEXT to the file, atomically.
put() {
    local path=$1 text=$2
    if [ -f "$path" ] && [ "$(< "$path")" = "$text" ]; then
        return 0
    fi
    mkdir -p "$(dirname "$path")"
    printf '%s\n' "$text" > "$path.new"
    mv "$path.new" "$path"
    [[ $path == /run/* ]] || to_last=yes
    did "wrote $path"
}

# link TARGET PATH: makes PATH a symbolic link to TARGET.
link() {
    if [ "$(readlink "$2" 2> /dev/null)" = "$1" ]; then
        return 0
    fi
    mkdir -p "$(dirname "$2")"
    ln -sfn "$1" "$2"
    to_last=yes
    did "linked $2 to $1"
}

# enable_unit UNIT WANTED_BY: enables a unit. It makes the link that `systemctl enable` makes; that command also runs System
# V's tools, which takes a rehearsal host eight seconds.
enable_unit() {
    if [ ! -e "/etc/systemd/system/$2.wants/$1" ]; then
        link "/lib/systemd/system/$1" "/etc/systemd/system/$2.wants/$1"
    fi
}

# boot_is_over UNIT...: waits until systemd has finished with these units (or shell patterns of units) at boot, so that they
# do not interfere with the script. A unit that has not started yet is inactive, and has a job.
BOOT_SECONDS=180
boot_is_over() {
    local jobs unit words waiting
    [ -d /run/systemd/system ] || return 0 # not booted by systemd (sd_booted(3))
    SECONDS=0
    while true; do
        jobs=$(systemctl list-jobs --no-legend --plain) || die "systemctl list-jobs failed" "see the message above"
        waiting=
        while read -r _ words _; do
            for unit in "$@"; do
                # shellcheck disable=SC2053 # a pattern
                [[ $words != $unit ]] || waiting=$words
            done
        done <<< "$jobs"
        [ -n "$waiting" ] || return 0
        [ "$SECONDS" -lt "$BOOT_SECONDS" ] || die "$waiting has not ended in $BOOT_SECONDS s" "see systemctl list-jobs on that host"
        rest 0.5
    done
}

# set_value PATH VALUE: writes a kernel attribute unless it has that value.
set_value() {
    local now
    read -r now < "$1"
    if [ "$now" != "$2" ]; then
        echo "$2" > "$1"
        did "set $1 to $2"
    fi
}

finish() {
    if [ "$to_last" = yes ]; then
        sync --file-system /etc || die "what was written for the next boot did not reach the disk" "see dmesg on that host"
    fi
    echo "{\"changed\": $changed}"
}

