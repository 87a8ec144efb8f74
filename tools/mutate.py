"""Change the code of contracts in small ways, and tell which of the changes no test notices.

`pip install cosmic-ray coverage`, then `python tools/mutate.py SESSION`. The file SESSION holds the
mutants and what came of them: a run that was stopped goes on, and `cr-report` reads it. Take
another SESSION after a change of the sources, which are only read.

A mutant is tried by the tests that run its line, those of its file first, then the quickest; where
none does, as where Dynamo traces it, by all. One that takes far too long counts as noticed.
"""

import argparse
import ast
import contextlib
import functools
import gc
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.util import spec_from_file_location
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES, TESTS = "src/shapezoo/contracts", "tests/contracts"
PRELOADED = ("beartype", "hypothesis", "jaxtyping", "sybil", "torch._dynamo", "torchvision")
OPTIONS = ["-x", "-q", "--tb=no", "-pno:cacheprovider", "-mnot slow"]
OPTIONS += ["-Wignore:Module already imported:pytest.PytestAssertRewriteWarning"]  # PRELOADED
SLOWEST = 1.0  # seconds; tests that take more are left out
BROKEN = 99  # exit status of a child in which this file fails
FORK = multiprocessing.get_context("fork")

Work = tuple[Any, Callable[[], int], float]
"""What is tried, a function that gives an exit status, and the seconds that it may take."""


class Mutated(MetaPathFinder, InspectLoader):
    """Imports one module from code that is not in its file."""

    def __init__(self, path: Path, code: str) -> None:
        self.name, self.path, self.code = f"shapezoo.contracts.{path.stem}", path, code

    def find_spec(self, name: str, *_: object) -> Any:
        """Where the module comes from, if it is this one."""
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_source(self, name: str) -> str:
        """The code."""
        return self.code


class Tests:
    """Has pytest run these tests in this order, or all; takes their times, and whose lines run."""

    def __init__(self, chosen: list[str], coverage: Any = None) -> None:
        self.places = {test: place for place, test in enumerate(chosen)}
        self.coverage, self.seconds = coverage, dict[str, float]()

    def pytest_configure(self) -> None:
        """Look for no smaller example where one fails."""
        from hypothesis import Phase, settings

        settings.register_profile("quick", settings(), phases=[Phase.explicit, Phase.generate])
        settings.load_profile("quick")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose and sort."""
        if self.places:
            items[:] = [item for item in items if item.nodeid in self.places]
            items.sort(key=lambda item: self.places[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Measure."""
        if self.coverage:
            self.coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        return result

    def run(self) -> int:
        """The exit status of pytest."""
        files = dict.fromkeys(test.partition("::")[0] for test in self.places) or [TESTS]
        return pytest.main([*OPTIONS, *files], plugins=[self])


def measure(path: Path) -> int:
    """Write down which tests run each line, and how long each takes."""
    coverage = import_module("coverage").Coverage(None, include=[f"{SOURCES}/*"])
    tests = Tests([], coverage)
    with coverage.collect():
        status = tests.run()
    data = coverage.get_data()
    lines = {Path(file).name: data.contexts_by_lineno(file) for file in data.measured_files()}
    path.write_text(json.dumps({"lines": lines, "seconds": tests.seconds}), "utf-8")
    return status


def attempt(mutation: Any, code: str, tests: list[str]) -> int:
    """Run tests on a mutant; those of its own file first, to read no others if they notice."""
    sys.meta_path.insert(0, Mutated(mutation.module_path, code))
    own = [test for test in tests if test.startswith(f"{TESTS}/test_{mutation.module_path.name}")]
    parts = (part for part in (own, tests[len(own) :]) if part)
    return next((status for part in parts if (status := Tests(part).run())), 0)


def tests_for(mutation: Any, known: Any) -> list[str]:
    """The tests that can notice a mutant, in order."""
    name, seconds = mutation.module_path.name, known["seconds"]
    lines = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
    found = {test for i in lines for test in known["lines"][name].get(str(i), ())}
    if "" in found or not found:  # "": while tests are read
        found = {test for test in seconds if seconds[test] < SLOWEST}
    own = f"{TESTS}/test_{name}"
    return sorted(found, key=lambda test: (not test.startswith(own), seconds[test]))


@functools.cache
def pointless(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where no operators stand: annotations, unions of classes, a bare star among parameters."""
    text = path.read_text("utf-8")
    parts: list[Any] = []
    for node in ast.walk(ast.parse(text)):
        parts += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        match node:
            case ast.MatchOr() | ast.Assign(targets=[ast.Name(id="Extent" | "Type")]):
                parts += [node]
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, kinds]):
                parts += [kinds]
    found = [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p]
    for number, line in enumerate(text.splitlines(), 1):
        found += [((number, m.start()), (number, m.end())) for m in re.finditer(r"\*(?=,)", line)]
    return found


def mutants(session: Any) -> list[Any]:
    """The mutants of a session, which is filled if it is new."""
    if not session.num_work_items:
        import_module("cosmic_ray.commands").init(sorted(Path(SOURCES).glob("*.py")), session, {})
        items = [(item, item.mutations[0]) for item in session.work_items]
        session.clear()
        session.add_work_items(
            item
            for item, m in items
            if not any(start <= m.start_pos < end for start, end in pointless(m.module_path))
        )
    by = ("module_path", "operator_name", "occurrence")
    return sorted(session.work_items, key=lambda i: [str(getattr(i.mutations[0], k)) for k in by])


def mutated(mutation: Any) -> tuple[str, str]:
    """The code with the change, and the change in words."""
    operator = import_module("cosmic_ray.plugins").get_operator(mutation.operator_name)()
    before = mutation.module_path.read_text("utf-8")
    mutate_code = import_module("cosmic_ray.mutating").mutate_code
    after: str = mutate_code(before, operator, mutation.occurrence)
    number = mutation.start_pos[0]
    lines = (text.splitlines()[number - 1 : number] for text in (before, after))
    old, new = ("".join(line).strip() for line in lines)
    new = "" if "RemoveDecorator" in mutation.operator_name else new
    return after, f"{mutation.module_path}:{number}: {old} -> {new}"


def child(action: Callable[[], int], output: IO[str]) -> None:
    """Do something in a process with a group of its own, for what that starts."""
    status = BROKEN
    try:
        os.setpgid(0, 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        status = action()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def end(process: Any) -> None:
    """End a child and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()


def in_children(work: Iterator[Work], jobs: int) -> Iterator[tuple[Any, int | None, str]]:
    """What was tried, its exit status, or None where it took too long, and its output."""
    running: dict[Any, tuple[Any, IO[str], float]] = {}
    try:
        while True:
            for item, action, seconds in islice(work, jobs - len(running)):
                output: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115  # read when it ends
                process = FORK.Process(target=child, args=(action, output))
                process.start()
                running[process] = item, output, time.monotonic() + seconds
            if not running:
                return
            time.sleep(0.02)
            for process, (item, written, until) in list(running.items()):
                is_late = time.monotonic() > until
                if is_late or not process.is_alive():
                    end(process)
                    del running[process]
                    written.seek(0)
                    yield item, None if is_late else process.exitcode, written.read()
    finally:
        for process in running:
            end(process)


def report(items: list[Any], results: dict[str, Any]) -> None:
    """Print the survivors, and the score of each file."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        if result := results.get(item.job_id):
            is_late = result.worker_outcome == "abnormal"
            outcome = "late" if is_late else "killed" if result.is_killed else "survived"
            counts.update((name, outcome) for name in (item.mutations[0].module_path.name, "all"))
            if outcome == "survived":
                print(result.diff)
    for name in dict.fromkeys(name for name, _ in sorted(counts)):
        killed, late, survived = (counts[name, what] for what in ("killed", "late", "survived"))
        total = killed + late + survived
        print(
            f"{name:20}{total:5} mutants, {survived:4} survived, {late:3} took too long: ", end=""
        )
        print(f"{1 - survived / total:.1%} noticed")


def main() -> None:
    """Try the mutants that have not been tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("session", type=Path)
    parser.add_argument("files", nargs="*", help="such as axes.py; all if none is named")
    parser.add_argument("--sample", type=int, help="only so many, in random order")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    path: Path = given.session.resolve()
    os.chdir(ROOT)
    sys.path.insert(0, "src")
    for name in PRELOADED:
        import_module(name)
    gc.freeze()  # or each child would copy what it looks through for garbage

    measured = path.with_suffix(".json")
    newest = max(file.stat().st_mtime for file in Path(TESTS).glob("*.py"))
    if not measured.exists() or measured.stat().st_mtime < newest:
        for _, status, output in in_children(iter([("", lambda: measure(measured), 3600)]), 1):
            if status != 0:
                measured.unlink(missing_ok=True)
                raise SystemExit(f"tests fail without any change:\n{output}")
    known = json.loads(measured.read_text("utf-8"))

    work_db = import_module("cosmic_ray.work_db").WorkDB
    session = work_db(path, work_db.Mode.create)
    items = [m for m in mutants(session) if m.mutations[0].module_path.name in given.files]
    items = items if given.files else mutants(session)
    if given.sample:
        items = random.Random(given.seed).sample(items, min(given.sample, len(items)))
    results = dict(session.results)

    def work() -> Iterator[Work]:
        for item in items:
            if item.job_id not in results:
                mutation = item.mutations[0]
                code, change = mutated(mutation)
                tests = tests_for(mutation, known)
                most = 60 + 5 * sum(known["seconds"][test] for test in tests)
                yield (item, change), functools.partial(attempt, mutation, code, tests), most

    for (item, change), status, output in in_children(work(), given.jobs):
        if status == BROKEN:
            raise SystemExit(f"{change}\n{output}")
        how = "abnormal" if status is None else "normal", output
        outcome = "survived" if status == 0 else "killed"
        result = import_module("cosmic_ray.work_item").WorkResult(*how, outcome, change)
        session.set_result(item.job_id, result)
        results[item.job_id] = result
        print(outcome, change, flush=True)
    report(items, results)


if __name__ == "__main__":
    main()
