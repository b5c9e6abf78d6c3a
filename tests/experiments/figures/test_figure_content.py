"""Tests of what single figures and tables show: run with Python, the exit code counts."""

import json
import unittest

from study_case import StudyCase, edit  # first: it sets the path of the modules below

import numpy as np

import along_text
import certificates
import decode
import growth
import prediction
import removed_bits
import schemes
import spectrum
import style
import sum_rule
import synthetic_study
import tasks
import tuning
from records import Absent, read_study


class WhatIsDrawn(StudyCase):
    def test_medians_are_over_seeds_of_positive_values(self):
        study = read_study(self.folder)
        points = growth.sharpness_points(study, "trace")
        line = growth.medians_over_seeds(points)[1e5, "trunk"]
        self.assertEqual(len(line), 7)
        both = [p.trace for p in points if p.size == 1e5 and p.variant == "trunk"
                and p.tokens == line[3][0]]
        self.assertEqual(len(both), 2)
        self.assertEqual(line[3][1], sum(both) / 2)

    def test_fitted_lines_are_the_verdicts_law_and_need_its_constant(self):
        study = read_study(self.folder)
        ax = style.plt.figure().add_subplot()
        points = growth.sharpness_points(study, "trace")
        _, drawn = growth.draw_growth(ax, points, "trace", growth.law_of_sharpness(study, "trace"))
        self.assertEqual(drawn, "slope")
        text = json.dumps({"schema": 4, "verdicts": synthetic_study.verdicts(True)})
        (self.folder / "verdict.json").write_text(text, encoding="utf-8")
        study = read_study(self.folder)
        ax = style.plt.figure().add_subplot()
        _, drawn = growth.draw_growth(ax, points, "trace", growth.law_of_sharpness(study, "trace"))
        self.assertEqual(drawn, "lines")
        dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
        self.assertEqual(len(dashed), 2)
        for line, size in zip(dashed, (1e5, 4e5)):
            x, y = line.get_xdata(), line.get_ydata()
            np.testing.assert_allclose(y, 20 * np.sqrt(x) * (size / 1e5) ** 0.2, rtol=1e-9)

    def test_the_prediction_is_drawn_beside_damage_without_its_first_order_term(self):
        whole = [p.delta_nats for p in prediction.drawable_points(read_study(self.folder))
                 if p.run.path == self.run]

        def add_first_order(file):
            group = file["ptq"]
            group.copy("predicted_nats", "gradient_nats")
            group["delta_nats"][...] += group["gradient_nats"][...]

        edit(self.run, add_first_order)
        points = [p for p in prediction.drawable_points(read_study(self.folder))
                  if p.run.path == self.run]
        np.testing.assert_allclose([p.delta_nats for p in points], whole, rtol=1e-12)
        self.assertTrue(all(p.gradient_nats > 0 for p in points))

    def test_density_integrates_to_one(self):
        rng = np.random.default_rng(0)
        node, weight = rng.normal(size=(3, 20)), rng.random((3, 20))
        weight /= weight.sum(axis=1, keepdims=True)
        u = np.linspace(-12, 12, 4001)
        total = spectrum.smoothed(node, weight, 1e-2, u).sum(axis=1) * (u[1] - u[0])
        np.testing.assert_allclose(total, 1, rtol=1e-9)

    def test_certified_eigenvalues_stand_in_the_density_with_mass_one_over_n(self):
        run, picks = spectrum.chosen_run(read_study(self.folder))
        node, weight = spectrum.with_atoms(run, picks[0])
        self.assertEqual(node.shape, (4, 40 + 14))
        np.testing.assert_allclose(weight[:, 40:], 1e-5)
        np.testing.assert_allclose(node[2, 40:52], run.array("curvature", "lambda")[picks[0]])

    def test_failed_certificate_is_marked_loudly_and_a_passed_one_is_not(self):
        study = read_study(self.folder)
        self.assertEqual(certificates.warning(study), "")
        self.assertNotIn("FAILED", certificates.section(study))

        def fail(file):
            file["curvature/certificate_value"][1, 1] = 0.5
            file["curvature/certificate_passed"][1, 1] = 0
        edit(self.run, fail)
        study = read_study(self.folder)
        self.assertIn("1 of ", certificates.warning(study))
        section = certificates.section(study)
        self.assertEqual(section.count("FAILED"), 1)
        self.assertIn("0.5 &gt; 1e-05".replace("&gt;", ">"), section)

    def test_table_of_schemes_has_a_row_per_entry_and_escapes_names(self):
        def rename(file):
            file["schemes/scheme"][0] = "<b>"
        edit(self.run, rename)
        section = schemes.section(read_study(self.folder))
        self.assertEqual(section.count("<tr><td class=''>rotate+gptq</td>"), 10)
        self.assertIn("<td class=''>&lt;b&gt;</td><td class='num'>8</td>", section)
        self.assertIn("<td class=''>mxfp4</td><td class='num'>–</td><td class='num'>4.450</td>", section)

    def test_scheme_without_loss_rise_is_counted_and_not_lost(self):
        def lower(file):
            file["schemes/delta_nats"][3] = -1e-3
        edit(self.folder / "runs" / "n400000-s1.h5", lower)
        self.assertIn("1 value at or below zero", schemes.schemes_figure(read_study(self.folder)).caption)

    def test_gains_of_schedules_stand_at_their_averages_and_in_their_order(self):
        gains = along_text.gains_of(read_study(self.folder))
        self.assertEqual(list(gains), ["step_down", "reversed", "surprise"])
        self.assertEqual(sorted(gains["surprise"]), [2.5, 4.0])
        self.assertEqual(gains["reversed"][2.5]["estimate"], -0.3)

    def test_marks_after_quantization_lie_below_the_trunk_by_what_the_loss_does_not_say(self):
        study = read_study(self.folder)
        scores = tasks.scores_of(study)
        self.assertEqual(list(scores), ["copy", "brackets"])
        self.assertEqual(tasks.judged_bits(study, {2, 3, 6, 8}), [3, 6])
        ax = style.plt.figure().add_subplot()
        row, place = scores["copy"][0]
        tasks.draw_task(ax, [(row, place)], [3])
        mark, trunk = ax.lines
        x, y = (float(v[0]) for v in mark.get_data())
        self.assertAlmostEqual(y, np.exp(-x) - 0.1)
        self.assertAlmostEqual(trunk.get_ydata()[0], np.exp(-trunk.get_xdata()[0]))

    def test_changes_by_tuning_are_those_of_the_verdict_in_one_order(self):
        changes = tuning.changes_of(read_study(self.folder))
        self.assertEqual({name: entries["tuned"]["estimate"] for name, entries in changes.items()},
                         {"damage": 0.7, "prediction": 0.67, "gap": 0.03})

    def test_exponents_of_the_bits_removed_are_those_of_the_verdict(self):
        study = read_study(self.folder)
        found = {contrast: {name: entry["estimate"] for name, entry in entries.items()}
                 for contrast, entries in removed_bits.exponents_of(study).items()}
        self.assertEqual(found, {"trunk": {"few": 15, "many": 15.1, "gap": 0.1},
                                 "tuned": {"few": 15, "many": 16, "gap": 1}})
        left = removed_bits.removed_bits_figure(study).figure.axes[0]
        marks = {line.get_color(): [] for line in left.lines if line.get_marker() in "os"}
        for line in left.lines:
            if line.get_marker() in "os" and len(line.get_xdata()):
                marks[line.get_color()].append(line.get_xdata()[0])
        self.assertEqual(list(marks.values()), [[15, 15], [15.1, 16]])
        self.assertEqual([t.get_text() for t in left.get_yticklabels()], ["the trunk", "tuned branches"])

    def test_ratios_of_a_mode_of_rounding_stand_by_width_without_their_mean(self):
        study = read_study(self.folder)
        found = removed_bits.ratios_of(study)
        self.assertEqual([(bits, entry["estimate"]) for bits, entry in found["stochastic"]],
                         [(2.5, 1.7), (4, 2.0)])
        ax = removed_bits.rounding_figure(study).figure.axes[0]
        at = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines
              if line.get_marker() == "o" and len(line.get_xdata())]
        self.assertEqual(at, [(1.7, 0), (2.0, 1)])

    def test_the_sum_of_exponents_is_drawn_as_its_departure_from_one(self):
        study = read_study(self.folder)
        drawn = sum_rule.entry_of(study, "late.sum")
        self.assertAlmostEqual(drawn["estimate"], 0.1)
        self.assertAlmostEqual(drawn["high"] - drawn["low"], 0.1)
        self.assertEqual(sum_rule.entry_of(study, "late.gamma")["estimate"], 0.6)
        self.assertIsNone(sum_rule.entry_of(study, "late.spectrum_gap"))

    def test_the_legend_of_policies_holds_the_exponent_of_the_verdict(self):
        study = read_study(self.folder)
        self.assertEqual(decode.exponent_text(study, "token4"), "\n  0.02 (-0.08 to 0.12)")
        self.assertEqual(decode.exponent_text(study, "kivi2"), "")

    def test_tables_of_decoding_have_a_row_per_policy_and_schedule(self):
        def rename(file):
            file["decode/policy"][0] = "<b>"
        edit(self.run, rename)
        section = decode.section(read_study(self.folder))
        self.assertIn("<td class=''>&lt;b&gt;</td><td class='num'>6.000</td>", section)
        self.assertEqual(section.count("<tr><td class=''>kivi2</td>"), 6)  # three tables of two runs
        self.assertIn("<td class='num'>0.20000 ± 0.10000</td><td class='num'>0.25000 ± 0.10000</td>", section)
        self.assertIn("<tr><td class=''>step_down</td><td class='num'>4.000</td><td class='num'>5 → 3</td>"
                      "<td class='num'>0.03000 ± 0.00200</td><td class='num'>0.01000 ± 0.00400</td>",
                      section)

    def test_bits_of_the_cache_are_those_of_the_experiment_of_their_row(self):
        section = decode.section(read_study(self.folder))
        losses = "<td class=''>kivi2</td><td class='num'>2.500</td><td class='num'>3.000</td>"
        free = "<td class=''>kivi2</td><td class='num'>9.250</td><td class='num'>9.500</td><td class='num'>9.5</td>"
        self.assertEqual((section.count(losses), section.count(free)), (2, 2))
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: [f.pop(f"decode_free/{name}", None) for name in ("key_bits", "value_bits")])
        older = decode.section(read_study(self.folder))  # a file that has none shows none
        self.assertEqual((older.count(losses), older.count("<td class='num'>–</td>")), (2, 12))

    def test_policies_without_copies_or_free_runs_still_have_their_line(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: [f.pop(g, None) for g in ("decode_copy", "decode_free")])
        study = read_study(self.folder)
        self.assertEqual(decode.section(study).count("<td class=''>kivi2</td>"), 2)
        self.assertRegex(decode.decode_figure(study).caption, r"octave of position")

    def test_report_without_decoding_has_no_section_of_it(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: [f.pop(g) for g in list(f) if g.startswith("decode")])
        study = read_study(self.folder)
        self.assertEqual(decode.section(study), "")
        with self.assertRaises(Absent):
            decode.decode_figure(study)

    def test_largest_transformer_gives_the_spectrum(self):
        run, picks = spectrum.chosen_run(read_study(self.folder))
        self.assertEqual((run.manifest["run_id"], len(picks)), ("n400000-s1", 7))


if __name__ == "__main__":
    unittest.main()
