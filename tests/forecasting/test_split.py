"""Where a history is cut."""

from pipeline.forecasting.split import Split, split


def test_the_oldest_rows_train_and_fractions_round_down_to_whole_sessions():
    """3,038 sessions at 80 % give the tutorial's 2,430 and 608 rows."""
    assert split(3038, 0.8, 0.0) == Split(validation=2430, test=2430, end=3038)


def test_validation_is_the_last_part_of_train():
    """A tenth of 80 rows of train is rows 72 to 79."""
    assert split(100, 0.8, 0.1) == Split(validation=72, test=80, end=100)
