"""The first pass: kinds of columns, what is left out, targets, and the sample."""

import numpy as np
import pandas as pd
import pytest

from fastmlp.tables import scan as scan_module
from fastmlp.tables.arrays import ArrayFile
from fastmlp.tables.columns import are_dates, converted, listed, resolved, similar
from fastmlp.tables.formats import open_table
from fastmlp.tables.scan import Roles, scan
from fastmlp.tables.targets import target_of


@pytest.fixture
def scanned(tmp_path):
    """Return a function that scans a CSV, in pieces of some rows."""

    def of(text, target="y", size=None, seed=0, **roles):
        (tmp_path / "data.csv").write_text(text)
        table = open_table(str(tmp_path / "data.csv"))
        whole = table.pieces
        if size is not None:
            table.pieces = lambda types, n=None: whole(types, size)
        return scan(table, Roles([target], **roles), np.random.RandomState(seed))

    return of


def kinds_of(found):
    return {column.name: column.kind for column in found.columns}


@pytest.mark.parametrize("size", [None, 1, 2, 3])
def test_kinds_do_not_depend_on_pieces(scanned, size):
    found = scanned(
        "whole,real,late,text,truth,mixed,code,y\n"
        "1,1.5,,x,True,1,01,1\n2,,,y,,True,x,2\n3,2,,,False,2,03,3\n4,inf,7,z,True,3,4,4\n",
        size=size,
    )
    assert kinds_of(found) == {
        "whole": "number", "real": "number", "late": "number", "text": "text", "truth": "boolean",
        "mixed": "text", "code": "text",
    }  # fmt: skip
    assert found.n_rows == 4 and found.sample.index.tolist() == [0, 1, 2, 3]
    assert {c.name: c.n_missing for c in found.columns if c.n_missing} == {
        "real": 1, "late": 3, "text": 1, "truth": 1
    }  # fmt: skip
    assert found.sample["mixed"].tolist() == ["1", "True", "2", "3"]
    assert found.sample["code"].tolist() == ["01", "x", "03", "4"]
    assert found.sample["text"].tolist() == ["x", "y", None, "z"]
    assert found.sample["truth"].tolist() == [True, None, False, True]
    assert found.sample["real"].tolist()[2:] == [2, np.inf]
    assert found.targets["y"].tolist() == [1, 2, 3, 4]


DATES = [
    "2020-01-31", "2020/1/31", "31.12.1999", "12/31/99", "2020-01-31T12:30:00Z", "31 Jan 2020",
    "2020-01-31 12:30:00.25+01:00", "January 31, 2020", "12:30", "7:05:01 pm", "31-Jan-99",
]  # fmt: skip


@pytest.mark.parametrize("date", DATES)
def test_dates_are_refused(scanned, date):
    text = "when,y\n" + "".join(f'"{date}",{k}\n' for k in range(30))
    with pytest.raises(ValueError, match="dates or times in the column 'when'.*--drop when leaves"):
        scanned(text)


@pytest.mark.parametrize("text", ["May", "1.2.3.4", "10-12", "v2020-01-01", "A-1", "2020", ""])
def test_what_is_no_date(text):
    assert not are_dates([text, "2020-01-31"])
    assert not are_dates([])


@pytest.mark.parametrize(
    "values",
    [
        np.array(["2020-01-31"] * 3, "datetime64[D]"),
        np.array([1, 2, 3], "timedelta64[s]"),
    ],
)
def test_types_of_dates_are_refused(values):
    table = ArrayFile("npz", "data.npz", {"when": values, "y": np.arange(3)})
    with pytest.raises(ValueError, match="dates or times in the column 'when'"):
        scan(table, Roles(["y"]), np.random.RandomState(0))


def test_what_is_left_out(scanned):
    rows = [f"{k},{k + 1},{k + 5},n{k},{'abc'[k % 3]},{k % 2}" for k in range(60)]
    found = scanned("zero,one,five,name,kind,y\n" + "\n".join(rows) + "\n", size=7)
    assert {c.name: c.left_out for c in found.columns if c.left_out} == {
        "zero": "counts the rows",
        "one": "counts the rows",
        "name": "text with 60 different values in 60 rows",
    }
    assert list(found.sample) == ["five", "kind"]


@pytest.mark.parametrize("size", [None, 1, 7])
def test_whole_numbers_with_leading_zeros_are_text(scanned, size):
    """In all rows, also in those without, and in whichever piece the first one is."""
    zips, gaps, y = ["1234", "56789", "2345"], ["", "7", "9"], ["1", "2"]
    rows = [[zips[k % 3], gaps[k % 3], str(k * 0.5), y[k % 2], "10"] for k in range(60)]
    rows[50][0], rows[58][1], rows[59][3] = "01234", "07", "02"
    text = "zip,gap,real,y,ten\n" + "".join(",".join(row) + "\n" for row in rows)
    found = scanned(text, size=size)
    assert kinds_of(found) == {"zip": "text", "gap": "text", "real": "number", "ten": "number"}
    assert found.padded == ["zip", "gap", "y"]
    assert found.sample["zip"].tolist() == [row[0] for row in rows]
    assert found.sample["gap"].tolist() == [row[1] or None for row in rows]
    goal = target_of("data.csv", found.targets)
    assert goal.classes == ["02", "1", "2"]
    assert goal.reason == "numbers with leading zeros, which are text, with 3 different values"


def test_many_different_numbers_with_leading_zeros(scanned):
    found = scanned("n,x,y\n" + "".join(f"{k:04},{k % 7},{k * 0.5}\n" for k in range(100)))
    (code, _) = found.columns
    assert code.left_out == (
        "text, because some numbers have leading zeros, with 100 different values in 100 rows"
    )


@pytest.mark.parametrize(
    ("texts", "unit"),
    [
        (["24%", "7.5%", "100%"], "x (24%)"),
        (["$1,200.50", "$7", "$80"], "x ($1,200.50)"),
        (["7 kg", "8.25 kg", "9 kg"], "x (7 kg)"),
        (["7 kg", "8 kg", "9 g"], ""),
        (["7 kg", "8 kg", "9"], ""),
        (["7 kg", "8 kg", "7 kg"], ""),
        (["A1", "A2", "A3"], ""),
        (["1,2,3 kg", "1,2,4 kg", "2,1 kg"], ""),
        (["red", "green", "blue"], ""),
    ],
)
@pytest.mark.parametrize("size", [None, 2])
def test_numbers_with_units_are_named(scanned, texts, unit, size):
    rows = [f'"{texts[k % 3]}",{k % 7},{k * 0.5}\n' for k in range(60)]
    found = scanned("x,z,y\n" + "".join(rows), size=size)
    assert found.with_units == [unit] * bool(unit) and kinds_of(found)["x"] == "text"


def test_a_target_of_numbers_with_leading_zeros():
    goal = target(["001", "02", "30"], task="regression")
    assert goal.values[:, 0].tolist() == [1, 2, 30]
    with pytest.raises(ValueError, match="numbers in the target 't0' for regression, got 'x'"):
        target(["001", "x", "30"], task="regression")


@pytest.mark.parametrize("n", [60, 900])  # more different values than are counted
def test_a_wrong_number_among_those_with_commas(scanned, n):
    for number, separator in (("{},5", ";"), ("{},{:03}", ",")):
        rows = [f'"{number.format(k + 1, k % 1000)}"{separator}{k}\n' for k in range(n)]
        rows[-3] = f"oops{separator}0\n"
        with pytest.raises(ValueError, match="numbers in the column 'x', .* got 'oops'"):
            scanned(f"x{separator}y\n" + "".join(rows))


def test_a_count_is_used_if_nothing_else_is_there(scanned):
    found = scanned("x,y\n" + "".join(f"{k},{2 * k}\n" for k in range(60)))
    assert list(found.sample) == ["x"]


def test_text_of_too_many_values(scanned, monkeypatch):
    monkeypatch.setattr(scan_module, "MOST_DIFFERENT", 30)
    rows = [f"t{k % 31},{k % 30}x,{k}" for k in range(200)]
    found = scanned("many,fewer,y\n" + "\n".join(rows) + "\n", size=10)
    many, fewer = found.columns
    assert many.left_out == "text with more than 30 different values"
    assert fewer.n_different == 30 and not fewer.left_out


def test_the_sample_is_drawn_evenly(scanned, monkeypatch):
    monkeypatch.setattr(scan_module, "SAMPLE_CELLS", 1)
    monkeypatch.setattr(scan_module, "LEAST_SAMPLE", 20)
    text = "x,y\n" + "".join(f"{k * 0.5},{k}\n" for k in range(100))
    often = np.zeros(100)
    for seed in range(300):
        sample = scanned(text, size=13, seed=seed).sample
        assert len(sample) == 20
        assert (sample["x"].to_numpy() == sample.index * 0.5).all()
        often[sample.index] += 1
    # 60 of each are expected, with a deviation of 7.
    assert 30 < often.min() and often.max() < 95


def test_roles(scanned):
    found = scanned("a,i,w,d,y\n1,x,0.5,2020-01-01,3\n2,y,2,2020-01-01,4\n", drop=["d"], id="i",
                    weight="w")  # fmt: skip
    assert kinds_of(found) == {"a": "number"} and found.weights.tolist() == [0.5, 2]
    with pytest.raises(ValueError, match="at least 0 in the column 'w', got none in data row 2"):
        scanned("a,w,y\n1,1,1\n2,,2\n", weight="w")
    with pytest.raises(ValueError, match="must have a weight above 0"):
        scanned("a,w,y\n1,0,1\n2,0,2\n", weight="w")


# Targets ------------------------------------------------------------------------------------------


def target(*columns, task=None):
    found = {f"t{k}": pd.Series(values) for k, values in enumerate(columns)}
    return target_of("data.csv", found, task)


@pytest.mark.parametrize(
    ("columns", "task", "classes"),
    [
        ([["b", "a", "b"]], "classification", ["a", "b"]),
        ([[True, False, True]], "classification", [False, True]),
        ([[1, 0, 1]], "classification", [0, 1]),
        ([[1.0, 0.0, 1.0]], "classification", [0, 1]),
        ([[3, 7, 9] * 10], "classification", [3, 7, 9]),
        ([[3, 7, 9]], "regression", []),  # too few rows for classes
        ([list(range(21)) * 10], "regression", []),
        ([list(range(20)) * 10], "classification", list(range(20))),
        ([[0.5, 1.0, 2.0] * 10], "regression", []),
        ([[1, 0, 1], [0, 0, 1]], "multilabel", []),
        ([[1.0, 0.0, 1.0], [True, False, True]], "multilabel", []),
        ([[1, 0, 1], [0.5, 0, 1]], "regression", []),
    ],
)
def test_tasks(columns, task, classes):
    found = target(*columns)
    assert (found.task, found.classes) == (task, classes)
    assert [type(each) for each in found.classes] == [type(each) for each in classes]
    if classes:
        assert [classes[code] for code in found.values] == list(columns[0])
    else:
        assert found.values.T.tolist() == [[float(value) for value in each] for each in columns]


def test_task_may_be_given():
    assert target([3, 7, 9], task="classification").classes == [3, 7, 9]
    assert target([1, 0, 1], task="regression").values.tolist() == [[1], [0], [1]]
    assert target([1, 0, 1], task="multilabel").values.shape == (3, 1)


def test_strata():
    assert target(["b", "a", "b"]).strata.tolist() == [1, 0, 1]
    assert target([0.5, 1.5, 2.5]).strata.tolist() == [0, 0, 0]
    strata = target([1, 0, 1, 0], [0, 0, 1, 0]).strata
    assert strata[1] == strata[3] and len(set(strata)) == 3


# Names --------------------------------------------------------------------------------------------


def test_names_and_positions():
    names = ["a", "2", "c,d", "e"]
    for given, found in [
        (["a"], ["a"]), (["2"], ["2"]), (["0"], ["a"]), (["-1"], ["e"]), (["c,d"], ["c,d"]),
        (["a,e"], ["a", "e"]), (["a", " e "], ["a", "e"]), (["3"], ["e"]),
    ]:  # fmt: skip
        assert resolved("--target", given, names) == found
    for given in (["4"], ["-5"], ["x"], [""], ["a,a"], ["a", "0"]):
        with pytest.raises(ValueError, match="`--target` must"):
            resolved("--target", given, names)


def test_similar_names():
    assert similar("Specis", ["species", "size"]) == "similar ones are species"
    assert similar("q", [f"c{k}" for k in range(10)]).endswith("c6, c7 and 2 more")
    assert listed([]) == ""


def test_conversion_refuses_other_types():
    frame = pd.DataFrame({"n": ["1", "x", "3"], "b": [True, False, 3], "t": [1.5, None, 2]})
    assert converted("f", frame, {"t": "text"})["t"].tolist() == ["1.5", None, "2.0"]
    for kinds, part in [
        ({"n": "number"}, "have numbers in the column 'n', .*, got 'x' in data row 2"),
        ({"b": "boolean"}, "have booleans in the column 'b', .*, got 3 in data row 3"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=part):
            converted("f", frame, kinds)
