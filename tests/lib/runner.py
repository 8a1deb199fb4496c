# SPDX-License-Identifier: BSD-3-Clause
"""Finds the tests of a folder, runs each with the one Machine, and prints TAP."""

import fnmatch
import glob
import importlib.util
import os
import sys
import time
import traceback

from harness import Failed, Machine, Skipped


def load(path: str):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def discover(directory: str, prefix: str) -> list:
    """The functions prefix* of test_*.py: files by name, functions as they stand."""
    found = []
    for path in sorted(glob.glob(f"{directory}/test_*.py")):
        functions = [value for name, value in vars(load(path)).items() if name.startswith(prefix) and callable(value)]
        found += sorted(functions, key=lambda function: function.__code__.co_firstlineno)
    return found


def chosen(tests: list, patterns: list[str]) -> list:
    """A pattern is a glob, or a part of a test's or its file's name."""
    def fits(test, pattern: str) -> bool:
        names = (test.__name__, test.__module__)
        return any(pattern in name or fnmatch.fnmatch(name, pattern) for name in names)
    return [test for test in tests if not patterns or any(fits(test, pattern) for pattern in patterns)]


def run_one(test, machine: Machine) -> tuple[str, list[str]]:
    """"ok", "skip" or "not ok", and what there is to say."""
    verdict, words = "ok", []
    try:
        test(machine)
    except Skipped as reason:
        verdict, words = "skip", [str(reason)]
    except Exception as error:
        verdict, words = "not ok", ([str(error)] if isinstance(error, Failed) else []) + traceback.format_exc().splitlines()
    machine.end_clients()
    try:
        machine.nothing_left()
    except Failed as left:
        verdict, words = "not ok", words + [str(left)]
        machine.purge()
    machine.reset()
    return verdict, words


def report(number: int, test, verdict: str, words: list[str], log: list[str], seconds: float) -> bool:
    """Prints one test. Whether it counts as passed."""
    if verdict == "skip" and os.environ.get("PAM_ISOLATE_MUST_WORK") == "1":
        verdict, words = "not ok", ["may not be skipped here: " + words[0]]
    if verdict == "skip":
        print(f"ok {number} - {test.__name__} # SKIP {words[0]}", flush=True)
        return True
    print(f"{verdict} {number} - {test.__name__} # {seconds:.2f} s", flush=True)
    if verdict == "ok":
        return True
    for line in "\n".join(words).splitlines():
        print(f"#   {line}")
    for line in log:
        print(f"#   syslog: {line}")
    sys.stdout.flush()
    return False


def main(directory: str, prefix: str) -> int:
    arguments = sys.argv[1:]
    tests = chosen(discover(directory, prefix), [word for word in arguments if not word.startswith("-")])
    if "--list" in arguments:
        print("\n".join(test.__name__ for test in tests))
        return 0
    if any(word.startswith("-") for word in arguments):
        sys.exit(f"usage: {sys.argv[0]} [--list] [pattern ...]")
    failed = 0
    with Machine() as machine:
        print(f"1..{len(tests)}", flush=True)
        for number, test in enumerate(tests, 1):
            mark, start = machine.log.mark(), time.monotonic()
            verdict, words = run_one(test, machine)
            failed += not report(number, test, verdict, words, machine.log.since(mark), time.monotonic() - start)
    print(f"# {len(tests) - failed} of {len(tests)} hold")
    return 1 if failed else 0
