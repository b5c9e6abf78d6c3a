#!/usr/bin/env python3
"""Writes sim/import/character_table.cpp from Python's Unicode database. Run by hand: make_characters.py > FILE.

Code points are cut into runs of equal class: letter, number, blank or other (the classes of the pre-tokenizers), and
whether normalization to NFC might change a text because of them. Unassigned code points join the run before them."""
import unicodedata

BLANKS = {*range(9, 14), 32, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, *range(0x2000, 0x200B)}


def second_parts():
    """Code points that may join the one before them: NFC_Quick_Check = Maybe."""
    parts = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}
    for c in range(0x110000):
        split = unicodedata.decomposition(chr(c)).split()
        if len(split) == 2 and not split[0].startswith("<"):
            parts.add(int(split[1], 16))
    return parts


def runs():
    second, last, out = second_parts(), None, []
    for c in range(0x110000):
        category = unicodedata.category(chr(c))
        if category in ("Cn", "Cs", "Co") and c > 0:
            continue
        kind = 2 if c in BLANKS else {"L": 0, "N": 1}.get(category[0], 3)
        unstable = c in second or unicodedata.combining(chr(c)) != 0 or not unicodedata.is_normalized("NFC", chr(c))
        if (kind, unstable) != last:
            out.append(c << 3 | unstable << 2 | kind)
            last = kind, unstable
    return out


def main():
    table = runs()
    print("// Written by tests/import/make_characters.py from Unicode %s; do not edit." % unicodedata.unidata_version)
    print('#include "sim/import/characters.hpp"\n\nnamespace hone::detail {\n')
    print("// clang-format off")
    print("const std::array<std::uint32_t, %d> character_table = {" % len(table))
    line = " "
    for entry in table:
        text = " 0x%x," % entry
        if len(line) + len(text) > 119:
            print(line)
            line = " "
        line += text
    print(line)
    print("};\n// clang-format on\n\n}  // namespace hone::detail")


main()
