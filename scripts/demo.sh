#!/usr/bin/env bash
# Trains crate-lm and its gpt2 twin on the embedded Shakespeare, compares them, lets both write, and explains one prediction
# of the model that comes with the project. `make demo` calls it.
set -eu
crate=build/bin/crate
# A training that is interrupted saves and ends well: the demo ends with it.
trap 'echo "stopped; make demo begins again"; exit 130' INT TERM
for family in crate-lm gpt2; do
  "$crate" train recipes/demo.toml --set model.family=$family --out out/demo-$family --force
  echo
done
echo "On the last tenth of the text, which neither has seen (non-zero codes: of the dictionary; for gpt2, of its hidden units):"
"$crate" eval out/demo-crate-lm out/demo-gpt2 --data data/tinyshakespeare.txt --tail 0.1
for family in crate-lm gpt2; do
  echo
  echo "--- $family writes:"
  "$crate" generate out/demo-$family --prompt "ROMEO:" -n 300 --temperature 0.7 --seed 7
done
echo
echo "Why this token? Every part of the model that comes with the project, and a proof that they add up:"
"$crate" explain models/wiki-crate-lm --prompt "The capital of France is the city of" -o out/why.json -o out/why.html
"$crate" verify out/why.json models/wiki-crate-lm
cat <<'TEXT'

Try next:
  build/bin/crate train recipes/shakespeare.toml                  a better model, some minutes
  build/bin/crate info out/demo-crate-lm                          what is in it
  build/bin/crate generate out/demo-crate-lm --prompt "JULIET:"   more text
  open out/why.html in a browser                                  the graph of that explanation
  build/bin/crate ops grad                                        every gradient against the complex step
  build/bin/crate bench                                           speed, as a share of this machine's peak
TEXT
