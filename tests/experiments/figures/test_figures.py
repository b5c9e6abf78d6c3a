"""Tests of the whole report: run with Python, the exit code counts."""

import json
import re
import shutil
import unittest
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from unittest import mock

from study_case import StudyCase, edit, run_report  # first: it sets the path of the modules below

import numpy as np

import style
import synthetic_study
from make_figures import FIGURES, make_figures
from prediction import prediction_figure
from records import Absent, read_study
from report import report_html

ALL_FIGURES = dict(FIGURES)
VOID_TAGS = {"meta", "br", "hr", "img", "link", "input"}


class Balance(HTMLParser):
    """Records what a browser would see: unbalanced tags, duplicate ids, links out of the file."""

    def __init__(self):
        super().__init__()
        self.open, self.faults, self.ids, self.links, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID_TAGS:
            self.open.append(tag)
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[k] for k in ("href", "src", "xlink:href") if k in values]
        if tag == "script":
            self.faults.append("script")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID_TAGS or tag in ("li", "p") and tag not in self.open:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"unbalanced {tag}")

    def handle_data(self, data):
        self.text.append(data)


class WholeReport(StudyCase):
    def test_writes_every_figure_and_is_byte_identical_when_rerun(self):
        first = run_report(self.folder)
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        paths = sorted(self.folder.glob("figures/*")) + [self.folder / "report.html"]
        self.assertEqual({p.stem for p in paths[:-1]}, set(ALL_FIGURES))
        self.assertEqual(first.stdout.count("wrote "), len(paths))
        before = [p.read_bytes() for p in paths]
        self.assertEqual(run_report(self.folder).returncode, 0)
        for path, content in zip(paths, before):
            self.assertEqual(path.read_bytes(), content, path.name)
        self.check_page((self.folder / "report.html").read_text(encoding="utf-8"))
        for path in self.folder.glob("figures/*.svg"):
            ElementTree.parse(path)
            self.assertNotIn("<dc:date>", path.read_text(encoding="utf-8"))

    def check_page(self, page):
        seen = Balance()
        seen.feed(page)
        self.assertEqual((seen.faults, seen.open), ([], []))
        self.assertEqual(len(seen.ids), len(set(seen.ids)))
        for link in seen.links:
            self.assertTrue(link.startswith("#") and link[1:] in seen.ids, link)
        words = "".join(seen.text)
        for said in ("Question Q1, with <tags> & signs?", "hone run study.toml <>&", "Supported",
                     "Refuted", "Inconclusive", "0.5 (0.45 to 0.55, 95 % interval)",
                     "no estimate", "Controls not run", "tokens span 1.5 decades",
                     "diverged: loss > 20",
                     "least bits in a fit"):
            self.assertIn(said, words)
        self.assertNotIn("a long text", words)
        self.assertNotIn("<tags>", page)
        self.assertNotIn("http", re.sub(r'xmlns(:\w+)?="[^"]*"', "", page))
        places = [page.index(f"id={name}") for name in ("verdicts", "'Q1'", "'Q6'", "further",
                                                        "runs", "provenance")]
        self.assertEqual(places, sorted(places))

    def test_command_line_names_the_damaged_file_in_one_line(self):
        self.run.write_bytes(self.run.read_bytes()[:-1000])
        result = run_report(self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^make_report.py: .*n100000-s1.h5: .*measure it again\n$")
        self.assertFalse((self.folder / "report.html").exists())


class MissingThings(StudyCase):
    def test_missing_groups_drop_their_figures_and_the_report_says_so(self):
        stale = self.folder / "figures" / "noise.svg"
        stale.parent.mkdir()
        stale.write_text("stale", encoding="utf-8")
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: [f.pop(g, None) for g in ("noise", "curvature", "factorial")])
        study = read_study(self.folder)
        some = {n: ALL_FIGURES[n] for n in ("bits", "loss", "noise", "spectrum", "composition")}
        with mock.patch.dict("make_figures.FIGURES", some, clear=True):
            drawings, absent, _ = make_figures(study)
        self.assertEqual((set(drawings), set(absent)),
                         ({"bits", "loss"}, {"noise", "spectrum", "composition"}))
        self.assertFalse(stale.exists())
        page = report_html(study, drawings, absent)
        self.assertIn("Figures left out", page)
        self.assertIn("noise: no transformer run of the main arm has the group /noise", page)

    def test_runs_that_are_no_transformers_stand_in_the_table_only(self):
        synthetic_study.write_run(self.folder / "runs" / "n9000000-s3.h5", 9_000_000, 3, "mlp")
        study = read_study(self.folder)
        self.assertEqual({r.size for r in study.drawn_runs("ptq")}, {1e5, 4e5})
        self.assertIn("n9000000-s3", report_html(study, {}, {}))

    def test_no_transformer_at_all_leaves_every_figure_out(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: f["manifest"].attrs.modify("architecture", "mlp"))
        drawings, absent, written = make_figures(read_study(self.folder))
        self.assertEqual((drawings, set(absent), written), ({}, set(ALL_FIGURES), []))

    def test_numbers_that_are_all_missing_raise_absent_in_every_figure(self):
        (self.folder / "verdict.json").write_text('{"schema": 4, "verdicts": []}', encoding="utf-8")

        def blank(file):
            for group in file.values():
                for data in group.values():
                    if data.dtype == float and data.name.split("/")[-1] not in (
                            "tokens", "bits", "w_bits", "a_bits", "kv_bits"):
                        data[...] = np.nan

        for path in self.folder.glob("runs/*.h5"):
            edit(path, blank)
        study = read_study(self.folder)
        for name, draw in ALL_FIGURES.items():
            with self.subTest(name), self.assertRaises(Absent):
                draw(study)


class HostileFiles(StudyCase):
    def test_changed_byte_breaks_the_seal(self):
        data = bytearray(self.run.read_bytes())
        data[len(data) // 2] ^= 1
        self.run.write_bytes(data)
        self.refuses("n100000-s1.h5: its SHA-256 differs from its seal")

    def test_sealed_text_is_no_run_file(self):
        self.run.write_text("not HDF5", encoding="utf-8")
        synthetic_study.seal(self.run)
        self.refuses("n100000-s1.h5: cannot be read as a run file")

    def test_wrong_schema_version_rank_length_and_type_are_named(self):
        def replace(name, values):
            def change(file):
                del file[name]
                file[name] = values
            return change

        cases = [
            (lambda f: f.attrs.modify("schema_version", 3), "schema_version = 3"),
            (lambda f: f["manifest"].attrs.pop("run_id"), "no attribute run_id"),
            (lambda f: f["manifest"].attrs.modify("model_params", 0), "model_params = 0"),
            (replace("ptq/delta_nats", np.zeros(16)), "/ptq/delta_nats has 1 dimensions"),
            (replace("ptq/delta_nats", np.zeros((16, 4))), "delta_nats has 4 entries along bits"),
            (replace("ptq/delta_nats", np.zeros((9, 5))), "has 9 entries along checkpoint"),
            (replace("checkpoints/variant", np.zeros(16)), "/variant does not hold text"),
            (lambda f: f["noise"].pop("subspace"), "/noise has no subspace"),
        ]
        whole = self.run.read_bytes()
        for change, pattern in cases:
            with self.subTest(pattern):
                self.run.write_bytes(whole)
                edit(self.run, change)
                self.refuses(f"n100000-s1.h5: .*{pattern}")

    def test_runs_without_checkpoints_are_left_out_and_refused_where_there_are_no_others(self):
        count = len(read_study(self.folder).runs)
        edit(self.run, lambda f: f.pop("checkpoints"))
        kept = read_study(self.folder).runs
        self.assertEqual(len(kept), count - 1)
        self.assertNotIn(self.run, [run.path for run in kept])
        for path in (self.folder / "runs").glob("*.h5"):
            if path != self.run:
                path.unlink()
        self.refuses("n100000-s1.h5: has no group /checkpoints")

    def test_two_files_of_one_run_are_refused(self):
        shutil.copy(self.run, self.run.with_name("z.h5"))
        self.refuses("z.h5: has the same run_id as .*n100000-s1.h5")

    def test_study_files_that_are_missing_or_broken_are_named_with_the_fix(self):
        for name, content, pattern in (
                ("verdict.json", None, "is missing; run `hone judge` first"),
                ("verdict.json", "{", "is no JSON text .*; run `hone judge` again"),
                ("verdict.json", '{"schema": 1, "verdicts": []}', "no verdict file of schema 4"),
                ("verdict.json", '{"schema": 4, "verdicts": [{"id": "Q1"}]}', "no field question"),
                ("study.toml", None, "is missing"), ("study.toml", "= 1", "is no TOML text"),
                ("study.toml", "a = 1", "has no study.name")):
            with self.subTest(pattern):
                shutil.copytree(self.original, self.folder, dirs_exist_ok=True)
                path = self.folder / name
                path.unlink() if content is None else path.write_text(content, encoding="utf-8")
                self.refuses(f"{name}: .*{pattern}")

    def test_empty_runs_folder_is_named(self):
        shutil.rmtree(self.folder / "runs")
        self.refuses("runs: holds no .h5 file; run `hone run` first")


class NothingVanishes(StudyCase):
    def test_values_at_or_below_zero_stand_at_the_floor_and_are_counted(self):
        cloud = style.LogPoints()
        for y in (1.0, 0.0, -2.0, np.nan, 0.1):
            cloud.add(1.0, y, 0.5, "black", "o")
        ax = style.plt.figure().add_subplot()
        cloud.draw(ax)
        drawn = {line.get_marker(): list(line.get_ydata()) for line in ax.lines}
        self.assertEqual(drawn["o"], [1.0, 0.1])
        self.assertEqual(len(drawn[style.FLOOR_MARK]), 2)
        self.assertTrue(all(0 < y < 0.1 for y in drawn[style.FLOOR_MARK]))
        self.assertEqual((cloud.at_floor, cloud.not_finite), (2, 1))
        self.assertIn("2 values at or below zero", cloud.remarks())
        self.assertIn("1 value that was not measured", cloud.remarks())

    def test_caption_of_the_prediction_counts_what_a_log_axis_cannot_show(self):
        def spoil(file):
            file["ptq/delta_nats"][0, :2] = -1e-3
            file["ptq/predicted_nats"][1, 0] = -1.0
            file["ptq/predicted_nats"][2, 0] = np.nan

        edit(self.run, spoil)
        caption = prediction_figure(read_study(self.folder)).caption
        self.assertIn("2 values at or below zero", caption)
        self.assertIn("1 prediction at or below zero", caption)
        self.assertIn("1 value that was not measured", caption)

    def test_captions_state_the_number_of_runs(self):
        study = read_study(self.folder)
        for name, draw in ALL_FIGURES.items():
            with self.subTest(name):
                self.assertRegex(draw(study).caption, r"\b\d+ runs?\b")


if __name__ == "__main__":
    unittest.main()
