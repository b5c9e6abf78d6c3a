"""What the tests of figures share: a small study of one's own, and how to change its files."""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[2] / "experiments" / "figures"
sys.path[:0] = [str(SOURCES), str(HERE)]

import h5py  # noqa: E402

import style  # noqa: E402
import synthetic_study  # noqa: E402
from records import RecordError, read_study  # noqa: E402


def run_report(folder):
    return subprocess.run([sys.executable, "-B", str(SOURCES / "make_report.py"), str(folder)],
                          capture_output=True, text=True, check=False)


def edit(path, change):
    """Changes a run file and seals it again."""
    synthetic_study.unseal(path)
    with h5py.File(path, "r+") as file:
        change(file)
    synthetic_study.seal(path)


class StudyCase(unittest.TestCase):
    """Each test gets its own copy of one small study."""

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.original = synthetic_study.write_study(Path(cls.scratch.name) / "original",
                                                   sizes=(100_000, 400_000), seeds=(1, 2))
        style.use_house_style()

    @classmethod
    def tearDownClass(cls):
        cls.scratch.cleanup()

    def setUp(self):
        self.folder = Path(self.scratch.name) / self.id()
        shutil.copytree(self.original, self.folder)
        self.run = self.folder / "runs" / "n100000-s1.h5"

    def tearDown(self):
        style.plt.close("all")

    def refuses(self, pattern):
        with self.assertRaisesRegex(RecordError, pattern) as caught:
            read_study(self.folder)
        self.assertNotIn("\n", str(caught.exception))
