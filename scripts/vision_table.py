#!/usr/bin/env python3
"""The lines of docs/results/vision.jsonl and vision_masks.jsonl as the tables of docs/vision.md: mean and deviation over
the seeds."""
import json
import statistics
import sys

lines = [json.loads(line) for line in open(sys.argv[1] if len(sys.argv) > 1 else "docs/results/vision.jsonl")]


def spread(values, scale=1.0, digits=2):
    values = [scale * v for v in values]
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


print("| images | model | parameters | MFLOPs an image | learning rate | seeds | top-1, % | loss | non-zero, % | images/s training | images/s inference |")
print("|---|---|---|---|---|---|---|---|---|---|---|")
for name in dict.fromkeys(line["set"] for line in lines):
    for family in dict.fromkeys(line["family"] for line in lines):
        runs = [line for line in lines if line["set"] == name and line["family"] == family]
        if not runs:
            continue
        evals = [run["eval"] for run in runs]
        nonzero = [statistics.mean(e["code_nonzero"]) for e in evals]
        rates = sorted({run["lr"] for run in runs})
        print(
            f"| {name} | {family} | {evals[0]['parameters']} | {evals[0]['flops_per_image'] / 1e6:.1f} "
            f"| {', '.join(f'{rate:g}' for rate in rates)} | {len(runs)} | {spread([e['top1'] for e in evals], 100)} "
            f"| {spread([e['loss'] for e in evals], 1, 3)} | {spread(nonzero, 100, 1)} "
            f"| {statistics.median(run['train']['images_per_second'] for run in runs):.0f} "
            f"| {statistics.median(e['images_per_second'] for e in evals):.0f} |"
        )

masks = [json.loads(line) for line in open(sys.argv[2] if len(sys.argv) > 2 else "docs/results/vision_masks.jsonl")]
names = {"cut": "foreground_iou", "cut_untrained": "foreground_iou", "head": "best_iou", "head_untrained": "best_iou"}
print()
print("| images | model | seeds | cut, trained on labels | cut, before training | best head, trained | best head, before |")
print("|---|---|---|---|---|---|---|")
for name in dict.fromkeys(line["set"] for line in masks):
    for family in dict.fromkeys(line["family"] for line in masks):
        runs = [line for line in masks if line["set"] == name and line["family"] == family]
        if not runs:
            continue
        found = [
            spread([run[key]["test"][field] for run in runs], 1, 3) if key in runs[0] else ""
            for key, field in names.items()
        ]
        print(f"| {name} | {family} | {len(runs)} | {' | '.join(found)} |")
