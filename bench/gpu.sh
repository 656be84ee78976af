#!/bin/sh
# Train, measure and benchmark in one call, on a machine with a GPU (or, to try it, without one).
#
#   bench/gpu.sh OUT DATA...      DATA: folders for `nextscale train --data`
#
# OUT gets generation.json (batches of 1 to 1024), tokenizer/, generator/, model/, suite.json,
# other_words.json and val.json; a second call resumes the runs in it. Environment: MINUTES (8) of
# training in all, a third of it for the tokenizer; KIND (temporal) of the tokenizer: skeletal makes
# a ScaleMoGen; KINDS="temporal skeletal": both models, each in a folder of OUT; TOKENIZER: a trained
# one, then all of it is for the generator; INITIAL: a trained generator to start from; DEVICE
# (cuda), BATCHES, SEEDS (8), PYTHON (python3).
set -eu

[ $# -ge 2 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
out=$1 && shift
if [ -n "${KINDS:-}" ]; then
    for kind in $KINDS; do KINDS='' KIND=$kind sh "$0" "$out/$kind" "$@"; done
    exit
fi
first=$1
python=${PYTHON:-python3}
minutes=${MINUTES:-8}
device=${DEVICE:-cuda}
share() { "$python" -c "print($minutes * $1)"; }
nextscale() { "$python" -m nextscale_core.cli "$@"; }

for folder; do set -- "$@" --data "$folder"; shift; done
mkdir -p "$out"

"$python" bench/generation.py --device "$device" ${BATCHES:+--batches "$BATCHES"} \
    --json "$out/generation.json"
if [ -n "${TOKENIZER:-}" ]; then
    for_generator=$minutes
else
    nextscale train tokenizer "$@" --kind "${KIND:-temporal}" --out "$out/tokenizer" \
        --max-minutes "$(share 1/3)"
    TOKENIZER=$out/tokenizer/best for_generator=$(share 2/3)
fi
nextscale train generator "$@" --out "$out/generator" --tokenizer "$TOKENIZER" \
    ${INITIAL:+--initial "$INITIAL"} --cache "$out/cache" --max-minutes "$for_generator"
nextscale train pack --tokenizer "$TOKENIZER" --generator "$out/generator/best" --out "$out/model"
nextscale battery --model "$out/model" --device "$device" --seeds "${SEEDS:-8}" \
    --json "$out/suite.json"
nextscale battery --model "$out/model" --device "$device" --other-words --seeds 3 \
    --json "$out/other_words.json"
"$python" bench/generation.py --model "$out/model" --device "$device" \
    ${BATCHES:+--batches "$BATCHES"} --json "$out/generation_of_model.json"
nextscale evaluate --model "$out/model" --data "$first" --split val --device "$device" --json "$out/val.json"
