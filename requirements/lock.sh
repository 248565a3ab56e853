#!/usr/bin/env bash
# Pin the newest versions that pyproject.toml allows. Run it with Python 3.11, the oldest we support: what installs there
# installs on the newer ones. Distribution names and versions only; pip's own settings say where they come from.
set -euo pipefail
cd "$(dirname "$0")"
environment=$(mktemp -d)

# what one use holds back for all, so that one environment serves every use: boto3, below the tests' S3 server
held=$environment.held
echo 'python-dateutil<3' > "$held"
trap 'rm -rf "$environment" "$held"' EXIT

fresh() { python3.11 -m venv --clear "$environment"; }
pip() { PIP_CONSTRAINT=$held "$environment/bin/python" -m pip --disable-pip-version-check "$@"; }
wanted() { # wanted [EXTRA]: the distributions that pyproject.toml names
    python3.11 - "$@" << 'PYTHON'
import sys, tomllib
project = tomllib.load(open("../pyproject.toml", "rb"))["project"]
names = project["optional-dependencies"][sys.argv[1]] if sys.argv[1:] else ["setuptools>=77", *project["dependencies"]]
print("\n".join(names))
PYTHON
}
# without what a build adds to its version (torch's +cpu): which build of a version is taken, pip's own settings say
installed() { pip list --format=freeze --exclude pip | sed 's/+[^+]*$//' | sort --ignore-case; }
pin() { # pin EXTRA BASE: write EXTRA.txt, which adds to BASE.txt
    fresh
    pip install --quiet --requirement "$2.txt" --requirement <(wanted "$1")
    { echo "-r $2.txt"; installed | grep --invert-match --line-regexp --fixed-strings --file <(cat run.txt "$2.txt"); } > "$1.txt"
}

fresh
pip install --quiet --upgrade --requirement <(wanted)
installed > run.txt
pin test run
pin bench run
pin oracles test
pin vendors test
pin loaders test
