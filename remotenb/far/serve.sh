# Starts Jupyter in the place of this shell, whichever generation is here.
# In: $1 the address to bind, $2 the port, or "any", $3 settings for tornado, under it: the
# pings of websockets, for which neither generation has an option of its own. The token's file and the runtime
# directory come by the environment, which both generations read.
address=$1 port=$2 tornado=$3
[ -n "$tornado" ] || tornado='{}'

# Without a home that can be written neither Jupyter runs nor what keeps caches in it. A root that is
# read-only has room for none but in our own folder.
if ! [ -w "$HOME" ] || [ "$HOME" = / ]; then
    HOME=$(cd "$(dirname "$0")" && pwd)/home
    XDG_CACHE_HOME=$HOME/.cache MPLCONFIGDIR=$HOME/.config/matplotlib
    mkdir -p "$XDG_CACHE_HOME" "$MPLCONFIGDIR"
    export HOME XDG_CACHE_HOME MPLCONFIGDIR
fi
if ! [ -w "${TMPDIR:-/tmp}" ]; then
    TMPDIR=$HOME/tmp TORCHINDUCTOR_CACHE_DIR=$HOME/.cache/torchinductor
    mkdir -p "$TMPDIR"
    export TMPDIR TORCHINDUCTOR_CACHE_DIR
fi

# what a user who is not root installs goes here
PATH=$PATH:$HOME/.local/bin
export PATH
[ -n "$SHELL" ] || SHELL=$(command -v bash || command -v sh)
export SHELL

# the Python that jupyter itself runs on, which a virtual environment keeps off the PATH
jupyter=$(command -v jupyter)
python=$(sed -n '1s/^#!\(.*python[0-9.]*\)$/\1/p' "$jupyter" 2>/dev/null)
[ -x "$python" ] || python=$(command -v python3 || command -v python) || {
    echo "@missing python"
    exit 127
}
found=$("$python" - <<'PYTHON'
try:
    from importlib.metadata import version
except ImportError:
    from pkg_resources import get_distribution
    def version(name):
        return get_distribution(name).version
for name in ("jupyterlab", "notebook"):
    try:
        print(name, version(name))
        break
    except Exception:
        pass
PYTHON
)

# Lab 3 and notebook 7 run on jupyter_server; before them both ran on notebook's own server,
# which silently ignores ServerApp's options.
case $found in
    "jupyterlab "[0-2].*) command=lab app=NotebookApp ;;
    "jupyterlab "*) command=lab app=ServerApp ;;
    "notebook "[0-6].*) command=notebook app=NotebookApp ;;
    "notebook "*) command=notebook app=ServerApp ;;
    *)
        # it may be about to be installed
        left=1800 installing=$(dirname "$0")/installing
        while [ -e "$installing" ] && [ "$left" -gt 0 ]; do sleep 1; left=$((left - 1)); done
        [ "$left" -eq 1800 ] || [ -e "$installing" ] || exec sh "$0" "$@"
        echo "@missing jupyter"
        exit 127
        ;;
esac

# With port 0 the old server writes port 0 into its runtime file, which helps nobody.
retries=0
if [ "$port" = any ]; then
    if [ "$app" = ServerApp ]; then port=0; else port=8888 retries=50; fi
fi

set -- "$command" --no-browser --allow-root "--ip=$address" "--port=$port" "--$app.port_retries=$retries" \
    "--$app.tornado_settings=$tornado"
[ -z "$jupyter" ] || exec "$jupyter" "$@"
exec "$python" -m jupyter "$@"
