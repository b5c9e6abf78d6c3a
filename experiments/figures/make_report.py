#!/usr/bin/env python3
"""Draws the figures and writes the report of a study that was judged.

    make_report.py STUDY_DIR

reads STUDY_DIR/runs/*.h5, verdict.json, claims.json where it exists, and study.toml; writes
figures/*.svg, figures/*.png and report.html there. Everything it writes is byte-identical when run again.
"""

import argparse
import sys

from make_figures import make_figures
from records import RecordError, read_study
from report import report_html


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study_dir", metavar="STUDY_DIR")
    folder = parser.parse_args().study_dir
    try:
        study = read_study(folder)
        drawings, absent, written = make_figures(study)
        path = study.folder / "report.html"
        path.write_text(report_html(study, drawings, absent), encoding="utf-8")
    except RecordError as error:
        print(f"make_report.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"make_report.py: {error.filename or folder}: cannot be written ({error.strerror}); "
              "check permissions and free space", file=sys.stderr)
        return 1
    for each in written + [path]:
        print(f"wrote {each}")
    for name, reason in absent.items():
        print(f"left out figure {name}: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
