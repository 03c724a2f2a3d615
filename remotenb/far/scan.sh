# What of Jupyter is to be seen here: in a container, or on the host, as the user one is.
# Prints records, one a line, each starting with @; a file's content follows its record,
# every line of it behind one space, so that no content can look like a record.
# Runs inside images of all ages: POSIX sh, and no more than coreutils or busybox.

# Jupyter writes its runtime file where its own environment says, so ask that of each
# process that looks like one; then the places it uses when nothing is said.
runtime_dirs() {
    for process in $(grep -lsa jupyter /proc/[0-9]*/cmdline); do
        tr '\000' '\n' 2>/dev/null <"${process%cmdline}environ" |
            sed -n 's|^JUPYTER_RUNTIME_DIR=||p
                    s|^JUPYTER_DATA_DIR=\(.*\)|\1/runtime|p
                    s|^XDG_DATA_HOME=\(.*\)|\1/jupyter/runtime|p
                    s|^HOME=\(.*\)|\1/.local/share/jupyter/runtime|p'
    done
    for state in "$HOME"/.local/state/remotenb/*/rt /tmp/remotenb-"$(id -u)"/*/rt; do
        echo "$state"
    done
    echo /run/remotenb/rt
    echo "${JUPYTER_RUNTIME_DIR:-}"
    echo "${JUPYTER_DATA_DIR:+$JUPYTER_DATA_DIR/runtime}"
    echo "${XDG_DATA_HOME:+$XDG_DATA_HOME/jupyter/runtime}"
    echo "${HOME:+$HOME/.local/share/jupyter/runtime}"
    if [ "$INSIDE" = container ]; then
        for home in /root /home/*; do echo "$home/.local/share/jupyter/runtime"; done
    fi
}

# Newest first, and not without end: a home may hold years of stale ones.
runtime_files() {
    runtime_dirs | awk 'NF && !seen[$0]++' | while IFS= read -r dir; do
        ls -1td "$dir"/jpserver-[0-9]*.json "$dir"/nbserver-[0-9]*.json 2>/dev/null | head -n 24
    done | head -n 96
}

looks_alive() {
    if grep -qsa -e jupyter -e notebook "/proc/$1/cmdline"; then echo 1; else echo 0; fi
}

# Where an environment was entered, only servers that its own Python runs: others lack what is in it.
of_environment() {
    [ -n "$entered" ] || return 0
    case $(tr '\000' '\n' 2>/dev/null <"/proc/$1/cmdline" | head -n 1) in
        "$entered"/bin/* | "$(cd "$entered" && pwd -P)"/bin/*) ;;
        *) return 1 ;;
    esac
}

runtime_files | while IFS= read -r file; do
    pid=${file##*server-}
    pid=${pid%.json}
    of_environment "$pid" || continue
    printf '@file %s %s %s\n' "$(looks_alive "$pid")" "$(stat -c %Y "$file" 2>/dev/null || echo 0)" "$file"
    head -c 16384 "$file" 2>/dev/null | sed 's/^/ /'
    echo
done

# State 0A is LISTEN; addresses are hexadecimal, as the kernel prints them.
cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" && !seen[$2]++ {print "@listen " $2}' | head -n 256

python=$(command -v python3 || command -v python) && echo "@python $python"
jupyter=$(command -v jupyter) && case $jupyter in "$entered"*) echo "@jupyter $jupyter" ;; esac
[ -z "$entered" ] || echo "@environment $entered"
exit 0
