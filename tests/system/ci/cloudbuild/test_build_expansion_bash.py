"""Substitutions expand as bash expands variables: both are asked, for the same texts."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from depth import tries
from kfp_ct.ci.cloudbuild.expansion import expand

VALUES = {"_A": "europe-west1/app.tar.gz", "_B": "x", "_EMPTY": "", "_UPPER": "AbC"}


def bash(texts):
    """Expands texts with bash, all in one process."""
    script = "".join(f'printf "%s\\0" "{text}"\n' for text in texts)
    done = subprocess.run(["bash", "-c", script], env={**VALUES, "LC_ALL": "C.UTF-8"}, capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


EXPANSIONS = [
    "$_A", "${_A}", "a${_B}b$_B", "a$", "${#_A}", "${_A:3}", "${_A:3:4}", "${_A: -4}", "${_A:0:-3}",
    "${_A:-d}", "${_EMPTY:-d}", "${_EMPTY-d}", "${_NONE:-d}", "${_NONE-d}", "${_NONE:-${_B}}",
    "${_B:+yes}", "${_EMPTY:+yes}", "${_EMPTY+yes}", "${_NONE+yes}",
    "${_A#*/}", "${_A##*.}", "${_A%.*}", "${_A%%.*}", "${_A#nothing}",
    "${_A/e/E}", "${_A//e/E}", "${_A/#europe/asia}", "${_A/%gz/xz}", "${_A//[aeiou]/_}", "${_A/e}", "${_A/w?st/$_B}",
    "${_UPPER,,}", "${_UPPER^^}", "${_A^}", "${_UPPER,}",
]  # fmt: skip


def test_every_kind_of_expansion_is_bashs():
    assert [expand(text, VALUES) for text in EXPANSIONS] == bash(EXPANSIONS)


@settings(max_examples=tries(12, 30), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["_A", "_B", "_EMPTY", "_NONE", "_UPPER"]),
            st.sampled_from([":-", "-", ":+", "#", "##", "%", "%%", "/", "//", ":", "^", "^^", ",", ",,"]),
            st.text("ab.e*?", max_size=3),
            st.integers(0, 6),
        ),
        min_size=20,
        max_size=20,
    )
)
def test_any_expansion_is_bashs(cases):
    texts = []
    for key, operator, glob, number in cases:
        operand = {":": str(number), "/": f"{glob or 'a'}/Z", "//": f"{glob or 'a'}/Z"}.get(operator, glob)
        texts.append(f"${{{key}{operator}{operand}}}")
    ours = [expand(text, VALUES) for text in texts]
    assert list(zip(texts, ours, strict=True)) == list(zip(texts, bash(texts), strict=True))
