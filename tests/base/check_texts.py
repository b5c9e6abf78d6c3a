"""Checks what compilers do not read: comments, documents, and the examples they show.

slots   in docstrings (///) each slot begins a line: math, shapes, units, expects, ensures, errors, cost, source
paths   every path and file name in documents and comments exists, and every link in Markdown leads somewhere
readme  the C++ block of README.md is the marked part of tests/examples/spectrum.cpp

usage: check_texts.py SOURCE_FOLDER [--self-test]
"""

import fnmatch
import re
import sys
import textwrap
from pathlib import Path

TOPS = ("sim", "theory", "experiments", "tests", "outputs", ".ci", ".github")
SKIPPED = ("tests/golden/", "tests/fuzz/corpus/", "build/")
READ = {".cpp", ".hpp", ".md", ".py", ".toml", ".txt", ".cmake", ".in", ""}
SLOT = "(?:math|shapes|units|expects|ensures|errors|cost|source)"

# A slot after the beginning of its line: behind spaces that set it off, or glued to the end of a sentence.
GLUED = re.compile(rf"///<? ?(?!{SLOT} +{SLOT} )\S.*?(?: {{2,}}{SLOT} +\S| {SLOT} {{2,}}\S|[.;:)`] {SLOT}$)")
HEAD = re.compile(rf"^\s*/// ?{SLOT} +\S")
PATH = re.compile(rf"(?<![\w/.~-])((?:{'|'.join(map(re.escape, TOPS))})/[\w./*-]+)")
NAME = re.compile(r"(?<![\w/.*<>-])([\w/]*[a-z]\w*\.(?:hpp|cpp|py|toml|md|cmake))(?![\w])")
GLOB = re.compile(r"(?<![\w/.*<>-])([a-z]\w*\*[\w.]*\.(?:hpp|cpp|py))")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACEHOLDER = re.compile(r"[A-Z]{2,}")  # NAME.hpp, x.hpp below
OTHERS = {"export.py", "tokenizer.py", "smooth.py", "run.c"}  # files of other projects
INVENTED = {"x.hpp", "x.cpp", "my.toml", "law.hpp", "a.hpp", "b.hpp", "foo.hpp"}


def glued_slots(lines):
    """Numbers of the lines that hold a slot elsewhere than at their beginning, or go on with one without indent."""
    found, is_in_slot = [], False
    for number, line in enumerate(lines, 1):
        is_comment = re.match(r"^\s*///(?!<)", line) is not None
        is_in_slot = is_comment and (is_in_slot or HEAD.match(line) is not None)
        if GLUED.search(line) or (is_in_slot and re.match(rf"^\s*/// ?(?! |{SLOT} )\S", line)):
            found.append(number)
    return found


def comment_of(path, line):
    """What a reader takes for prose in a line: all of a document, the comment of a program."""
    if path.suffix == ".md":
        return line
    mark = "//" if path.suffix in (".cpp", ".hpp") else "#"
    at = line.find(mark)
    if path.suffix in (".cpp", ".hpp") and line.lstrip().startswith("#include"):
        return ""
    return line[at + len(mark):] if at >= 0 else ""


def is_made(path):
    """Results that the program writes."""
    return path.startswith("outputs/") and not path.startswith(("outputs/reference", "outputs/published"))


def missing_paths(root, path, lines, names):
    for number, line in enumerate(lines, 1):
        text = comment_of(path, line)
        for found in [] if "#include" in line else PATH.findall(line):
            found = found.rstrip(".,:;/-")
            if "*" in found:
                if not any(root.glob(found)):
                    yield number, found
                continue
            if PLACEHOLDER.search(found) or is_made(found) or found.split("/")[-1] in INVENTED:
                continue
            at = [root / found, path.parent / found]
            if not any(p.exists() or any(p.with_name(p.name + e).exists() for e in (".hpp", ".cpp", ".py")) for p in at):
                yield number, found
        for found in GLOB.findall(text):
            if not any(fnmatch.fnmatch(name, found) for name in names):
                yield number, found
        for found in NAME.findall(text):
            name = found.split("/")[-1]
            if PLACEHOLDER.search(found) or is_made(found) or name in INVENTED | OTHERS or found.startswith("/"):
                continue
            if not any(known == found or known.endswith("/" + found) for known in names.get(name, [])):
                yield number, found


def anchors(text):
    heads = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def broken_links(path, lines):
    for number, line in enumerate(lines, 1):
        for target in LINK.findall(line):
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            file, _, anchor = target.partition("#")
            to = path.parent / file if file else path
            if not to.exists() or (anchor and anchor not in anchors(to.read_text())):
                yield number, target


def readme_block(root):
    example = (root / "tests/examples/spectrum.cpp").read_text()
    shown = example.split("// [README\n")[1].rsplit("// README]")[0]
    block = (root / "README.md").read_text().split("```cpp\n")[1].split("```")[0]
    return textwrap.dedent(shown).strip() == block.strip()


def files_of(root):
    for path in sorted(root.rglob("*")):
        inner = path.relative_to(root).as_posix()
        if inner.startswith((".git/", "build/")) or not path.is_file():
            continue
        if not inner.startswith(TOPS) and "/" in inner:
            continue
        if not is_made(inner):
            yield path, inner


def check(root):
    faults, names = [], {}
    files = list(files_of(root))
    for _, inner in files:
        names.setdefault(inner.split("/")[-1], []).append(inner)
    for path, inner in files:
        if inner.startswith(SKIPPED) or path.suffix not in READ or path.name in ("LICENSE", "check_texts.py"):
            continue
        lines = path.read_text().split("\n")
        if path.suffix in (".hpp", ".cpp"):
            faults += [f"{inner}:{n}: a slot of a docstring must begin its line, and what follows it be indented" for n in glued_slots(lines)]
        if path.name != "CHANGELOG.md":
            faults += [f"{inner}:{n}: {name} does not exist" for n, name in missing_paths(root, path, lines, names)]
        if path.suffix == ".md":
            faults += [f"{inner}:{n}: the link {to} leads nowhere" for n, to in broken_links(path, lines)]
    if not readme_block(root):
        faults.append("README.md: the C++ block is not the marked part of tests/examples/spectrum.cpp")
    return faults


def self_test():
    good = ["/// math     a = b", "", "/// The cost of it; errors are rare.", "  int a;  // two  errors  here",
            "/// Means over tokens; errors over windows", "///          with source of its own",
            "/// ensures  cost falls or stays"]
    bad = ["/// The pairs.   expects  phase done", "/// NUL, not \".\". errors  ContractError", "int a;  ///< low   expects  b"]
    bad += ["/// errors  FormatError when it is", "/// damaged"]
    assert glued_slots(good) == [] and glued_slots(bad) == [1, 2, 3, 5], (glued_slots(good), glued_slots(bad))
    assert "a-b-c" in anchors("## A b: c\n")
    here = Path("x/a.cpp")
    root = Path("/nowhere")
    found = list(missing_paths(root, here, ["// see sim/gone/file.hpp and gone.hpp, theory/NAME.hpp"], {}))
    assert [name for _, name in found] == ["sim/gone/file.hpp", "gone.hpp"] or len(found) >= 2, found


def main():
    root = Path(sys.argv[1]).resolve()
    self_test()
    faults = check(root)
    for fault in faults:
        print(fault)
    print(f"texts: {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
