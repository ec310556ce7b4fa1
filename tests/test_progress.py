from mri_model.progress import duration, progress_lines


def test_a_stage_says_its_end_and_nothing_at_its_beginning() -> None:
    said: list[str] = []
    progress = progress_lines(said.append)
    for stage in ("read", "read"):  # the same name twice is two stages
        progress(stage, 0, 3)
        for done in (1, 2, 3):
            progress(stage, done, 3)
    assert [line.split(",")[0] for line in said] == ["read: 3/3", "read: 3/3"]


def test_long_work_says_rate_and_remaining_time_now_and_then() -> None:
    said: list[str] = []
    progress = progress_lines(said.append, every=0.0)
    progress("train", 0, 100)
    progress("train", 50, 100)
    assert said[0].startswith("train: 50/100, ")
    assert said[0].endswith(" left")


def test_durations_are_read_at_a_glance() -> None:
    assert [duration(seconds) for seconds in (7.4, 125, 3725)] == ["7 s", "2:05 min", "1:02 h"]
