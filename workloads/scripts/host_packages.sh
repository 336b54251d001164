# Installs missing packages, loads kernel modules, and prints the host's versions.
# Arguments: PACKAGE... -- MODULE...

packages=()
while [ "$1" != -- ]; do
    packages+=("$1")
    shift
done
shift

# look_at_packages: sets `version_of` and `missing`. dpkg-query reads all that is installed: it takes a rehearsal host 0.2 s.
look_at_packages() {
    local status package version
    version_of=()
    missing=()
    while read -r status package version; do
        [ "$status" != installed ] || version_of[$package]=$version
    done < <(dpkg-query --show --showformat '${db:Status-Status} ${Package} ${Version}\n' "${packages[@]}" 2> /dev/null)
    for package in "${packages[@]}"; do
        [ -n "${version_of[$package]:-}" ] || missing+=("$package")
    done
}
declare -A version_of=()
missing=()
look_at_packages

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
    look_at_packages
fi

for module in "$@"; do
    if ! [ -d "/sys/module/$module" ] && ! modprobe --quiet "$module"; then
        die "kernel $(uname -r) has no module $module" \
            "boot a kernel that has it (Debian's linux-image-cloud-amd64 and linux-image-amd64 do)"
    fi
done
printf -v modules '%s\n' "$@"
put /etc/modules-load.d/tidemark.conf "${modules%$'\n'}"

read -r kernel < /proc/sys/kernel/osrelease
debian=
{ read -r debian < /etc/debian_version; } 2> /dev/null || true
memory_kib=
lines_of /proc/meminfo
for line in "${lines[@]}"; do
    read -r name value _ <<< "$line"
    [ "$name" != MemTotal: ] || memory_kib=$value
done
json '{"kernel": "%s", "debian": "%s", "memory_kib": %s, "cpus": %s}' "$kernel" "$debian" "$memory_kib" "$(nproc)"
for package in "${packages[@]}"; do
    json '{"package": "%s", "version": "%s"}' "$package" "${version_of[$package]}"
done
finish
# end of script
