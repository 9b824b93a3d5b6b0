"""Tables as JSON can say them, with the types of their columns."""

from typing import Any

import pandas as pd


def as_json(table: pd.DataFrame) -> dict[str, Any]:
    """Columns by name, what is missing as None; cells may be texts, numbers and tuples of them."""
    cells = table.astype(object).where(table.notna(), None)
    return {"types": {name: str(dtype) for name, dtype in table.dtypes.items()},
            "columns": cells.to_dict("list")}


def table_of(said: dict[str, Any]) -> pd.DataFrame:
    """The table of which `as_json` said it."""
    columns = {name: pd.Series([tuple(cell) if isinstance(cell, list) else cell for cell in cells],
                               dtype=object).astype(said["types"][name])
               for name, cells in said["columns"].items()}
    return pd.DataFrame(columns)
