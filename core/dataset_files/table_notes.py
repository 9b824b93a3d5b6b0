"""What to say of a table's columns of labels, or that it has none."""

from collections.abc import Sequence

from core.dataset_files.class_labels import ClassLabels
from core.dataset_files.table_columns import Columns, is_called_label
from core.files.text_of_files import shown


def label_column_note(columns: Columns) -> tuple[str, ...]:
    """What to say of a column of labels that is not called so."""
    if columns.label is None or is_called_label(columns.label):
        return ()
    return (f"Labels are from the column {shown(columns.label)}, the only one that looks like "
            "labels; call it label if it holds them.",)


def no_label_note(columns: Columns, others: Sequence[str]) -> tuple[str, ...]:
    """What to say where any of several columns may hold the labels."""
    others = [name for name in others if name != columns.split]
    if columns.label or columns.one_hot or not others:
        return ()
    named = ", ".join(map(shown, others[:4])) + " …" * (len(others) > 4)
    return (f"No column is called label, so none of {named} is taken for labels; call the one that "
            "holds them label.",)


def several_note(columns: Columns, labels: ClassLabels | None) -> tuple[str, ...]:
    """What to say of columns of 0 and 1 that are no one-hot labels."""
    if labels is not None or not columns.one_hot:
        return ()
    named = ", ".join(map(shown, columns.one_hot[:4])) + " …" * (len(columns.one_hot) > 4)
    return (f"The columns {named} say several classes of one example, so they are no labels: one "
            "answer an example is read. A column called label would be taken.",)
