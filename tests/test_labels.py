"""Labels meet outputs by name where the names agree, else by index, and that is said."""

import numpy as np

from core.labels import UNKNOWN, class_mismatch, match_labels, named, positions, unique

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
    assert found.note.endswith(
        "by index: the names differ, so x counts as a, y counts as b, z counts as c.")


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


def test_a_card_that_names_another_number_of_classes_is_not_believed():
    found = match_labels(3, ("z", "x", "y", "more"), ("x", "y", "z"), LABELS)
    assert found.class_names == ("x", "y", "z")
    assert found.labels.tolist() == LABELS.tolist()
    assert "its 4 class names do not fit its 3 outputs" in found.note
    assert "names 4 classes" in class_mismatch(3, ("z", "x", "y", "more"), ("x", "y", "z")).reason


def test_by_name_where_half_of_the_names_agree_and_the_rest_is_unknown():
    found = match_labels(3, ("cat", "dog", "owl"), ("bat", "cat", "dog"), LABELS)
    assert found.labels.tolist() == [UNKNOWN, 0, 1, 0]
    assert "by name; 1 of 4 examples" in found.note
    found = match_labels(3, ("cat", "dog", "owl"), ("bat", "ant", "dog"), LABELS)
    assert found.labels.tolist() == LABELS.tolist()
    assert "by index: the names differ" in found.note


def test_another_order_of_the_same_names_is_said():
    found = match_labels(3, ("c", "a", "b"), ("a", "b", "c"), LABELS)
    assert found.note == "Labels meet the model's classes by name; their order differs."
    mismatch = class_mismatch(3, ("c", "a", "b"), ("a", "b", "c"))
    assert "another order" in mismatch.reason
    assert [(way.title, way.class_names) for way in mismatch.proposals] == [
        ("By index", ("a", "b", "c"))]


def test_what_agrees_is_no_mismatch():
    assert class_mismatch(3, ("A", "b", "c"), ("a", "b", "c")) is None
    assert class_mismatch(3, None, ("a", "b", "c")) is None
    assert class_mismatch(5, ("a", "b", "c", "d", "e"), ("b", "d")) is None


def test_each_proposal_is_a_card_by_which_labels_meet_as_it_says():
    data_names = ("nothing", "x", "y", "z")
    mismatch = class_mismatch(3, ("p", "q", "r"), data_names)
    assert "The data has 4 classes, and the network has 3 outputs" in mismatch.reason
    assert "4 of the data's 4 class names are none of the model's: nothing, x, y" in mismatch.reason
    ways = {way.title: way.class_names for way in mismatch.proposals}
    found = match_labels(3, ways["By index, counting from 1"], data_names, LABELS + 1)
    assert found.labels.tolist() == LABELS.tolist()
    ways = {way.title: way.class_names
            for way in class_mismatch(4, ("a", "b", "c", "d"), ("x", "y", "z")).proposals}
    found = match_labels(4, ways["By index, the first output a background"], ("x", "y", "z"), LABELS)
    assert found.labels.tolist() == (LABELS + 1).tolist()
    assert found.class_names == ("a", "x", "y", "z")
    found = match_labels(4, ways["By index, as now"], ("x", "y", "z"), LABELS)
    assert found.labels.tolist() == LABELS.tolist()
    assert class_mismatch(4, ways["By index, as now"], ("x", "y", "z")) is None


def test_names_meet_exactly_before_they_meet_alike():
    assert positions(("A", "a", "b c"), ("a", "A", "B_C", "d")).tolist() == [1, 0, 2, UNKNOWN]
    assert positions(("crane", "Crane", "x"), ("CRANE",)).tolist() == [UNKNOWN]  # either
    assert positions(("+", "-"), ("-", "+")).tolist() == [1, 0]


def test_class_names_for_any_order():
    found = named(np.array([2, 0, UNKNOWN]), ("x", "y", "z"), ("x", "q", "r"), 3)
    assert found == ("y", "q", "x")
    assert named(np.array([2]), ("x",), (), 3) == ("output 0 (no class)", "output 1 (no class)", "x")


def test_names_of_classes_that_do_not_occur_are_in_no_doubt():
    mine = ("tench", "shark", "hen", "crane")
    given, labels = ("tench", "1", "2", "crane"), np.array([3, 0, 0])
    assert class_mismatch(4, mine, given, labels) is None
    assert "2 of the data's 4" in class_mismatch(4, mine, given).reason
    reason = class_mismatch(4, mine, ("ant", "bee"), np.array([1, 1])).reason
    assert reason.startswith("The data has 2 classes, 1 of them with examples, and the network has "
                             "4 outputs. 1 of the data's 1 class names with examples")
    found = match_labels(4, mine, ("crane", "1", "2"), np.array([0, 0]))
    assert "by name" in found.note and found.labels.tolist() == [3, 3]
