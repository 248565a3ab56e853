#!/usr/bin/env bash
# Make a virtual environment with the first Python that is new enough, or name the apt line for what is missing.
set -euo pipefail
folder=$1

command -v git > /dev/null || echo "note: git is missing; get it with: sudo apt-get install git" >&2

newest=
for python in python3.13 python3.12 python3.11 python3; do
    # pyenv's shims exist without the Python behind them, so each candidate is run
    version=$($python -c 'import sys; assert sys.version_info >= (3, 11); print("%d.%d" % sys.version_info[:2])' 2> /dev/null) || continue
    newest=${newest:-$version}
    $python -c 'import ensurepip, venv' 2> /dev/null || continue # Debian keeps ensurepip in python3-venv
    echo "making $folder with Python $version"
    exec $python -m venv --clear "$folder"
done

if [ "$newest" ]; then
    echo "error: Python $newest cannot make environments here; run: sudo apt-get install python3-venv python$newest-venv" >&2
else
    echo "error: no Python 3.11 or newer here; run: sudo apt-get install python3 python3-venv (Debian 12, Ubuntu 24.04 or newer)" >&2
fi
exit 1
