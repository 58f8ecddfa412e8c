"""Texts of files that somebody else may have written, made fit to be displayed.

Tables keep texts as they are, so that copies are exact. They are escaped where they become part of a sentence that a
person reads: in `Run.summary`, in what the command line prints, and in every error of ours. What displays these
sentences takes them as plain text, never as markup.
"""

from __future__ import annotations


def plain(text: object, *, lines: bool = False) -> str:
    r"""Return a text in which every character that a terminal obeys or hides is written as its escape, such as \x1b.

    These are control characters of both sets, changes of writing direction, separators of lines, and whatever else is
    no printable character.

    Args:
        text: anything that has a text.
        lines: whether it may have several lines, and tabs.
    """
    return "".join(
        each if each.isprintable() or (lines and each in "\n\t") else each.encode("unicode_escape").decode("ascii")
        for each in str(text)
    )
