"""A study on a real Slurm that loses tasks, nodes and its controller: whatever happens, every run file in the end has
the bits of an undisturbed local run. usage: test_slurm.py HONE"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import h5py  # noqa: E402

from cluster import Cluster, missing_programs, wait_for  # noqa: E402

HONE = sys.argv[1] if len(sys.argv) > 1 else ""
SKIPPED = 77
STUDY = HERE / "study.toml"
# What a run file says about how it was made; everything else must be equal.
MAY_DIFFER = {("manifest", "command"), ("manifest", "threads")}


def content(path):
    """Every attribute and every array of a run file, as bytes."""
    found = {}
    with h5py.File(path, "r") as file:
        def add(name, item):
            for key, value in item.attrs.items():
                if key not in ("REFERENCE_LIST", "DIMENSION_LIST"):  # addresses in the file
                    found[name, key] = repr(value)
            if isinstance(item, h5py.Dataset):
                values = item[()]
                found[name,] = repr(values.tolist()) if values.dtype == object else values.tobytes()
        add("", file)
        file.visititems(add)
    return {key: value for key, value in found.items() if key not in MAY_DIFFER}


class SlurmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = Path(tempfile.mkdtemp(prefix="hone-slurm-"))
        cls.addClassCleanup(shutil.rmtree, cls.scratch, ignore_errors=True)
        local = cls.scratch / "local"
        said = subprocess.run([HONE, "run", STUDY, "--out", local, "--jobs", "2", "--threads", "1"],
                              capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stderr
        cls.expected = {path.name: content(path) for path in (local / "runs").glob("*.h5")}
        assert len(cls.expected) == 4

    def setUp(self):
        started = time.monotonic()
        name = self.id().rsplit(".", 1)[1]
        self.addCleanup(lambda: print(f"{name}: {time.monotonic() - started:.1f} s", flush=True))
        self.out = self.scratch / name
        self.start_cluster(name)

    def start_cluster(self, name, **options):
        self.cluster = Cluster(self.scratch / f"{name}-cluster", **options)
        self.addCleanup(self.cluster.stop)
        self.cluster.start()

    def hone(self, command, *more):
        return self.cluster.run(HONE, command, STUDY, "--out", self.out, *more)

    def submit(self, command, *more):
        said = self.hone(command, *more)
        self.assertEqual(said.returncode, 0, said.stdout + said.stderr)
        return said.stdout

    def workers(self, node=None):
        """{task: process ids} of the workers of this test that are under way."""
        found = {}
        for name in [node] if node else ["n1", "n2"]:
            for process in self.cluster.processes(name):
                try:
                    words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
                except OSError:
                    continue
                if "work" in words and str(self.out) in words[words.index("work") + 1]:
                    task = int(words[words.index("--task") + 1])
                    index = int(words[words.index("--index") + 1]) if "--index" in words else 0
                    found.setdefault(task + index, set()).add(process)
        return found

    def sleep(self):
        """Stops every worker of this test, as one that has much to do; their ids."""
        return self.signal(set().union(*self.workers().values()), signal.SIGSTOP)

    def hold_all(self):
        """Waits until all four tasks run, two to a node, and stops each as it comes, so that none ends before and none
        is half launched when a node is lost. {node: {task: process ids}}"""

        def all_there():
            self.sleep()
            found = {node: self.workers(node) for node in ("n1", "n2")}
            return found if all(len(tasks) == 2 for tasks in found.values()) else None

        held = wait_for("not all tasks run", all_there, 60)
        time.sleep(1)  # the nodes tell the controller what they have launched
        return held

    def wake(self, processes):
        self.signal(processes, signal.SIGCONT)

    @staticmethod
    def signal(processes, number):
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        return processes

    def wait_for_end(self, seconds=120):
        wait_for(f"jobs are still in the queue: {self.cluster.jobs()}\n{self.cluster.logs()}",
                 lambda: not self.cluster.jobs(), seconds)

    def expect_all_done(self):
        status = self.hone("status")
        self.assertEqual(status.returncode, 0, status.stdout + self.worker_logs())
        found = {path.name: content(path) for path in (self.out / "runs").glob("*")}
        self.assertEqual(found.keys(), self.expected.keys())
        for name, values in found.items():
            different = [key for key in values.keys() | self.expected[name].keys()
                         if values.get(key) != self.expected[name].get(key)]
            self.assertEqual(different, [], name)
        self.assertEqual(list((self.out / "work").iterdir()), [])

    def worker_logs(self):
        return "\n".join(path.read_text() for path in sorted(self.out.glob("slurm/*/log/*.log")))

    def test_normal(self):
        said = self.submit("submit", "--slurm", "--units-per-task", "1", "--max-array", "3")
        self.assertIn("4 tasks", said)
        wait_for("no task runs", self.workers, 60)
        self.assertIn(" running ", self.hone("status").stdout)
        again = self.hone("submit", "--slurm")
        self.assertEqual(again.returncode, 2)
        self.assertIn("hone resubmit", again.stderr)
        self.assertIn("nothing to submit", self.submit("resubmit"))
        self.wait_for_end()
        self.expect_all_done()
        self.assertTrue((self.out / "verdict.json").exists())
        self.assertIn("short: 4 done", self.worker_logs())

    def test_no_arrays(self):
        """A cluster that has switched job arrays off, or takes index 0 alone, gets a job for each task."""
        for size in (0, 1):
            self.cluster.stop()
            self.start_cluster(f"arrays-{size}", max_array=size)
            self.out = self.scratch / f"arrays-{size}"
            said = self.submit("submit", "--slurm", "--units-per-task", "1")
            self.assertRegex(said, r"4 tasks as job \d+, \d+, \d+, \d+, then")
            wait_for("no task runs", self.workers, 60)
            status = self.hone("status").stdout
            self.assertRegex(status, r" (running|queued) +(.*, )?job \d+\n")
            self.assertNotIn("missing", status)
            self.assertIn("nothing to submit", self.submit("resubmit"))
            self.wait_for_end()
            self.expect_all_done()
            self.assertIn("short: 4 done", self.worker_logs())

    def test_killed_task(self):
        self.submit("submit", "--slurm", "--units-per-task", "1")
        victim = wait_for("task 1 does not run", lambda: self.workers().get(1), 60)
        wait_for("nothing is saved", lambda: list((self.out / "work").glob("*.h5")), 60)
        self.signal(victim, signal.SIGKILL)
        self.wait_for_end()
        status = self.hone("status")
        self.assertEqual(status.returncode, 1)
        self.assertIn("short: 3 done, 1 ", status.stdout)
        self.assertIn("short: 3 done, 1 ", self.worker_logs())
        self.assertIn("1 tasks", self.submit("resubmit"))
        self.wait_for_end()
        self.expect_all_done()

    def test_dead_node(self):
        self.submit("submit", "--slurm", "--units-per-task", "1")
        held = self.hold_all()
        self.cluster.lose("n2")
        self.wake(set().union(*held["n1"].values()))
        self.wait_for_end()
        self.expect_all_done()

    def test_frozen_node(self):
        self.submit("submit", "--slurm", "--units-per-task", "1")
        held = self.hold_all()
        frozen = held["n2"]
        self.cluster.freeze("n2")
        self.wake(set().union(*held["n1"].values()))
        twice = wait_for("no task of n2 runs again on n1", lambda: frozen.keys() & self.workers("n1").keys(), 60)
        self.wake(set().union(*frozen.values()))
        self.assertTrue(twice)
        wait_for("the thawed tasks go on for ever", lambda: not self.workers("n2"), 60)
        self.cluster.thaw("n2")
        self.wait_for_end()
        self.expect_all_done()

    def test_new_controller(self):
        self.submit("submit", "--slurm", "--units-per-task", "1")
        self.hold_all()
        asleep = self.sleep()
        started = time.time()
        state = self.cluster.folder / "state/job_state"
        wait_for("the controller does not save its state",
                 lambda: state.exists() and state.stat().st_mtime > started, 60)
        self.cluster.kill("slurmctld")
        self.cluster.start_controller()
        wait_for("no task is in the queue of the new controller", self.cluster.jobs, 60)
        self.wake(asleep)
        self.wait_for_end()
        self.expect_all_done()

    def test_forgetful_controller(self):
        """It dies before it has saved its state: the tasks run on, and no queue knows them."""
        self.submit("submit", "--slurm", "--units-per-task", "1")
        self.hold_all()
        asleep = self.sleep()
        self.cluster.kill("slurmctld")
        shutil.rmtree(self.cluster.folder / "state")
        (self.cluster.folder / "state").mkdir()
        self.cluster.start_controller()
        self.assertEqual(self.hone("status").returncode, 1)
        self.submit("resubmit")
        self.wake(asleep)
        self.wait_for_end()
        self.expect_all_done()

    def test_time_limit(self):
        self.submit("submit", "--slurm", "--units-per-task", "4", "--time", "1", "--grace", "55")
        wait_for("nothing is saved", lambda: list((self.out / "work").glob("*.h5")), 60)
        asleep = self.sleep()

        def is_told():  # Slurm wakes the task that it signals; one that it gives back is left alone
            return "interrupted" in self.worker_logs() or any(
                signal.SIGUSR1 in self.cluster.pending_signals(process) for process in asleep)

        wait_for("no signal before the time limit", is_told, 130)
        self.wake(asleep)
        self.wait_for_end()
        self.assertIn("interrupted", self.worker_logs())
        self.expect_all_done()


if __name__ == "__main__":
    if missing := missing_programs():
        print(f"SKIPPED: {', '.join(missing)} not found; experiments/packages installs Slurm and munge")
        sys.exit(SKIPPED)
    unittest.main(argv=sys.argv[:1] + sys.argv[2:], verbosity=2)
