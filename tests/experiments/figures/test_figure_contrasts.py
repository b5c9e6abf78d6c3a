"""Tests of the figures of contrasts and of verdicts' numbers: run with Python, the exit
code counts."""

import json
import unittest

from study_case import StudyCase, edit  # first: it sets the path of the modules below

import numpy as np

import breakdown
import growth
import injection
import joint
import mediators
import per_bit
import plateau
import ratio
import schedules
import scheme_laws
import split
import style
import training_precision
import transfer
from records import Absent, read_study


class Schedules(StudyCase):
    def families(self):
        study = read_study(self.folder)
        return schedules.sorted_rows(growth.damage_points(study, 4, all_arms=True))

    def test_cosines_count_at_their_end_only_and_fine_tuning_not_at_all(self):
        found = self.families()
        self.assertEqual({family for size, family in found if size == 1e5},
                         {"constant rate", "cosine to its end", "cooled, share of D",
                          "cooled, fixed length", "average (EMA)"})
        ends = sorted(p.tokens for p in found[1e5, "cosine to its end"])
        trunk = sorted({p.tokens for p in found[1e5, "constant rate"]})
        self.assertEqual(ends, [trunk[2], trunk[4], trunk[5]])

    def test_an_arm_with_another_recipe_is_no_contrast_of_schedules(self):
        for path in self.folder.glob("runs/cosine*-n100000-s1.h5"):
            edit(path, lambda f: f["options"].attrs.update({"model.lr": 1.0}))
        self.assertNotIn((1e5, "cosine to its end"), self.families())
        self.assertIn((4e5, "cosine to its end"), self.families())

    def test_a_study_of_one_schedule_has_no_such_figure(self):
        for path in self.folder.glob("runs/*.h5"):
            if path.name.startswith("n"):
                edit(path, lambda f: f["checkpoints/kind"].write_direct(
                    np.array(["trunk"] * 16, dtype=object)))
            else:
                path.unlink()
        with self.assertRaisesRegex(Absent, "second schedule"):
            schedules.schedules_figure(read_study(self.folder))


class Plateau(StudyCase):
    def test_levels_are_read_where_all_runs_of_a_size_have_been(self):
        trunks, _ = plateau.trunks_of(read_study(self.folder))
        settings = trunks[1e5]
        self.assertEqual(set(settings), {(1e-3, 32), (3e-3, 8), (3e-3, 32)})
        common, levels = plateau.levels_of(settings)
        line = sorted(next(iter(settings[1e-3, 32].values())))
        self.assertEqual(common, line[-1][0])
        self.assertAlmostEqual(levels[1e-3, 32][0], line[-1][1])
        next(iter(settings[3e-3, 8].values())).sort()
        next(iter(settings[3e-3, 8].values())).pop()
        common, levels = plateau.levels_of(settings)
        self.assertEqual(common, line[-2][0])
        self.assertAlmostEqual(levels[1e-3, 32][0], line[-2][1])

    def test_one_setting_has_no_such_figure(self):
        for path in self.folder.glob("runs/rate*.h5"):
            path.unlink()
        with self.assertRaisesRegex(Absent, "two rates"):
            plateau.plateau_figure(read_study(self.folder))


class Injection(StudyCase):
    def test_ratios_are_of_the_fewest_and_the_most_tokens_and_lost_directions_are_left_out(self):
        points = injection.points_of(read_study(self.folder))
        panels = injection.at_tokens(points)
        tokens = sorted({p[0].tokens for p in points})
        self.assertEqual(list(panels), [tokens[0], tokens[-1]])
        self.assertNotIn("negative", {p[1] for p in panels[tokens[0]]})
        top = [p[3] for p in points if p[1] == "top" and p[2] == 0.1]
        self.assertAlmostEqual(np.median(top), 1.3, delta=0.02)

    def test_a_study_without_it_has_no_such_figure(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: f.pop("injection", None))
        with self.assertRaisesRegex(Absent, "injection|injected"):
            injection.injection_figure(read_study(self.folder))


class Transfer(StudyCase):
    def test_tuned_and_trunk_stand_at_the_same_tokens_of_the_trunk(self):
        _, own, tuned = transfer.tuned_pair(read_study(self.folder))
        self.assertEqual({p.kind for p in own} | {p.kind for p in tuned}, {"trunk", "tuned"})
        self.assertLess({p.tokens for p in tuned}, {p.tokens for p in own})

    def test_one_of_the_two_is_enough(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: f.pop("shift", None))
        figure = transfer.transfer_figure(read_study(self.folder)).figure
        titles = [ax.get_title() or ax.get_title(loc="left") for ax in figure.axes]
        self.assertEqual([t for t in titles if t], ["after fine-tuning, δ at 4 bits"])


class FromVerdicts(StudyCase):
    def change(self, question, change):
        path = self.folder / "verdict.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(next(v for v in content["verdicts"] if v["id"] == question))
        path.write_text(json.dumps(content), encoding="utf-8")
        return read_study(self.folder)

    def test_bars_of_the_split_end_at_the_sum(self):
        figure = split.split_figure(read_study(self.folder)).figure
        bars = [(p.get_x(), p.get_x() + p.get_width()) for p in figure.axes[0].patches]
        self.assertEqual(len(bars), 5)
        for (_, end), (start, _) in zip(bars[:3], bars[1:4]):
            self.assertAlmostEqual(start, end)
        self.assertAlmostEqual(bars[3][1], bars[4][1])
        self.assertEqual(bars[4][0], 0)

    def test_exponents_of_tokens_and_size_are_compared_for_all_rows_and_the_late_ones(self):
        found = ratio.differences_of(read_study(self.folder))
        self.assertEqual(list(found), ["damage", "trace"])
        self.assertEqual([found["damage"][late]["estimate"] for late in (False, True)], [0.6, 0.1])
        self.assertEqual(list(found["trace"]), [False])
        study = self.change("Q9", lambda v: v.update(estimate=None, findings=[]))
        with self.assertRaisesRegex(Absent, "exponents of tokens"):
            ratio.ratio_figure(study)

    def test_mediators_are_sorted_and_a_bar_below_the_axis_is_said(self):
        bars = mediators.bars_of(read_study(self.folder))
        self.assertEqual(([name for name, _ in bars][:2], len(bars)),
                         (["prediction", "prediction_as_is"], 6))

        def lower(verdict):
            next(f for f in verdict["findings"] if f["key"] == "q3.mediator.loss")["estimate"] = -9.0
        study = self.change("Q3", lower)
        self.assertIn("1 bar cut at −0.5", mediators.mediators_figure(study).caption)

    def test_marks_of_the_breakdown_follow_from_the_interval_alone(self):
        for low, high, mark in ((-0.05, 0.05, breakdown.WITHIN), (0.06, 0.2, breakdown.ABOVE),
                                (-0.3, -0.06, breakdown.BELOW), (0.03, 0.2, breakdown.MORE),
                                (-0.2, -0.03, breakdown.LESS), (-0.05, 0.2, breakdown.OPEN),
                                (None, None, breakdown.OPEN)):
            entry = {"low": low, "high": high, "independent": 0.02}
            self.assertEqual(breakdown.mark_of(entry, 2, 0.1), mark)

    def test_a_combination_that_one_site_dominates_stands_in_brackets(self):
        cells = breakdown.maps_of(read_study(self.folder))[(0, 1), None]
        self.assertEqual(breakdown.text_of(cells[2.0, 8.0], 1, 0.1), f"(−0.30)\n{breakdown.LESS}")
        self.assertNotIn("(", breakdown.text_of(cells[2.0, 6.0], 1, 0.1))

    def test_breakdown_has_a_map_for_each_pair_and_each_cache_width_of_the_triple(self):
        maps = breakdown.maps_of(read_study(self.folder))
        self.assertEqual(list(maps), [((0, 1), None), ((0, 2), None), ((1, 2), None),
                                      ((0, 1, 2), 3.0), ((0, 1, 2), 4.0)])
        found = maps[(0, 2), None][3.0, 4.0]
        self.assertLessEqual(read_study(self.folder).finding("q6.interaction.w3kv4").items(),
                             found.items())
        self.assertEqual(found["independent"], 0.02)

    def test_factors_of_one_bit_come_by_theory_and_by_bits(self):
        factors = per_bit.factors_of(read_study(self.folder))
        self.assertEqual(list(factors), list(per_bit.LOOKS))
        self.assertEqual([e["estimate"] for _, e in factors["squared step"]], [5.44, 4.59, 4.27])

    def test_training_precision_draws_the_fitted_law_through_the_measured_shares(self):
        ax = style.plt.figure().add_subplot()
        training_precision.draw_shares(ax, read_study(self.folder))
        law = max(ax.lines, key=lambda line: len(line.get_xdata()))
        np.testing.assert_allclose(law.get_ydata(), 1 - np.exp(-law.get_xdata() / 2.6))

    def test_training_precision_knows_which_part_was_lowered(self):
        self.assertEqual(training_precision.lowered_part([16, 4, 16]), ("a", 4))
        self.assertIsNone(training_precision.lowered_part([3, 4, 16]))
        self.assertIsNone(training_precision.lowered_part([16, 16, 16]))
        losses = training_precision.losses_of(read_study(self.folder))
        self.assertEqual(sorted((p.size, p.part) for p in losses),
                         [(s, ("w", b)) for s in (1e5, 4e5) for b in (3, 4, 6, 8)])

    def test_joint_training_stands_against_the_product_of_its_sites(self):
        self.assertEqual(joint.sites_of("w3a2_5kv4"), ("W", "A", "KV"))
        self.assertEqual(joint.sites_of("w3a4"), ("W", "A"))
        cells = joint.cells_of(read_study(self.folder))
        self.assertEqual({(cell, sites): (m["estimate"] / p["estimate"]) for cell, sites, m, p in cells},
                         {("w3a3", ("W", "A")): 1, ("w4a3", ("W", "A")): 1,
                          ("w3kv4", ("W", "KV")): 1.2, ("w3a3kv4", ("W", "A", "KV")): 0.8})
        ax = style.plt.figure().add_subplot()
        joint.draw_cells(ax, cells)
        joint.draw_identity(ax)
        colours = {tuple(line.get_xydata()[0]): line.get_color() for line in ax.lines
                   if line.get_marker() != "None" and len(line.get_xdata()) == 1}
        self.assertEqual(colours, {(p["estimate"], m["estimate"]): joint.LOOKS[sites][1]
                                   for _, sites, m, p in cells})
        bars = [tuple(map(tuple, line.get_xydata())) for line in ax.lines if line.get_linestyle() == "-"]
        for _, _, m, p in cells:
            self.assertIn(((p["estimate"], m["low"]), (p["estimate"], m["high"])), bars)
            self.assertIn(((p["low"], m["estimate"]), (p["high"], m["estimate"])), bars)
        (x0, y0), (x1, y1) = bars[-1]
        self.assertEqual((x0, x1), (y0, y1))
        self.assertEqual(ax.get_legend_handles_labels()[1],
                         ["weights × activations", "weights × KV", "all three"])

    def test_a_study_without_joint_training_has_no_such_figure(self):
        path = self.folder / "verdict.json"
        path.write_text(path.read_text(encoding="utf-8").replace("q12.product", "q12.other"), encoding="utf-8")
        with self.assertRaisesRegex(Absent, "lowered together"):
            joint.joint_figure(read_study(self.folder))

    def test_schemes_stand_at_their_numbers_without_single_widths_and_uniform_bits_among_the_others(self):
        panels = scheme_laws.panels_of(read_study(self.folder))
        self.assertEqual([(panel[1], [(name, entry["estimate"]) for name, entry in entries])
                          for panel, entries in panels],
                         [("Q13", [("rtn", 1.01), ("gptq", 1.33)]), ("Q14", [("gptq", -0.2)]),
                          ("Q15", [("mixed_trace", -0.05), ("uniform", -0.3)])])
        ax = style.plt.figure().add_subplot()
        panel, entries = panels[0]
        scheme_laws.draw_panel(ax, panel, entries, {"thresholds": [{"name": "q13_tolerance", "value": 0.1}]})
        marks = [tuple(line.get_xydata()[0]) for line in ax.lines if line.get_marker() == "o"]
        self.assertEqual(marks, [(1.01, 0), (1.33, 1)])
        self.assertEqual([label.get_text() for label in ax.get_yticklabels()], ["rtn", "gptq"])

    def test_a_study_without_schemes_in_its_verdicts_has_no_such_figure(self):
        path = self.folder / "verdict.json"
        text = path.read_text(encoding="utf-8")
        for question in ("13", "14", "15"):
            text = text.replace(f'"Q{question}"', f'"X{question}"')
        path.write_text(text, encoding="utf-8")
        with self.assertRaisesRegex(Absent, "schemes of quantization"):
            scheme_laws.scheme_laws_figure(read_study(self.folder))


if __name__ == "__main__":
    unittest.main()
