#!/bin/bash
# What NGC images start with: a banner on STANDARD OUTPUT, then the command (a shell when none).
cat /opt/nvidia/entrypoint.d/*.txt
if [ $# -eq 0 ]; then exec /bin/bash; fi
exec "$@"
