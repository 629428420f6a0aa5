#!/usr/bin/env bash
# The runs behind docs/EVIDENCE.md, on the shipped model: bench/evidence.sh DIR. A run that was broken off goes on where it
# stood when the same command is given again. On two cores it takes about an hour.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
folder=${1:?"usage: bench/evidence.sh DIR"}
entropix=${ENTROPIX:-build/release/entropix}

policies=greedy
policies+=,plain:temperature=0.7:top_p=0.95:top_k=0:min_p=0 # temperature and top-p
policies+=,plain:temperature=1:min_p=0.05:top_p=1:top_k=0   # min-p
policies+=,entropixplained,entropix-2024-10,entropix        # the document, the program of October 2024, ours

"$entropix" eval --task facts --task problems --task large_problems --task long_problems --task unknown \
    --policy "$policies" --seeds 5 -o "$folder/answers"
"$entropix" eval --task large_problems --policy "$policies" --seeds 5 --budget tokens --times 8 \
    --vote first,majority,certain -o "$folder/budget"
"$entropix" eval --task prose --limit 40 --policy "$policies" --seeds 5 -o "$folder/prose"
