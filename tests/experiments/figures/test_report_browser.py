"""Tests of the report in headless Chromium, as a reader with a phone, a screen or a printer has it.

Run with Python, the exit code counts; 77 where Chromium is not installed.
"""

import re
import sys
import unittest

from study_case import StudyCase, run_report  # first: it sets the path of the modules below

from chromium import Browser, find_chromium

PHONE, SCREEN = 360, 1200  # pixels
PAPER = 687, 1016  # pixels of A4 within margins of 14 mm
LEAST_SCALE = 1.0  # of a figure: 8 points of its smallest text are then at least 8 pixels

FIGURES = """[...document.querySelectorAll('figure')].map(f => {
  const svg = f.querySelector('svg'), box = svg.getBoundingClientRect();
  return {name: f.id, visible: svg.checkVisibility(), width: box.width, height: box.height,
          scale: box.width / svg.viewBox.baseVal.width, painted: svg.querySelectorAll('path').length,
          caption: f.querySelector('figcaption').getBoundingClientRect().height};
})"""
DEAD_LINKS = """[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))
  .filter(h => !h.startsWith('#') || !document.getElementById(h.slice(1)))"""
OVERFLOW = """[...document.querySelectorAll('body *')].filter(e =>
    !e.closest('.scroll, .drawing, svg') && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.tagName + '.' + e.className + ' ' + e.textContent.slice(0, 40))"""
BROKEN_URLS = """[...document.querySelectorAll('svg *')].flatMap(e => [...e.attributes])
  .filter(a => /^#|url\\(#/.test(a.value))
  .filter(a => !document.getElementById(a.value.match(/#([^)]*)/)[1])).map(a => a.value)"""


class InTheBrowser(StudyCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = run_report(cls.original)
        assert made.returncode == 0, made.stderr
        cls.page = cls.original / "report.html"
        cls.figures = len(list((cls.original / "figures").glob("*.svg")))
        cls.browser = Browser()

    @classmethod
    def tearDownClass(cls):
        cls.browser.__exit__()
        super().tearDownClass()

    def check_figures(self):
        shown = self.browser.evaluate(FIGURES)
        self.assertEqual(len(shown), self.figures)
        for figure in shown:
            with self.subTest(figure["name"]):
                self.assertTrue(figure["visible"])
                self.assertGreater(figure["painted"], 10)
                self.assertGreater(figure["height"], 150)
                self.assertGreaterEqual(figure["scale"], LEAST_SCALE)
                self.assertGreater(figure["caption"], 10)

    def test_phone_and_screen_show_every_figure_and_nothing_sticks_out(self):
        for width in (PHONE, SCREEN):
            with self.subTest(width):
                self.assertEqual(self.browser.open(self.page, width), [])
                self.check_figures()
                self.assertEqual(self.browser.evaluate(OVERFLOW), [])
                self.assertEqual(self.browser.evaluate(
                    "[innerWidth, document.documentElement.scrollWidth]"), [width, width])

    def test_every_link_has_a_target_and_every_reference_inside_a_figure_too(self):
        self.browser.open(self.page, SCREEN)
        self.assertEqual(self.browser.evaluate(DEAD_LINKS), [])
        self.assertEqual(self.browser.evaluate(BROKEN_URLS), [])
        self.browser.evaluate("document.querySelector('.summary a[href=\"#Q3\"]').click()")
        self.assertLess(abs(self.browser.evaluate(
            "document.getElementById('Q3').getBoundingClientRect().top")), 60)

    def test_console_complaints_are_seen(self):
        broken = self.folder / "broken.html"
        broken.write_text("<svg><path d='M nowhere'/></svg><script>console.error('no')</script>",
                          encoding="utf-8")
        self.assertEqual(len(self.browser.open(broken, SCREEN)), 2)

    def test_paper_has_a_page_for_each_question_and_no_figure_is_cut(self):
        self.browser.open(self.page, PAPER[0], media="print")
        for figure in self.browser.evaluate(FIGURES):
            with self.subTest(figure["name"]):
                self.assertLessEqual(figure["width"], PAPER[0])
                self.assertLess(figure["height"] + figure["caption"], PAPER[1])
        self.assertEqual(self.browser.evaluate(OVERFLOW), [])
        pages = len(re.findall(rb"/Type\s*/Page\b", self.browser.print_pdf()))
        questions = self.browser.evaluate("document.querySelectorAll('section.question').length")
        self.assertGreaterEqual(pages, questions + 2)  # the verdicts before, the runs after


if __name__ == "__main__":
    if not find_chromium():
        print("skipped: chromium is not installed; apt-get install chromium")
        sys.exit(77)
    unittest.main()
