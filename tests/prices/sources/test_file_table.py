"""A price file as text: the separator, the header, ragged lines."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.errors import UnreadablePrices
from pipeline.prices.sources.file_table import key, read_table, unreadable

ROWS = "2020-01-02,1.5\n2020-01-03,2.5\n"


def read(folder: Path, text: str):
    """Return the table in a file."""
    file = folder / "prices.csv"
    file.write_text(text)
    return read_table(file)


def test_cells_are_text_and_know_their_line(tmp_path):
    """Blanks around cells and empty lines are left out."""
    table = read(tmp_path, "Date, Close \n2020-01-02 , 1.50\n\n2020-01-03,\n")
    assert table.header == [["Date", "Close"]]
    assert table.cells.to_numpy().tolist() == [["2020-01-02", "1.50"], ["2020-01-03", ""]]
    assert table.cells.index.tolist() == [2, 4]
    assert table.cells.index.name == "line"


def test_a_comma_at_the_end_of_each_line_is_no_column(tmp_path):
    """In the rows only, in the header only, in both."""
    rows = ROWS.replace("\n", ",\n")
    for text in (f"Date,Close\n{rows}", f"Date,Close,\n{ROWS}", f"Date,Close,\n{rows}"):
        assert read(tmp_path, text).cells[1].tolist() == ["1.5", "2.5"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_another_separator_is_named(tmp_path, separator):
    """With points it is enough to change the separator."""
    text = f"Date,Open,High,Low,Close\n{'2020-01-02,1.5,1.5,1.5,1.5'}\n".replace(",", separator)
    with pytest.raises(UnreadablePrices) as error:
        read(tmp_path, text)
    assert repr(separator) in error.value.received
    assert "decimal comma" not in error.value.received
    assert "commas between the columns" in error.value.todo


def test_a_decimal_comma_behind_semicolons_is_named(tmp_path):
    """Both must change."""
    with pytest.raises(UnreadablePrices, match=r"semicolons \(';'\) and numbers have a decimal comma(.|\n)*point"):
        read(tmp_path, '"Date";"Open";"Close"\n2020-01-02;1,5;1,5\n')


def test_text_above_the_header_is_named(tmp_path):
    """The line of the header, and the first line of the text."""
    with pytest.raises(UnreadablePrices) as error:
        read(tmp_path, f"Prices of NFLX, daily\nsource: a vendor\n\nDate,Close\n{ROWS}")
    assert error.value.received == (
        "2 line(s) above the header, which is in line 4; the first is 'Prices of NFLX,daily'"
    )
    assert error.value.todo == "Remove the lines above the header."


def test_a_line_with_too_many_cells_is_named(tmp_path):
    """A thousands separator outside quotes is the usual cause."""
    with pytest.raises(UnreadablePrices, match=r"3 cells in line 3, where the header has 2(.|\n)*in quotes"):
        read(tmp_path, "Date,Close\n2020-01-02,1\n2020-01-03,1,234\n")


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"Date,Close\n2020-01-02,\xe9\n", "Save the file as UTF-8."),
        (b'Date,Close\n"2020-01-02,1\n', "Save the file as CSV"),
    ],
)
def test_the_advice_fits_the_failure(tmp_path, content, advice):
    """Only a refusal of the system is about permissions."""
    file = tmp_path / "prices.csv"
    file.write_bytes(content)
    with pytest.raises(UnreadablePrices) as error:
        read_table(file)
    assert advice in error.value.todo
    with pytest.raises(UnreadablePrices, match="permissions"):
        read_table(tmp_path)


def test_three_lines_of_yfinance_are_two_levels(tmp_path):
    """The third line names the date only; a short second line is filled."""
    table = read(tmp_path, f"Price,Close\nTicker\nDate,\n{ROWS}")
    assert table.header == [["Date", "Close"], ["Date", ""]]
    assert table.cells.index.tolist() == [4, 5]


def test_parquet_gives_the_same_text(tmp_path):
    """Numbers are written with all digits."""
    pd.DataFrame({"Date": ["2020-01-02"], "Close": [0.1]}).to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.header == [["Date", "Close"]]
    assert table.cells.to_numpy().tolist() == [["2020-01-02", "0.1"]]


def test_names_are_compared_by_their_letters_and_digits():
    """Case, blanks and signs differ between sources."""
    assert {key(name) for name in ("Adj Close", "adjClose", "adj_close", "<ADJ.CLOSE>")} == {"adjclose"}
    assert "x.csv must be a table of daily prices." in str(unreadable(Path("x.csv"), "a", "b"))
