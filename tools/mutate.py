"""Make small changes to the code of contracts, and list those that no test notices.

`pip install cosmic-ray coverage`, then `python tools/mutate.py SESSION`. The file SESSION holds the
mutants and their results: a run that was interrupted continues, and `cr-report` can read it. The
sources are only read; after they have changed, take a new SESSION.

Only tests that run the line of a mutant are tried, those of its own file first, then the quickest.
If there are none, as for code that Dynamo traces, all quick tests are tried. A mutant that takes
far too long counts as noticed. Use a quiet machine: tests that seem slow are left out.

Why not an existing runner (tried in November 2026): under mutmut 3.8, which calls each function
through a trampoline, 65 of the first 1,059 tests fail without any mutant, many of those that
compile among them. The loop of cosmic-ray 8.7 starts pytest anew for each of 5,900 mutants, which
takes about 30 CPU seconds, and leaves a changed source behind when it is interrupted. Here a mutant
is tried in a fork of a process that has imported torch, in about 3 CPU seconds.
"""

import argparse
import ast
import contextlib
import functools
import gc
import json
import multiprocessing
import multiprocessing.connection
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
SOURCES, TESTS = Path("src/shapezoo/contracts"), Path("tests/contracts")
PRELOADED = ("beartype", "hypothesis", "jaxtyping", "sybil", "torch._dynamo", "torchvision")
OPTIONS = ["-x", "-q", "--tb=no", "-pno:cacheprovider", "-mnot slow"]
OPTIONS += ["-Wignore:Module already imported:pytest.PytestAssertRewriteWarning"]  # PRELOADED
SLOWEST = 1.0  # seconds; a slower test is not tried on a line that no test runs
FAILURES = 5  # so many tests may not fail without a change
BROKEN = 99  # exit status of a child in which this script fails
FORK = multiprocessing.get_context("fork")  # a child has everything in memory that is PRELOADED

Work = tuple[Any, Callable[[], int], float]
"""An item, a function to run in a child that returns its exit status, and a limit in seconds."""


class Mutated(MetaPathFinder, InspectLoader):
    """Imports one module from code that is not in its file."""

    def __init__(self, path: Path, code: str) -> None:
        parts = path.relative_to("src").with_suffix("").parts
        self.name = ".".join(part for part in parts if part != "__init__")
        self.path, self.code = path, code

    def find_spec(self, name: str, *_: object) -> Any:
        """Return the spec of the module, and None for any other."""
        return spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def is_package(self, _: str) -> bool:
        """Return whether the module is the `__init__` of a package."""
        return self.path.stem == "__init__"

    def get_source(self, _: str) -> str:
        """Return the code."""
        return self.code


class Tests:
    """Makes pytest run some tests in a given order, or all; records times and covered lines."""

    def __init__(self, chosen: list[str], coverage: Any = None) -> None:
        self.order = {test: index for index, test in enumerate(chosen)}
        self.coverage, self.seconds, self.failed = coverage, dict[str, float](), set[str]()

    def pytest_configure(self) -> None:
        """Do not search for the smallest example that fails."""
        from hypothesis import Phase, settings

        settings.register_profile("quick", settings(), phases=[Phase.explicit, Phase.generate])
        settings.load_profile("quick")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Select and sort the tests."""
        if self.order:
            items[:] = [item for item in items if item.nodeid in self.order]
            items.sort(key=lambda item: self.order[item.nodeid])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Measure a test."""
        if self.coverage:
            self.coverage.switch_context(item.nodeid)
        start = time.perf_counter()
        result = yield
        self.seconds[item.nodeid] = time.perf_counter() - start
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a failure."""
        if report.failed:
            self.failed.add(report.nodeid)

    def run(self, *options: str) -> int:
        """Run the tests, and return pytest's exit status."""
        files = dict.fromkeys(test.partition("::")[0] for test in self.order) or [str(TESTS)]
        return pytest.main([*OPTIONS, *options, *files], plugins=[self])


def measure(path: Path) -> int:
    """Write to a file which tests run each line, and how long each test takes.

    A test that fails while coverage traces it, such as one that asks what keeps a frame alive, is
    left out.
    """
    coverage = import_module("coverage").Coverage(None, source=[str(SOURCES)])
    tests = Tests([], coverage)
    with coverage.collect():
        tests.run(f"--maxfail={FAILURES}")
    data = coverage.get_data()
    lines = {
        str(Path(file).relative_to(ROOT)): {
            line: [test for test in found if test not in tests.failed]
            for line, found in data.contexts_by_lineno(file).items()
        }
        for file in data.measured_files()
    }
    seconds = {test: tests.seconds[test] for test in tests.seconds if test not in tests.failed}
    path.write_text(json.dumps({"lines": lines, "seconds": seconds}), "utf-8")
    print("left out:", *sorted(tests.failed))
    return int(not seconds or len(tests.failed) >= FAILURES)


def is_own(test: str, mutation: Any) -> bool:
    """Return whether a test is in the test file of the mutated module."""
    return Path(test.partition("::")[0]).name == f"test_{mutation.module_path.name}"


def tests_for(mutation: Any, known: Any) -> list[str]:
    """Return the tests that can notice a mutant, in the order in which to try them."""
    covered, seconds = known["lines"].get(str(mutation.module_path), {}), known["seconds"]
    lines = range(mutation.start_pos[0], mutation.end_pos[0] + 1)
    found = {test for line in lines for test in covered.get(str(line), ())}
    if "" in found or not found:  # "": run while tests are collected
        found = {test for test in seconds if seconds[test] < SLOWEST}
    return sorted(found, key=lambda test: (not is_own(test, mutation), seconds[test]))


def attempt(mutation: Any, code: str, tests: list[str]) -> int:
    """Run the tests on a mutant; collect other files only if its own tests do not notice it."""
    sys.meta_path.insert(0, Mutated(mutation.module_path, code))
    own = [test for test in tests if is_own(test, mutation)]
    parts = (part for part in (own, tests[len(own) :]) if part)
    return next((status for part in parts if (status := Tests(part).run())), 0)


@functools.cache
def pointless(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return where `|` and `*` are not operators: types, and a bare star among parameters."""
    text = path.read_text("utf-8")
    parts: list[Any] = []
    for node in ast.walk(ast.parse(text)):
        parts += [getattr(node, "annotation", None), getattr(node, "returns", None)]
        match node:
            case ast.MatchOr() | ast.Assign(targets=[ast.Name(id="Extent" | "Type")]):
                parts += [node]
            case ast.Call(func=ast.Name(id="isinstance"), args=[_, types]):
                parts += [types]
    found = [((p.lineno, p.col_offset), (p.end_lineno, p.end_col_offset)) for p in parts if p]
    for number, line in enumerate(text.splitlines(), 1):
        found += [((number, m.start()), (number, m.end())) for m in re.finditer(r"\*(?=,)", line)]
    return found


def mutants(session: Any) -> list[Any]:
    """Return the mutants of a session, which is filled if it is new."""
    if not session.num_work_items:
        import_module("cosmic_ray.commands").init(sorted(SOURCES.rglob("*.py")), session, {})
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
    """Return the mutated code, and a line that shows the change."""
    operator = import_module("cosmic_ray.plugins").get_operator(mutation.operator_name)()
    before = mutation.module_path.read_text("utf-8")
    mutate_code = import_module("cosmic_ray.mutating").mutate_code
    after: str = mutate_code(before, operator, mutation.occurrence)
    number = mutation.start_pos[0]
    lines = (text.splitlines()[number - 1 : number] for text in (before, after))
    old, new = ("".join(line).strip() for line in lines)
    new = "" if "RemoveDecorator" in mutation.operator_name else new
    return after, f"{mutation.module_path}:{number}: {old} -> {new}"


def child(action: Callable[[], int], seconds: float, output: IO[str]) -> None:
    """Run an action in this process; SIGALRM ends the process when its time is up."""
    status = BROKEN
    try:
        os.setpgid(0, 0)  # a group of its own, for the processes that tests start
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        status = action()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def end(process: Any) -> None:
    """End a child and the processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # if it does not have its group yet
    process.join()


def in_children(work: Iterator[Work], jobs: int) -> Iterator[tuple[Any, int, str]]:
    """Run work in parallel; yield each item with its exit status and output.

    The status is `-signal.SIGALRM` if the time was up.
    """
    running: dict[Any, tuple[Any, Any, IO[str]]] = {}
    try:
        while True:
            for item, action, seconds in islice(work, jobs - len(running)):
                output: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115  # read when it ends
                process = FORK.Process(target=child, args=(action, seconds, output))
                process.start()
                running[process.sentinel] = process, item, output
            if not running:
                return
            for sentinel in multiprocessing.connection.wait(list(running)):
                process, item, written = running.pop(sentinel)
                process.join()
                end(process)
                written.seek(0)
                yield item, process.exitcode, written.read()
    finally:
        for process, _, _ in running.values():
            end(process)


def report(items: list[Any], results: dict[str, Any]) -> None:
    """Print the mutants that survived, and the score of each file."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        if result := results.get(item.job_id):
            is_late = result.worker_outcome == "abnormal"
            outcome = "late" if is_late else "killed" if result.is_killed else "survived"
            name = str(item.mutations[0].module_path.relative_to(SOURCES))
            counts.update([(name, outcome), ("all", outcome)])
            if outcome == "survived":
                print(result.diff)
    for name in dict.fromkeys(name for name, _ in sorted(counts)):
        killed, late, survived = (counts[name, what] for what in ("killed", "late", "survived"))
        total = killed + late + survived
        print(
            f"{name:30}{total:5} mutants, {survived:4} survived, {late:3} took too long: "
            f"{1 - survived / total:.1%} noticed"
        )


def main() -> None:
    """Try the mutants that have not been tried yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("session", type=Path)
    parser.add_argument("files", nargs="*", help="names such as axes.py; default: all files")
    parser.add_argument("--sample", type=int, help="try so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    path: Path = given.session.resolve()
    os.chdir(ROOT)
    sys.path.insert(0, "src")
    for name in PRELOADED:
        import_module(name)
    gc.freeze()  # a collection in a child would touch, and so copy, all of this memory

    measured = path.with_suffix(".json")
    newest = max(file.stat().st_mtime for file in TESTS.rglob("*.py"))
    if not measured.exists() or measured.stat().st_mtime < newest:
        for _, status, output in in_children(iter([("", lambda: measure(measured), 3600)]), 1):
            if status != 0:
                measured.unlink(missing_ok=True)
                raise SystemExit(f"tests fail without any change:\n{output}")
    known = json.loads(measured.read_text("utf-8"))

    work_db = import_module("cosmic_ray.work_db").WorkDB
    session = work_db(path, work_db.Mode.create)
    items = mutants(session)
    if given.files:
        items = [item for item in items if item.mutations[0].module_path.name in given.files]
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
        how = "abnormal" if status == -signal.SIGALRM else "normal"
        outcome = "survived" if status == 0 else "killed"
        result = import_module("cosmic_ray.work_item").WorkResult(how, output, outcome, change)
        session.set_result(item.job_id, result)
        results[item.job_id] = result
        print(outcome, change, flush=True)
    report(items, results)


if __name__ == "__main__":
    main()
