# Starts a container; attended.sh, which follows, begins it and ends it with the link.
# In: MARKER, ENGINE (the engine's command), ID (the container).

# An engine lets a container run on when its client dies.
hang_up() { $ENGINE stop -t 5 "$ID" </dev/null >/dev/null 2>&1; }

begin() { exec $ENGINE start --attach --interactive "$ID"; }
