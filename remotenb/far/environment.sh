# Enters a Python environment of the host, for what this shell does next: a folder made by venv or
# conda, or the name of one that conda, mamba, virtualenvwrapper or pyenv keeps.
# In: WANTED. Out: entered, its folder; activate, what bash must do before a server of it starts.
by_path() {
    case $WANTED in
        [~]) echo "$HOME" ;;
        [~]/*) echo "$HOME/${WANTED#??}" ;;
        /*) echo "$WANTED" ;;
        */*) echo "$HOME/$WANTED" ;;
    esac
}
by_name() {
    while IFS= read -r known; do
        [ "${known##*/}" != "$WANTED" ] || echo "$known"
    done 2>/dev/null <"$HOME/.conda/environments.txt"
    for root in "$HOME"/.conda "$HOME"/*conda* "$HOME"/*forge* "$HOME"/*mamba* "$HOME/.local/share/mamba" \
        /opt/*conda* /opt/*forge*; do
        echo "$root/envs/$WANTED"
        [ "$WANTED" != base ] || [ ! -d "$root/conda-meta" ] || echo "$root"
    done
    echo "${WORKON_HOME:-$HOME/.virtualenvs}/$WANTED"
    echo "${PYENV_ROOT:-$HOME/.pyenv}/versions/$WANTED"
}
entered=$({ case $WANTED in [~] | */*) by_path ;; *) by_name ;; esac; } | while IFS= read -r folder; do
    [ ! -x "$folder/bin/python" ] || { cd "$folder" && pwd && break; }
done)
[ -n "$entered" ] || exit 0

PATH=$entered/bin:$PATH
unset PYTHONHOME
export PATH
activate=
if [ -d "$entered/conda-meta" ]; then
    CONDA_PREFIX=$entered CONDA_DEFAULT_ENV=$WANTED
    export CONDA_PREFIX CONDA_DEFAULT_ENV
    # what its packages set, as their compilers do; some of these scripts are bash's
    if [ -d "$entered/etc/conda/activate.d" ] && command -v bash >/dev/null 2>&1; then
        # shellcheck disable=SC2089
        activate='for script in "$CONDA_PREFIX"/etc/conda/activate.d/*.sh; do . "$script"; done; exec "$@"'
    fi
else
    VIRTUAL_ENV=$entered
    export VIRTUAL_ENV
fi
# shellcheck disable=SC2090  # bash reads it, not this shell
export activate
