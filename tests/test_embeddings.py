"""Maps of the data: components, neighbours and pixels against scikit-learn and by hand."""

import numpy as np
import pandas as pd
import pytest

from core.dataset_formats import DataSet
from core.embeddings import map_of, pixels, sampled
from core.errors import UserError
from core.projection import nearest, neighbour_accuracy, neighbours_kept, pca


def blobs(count, width, seed=0, classes=4, spread=1.0):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, count)
    centres = random.normal(0, 3, (classes, width))
    return (centres[labels] + random.normal(0, spread, (count, width))).astype(np.float32), labels


def data_set(pictures, labels=None, fails=()):
    def image(row):
        if row in fails:
            raise UserError("broken.png is not a readable picture.")
        return pictures[row]

    table = pd.DataFrame({"path": [f"{row}.png" for row in range(len(pictures))]})
    return DataSet("Made up", image, labels, ("a", "b"), table)


@pytest.mark.parametrize(("count", "width", "kind"), [
    (300, 20, "float32"), (60, 400, "uint8"), (50, 50, "float64"), (700, 600, "float32"),
    (550, 650, "uint8")])
def test_principal_components_are_sklearns(count, width, kind):
    from sklearn.decomposition import PCA

    values, _ = blobs(count, width)
    values = (values * 10 + 100).clip(0, 255).astype(kind)
    found, shares = pca(values, 3)
    reference = PCA(3, svd_solver="full").fit(values.astype(np.float64))
    assert np.allclose(shares, reference.explained_variance_ratio_, atol=1e-6)
    wanted = reference.transform(values.astype(np.float64))
    wanted *= np.sign((wanted * found).sum(axis=0))
    assert np.allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


def test_far_from_the_origin_nothing_is_lost():
    values, _ = blobs(200, 10)
    assert np.allclose(pca(values.astype(np.float64) + 1e6)[1], pca(values)[1], atol=1e-5)


@pytest.mark.parametrize("shape", [(200, 6), (40, 90)])
def test_the_largest_loading_of_an_axis_is_positive(shape):
    values, _ = blobs(*shape)
    for flipped in (values, -values):
        coordinates, _ = pca(flipped)
        loadings = np.linalg.lstsq(coordinates, flipped - flipped.mean(0), rcond=None)[0]
        assert (np.take_along_axis(loadings, np.abs(loadings).argmax(1)[:, None], 1) > 0).all()


def test_components_of_a_file_on_disk_are_those_in_memory(tmp_path, monkeypatch):
    values, _ = blobs(500, 30)
    np.save(tmp_path / "values.npy", values)
    mapped = np.load(tmp_path / "values.npy", mmap_mode="r")
    whole = pca(values)
    monkeypatch.setattr("core.projection.BLOCK_BYTES", 8 * 30 * 64)  # blocks of 64 rows
    assert np.allclose(pca(mapped)[0], whole[0], atol=1e-9)


def test_constant_and_narrow_data_have_a_map_too():
    coordinates, shares = pca(np.full((10, 4), 7.0))
    assert not coordinates.any()
    assert not shares.any()
    coordinates, shares = pca(np.arange(5.0)[:, None])
    assert coordinates.shape == (5, 2)
    assert shares.tolist() == [1, 0]


@pytest.mark.parametrize("width", [3, 200])
def test_nearest_are_sklearns(width):
    from sklearn.neighbors import NearestNeighbors

    values, _ = blobs(1300, width, spread=3)
    reference = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(values)
    wanted = reference.kneighbors(return_distance=False)
    found = nearest(values, 8)
    assert (found == wanted).mean() > 0.999
    assert not (found == np.arange(len(values))[:, None]).any()


def test_an_example_is_not_its_own_neighbour_even_among_copies():
    for row, found in enumerate(nearest(np.zeros((6, 3)), 5).tolist()):
        assert sorted(found) == [other for other in range(6) if other != row]
    assert nearest(np.zeros((3, 2)), 15).shape == (3, 2)


def test_neighbour_accuracy_is_leave_one_out_knn():
    from sklearn.model_selection import LeaveOneOut, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    values, labels = blobs(90, 12, spread=4)
    classifier = KNeighborsClassifier(15, algorithm="brute")
    reference = cross_val_score(classifier, values, labels, cv=LeaveOneOut())
    assert neighbour_accuracy(nearest(values, 15), labels) == pytest.approx(reference.mean())
    assert 0.4 < reference.mean() < 0.99


def test_examples_without_a_label_neither_count_nor_vote():
    near = np.array([[1, 2], [0, 2], [3, 1], [2, 1]])
    assert neighbour_accuracy(near, np.array([0, 0, -1, 0])) == 1
    assert neighbour_accuracy(near, np.array([0, 1, -1, -1])) == 0
    assert neighbour_accuracy(near, np.full(4, -1)) is None


def test_neighbours_kept_is_the_share_that_stays():
    true = np.array([[1, 2], [0, 2], [0, 1]])
    assert neighbours_kept(true, true[:, ::-1]) == 1
    assert neighbours_kept(true, np.array([[1, 3], [3, 4], [3, 4]])) == pytest.approx(1 / 6)


def test_a_sample_is_stratified_ascending_and_repeatable():
    labels = np.repeat([0, 1], [9000, 1000])
    data = data_set(np.zeros((10_000, 1, 1, 1), np.uint8), labels)
    rows, notes = sampled(data, 500)
    assert len(rows) == len(set(rows)) == 500
    assert (np.diff(rows) > 0).all()
    assert np.bincount(labels[rows]).tolist() == [450, 50]
    assert np.array_equal(rows, sampled(data, 500)[0])
    assert "500 of 10,000" in notes[0]
    rows, notes = sampled(data, 10_000)
    assert (len(rows), notes) == (10_000, ())


def test_a_map_says_where_each_example_lies_and_how_far_to_trust_it():
    values, labels = blobs(120, 10, spread=0.1)
    rows = np.arange(0, 240, 2)
    every = np.full(240, -1)
    every[rows] = labels
    found = map_of(values, rows, data_set(np.zeros((240, 1, 1, 1)), every), ("said",))
    assert found.table.columns.tolist() == ["example", "x", "y"]
    assert np.array_equal(found.table.example, rows)
    assert np.allclose(found.table[["x", "y"]], pca(values)[0])
    assert found.neighbour_accuracy == 1
    on_map = nearest(pca(values)[0])
    assert found.neighbours_kept == pytest.approx(neighbours_kept(nearest(values), on_map))
    assert (found.total, found.notes) == (240, ("said",))


def test_too_few_examples_make_no_map():
    with pytest.raises(UserError, match="at least 3"):
        map_of(np.zeros((2, 4)), np.arange(2), data_set(np.zeros((2, 1, 1, 1))), ())


def test_pixels_are_the_pictures_own_where_they_are_small():
    pictures = np.random.default_rng(0).integers(0, 256, (5, 8, 6, 3), dtype=np.uint8)
    values, readable, notes = pixels(data_set(pictures), np.array([0, 2, 4]), lambda done, total: None)
    assert np.array_equal(values, pictures[[0, 2, 4]].reshape(3, -1))
    assert readable.all()
    assert notes == ()


def test_large_odd_and_broken_pictures_are_brought_to_one_size_and_told():
    random = np.random.default_rng(0)
    shapes = [(128, 64, 3), (128, 64, 3), (20, 20, 3), (128, 64, 1), (9, 9, 3)]
    pictures = [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    values, readable, notes = pixels(data_set(pictures, fails={4}), np.arange(5), lambda done, total: None)
    assert values.shape == (4, 32 * 16 * 3)
    assert readable.tolist() == [True] * 4 + [False]
    told = " ".join(notes)
    assert "1 pictures that could not be read" in told
    assert "16 × 32" in told
    assert "2 of 4" in told


def test_a_first_picture_that_is_broken_does_not_decide():
    pictures = [np.zeros((4, 4, 1), np.uint8)] * 2
    values, readable, _ = pixels(data_set(pictures, fails={0}), np.arange(2), lambda done, total: None)
    assert (values.shape, readable.tolist()) == ((1, 16), [False, True])
    assert len(pixels(data_set(pictures, fails={0, 1}), np.arange(2), lambda done, total: None)[0]) == 0
