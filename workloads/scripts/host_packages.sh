# Installs missing packages, loads kernel modules, and prints the host's versions.
# Arguments: PACKAGE... -- MODULE...

packages=()
while [ "$1" != -- ]; do
    packages+=("$1")
    shift
done
shift

declare -A installed=()
while read -r status package; do
    [ "$status" = installed ] && installed[$package]=yes
done < <(dpkg-query --show --showformat '${db:Status-Status} ${Package}\n' "${packages[@]}" 2> /dev/null)
missing=()
for package in "${packages[@]}"; do
    [ -n "${installed[$package]:-}" ] || missing+=("$package")
done

if [ "${#missing[@]}" -gt 0 ]; then
    command -v apt-get > /dev/null || die "packages missing: ${missing[*]}" "the host must be Debian 12, or have them installed"
    echo "installing ${missing[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    # At first boot cloud-init may hold dpkg's lock for a minute.
    quiet apt-get -o DPkg::Lock::Timeout=180 update \
        || die "apt-get update failed" "see that the host reaches its Debian mirror, then run again"
    quiet apt-get -o DPkg::Lock::Timeout=180 install --yes --no-install-recommends "${missing[@]}" \
        || die "apt-get could not install ${missing[*]}" "install them on the host, then run again"
    did "installed ${missing[*]}"
fi

for module in "$@"; do
    if ! [ -d "/sys/module/$module" ] && ! modprobe --quiet "$module"; then
        die "kernel $(uname -r) has no module $module" \
            "boot a kernel that has it (Debian's linux-image-cloud-amd64 and linux-image-amd64 do)"
    fi
done
put /etc/modules-load.d/tidemark.conf "$(printf '%s\n' "$@")"

# field PATTERN: the first match of a bash pattern's group in standard input.
field() {
    local line
    while IFS= read -r line; do
        if [[ $line =~ $1 ]]; then
            echo "${BASH_REMATCH[1]}"
            return 0
        fi
    done
}
memory_kib=$(field '^MemTotal: +([0-9]+)' < /proc/meminfo)
debian=$(cat /etc/debian_version 2> /dev/null || true)
json '{"kernel": "%s", "debian": "%s", "memory_kib": %s, "cpus": %s}' "$(uname -r)" "$debian" "$memory_kib" "$(nproc)"
dpkg-query --show --showformat '{"package": "${Package}", "version": "${Version}"}\n' "${packages[@]}"
finish
# end of script
