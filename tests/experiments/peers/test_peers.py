"""Tests of the comparison's pure parts: turns, statistics, shapes, the problem file, tables. No peer is needed."""

import json
import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "experiments" / "peers"))

import numpy as np  # noqa: E402
import problems  # noqa: E402
import rounds  # noqa: E402
import tables  # noqa: E402


def check(difference, tolerance=1e-9, what="hvp_f64"):
    return {"row": "d32", "what": what, "who": "torch: eager", "difference": difference, "tolerance": tolerance,
            "agrees": rounds.agrees(difference, tolerance)}


def result(checks):
    seconds = {"hone": {"median": 0.002}, "torch: eager": {"median": 0.004}}
    measure = {"row": "d32", "measure": "hvp_f32", "rows_per_call": 4096, "seconds": seconds,
               "ratios": {"torch: eager": {"median": 2.0, "q1": 1.9, "q3": 2.2}},
               "screened_seconds": {"torch: eager": 0.004, "jax: jit": 0.04}, "best_peer": "torch: eager"}
    machine = {"time": "now", "cpu": "a CPU", "threads": 2, "torch": "2", "jax": "0", "torch_build": ["MKL"]}
    return {"machine": machine, "measures": [measure], "spectra": [], "agreement": checks}


class Rounds(unittest.TestCase):
    def test_every_competitor_is_asked_once_a_round_and_the_first_one_rotates(self):
        asked = []

        def timer(name):
            return lambda: asked.append(name) or 1.0

        rounds.take_turns({name: timer(name) for name in "abc"}, rounds=4, budget_seconds=1e9)
        self.assertEqual("".join(asked), "abc" "bca" "cab" "abc")

    def test_the_budget_ends_the_turns_but_not_before_three(self):
        samples = rounds.take_turns({"a": lambda: 1.0}, rounds=50, budget_seconds=0)
        self.assertEqual(len(samples["a"]), 3)

    def test_ratios_are_taken_within_a_round_so_that_a_common_drift_cancels(self):
        drift = np.array([1.0, 5.0, 2.0, 9.0])
        found = rounds.ratios({"hone": list(drift), "peer": list(3 * drift)}, "hone")
        self.assertEqual(list(found), ["peer"])
        self.assertEqual(found["peer"], rounds.Spread(3.0, 3.0, 3.0))

    def test_the_spread_is_the_median_and_the_quartiles(self):
        self.assertEqual(rounds.spread([5, 1, 4, 2, 3]), rounds.Spread(3.0, 2.0, 4.0))

    def test_quick_calls_are_repeated_and_slow_ones_are_not(self):
        self.assertEqual(rounds.calls_for(0.001, 0.1), 100)
        self.assertEqual(rounds.calls_for(7.0, 0.1), 1)
        self.assertEqual(rounds.calls_for(0.0, 0.1), 2000)


class Agreement(unittest.TestCase):
    def test_differences_are_relative_to_the_second_argument(self):
        self.assertAlmostEqual(rounds.relative_difference([3.0, 4.5], [3.0, 4.0]), 0.1)
        self.assertAlmostEqual(rounds.relative_difference([6.0, 8.0], [3.0, 4.0]), 1.0)

    def test_nan_and_other_shapes_never_agree(self):
        self.assertFalse(rounds.agrees(rounds.relative_difference([math.nan, 1.0], [1.0, 1.0]), 1e9))
        self.assertFalse(rounds.agrees(rounds.relative_difference([1.0], [1.0, 1.0]), 1e9))


class Problems(unittest.TestCase):
    def test_the_swiglu_width_is_the_least_multiple_of_32_above_8_thirds(self):
        for width in range(1, 600):
            found = problems.swiglu_width(width)
            self.assertEqual(found % 32, 0)
            self.assertTrue(3 * found >= 8 * width > 3 * (found - 32), width)

    def test_windows_are_text_and_targets_are_the_next_token(self):
        text = bytes(range(200))
        problem = problems.text_problem(problems.TransformerShape(1, 8, 2, 32, positions=16), text, sequences=5)
        self.assertEqual(problem.inputs.shape, (5, 16))
        self.assertTrue(np.array_equal(problem.targets, problem.inputs + 1))
        self.assertEqual(problem.inputs[0, 0], 0)
        self.assertEqual(problem.targets[-1, -1], 199)

    def test_a_text_that_is_too_short_is_refused_with_both_lengths(self):
        with self.assertRaisesRegex(SystemExit, "7 bytes; 22 are needed"):
            problems.token_windows(b"a" * 7, sequences=5, positions=16, vocabulary=256)

    def test_splitting_the_flat_vector_gives_every_block_its_shape_and_loses_nothing(self):
        for shape in problems.ROWS.values():
            blocks = shape.blocks()
            theta = problems.initial_parameters(blocks, seed=1)
            problem = problems.Problem(shape, theta, theta, np.zeros((1, 1)), np.zeros(1))
            parts = problem.split(theta)
            self.assertEqual([p.shape for p in parts], [b.shape for b in blocks])
            self.assertTrue(np.array_equal(np.concatenate([p.ravel() for p in parts]), theta))

    def test_norms_and_biases_are_the_only_blocks_without_decay(self):
        for shape in problems.ROWS.values():
            for block in shape.blocks():
                self.assertEqual(block.decayed, len(block.shape) == 2, block.name)

    def test_the_problem_file_is_a_line_of_json_and_then_the_raw_numbers(self):
        problem = problems.vector_problem(problems.MlpShape((3, 4, 2)), examples=5)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "problem.bin"
            problems.write_problem(problem, file)
            header, body = file.read_bytes().split(b"\n", 1)
        self.assertEqual(json.loads(header)["model"], {"kind": "mlp", "widths": [3, 4, 2]})
        size = problem.theta.size
        self.assertEqual(len(body), 8 * (2 * size + 5 * 3) + 4 * 5)
        self.assertTrue(np.array_equal(np.frombuffer(body[8 * size : 16 * size], "<f8"), problem.direction))
        self.assertTrue(np.array_equal(np.frombuffer(body[-20:], "<i4"), problem.targets))


class Tables(unittest.TestCase):
    def test_ratios_are_shown_with_their_quartiles_and_slow_libraries_as_screened_once(self):
        text = tables.render(result([check(1e-12)]))
        self.assertIn("| d32 | hvp_f32 | 2 | 2.05e+06 | 2.00 [1.90, 2.20] | 20.0 (once) | - | torch: eager |", text)
        self.assertIn("1 checks, all agree", text)

    def test_a_disagreement_is_said_and_a_nan_is_the_worst_difference(self):
        text = tables.render(result([check(1e-12), check(math.nan), check(1e-3)]))
        self.assertIn("3 checks, 2 DISAGREE", text)
        self.assertIn("| hvp_f64 | 3 | nan |", text)


if __name__ == "__main__":
    unittest.main()
