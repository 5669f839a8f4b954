#!/usr/bin/env bash
# Runs the Python tests on the package as its users get it.
#
#     tools/installed.sh ARCHIVE [PYTEST ARGUMENTS...]
#
# A wheel or an sdist is installed into a new environment. The tests run in a folder that has all of
# the repository except the package's own sources, so that they cannot import these.
set -euo pipefail
cd "$(dirname "$0")/.."

archive=$1
shift
case "$archive" in *.whl) kind=wheel ;; *) kind=sdist ;; esac
folder=$PWD/build/installed/$kind
python=$folder/venv/bin/python

rm -rf "$folder"
mkdir -p "$folder/tree"
git ls-files -z --cached --others --exclude-standard -- ':!python' |
    tar --create --null --files-from=- | tar --extract --directory "$folder/tree"

"${PYTHON:-python3}" -m venv "$folder/venv"
"$python" -m pip install --upgrade pip
"$python" -m pip install "$archive[test]"

cd "$folder/tree"
package=$("$python" -c 'import courtyard, pathlib; print(pathlib.Path(courtyard.__file__).parent)')
case "$package" in "$folder"/venv/*) ;; *) echo "courtyard: imported from $package" >&2; exit 1 ;; esac
# Every source file and no other, besides the native module.
diff <(cd "$OLDPWD/python/courtyard" && git ls-files | sort) \
    <(cd "$package" && find . -type f ! -name '*.pyc' ! -name '_native.*.so' -printf '%P\n' | sort)
exec "$python" -m pytest "$@"
