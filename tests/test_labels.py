"""Labels meet outputs by name where the names agree, else by index, and that is said."""

import numpy as np

from core.labels import UNKNOWN, match_labels, unique

LABELS = np.array([0, 1, 2, 1])


def test_by_name_whatever_order_and_spelling():
    found = match_labels(3, ("Sea_Gull", "cat", "dog"), ("cat", "dog", "sea gull"), LABELS)
    assert found.labels.tolist() == [1, 2, 0, 2]
    assert "by name" in found.note
    assert found.class_names == ("Sea_Gull", "cat", "dog")


def test_by_name_into_a_larger_model():
    found = match_labels(5, ("a", "b", "c", "d", "e"), ("e", "b"), np.array([0, 1, 0]))
    assert found.labels.tolist() == [4, 1, 4]


def test_by_index_where_names_differ():
    found = match_labels(3, ("a", "b", "c"), ("x", "y", "z"), LABELS)
    assert found.labels.tolist() == LABELS.tolist()
    assert "by index: the names differ" in found.note


def test_the_data_names_the_classes_of_a_model_without_names():
    found = match_labels(3, None, ("x", "y", "z"), LABELS)
    assert found.class_names == ("x", "y", "z")
    assert "by index: the model has no class names" in found.note


def test_names_are_numbered_where_nobody_knows_them():
    assert match_labels(2, None, (), np.array([0, 1])).class_names == ("class 0", "class 1")


def test_labels_beyond_the_outputs_are_unknown_and_counted():
    found = match_labels(2, None, ("x", "y", "z"), LABELS)
    assert found.labels.tolist() == [0, 1, UNKNOWN, 1]
    assert "1 of 4 examples" in found.note


def test_unknown_labels_stay_unknown():
    found = match_labels(2, ("a", "b"), ("b", "a"), np.array([0, UNKNOWN, 1]))
    assert found.labels.tolist() == [1, UNKNOWN, 0]


def test_without_labels():
    found = match_labels(2, ("a", "b"), (), None)
    assert found.labels is None
    assert "no labels" in found.note


def test_repeated_names_are_numbered_and_stay_apart():
    assert unique(("crane", "crane", "x")) == ("crane", "crane (2)", "x")
    assert len(set(unique(("a", "a", "a (2)", "a")))) == 4
