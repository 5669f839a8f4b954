#!/usr/bin/env bash
# Runs the Python tests on the package as its users get it.
#
#     tools/installed.sh ARCHIVE [PYTEST ARGUMENTS...]
#
# A wheel or an sdist is installed into a new environment. The tests run in a folder without the
# package's own sources, so that they cannot import these.
set -euo pipefail
cd "$(dirname "$0")/.."

archive=$1
shift
case "$archive" in *.whl) kind=wheel ;; *) kind=sdist ;; esac
folder=$PWD/build/installed/$kind
python=$folder/venv/bin/python
unset VIRTUAL_ENV PYO3_PYTHON

rm -rf "$folder"
mkdir -p "$folder/tree"
cp -R Makefile pyproject.toml ./*.md benchmarks crates docs examples tests tools "$folder/tree"
"${PYTHON:-python3}" -m venv "$folder/venv"
"$python" -m pip install --upgrade pip
"$python" -m pip install "$archive[test]"

cd "$folder/tree"
package=$("$python" -c 'import courtyard; print(courtyard.__path__[0])')
case "$package" in
"$folder"/venv/*) ;;
*)
    echo "courtyard: not the installed package is imported, but $package" >&2
    exit 1
    ;;
esac

# Every file of the package and no other, beside the native module.
files() {
    find "$1" -type f ! -name '*.pyc' ! -name '_native.*.so' -printf '%P\n' | sort
}
diff <(files "$OLDPWD/python/courtyard") <(files "$package") || {
    echo "courtyard: the package in $archive (>) is not that in python/courtyard (<)" >&2
    exit 1
}
exec "$python" -m pytest "$@"
