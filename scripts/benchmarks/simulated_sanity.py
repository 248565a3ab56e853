"""What the simulated runner's kernel lists say beside what others published: throughput by batch size, and latencies.

    python scripts/benchmarks/simulated_sanity.py [--device l4] [--json]

The paper (on an L4, precision and sequence length not told): resnet50 gains more than 200 % of request throughput from
batch 1 to 8, roberta_base 26.5 %.
"""

import argparse
import json
from typing import Any

from cotenant.models.model import PRECISIONS, Precision
from cotenant.models.zoo import resolve
from cotenant.runners.simulated.device_file import load_device
from cotenant.runners.simulated.roofline import kernels_of

MODELS = ("resnet50", "vgg19", "vit_b_16", "convnext_base", "yolov8n", "roberta_base")
LONGER = ("roberta_base:seq=384", "roberta_base:seq=512")
BATCH_SIZES = range(1, 9)
BERT = "NVIDIA/TensorRT, demo/BERT/README.md, average, fp16"
YOLO = "Ultralytics, YOLOv8 detection models, Speed A100 TensorRT (whether as a CUDA graph is not told)"
# (device, model, batch size) -> (ms, source); RoBERTa has BERT's layers. The constant of products comes from the first.
PUBLISHED: dict[tuple[str, str, int], tuple[float, str]] = {
    **{("a100", "roberta_base", b): (ms, BERT) for b, ms in ((1, 0.67), (2, 0.83), (4, 1.02), (8, 1.38), (32, 4.10))},
    **{("a100", "roberta_base:seq=384", b): (ms, BERT) for b, ms in ((1, 1.31), (8, 3.62), (32, 13.51))},
    **{("a100", "roberta_large", b): (ms, BERT) for b, ms in ((1, 1.64), (2, 2.05), (4, 2.97), (8, 4.51), (32, 13.85))},
    **{("a100", "roberta_large:seq=384", b): (ms, BERT) for b, ms in ((1, 3.12), (8, 11.53), (32, 43.01))},
    **{("t4", "roberta_base", b): (ms, BERT) for b, ms in ((1, 1.95), (2, 2.71), (4, 4.53), (8, 9.09), (32, 36.63))},
    **{("a100", name, 1): (ms, YOLO) for name, ms in (("yolov8n", 0.99), ("yolov8m", 1.83), ("yolov8x", 3.53))},
}


def latency_ms(device: str, model: str, batch_size: int, precision: Precision) -> float:
    costs = resolve(model).operator_costs(batch_size, precision)
    return kernels_of(costs, load_device(device), precision).solo_ns / 1e6


def gains(device: str) -> list[dict[str, Any]]:
    rows = []
    for precision in PRECISIONS:
        for model in (*MODELS, *LONGER):
            times = [latency_ms(device, model, size, precision) for size in BATCH_SIZES]
            rates = [1e3 * size / ms for size, ms in zip(BATCH_SIZES, times, strict=True)]
            gain_pct = 100 * (rates[-1] / rates[0] - 1)
            rows.append({"model": model, "precision": precision, "items_per_s": rates, "gain_pct": gain_pct})
    return rows


def comparisons() -> list[dict[str, Any]]:
    rows = []
    for (device, model, size), (published_ms, source) in PUBLISHED.items():
        found_ms = latency_ms(device, model, size, "fp16")
        row = {"device": device, "model": model, "batch_size": size, "simulated_ms": found_ms}
        rows.append({**row, "published_ms": published_ms, "ratio": found_ms / published_ms, "source": source})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="l4", help="simulated device, e.g. l4:sm_clock_mhz=1200")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {"device": options.device, "gains": gains(options.device), "published": comparisons()}
    if options.json:
        print(json.dumps(found, indent=1))
        return
    print(f"{options.device}: items/s at batch 1 ... 8, and the gain")
    for row in found["gains"]:
        rates = " ".join(f"{rate:7.0f}" for rate in row["items_per_s"])
        print(f"{row['precision']} {row['model']:22}{rates}  {row['gain_pct']:+.0f} %")
    print("\nfp16 latency, simulated and published")
    for row in found["published"]:
        place = f"{row['device']:5} {row['model']:22} batch {row['batch_size']:2}"
        print(
            f"{place} {row['simulated_ms']:6.2f} ms {row['published_ms']:6.2f} ms  x{row['ratio']:.2f}  {row['source']}"
        )


if __name__ == "__main__":
    main()
