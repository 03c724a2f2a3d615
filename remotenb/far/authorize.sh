# Lets a public key log in, as ssh-copy-id does: one line in ~/.ssh/authorized_keys, once.
# In: KEY, the line. Out: "there" or "added".

set -e
umask 077
# the type and the key decide, not the comment behind them
key=$(printf '%s\n' "$KEY" | awk '{ print $1 " " $2 }')
file=$HOME/.ssh/authorized_keys
mkdir -p "$HOME/.ssh"
chmod 700 "$HOME/.ssh"
if [ -f "$file" ] && grep -qF -- "$key" "$file"; then
    chmod go-w "$file"
    echo there
    exit 0
fi
# a last line without an end must not become part of ours
if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then echo >>"$file"; fi
printf '%s\n' "$KEY" >>"$file"
chmod 600 "$file"
if command -v restorecon >/dev/null 2>&1; then restorecon -R "$HOME/.ssh" || :; fi
echo added
