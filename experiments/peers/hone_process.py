"""hone's process as a competitor: one command per line out, one line of JSON back."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from problems import Problem, write_problem


class HoneProcess:
    """Use as a context manager; the problem file lives as long."""

    def __init__(self, program: Path, problem: Problem, threads: int):
        self.folder = tempfile.TemporaryDirectory(prefix="hone_peers_")
        file = Path(self.folder.name) / "problem.bin"
        write_problem(problem, file)
        self.vector_file = Path(self.folder.name) / "vector.f64"
        self.process = subprocess.Popen(
            [str(program), str(file), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "HoneProcess":
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.folder.cleanup()

    def ask(self, **command) -> dict:
        try:
            self.process.stdin.write(json.dumps(command) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise SystemExit("hone_peers ended early; its message is above") from None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("hone_peers ended early; its message is above")
        reply = json.loads(line)
        if "error" in reply:
            raise SystemExit(f"hone_peers: {reply['error']}")
        return reply

    def seconds(self, measure: str, calls: int) -> float:
        """Mean of `calls` calls."""
        kind, scalar = measure.split("_")
        return self.ask(do="time", measure=kind, scalar=scalar, calls=calls)["seconds"]

    def vector(self, measure: str) -> np.ndarray:
        kind, scalar = measure.split("_")
        self.ask(do="vector", measure=kind, scalar=scalar, file=str(self.vector_file))
        return np.fromfile(self.vector_file, "<f8")

    def losses(self, scalar: str, steps: int) -> list[float]:
        return self.ask(do="losses", scalar=scalar, steps=steps)["losses"]
