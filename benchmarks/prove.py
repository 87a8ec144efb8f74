"""Run `prove` on public networks, measure its cost, and check its verdicts by brute force.

Run `python benchmarks/prove.py`. Arguments select the networks whose names contain them.
`--json FILE` appends each row to a file, and skips networks that the file already contains.
`--budget SECONDS` limits each proof, and `--truth SECONDS` each check by brute force. `--zoo`
compares proofs of the models of the zoo with one ordinary call of each instead.
"""

import argparse
import contextlib
import dataclasses
import importlib
import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from public.measuring import Row, measure
from public.networks import NETWORKS
from public.table import Network

MOST_SECONDS = 30
MOST_MEGABYTES = 2048


def main() -> None:
    """Print the table."""
    options = _options()
    if options.zoo:
        from zoo_proofs import print_zoo

        print_zoo(options.names)
        return
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    rows = _kept(options.json)
    done = {row.name for row in rows}
    print(f"{'':42}{'':>13}{'regions':>8}{'CPU':>8}{'memory':>9}  truth", flush=True)
    for network in _asked(NETWORKS, options.names):
        if network.name not in done:
            # import the package once here rather than in the process of each network
            with contextlib.suppress(ImportError):
                importlib.import_module(network.name.partition("/")[0])
            row = measure(network, options.budget, options.truth)
            _print(row)
            if row.verdict != "skipped":
                rows.append(row)
                _keep(row, options.json)
    print(summary(rows))


def _asked(networks: Iterable[Network], names: Sequence[str]) -> list[Network]:
    """Return the networks whose names contain one of these strings, in the order of the strings."""
    asked = (n for part in names or [""] for n in networks if part in n.name)
    return list({network.name: network for network in asked}.values())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--budget", type=float, default=60.0)
    parser.add_argument("--truth", type=float, default=40.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--zoo", action="store_true")
    return parser.parse_args()


def _print(row: Row) -> None:
    if row.verdict == "skipped":
        print(f"{row.name:42}{row.verdict:>13}  {row.text}", flush=True)
        return
    truth = f"{len(row.wrong)} WRONG" if row.wrong else f"{row.accepted}/{row.tried} accepted"
    print(
        f"{row.name:42}{row.verdict:>13}{row.regions:8}{row.seconds:7.1f}s{row.megabytes:6.0f} MB"
        f"  {truth:16}  {row.text}",
        flush=True,
    )
    for line in row.wrong[:3]:
        print(f"{'':6}{line}", flush=True)


def _kept(path: Path | None) -> list[Row]:
    if path is None or not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()]


def _keep(row: Row, path: Path | None) -> None:
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(row)) + "\n")


def summary(rows: Iterable[Row]) -> str:
    """Return the totals of the table, in one line."""
    rows = list(rows)
    right = Counter(row.verdict for row in rows if not row.wrong)
    return (
        f"{len(rows)} networks: {right['Proved']} proved, {right['Refuted']} refuted rightly, "
        f"{right['ProvedInPart']} in part, {right['Unknown']} unknown, "
        f"{right['too much']} out of CPU or memory, {right['error']} errors, "
        f"{sum(bool(row.wrong) for row in rows)} wrong, "
        f"{sum(row.seconds > MOST_SECONDS for row in rows)} over {MOST_SECONDS} s, "
        f"{sum(row.megabytes > MOST_MEGABYTES for row in rows)} over {MOST_MEGABYTES >> 10} GB"
    )


if __name__ == "__main__":
    main()
