#!/usr/bin/env bash
# Trains crate-lm, crate-one and their gpt2 twin on the embedded Shakespeare, compares them, lets them write, and explains one
# prediction of the model that comes with the project. `make demo` calls it.
set -eu
crate=build/bin/crate
# A training that is interrupted saves and ends well: the demo ends with it.
trap 'echo "stopped; make demo begins again"; exit 130' INT TERM
train() { # FAMILY OPTIONS...
  "$crate" train recipes/demo.toml --set model.family="$1" --out "out/demo-$1" --force "${@:2}"
  echo
}
train crate-lm
# As many parameters as the twin.
train crate-one --set model.atoms=608 --set model.shift=false
train gpt2
echo "On the last tenth of the text, which none has seen (non-zero codes: of the dictionary; for gpt2, of its hidden units):"
"$crate" eval out/demo-crate-lm out/demo-crate-one out/demo-gpt2 --data data/tinyshakespeare.txt --tail 0.1
for family in crate-one gpt2; do
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
  build/bin/crate info out/demo-crate-one                         what is in it
  build/bin/crate generate out/demo-crate-one --prompt "JULIET:"  more text
  open out/why.html in a browser                                  the graph of that explanation
  build/bin/crate ops grad                                        every gradient against the complex step
  build/bin/crate bench                                           speed, as a share of this machine's peak
TEXT
