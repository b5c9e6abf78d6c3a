"""Tests of the figures of few bits, of architectures and of experts: run with Python, the exit
code counts."""

import unittest

from study_case import StudyCase, edit  # first: it sets the path of the modules below

import architecture
import experts
import few_bits
import style
from records import Absent, read_study


class Models(StudyCase):
    def without(self, key):
        path = self.folder / "verdict.json"
        path.write_text(path.read_text(encoding="utf-8").replace(key, "q0.other"), encoding="utf-8")
        return read_study(self.folder)

    def test_few_bits_stand_at_their_widths_beside_the_law(self):
        self.assertEqual(few_bits.width_of("bitnet_1_58"), ("bitnet", 1.58))
        points = few_bits.points_of(read_study(self.folder))
        self.assertEqual([(m, b) for m, b, _, _ in points],
                         [("binary", 1), ("bitnet", 1.58), ("qat", 3), ("qat", 6)])
        for method, _, measured, law in points:
            ratio = measured["estimate"] / law["estimate"]
            self.assertAlmostEqual(ratio, 2 / 3 if method == "binary" else 1)
        bits, law = few_bits.law_curve(points, 2.0)
        self.assertEqual((bits[0], bits[-1]), (1, 6))
        self.assertAlmostEqual(law[0], points[0][3]["estimate"])
        ax = style.plt.figure().add_subplot()
        few_bits.draw_points(ax, points)
        marks = [tuple(line.get_xydata()[0]) for line in ax.lines
                 if line.get_marker() != "None" and len(line.get_xdata()) == 1]
        self.assertEqual(marks, [(b, m["estimate"]) for _, b, m, _ in points])
        with self.assertRaisesRegex(Absent, "few bits"):
            few_bits.few_bits_figure(self.without("q16.fraction"))

    def test_architectures_have_three_gaps_each_and_the_band_of_the_rule(self):
        study = read_study(self.folder)
        gaps = architecture.gaps_of(study)
        self.assertEqual({arm: [e["estimate"] for e in g.values()] for arm, g in gaps.items()},
                         {"deep": [0.2, 0.15, 0.0], "gpt2": [0.02, -0.01, 0.05]})
        self.assertEqual(architecture.tolerance_of(study), 0.1)
        figure = architecture.architecture_figure(study).figure
        self.assertEqual([t.get_text() for t in figure.axes[0].get_yticklabels()], ["deep", "gpt2"])
        with self.assertRaisesRegex(Absent, "another architecture"):
            architecture.architecture_figure(self.without("q17.gap"))

    def test_experts_show_each_contrast_and_the_damage_of_each_expert_over_its_layer(self):
        study = read_study(self.folder)
        self.assertEqual([(size, part, e["estimate"]) for size, part, e in experts.contrasts_of(study)],
                         [("active", "", 0.4), ("active", "predicted.", 0.3),
                          ("active", "residual.", 0.1), ("total", "", 0.1)])
        points = experts.loads_of(study)
        self.assertEqual(len(points) % 16, 0)
        for load, share in points:
            self.assertAlmostEqual(share, 1 + 0.5 * (load - 1))
        self.assertEqual(len(experts.experts_figure(study).figure.axes), 2)
        for path in self.folder.glob("runs/experts*.h5"):
            edit(path, lambda f: f.pop("experts", None))
        self.assertEqual(len(experts.experts_figure(read_study(self.folder)).figure.axes), 1)
        with self.assertRaisesRegex(Absent, "dense"):
            experts.experts_figure(self.without("q18."))


if __name__ == "__main__":
    unittest.main()
