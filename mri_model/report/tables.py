"""Tables as text."""

import pandas as pd


def format_table(table: pd.DataFrame) -> str:
    return table.to_string(index=False)
