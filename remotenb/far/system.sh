# What has to be known of this machine to install something on it: lines of NAME=VALUE.
# In: DOCKER, NVIDIA: addresses of the vendors' repositories. Nothing is changed.

LC_ALL=C
export LC_ALL

yes_if() { name=$1 && shift && { "$@" >/dev/null 2>&1 && echo "$name=yes" || echo "$name=no"; }; }

reached() {
    if command -v curl >/dev/null 2>&1; then curl -fsI --max-time 6 -o /dev/null "$1"
    elif command -v wget >/dev/null 2>&1; then wget -q --spider --timeout=6 --tries=1 "$1"
    else command -v python3 >/dev/null 2>&1 &&
        python3 -c 'import sys, urllib.request as r; r.urlopen(sys.argv[1], timeout=6)' "$1"
    fi
}

apt_has() { apt-cache policy "$1" | grep -q 'Candidate: [0-9]'; }

if [ -r /etc/os-release ]; then
    (. /etc/os-release && echo "id=$ID" && echo "codename=${UBUNTU_CODENAME:-$VERSION_CODENAME}")
fi
echo "architecture=$(dpkg --print-architecture 2>/dev/null)"
yes_if apt command -v apt-get
yes_if systemd test -d /run/systemd/system
yes_if root test "$(id -u)" = 0
yes_if sudo command -v sudo
yes_if docker_reached reached "$DOCKER/" &
yes_if nvidia_reached reached "$NVIDIA/gpgkey" &
yes_if apt_has_docker apt_has docker.io
yes_if apt_has_toolkit apt_has nvidia-container-toolkit
wait
