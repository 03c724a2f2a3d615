"""What `make test-windows` needs: install Wine, and put Python for Windows into the cache."""

import sys

from tests.rig import packages
from tests.windows import python, wine

packages.install(packages.WINE)
if wine.missing():
    sys.exit(f"no Windows here, it needs: {', '.join(wine.missing())}")
print("windows: Python, wheels and a prefix (a first time takes a minute) …", flush=True)
wine.python_folder(python.BUNDLE)
with wine.opened() as made:
    done = made.run("-c", "import sys, cryptography; print(sys.version)")
    print(f"windows: Python {done.stdout.decode().split('(')[0]}under Wine")
