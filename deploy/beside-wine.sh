#!/bin/sh
# A screen that nobody sees, which the terminal needs, and then TradeCopier in our place.
set -eu
Xvfb "$DISPLAY" -screen 0 1280x800x24 -nolisten tcp &
exec python -m deploy "$@"
