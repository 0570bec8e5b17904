"""JSON has one kind of number: `1.2e17` and `5.0` are whole numbers too."""

import pytest

from written_tables import load


@pytest.mark.parametrize(
    ("numbers", "values"),
    [
        pytest.param(["1.2e17", "9007199254740993"], [120000000000000000, 9007199254740993], id="large"),
        pytest.param(["1.2e+17", "5.0", "-3.0e2", "9007199254740993"], [12 * 10**16, 5, -300, 2**53 + 1], id="forms"),
        pytest.param(["1e5", "2"], [100000.0, 2.0], id="exponent"),
        pytest.param(["1e30", "2"], [1e30, 2.0], id="beyond"),
        pytest.param(["5.0", "2.5"], [5.0, 2.5], id="fractions"),
        pytest.param(["1e-3", "1e5"], [0.001, 1e5], id="small"),
        pytest.param(["-0.0", "1"], [-0.0, 1.0], id="zero"),
        pytest.param(["0.5", "9007199254740993"], ["0.5", "9007199254740993"], id="neither"),
        pytest.param(['"1e5"', '"2"'], ["1e5", "2"], id="quoted"),
        pytest.param(["9007199254740993.0", "9007199254740993"], [2**53, 2**53 + 1], id="double"),
    ],
)
def test_numbers_come_back_as_they_are(tmp_path, numbers, values):
    (tmp_path / "d.jsonl").write_text("".join(f'{{"x": {number}}}\n' for number in numbers))
    rows, _ = load(tmp_path, "jsonl")
    got = [row["x"] for row in rows]
    assert list(map(repr, got)) == list(map(repr, values))
