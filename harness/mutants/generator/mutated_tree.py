"""A copy of the repository whose engine holds all mutants, and the test programs built from it.

    tree = MutatedTree(top, home)
    tree.generate(files)        # tree.mutants, numbered
    tree.build()                # drops the mutants that do not compile
    for test in tree.tests(): tree.run([test], mutant=7, seconds=20)
"""

import collections
import filecmp
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass

import operators
import schemata
from source import source_of

TECHNIQUES = ["unit", "property", "schedule", "stress", "chaos", "engines"]  # in this order a mutant meets them
_FLAGS = "-O1 -w -Wno-c++11-narrowing -ftemplate-backtrace-limit=0 -ferror-limit=0 -fsanitize=return -fsanitize-trap=return"
_ISOLATION = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c",
              # The shell stays, as pid 1: a test must not inherit what its children leave.
              'mount -t tmpfs none /dev/shm && mount -t tmpfs none "$TMPDIR" && "$@"; exit $?', "sh"]


@dataclass(frozen=True)
class Test:
    name: str  # Suite.Name
    label: str
    program: str


@dataclass
class Run:
    failed: str = ""  # the test that failed first
    how: str = ""  # failed, crashed, watchdog
    seconds: float = 0.0  # of processors
    elapsed: float = 0.0
    found_in: int = 0  # the execution of the explorer in which it was found
    output: str = ""


def engine_files(top):
    """The sources that are mutated: what a user of the engine compiles."""
    listed = sorted(str(path.relative_to(top)) for path in pathlib.Path(top).glob("engine/**/*"))
    return [f for f in listed if f.endswith((".h", ".cpp")) and not f.endswith("_test.cpp") and "/test_" not in f]


def mutants_in(top, files):
    builtin = subprocess.run(["clang++-14", "-print-resource-dir"], capture_output=True, text=True, check=True).stdout.strip()
    flags = ["-x", "c++", "-std=c++20", f"-I{top}", f"-I{builtin}/include"]
    sources = [source_of(f, str(top)) for f in files]
    return sources, operators.mutants_of(sources, flags)


def _write(path, text):
    """Only what changes, so that little is built again."""
    data = text.encode("latin-1")
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


class MutatedTree:
    def __init__(self, top, home):
        self.top, self.home = pathlib.Path(top), pathlib.Path(home)
        self.tree, self.scratch = self.home / "tree", self.home / "tmp"
        self.binaries = self.tree / "build"
        self.uncompiled_file = self.home / "do-not-compile.txt"
        self.mutants, self.sources = [], []
        self.isolation = None

    # Generating.
    def generate(self, files):
        for path in (self.tree, self.scratch):
            path.mkdir(parents=True, exist_ok=True)
        self._copy()
        self.sources, by_file = mutants_in(self.top, files)
        self.mutants = [m for f in files for m in by_file[f]]
        for number, mutant in enumerate(self.mutants, 1):
            mutant.number = number
        if self.uncompiled_file.exists():
            self._forget(set(self.uncompiled_file.read_text().splitlines()))
        self._write_sources()

    def _copy(self):
        listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=self.top,
                                capture_output=True, text=True, check=True).stdout.split("\0")
        for name in filter(None, listed):
            source, target = self.top / name, self.tree / name
            if not source.exists():
                target.unlink(missing_ok=True)
                continue
            if name.startswith("engine/") and target.exists() and name in self._mutated_before():
                continue
            if not target.exists() or not filecmp.cmp(source, target, shallow=False):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
                os.utime(target)

    def _mutated_before(self):
        return set(engine_files(self.top)) if (self.tree / schemata.SWITCH).exists() else set()

    def _forget(self, keys):
        self.mutants = [m for m in self.mutants if m.key not in keys]

    def _write_sources(self):
        by_file = collections.defaultdict(list)
        for mutant in self.mutants:
            by_file[mutant.file].append(mutant)
        _write(self.tree / schemata.SWITCH, schemata.SWITCH_TEXT)
        for file in engine_files(self.top):
            source = next((s for s in self.sources if s.file == file), None)
            text = schemata.schemata(source, by_file[file]) if source else (self.top / file).read_text(encoding="latin-1")
            _write(self.tree / file, text)

    # Building.
    def build(self, programs=None, jobs=2):
        configured = subprocess.run(["cmake", "-S", ".", "-B", "build", "--preset", "dev", f"-DCMAKE_CXX_FLAGS={_FLAGS}",
                                     "-DTOUCHSTONE_MUTANTS=OFF", "-DTOUCHSTONE_BENCH=OFF"], cwd=self.tree, capture_output=True, text=True)
        if configured.returncode != 0:
            raise RuntimeError(configured.stdout + configured.stderr)
        self._until_it_compiles(self._check_sources)
        programs = programs or self.programs()
        self._until_it_compiles(lambda: subprocess.run(["ninja", "-C", "build", "-k", "0", "-j", str(jobs), *programs], cwd=self.tree,
                                                       capture_output=True, text=True).stdout)

    def _check_sources(self):
        """A quick look before the long build, also at what only callers instantiate."""
        texts = []
        callers = ["engine/store_test.cpp", "engine/key_queue_test.cpp", "harness/explore/store_schedule_test.cpp", "engine/parallel_test.cpp"]
        callers = [f for f in callers if (self.tree / f).exists()]
        for file in callers + [f for f in engine_files(self.top) if f.endswith(".cpp")]:
            command = ["clang++-14", "-std=c++20", "-fsyntax-only", "-I.", *_FLAGS.split(), file]
            texts.append(subprocess.run(command, cwd=self.tree, capture_output=True, text=True).stderr)
        return "".join(texts)

    def _until_it_compiles(self, attempt):
        while True:
            output = attempt()
            (self.home / "build.log").write_text(output)
            if "error:" not in output and "FAILED:" not in output:
                return
            bad = self._culprits(output)
            if not bad:
                raise RuntimeError("the mutated engine does not compile:\n" + output[-8000:])
            keys = {m.key for m in self.mutants if m.number in bad}
            with open(self.uncompiled_file, "a") as out:
                out.writelines(key + "\n" for key in sorted(keys))
            self._forget(keys)
            self._write_sources()

    def _culprits(self, output):
        """The mutants in whose text the errors are, or the templates that were instantiated there."""
        texts, bad, found = {}, set(), True
        for match in re.finditer(r"^([^\s:]+):(\d+):(\d+): (error|note)", output, re.M):
            if match.group(4) == "error":
                found = False
            if found:
                continue
            file = match.group(1)
            file = file[file.index("engine/"):] if "engine/" in file else file
            if file not in texts:
                path = self.tree / file
                texts[file] = path.read_text(encoding="latin-1") if file.startswith("engine/") and path.exists() else ""
            numbers = schemata.numbers_at(texts[file], int(match.group(2)), int(match.group(3))) if texts[file] else []
            if numbers:
                bad.add(numbers[0])
                found = True
        return bad

    def programs(self):
        """Test programs that the engine is compiled into."""
        listed = subprocess.run(["ninja", "-C", "build", "-t", "targets", "all"], cwd=self.tree, capture_output=True, text=True).stdout
        known = {line.split(":")[0] for line in listed.splitlines()}
        programs = []
        for path in self.tree.rglob("CMakeLists.txt"):
            if self.binaries in path.parents:
                continue
            for name, label in re.findall(r"touchstone_test\(NAME (\w+) LABEL (\w+)", path.read_text()):
                if label not in TECHNIQUES or name not in known:
                    continue
                inputs = subprocess.run(["ninja", "-C", "build", "-t", "inputs", name], cwd=self.tree, capture_output=True, text=True).stdout
                if re.search(r"/engine/\w+(/\w+)?\.cpp", inputs):
                    programs.append(name)
        return sorted(programs)

    # Running.
    def tests(self):
        shown = subprocess.run(["ctest", "--test-dir", str(self.binaries), "--show-only=json-v1"], capture_output=True, text=True, check=True)
        tests = []
        for test in json.loads(shown.stdout)["tests"]:
            label = test["name"].split("/")[0]
            command = test.get("command", [])
            named = [a for a in command if a.startswith("--gtest_filter=")]
            if label in TECHNIQUES and named:
                tests.append(Test(named[0].split("=", 1)[1], label, command[0]))
        return tests

    def run(self, tests, seconds, mutant=0, reached=None, seed=1, elapsed=0.0):
        """Runs tests of one program until the first that fails, or until it has used up `seconds` of a processor, or three times as many on
        the clock and `elapsed` more: for tests that wait."""
        environment = dict(os.environ, TMPDIR=str(self.scratch), TOUCHSTONE_SEED=str(seed), GTEST_FAIL_FAST="1")
        for name, value in (("TOUCHSTONE_MUTANT", mutant), ("TOUCHSTONE_REACHED", reached)):
            environment.pop(name, None)
            if value:
                environment[name] = str(value)
        command = self._isolated() + [tests[0].program, "--gtest_filter=" + ":".join(t.name for t in tests)]

        def limit():
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

        began = time.monotonic()
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        log = self.home / f"run.{os.getpid()}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, cwd=self.top, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                       start_new_session=True, preexec_fn=limit)
            late = False
            try:
                process.wait(3 * seconds + elapsed)
            except subprocess.TimeoutExpired:
                late = True
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        output = log.read_bytes().decode("latin-1")[-200_000:]
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        took = time.monotonic() - began
        run = self._judged(process.returncode, late, output, max(spent, 0.001) if not late else took)
        run.elapsed = took
        return run

    def _isolated(self):
        """Its own processes, shared memory and temporary files, where this system lets us."""
        if self.isolation is None:
            tried = subprocess.run(_ISOLATION + ["true"], env=dict(os.environ, TMPDIR=str(self.scratch)), capture_output=True)
            self.isolation = _ISOLATION if tried.returncode == 0 else []
        return self.isolation

    @staticmethod
    def _judged(status, late, output, seconds):
        run = Run(seconds=seconds, output=output)
        if status == 0 and not late and "[  PASSED  ]" in output:  # a mutant that ends the process has passed nothing
            return run
        started = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
        failed = re.search(r"^\[  FAILED  \] ([^\s,]+)", output, re.M)
        run.failed = failed.group(1) if failed else started[-1] if started else "before any test"
        out_of_time = late or status in (-signal.SIGXCPU, 128 + signal.SIGXCPU)
        run.how = "failed" if failed else "watchdog" if out_of_time else "crashed"
        found = re.search(r"^found in execution (\d+)", output, re.M)
        run.found_in = int(found.group(1)) if found else 0
        return run
