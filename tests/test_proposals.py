"""Proposals scored on data: against networks run here by hand, on data that tells them apart."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from core import library
from core.cards.card_json import parse_card
from core.proposals import choices, clearly_better, proposals, what_differs

pytestmark = pytest.mark.usefixtures("one_thread")

CLASSES, EXAMPLES = 4, 300


def teacher(activation, seed=0):
    """A network whose own answers are the labels, so that only it is always right."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), activation(), nn.Linear(48, CLASSES))
    nn.init.normal_(network[1].weight, 0, 0.6)
    nn.init.normal_(network[1].bias, -1, 1)
    nn.init.normal_(network[3].weight, 0, 1)
    return network.eval()


def labelled_by(network, folder):
    """An .npz of pictures 8 × 8 and what the network says of them; gives what it says."""
    pictures = np.random.default_rng(0).integers(0, 256, (EXAMPLES, 8, 8), dtype=np.uint8)
    with torch.no_grad():
        logits = network(torch.from_numpy(pictures).float()[:, None] / 255)
    np.savez(folder / "data.npz", x=pictures, y=logits.argmax(1).numpy())
    return logits


def opened(network, folder, card=None):
    """Ids of the model file and of the data beside it."""
    torch.save(network.state_dict(), folder / "model.pt")
    said = parse_card(card or {}, "card")
    return (library.model_id(folder / "model.pt", said),
            library.dataset_id(folder / "data.npz"))


@pytest.fixture
def tanh(tmp_path):
    network = teacher(nn.Tanh)
    return network, labelled_by(network, tmp_path), tmp_path


def test_the_right_activation_is_offered_and_scored_as_by_hand(tanh):
    network, logits, folder = tanh
    table = proposals(*opened(network, folder)).set_index("proposal")
    true, guess = "MLP 64-48-4 (Tanh)", "MLP 64-48-4 (ReLU)"
    assert table.loc[true, "accuracy"] == 1 and table.loc[true, "offered"]
    assert table["offered"].sum() == 1
    assert table.index[0] == guess and table.loc[guess, "opened"]
    assert table.loc[true, "differs"] == "Tanh" and table.loc[guess, "differs"] == ""
    assert (table["examples"] == 256).all()
    losses = nn.functional.cross_entropy(logits, logits.argmax(1), reduction="none")
    assert table.loc[true, "loss"] == pytest.approx(losses.mean().item(), abs=0.05)  # of all 300


def test_accuracy_and_loss_of_a_whole_small_set_are_exact(tmp_path):
    network = teacher(nn.Tanh)
    labelled_by(network, tmp_path)
    data = dict(np.load(tmp_path / "data.npz"))
    np.savez(tmp_path / "data.npz", x=data["x"][:120], y=data["y"][:120])
    table = proposals(*opened(network, tmp_path)).set_index("proposal")
    inputs = torch.from_numpy(data["x"][:120]).float()[:, None] / 255
    truth = torch.from_numpy(data["y"][:120])
    for name, activation in (("ReLU", nn.ReLU()), ("GELU", nn.GELU()), ("Tanh", nn.Tanh())):
        network[2] = activation
        with torch.no_grad():
            logits = network(inputs)
        row = table.loc[f"MLP 64-48-4 ({name})"]
        assert row["accuracy"] == pytest.approx((logits.argmax(1) == truth).float().mean().item())
        assert row["loss"] == pytest.approx(
            nn.functional.cross_entropy(logits, truth).item(), rel=1e-4)


def test_what_was_chosen_is_opened_and_nothing_is_better(tanh):
    network, _, folder = tanh
    model, data = opened(network, folder, {"architecture": "MLP 64-48-4 (Tanh)"})
    table = proposals(model, data)
    assert choices(model)[0] == table.iloc[0]["proposal"] == "MLP 64-48-4 (Tanh)"
    assert table.iloc[0]["accuracy"] == 1 and not table["clearly_better"].any()
    assert not table["offered"].any()


def test_two_choices_that_were_both_wrong_are_found_one_after_the_other(tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(12, 16, 3, padding=1),
        nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, CLASSES)).eval()
    for layer in (network[0], network[3], network[7]):
        nn.init.normal_(layer.weight, 0, 1.0)
    labelled_by(network, tmp_path)
    card = {"input": {"height": 8, "width": 8}}
    table = proposals(*opened(network, tmp_path, card)).set_index("differs")
    best = table[table["offered"]]
    assert len(best) == 1 and best["accuracy"].item() == 1
    assert "Tanh" in best.index[0] and "average-pooling" in best.index[0]


def test_without_data_or_labels_proposals_are_listed_without_scores(tanh):
    network, _, folder = tanh
    model, _ = opened(network, folder)
    np.savez(folder / "bare.npz", x=np.zeros((20, 8, 8), np.uint8))
    for data in (None, library.dataset_id(folder / "bare.npz")):
        table = proposals(model, data)
        assert len(table) > 5 and table["accuracy"].isna().all() and table["loss"].isna().all()
        assert not table["clearly_better"].any() and not table["offered"].any()


def test_data_that_does_not_suit_says_why(tanh):
    network, _, folder = tanh
    model, _ = opened(network, folder, {"input": {"channels": 2, "height": 8, "width": 4}})
    wrong = np.zeros((20, 8, 4, 3), np.uint8)
    np.savez(folder / "wrong.npz", x=wrong, y=np.arange(20) % CLASSES)
    table = proposals(model, library.dataset_id(folder / "wrong.npz"))
    assert table["accuracy"].isna().all()
    assert table["fault"].str.contains("channels").all()


def test_there_is_no_choice_where_the_file_tells_the_network(samples, tmp_path):
    import torchvision

    squeezenet = torchvision.models.squeezenet1_1(num_classes=3)
    torch.save(squeezenet.state_dict(), tmp_path / "model.pt")
    assert choices(library.model_id(tmp_path / "model.pt")) == ["squeezenet1_1"]
    assert len(choices(library.model_id(samples / "shapes-cnn.safetensors"))) == 1
    torch.save({"x": torch.ones(3)}, tmp_path / "other.pt")
    assert choices(library.model_id(tmp_path / "other.pt")) == []
    exported = torch.export.export(teacher(nn.ReLU), (torch.zeros(2, 1, 8, 8),))
    torch.export.save(exported, tmp_path / "model.pt2")
    model = library.model_id(tmp_path / "model.pt2")
    assert choices(model) == [] and proposals(model, None).empty


def test_what_differs_names_what_is_other_and_what_is_gone():
    opened_name = "CNN 1-8-10 (28 × 28, padding 0, no pooling, ReLU, norm after activation)"
    for words, expected in (
            ("28 × 28, padding 0, no pooling, Tanh, norm after activation", "Tanh"),
            ("28 × 28, padding 0, no pooling, ReLU", "without norm after activation"),
            ("28 × 28, padding 0, no pooling, Tanh", "Tanh, without norm after activation"),
            ("32 × 32, padding 0, stride 2-1, no pooling, ReLU, norm after activation",
             "32 × 32, stride 2-1")):
        assert what_differs(f"CNN 1-8-10 ({words})", opened_name) == expected
    assert what_differs(opened_name, opened_name) == ""
    assert what_differs("resnet18 (stride 2)", opened_name) == "resnet18 (stride 2)"


@pytest.mark.parametrize("gained, lost, better", [
    (10, 0, True), (9, 0, False), (0, 10, False), (60, 30, True), (60, 40, False), (0, 0, False)])
def test_clearly_better_is_three_standard_errors_of_the_discordant(gained, lost, better):
    mine = [True] * gained + [False] * lost + [True] * 40
    its = [False] * gained + [True] * lost + [True] * 40
    assert clearly_better(mine, its) is better
    assert (gained - lost > 3 * math.sqrt(gained + lost)) is better
    assert not clearly_better(None, its) and not clearly_better(mine, None)


def test_a_correction_chooses_an_architecture_on_the_page(tanh, monkeypatch):
    from streamlit.testing.v1 import AppTest

    network, _, folder = tanh
    monkeypatch.chdir(folder)
    opened(network, folder)

    def page(folder: str) -> None:
        from pathlib import Path

        import streamlit as st

        from core import library
        from core.ui import corrections
        from core.ui.proposals import architecture_choice

        corrections.follow()
        st.text_input("Corrections", key=corrections.KEY)
        place = Path(folder)
        architecture_choice(library.model_id(place / "model.pt", corrections.card()),
                            library.dataset_id(place / "data.npz"))

    app = AppTest.from_function(page, default_timeout=60, args=(str(folder),)).run()
    assert not app.exception and "Tanh" in app.markdown[1].value
    assert "100.0 % right" in app.markdown[1].value.replace("\\", "")
    app.button(key="better-architecture").click().run()
    assert json.loads(app.session_state["card"]) == {"architecture": "MLP 64-48-4 (Tanh)"}
    assert "stated" in app.markdown[0].value and len(app.markdown) == 1
    app.selectbox(key="architecture-choice").select("MLP 64-48-4 (GELU)").run()
    app.button(key="open-as").click().run()
    assert "GELU" in app.markdown[0].value
    app.button[-1].click().run()
    assert "inferred" in app.markdown[0].value and app.session_state["card"] == ""


def test_nothing_is_drawn_where_there_is_no_choice(samples):
    from streamlit.testing.v1 import AppTest

    def page(path: str) -> None:
        from pathlib import Path

        from core import library
        from core.ui.proposals import architecture_choice

        architecture_choice(library.model_id(Path(path)), None)

    app = AppTest.from_function(
        page, default_timeout=60, args=(str(samples / "shapes-cnn.safetensors"),)).run()
    assert not app.exception and len(app.main) == 0
