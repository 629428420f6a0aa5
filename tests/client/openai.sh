# openai.sh - installs the official client into the build folder, and runs openai.mjs. Status 77: skipped.
# sh openai.sh PROGRAM SOURCE_FOLDER BUILD_FOLDER
model=$2/models/entropix-40m-q6_k.gguf
[ -r "$model" ] || { echo "skipped: the model that ships is not there"; exit 77; }
command -v node >/dev/null && command -v npm >/dev/null || { echo "skipped: no node or npm"; exit 77; }
mkdir -p "$3/client" && cp "$2/tests/client/package.json" "$3/client/" || exit 1
if ! [ -r "$3/client/node_modules/openai/index.mjs" ]; then
    (cd "$3/client" && timeout 90 npm install --no-audit --no-fund >npm.log 2>&1) ||
        { echo "skipped: npm cannot install the client"; exit 77; }
fi
exec node "$2/tests/client/openai.mjs" "$1" "$3/client/node_modules" "$model"
