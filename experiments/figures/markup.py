"""Pieces of HTML that every part of the report is made of."""

from html import escape

from records import is_number


def text(value):
    return escape(str(value))


def minus(words):
    """With real minus signs, for numbers only."""
    return words.replace("-", "−")


def number(value, digits=4):
    return minus(f"{value:.{digits}g}") if is_number(value) else "not known"


def interval(entry, digits=4):
    """"0.41 to 0.55", empty where an end is not known."""
    if not (is_number(entry["low"]) and is_number(entry["high"])):
        return ""
    return f"{number(entry['low'], digits)} to {number(entry['high'], digits)}"


def with_error(value, error, form=".5f"):
    """"0.01234 ± 0.00010", the bar being two standard errors; "–" where there is no value."""
    if not is_number(float(value)):
        return "–"
    return minus(f"{value:{form}}") + (f" ± {2 * error:{form}}" if is_number(float(error)) else "")


def table(columns, lines, kind=""):
    """A table that scrolls inside itself.

    columns: [(head, class of its cells)]; lines: lists of cells, HTML each, or (HTML, class) where
    a cell has a class of its own.
    """
    heads = "".join(f"<th class='{name}'>{head}</th>" for head, name in columns)
    body = []
    for line in lines:
        cells = [cell if isinstance(cell, tuple) else (cell, name)
                 for cell, (_, name) in zip(line, columns)]
        body.append("<tr>" + "".join(f"<td class='{name}'>{cell}</td>" for cell, name in cells)
                    + "</tr>")
    return (f"<div class=scroll><table class='{kind}'><thead><tr>{heads}</tr></thead>"
            f"<tbody>{''.join(body)}</tbody></table></div>")


def folded(summary, body):
    return f"<details><summary>{summary}</summary>{body}</details>" if body else ""


def plain_list(items):
    return "<ul class=plain>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
