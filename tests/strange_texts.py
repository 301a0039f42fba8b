"""Any text there is, and what must hold of spans in it."""

from __future__ import annotations

from hypothesis import strategies as st

# Pieces that cleaning and splitting treat specially, next to any character there is.
SPECIAL = """
&amp; &lt; &auml; &#228; &#x1F600; &nbsp; &shy; &bogus; & ; <br> <BR/> </br> < \ud83d \ude00
\x00 \ufeff \xad \u200b \u200d \u200c \ufe0f \u20e3 \u202e \u0301 \u0308 \u0323 \u1100 \u1161
\u11a8 \u09c7 \u09be e o A ß ü 👩 👨 🏽 ❤ 🇩 🇪 🏴 \U000e0067 1 12,50 € % . ...
\u2026 ! ? , - \u2013 ( ) " ' aber but leider nur dafür z.B. e.g. 3. Mai Nr.
שלום مرحبا www.a.de a@b.de
"""
PIECES = st.sampled_from(SPECIAL.split())
GAPS = st.sampled_from(["", "", " ", "  ", "\n", "\t", "\u2028", "\xa0"])
ANYTHING = st.one_of(
    st.text(st.characters()),  # lone surrogates included
    st.lists(st.tuples(PIECES, GAPS)).map(lambda rows: "".join(a + b for a, b in rows)),
    st.lists(st.one_of(PIECES, st.characters())).map("".join),
)


def texts(cleaned: str, spans: list[tuple[int, int]]) -> list[str]:
    return [cleaned[start:end] for start, end in spans]


def assert_ordered(spans: list[tuple[int, int]], *, length: int) -> None:
    flat = [place for span in spans for place in span]
    assert flat == sorted(flat)
    assert all(start < end for start, end in spans)
    assert not flat or (flat[0] >= 0 and flat[-1] <= length)
