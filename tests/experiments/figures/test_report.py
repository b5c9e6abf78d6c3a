"""Tests of the report's sections: run with Python, the exit code counts."""

import hashlib
import json
import unittest

from study_case import StudyCase, edit  # first: it sets the path of the modules below

import numpy as np

import report
import report_claims
import report_question
import style
from records import RecordError, read_study, rows


def part(page, name):
    """The section of that id."""
    start = page.index(f"id='{name}'")
    return page[start:page.index("</section>", start)]


class Sections(StudyCase):
    def verdict_file(self, change):
        path = self.folder / "verdict.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content["verdicts"])
        path.write_text(json.dumps(content), encoding="utf-8")
        return read_study(self.folder)

    def drawings(self, **questions):
        """A saved figure per name, serving the questions given."""
        folder = self.folder / "figures"
        folder.mkdir()
        made = {}
        for name, ids in questions.items():
            figure, _ = style.plt.subplots()
            style.save(figure, folder / name)
            made[name] = style.Drawing(None, f"Title of {name}", "1 run", ids)
        return made

    def test_a_figure_stands_once_with_its_first_judged_question_and_is_linked_from_the_others(self):
        study = self.verdict_file(lambda v: v.pop(0))  # no Q1
        page = report.report_html(study, self.drawings(one=["Q1", "Q3", "Q4"], two=["Q1"]), {})
        self.assertEqual(page.count("id='figure-one'"), 1)
        self.assertIn("id='figure-one'", part(page, "Q3"))
        self.assertIn("<a href='#figure-one'>Title of one</a>", part(page, "Q4"))
        self.assertNotIn("figure-one", part(page, "Q6"))
        self.assertIn("id='figure-two'", page[page.index("id=further"):])
        self.assertNotIn("'#Q1'", page)

    def test_questions_come_from_the_verdict_file_whatever_their_names(self):
        def add(verdicts):
            verdicts.append(verdicts[0] | {"id": "Q99", "answer": "So be it.", "findings": [
                {"key": "q99.odd", "label": "<odd> & new", "estimate": 2.0, "low": 1.0, "high": 3.0,
                 "unit": "1"}]})
        page = report.report_html(self.verdict_file(add), {}, {})
        self.assertIn("<td class='said'>So be it.</td>", page)
        self.assertIn("<td class=''>&lt;odd&gt; &amp; new</td><td class='num'>2</td>"
                      "<td class='num'>1 to 3</td>", part(page, "Q99"))

    def test_p_values_stand_with_their_verdict_and_other_numbers_are_said_to_be_unadjusted(self):
        def small(verdicts):
            verdicts[1].update({"p_value": 3e-9, "p_holm": 0.06})
        page = report.report_html(self.verdict_file(small), {}, {})
        self.assertIn("p = 0.004 of the decision, p = 0.012 after Holm", part(page, "Q1"))
        self.assertIn("p &lt; 0.0001 of the decision, p = 0.06", part(page, "Q2"))
        self.assertNotIn("Holm", part(page, "Q5"))  # no estimate

    def test_a_secondary_verdict_says_that_nothing_corrects_it(self):
        def secondary(verdicts):
            verdicts[1].update({"is_primary": False, "p_holm": None})
        page = report.report_html(self.verdict_file(secondary), {}, {})
        self.assertIn("secondary: the study did not name this question", part(page, "Q2"))
        self.assertNotIn("secondary", part(page, "Q1"))

    def test_other_numbers_of_a_verdict_are_said_to_be_unadjusted(self):
        page = report.report_html(self.verdict_file(lambda verdicts: None), {}, {})
        self.assertIn(report_question.UNADJUSTED, part(page, "Q5"))

    def test_report_without_verdicts_still_shows_the_runs(self):
        page = report.report_html(self.verdict_file(lambda v: v.clear()), {}, {})
        self.assertIn("No question was judged", page)
        self.assertIn("id='run-n100000-s1'", page)

    def test_each_question_names_the_hashes_of_the_files_with_its_groups(self):
        edit(self.run, lambda f: f.pop("noise"))
        page = report.report_html(read_study(self.folder), {}, {})
        digests = {p.name: hashlib.sha256(p.read_bytes()).hexdigest()
                   for p in self.folder.glob("runs/*.h5")}
        def seen(question):
            return {name for name, digest in digests.items() if digest in part(page, question)}

        lowered = {name for name in digests if name.startswith(("qat", "experts"))}
        self.assertEqual(seen("Q3"), set(digests) - lowered)
        self.assertEqual(seen("Q4"), set(digests) - lowered - {self.run.name})
        self.assertEqual(seen("Q8"), set(digests))
        verdict = hashlib.sha256((self.folder / "verdict.json").read_bytes()).hexdigest()
        self.assertIn(verdict, part(page, "Q4"))

    def test_numbers_with_an_interval_stand_in_sight_and_the_others_are_folded(self):
        shown, folded = report_question.numbers(read_study(self.folder).verdict("Q1")).split(
            "<details>")
        self.assertIn("gamma_N", shown)
        self.assertNotIn("R2", shown)
        self.assertIn("R2", folded)

    def test_controls_not_run_stand_before_those_that_were(self):
        said = report_question.controls(read_study(self.folder).verdict("Q1"))
        self.assertLess(said.index("tokens span 1.5 decades"), said.index("several seeds per cell"))


class Claims(StudyCase):
    def claim(self, state, **fields):
        return {"key": "page.one", "source": "a page", "place": "top", "claim": "It is so.",
                "refuted_by": "It is not.", "question": "Q1", "finding": "", "state": state,
                "answer": "It was seen.", "estimate": 0.5, "low": 0.4, "high": 0.6} | fields

    def page(self, *claims, schema=1):
        (self.folder / "claims.json").write_text(
            json.dumps({"schema": schema, "claims": claims}), encoding="utf-8")
        return report.report_html(read_study(self.folder), {}, {})

    def test_the_report_opens_with_the_claims_and_links_their_questions(self):
        page = self.page(self.claim("confirmed"), self.claim("open", question="Q77"))
        self.assertLess(page.index("id=claims"), page.index("id=verdicts"))
        claims = page[page.index("id=claims"):page.index("id=verdicts")]
        self.assertIn("2 claims: 1 confirmed, 0 contradicted, 1 open, 0 not measured, "
                      "0 not covered.", claims)
        self.assertIn("<a href='#Q1'>Q1</a>", claims)
        self.assertNotIn("'#Q77'", claims)
        self.assertIn("0.5 (0.4 to 0.6)", claims)

    def test_text_of_claims_is_escaped(self):
        page = self.page(self.claim("confirmed", claim="a < b & c", answer="<i>no</i>",
                                    refuted_by="<b>", source="<s>", place="<p>"))
        claims = page[page.index("id=claims"):page.index("id=verdicts")]
        self.assertIn("a &lt; b &amp; c", claims)
        for mark in ("<i>", "<b>", "<s>", "<p>."):
            self.assertNotIn(mark, claims)

    def test_claims_without_an_answer_are_folded_by_state(self):
        page = self.page(self.claim("contradicted", answer="in sight"),
                         self.claim("not_measured", answer="no rows", estimate=None),
                         self.claim("not_covered", answer="no study", question="", estimate=None))
        claims = page[page.index("id=claims"):page.index("id=verdicts")]
        seen, measured, covered = claims.split("<details>")
        self.assertIn("in sight", seen)
        self.assertIn("no rows", measured)
        self.assertIn("no study", covered)

    def test_without_the_file_the_report_says_how_to_make_it(self):
        page = report.report_html(read_study(self.folder), {}, {})
        self.assertNotIn("id=claims", page)
        self.assertIn("No claims.json: <code>hone judge</code> makes it", page)

    def test_a_damaged_file_is_named_with_the_field_and_the_fix(self):
        for pattern, claims, schema in (
                ("claims.json: is no file of claims of schema 1; run `hone judge` again", [], 2),
                ("field state = maybe, expected confirmed, .*`hone judge` again",
                 [self.claim("maybe")], 1),
                ("a claim has no field source; run `hone judge` again", [{"key": "page.one"}], 1)):
            with self.assertRaisesRegex(RecordError, pattern):
                self.page(*claims, schema=schema)
        (self.folder / "claims.json").write_text("{", encoding="utf-8")
        with self.assertRaisesRegex(RecordError, "claims.json: is no JSON text"):
            report_claims.section(read_study(self.folder))


class Arms(StudyCase):
    def test_rows_are_of_the_main_arm_and_its_kinds_unless_others_are_asked_for(self):
        study = read_study(self.folder)
        found = rows(study, "curvature", ["trace"])
        self.assertEqual({p.run.arm for p in found}, {"main"})
        self.assertEqual({p.kind for p in found}, {"trunk", "cooldown", "average"})
        self.assertEqual(len(found), 4 * 14)
        cosines = [p for p in rows(study, "curvature", ["trace"], all_arms=True)
                   if p.run.arm == "cosine"]
        self.assertEqual(len(cosines), 2 * (3 + 5 + 6))
        tuned = rows(study, "curvature", ["trace"], kinds=("tuned",))
        self.assertEqual({round(p.tokens / p.branched_at, 9) for p in tuned}, {1.1})

    def test_files_without_kinds_are_refused(self):
        for path in self.folder.glob("runs/*.h5"):
            edit(path, lambda f: f["checkpoints"].pop("kind"))
        with self.assertRaisesRegex(RecordError, "checkpoints has no kind"):
            read_study(self.folder)

    def test_a_finding_is_found_by_its_key_and_a_group_by_its_beginning(self):
        study = read_study(self.folder)
        self.assertEqual(study.finding("q1.gamma_d")["estimate"], 0.5)  # the verdict's own estimate
        self.assertEqual(study.finding("q1.gamma_n")["estimate"], 0.3)
        self.assertIsNone(study.finding("q1.gamma"))
        self.assertIsNone(study.finding("q99.gamma_n"))
        self.assertEqual([place for place, _ in study.findings("q3.growth")],
                         ["trace", "step", "alignment", "higher"])


if __name__ == "__main__":
    unittest.main()
