"""The ordered thread map: order, bounded look-ahead, errors."""

import threading
import time
from collections.abc import Iterator

import pytest

from mri_model.data.parallel import ITEMS_PER_TASK, TASKS_PER_THREAD, chunks, ordered_map


def test_results_come_in_the_order_of_the_items() -> None:
    def slow_if_even(number: int) -> int:
        time.sleep(0.002 * (number % 2 == 0))
        return number * number

    assert list(ordered_map(slow_if_even, range(200), threads=4, items_per_task=3)) == [n * n for n in range(200)]
    assert list(ordered_map(slow_if_even, [])) == []


def test_several_threads_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=30)  # breaks if only one thread comes
    assert len(list(ordered_map(lambda _: meeting.wait(), range(8), threads=2, items_per_task=1))) == 8


@pytest.mark.parametrize("items_per_task", [1, 5, ITEMS_PER_TASK])
def test_items_are_taken_only_a_little_ahead_of_the_reader(items_per_task: int) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    results = ordered_map(lambda item: item, items(), threads=2, items_per_task=items_per_task)
    for read in range(1, 400):
        assert next(results) == read
        assert taken < read + 2 * TASKS_PER_THREAD * items_per_task


def test_an_error_reaches_the_reader_and_stops_the_work() -> None:
    done: list[int] = []

    def fail_at_10(number: int) -> int:
        if number == 10:
            raise ValueError("10")
        done.append(number)
        return number

    results = ordered_map(fail_at_10, range(100_000), threads=2, items_per_task=1)
    with pytest.raises(ValueError, match="10"):
        list(results)
    assert set(range(10)) <= set(done)
    assert len(done) < 100


def test_chunks_hold_every_item_once() -> None:
    assert list(chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], 3)) == []
