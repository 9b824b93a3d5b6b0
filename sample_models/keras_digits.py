"""The Keras network on digits, on Keras's torch backend, saved as .keras and as legacy .h5."""

import os
from types import ModuleType

import numpy as np

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is first imported

from sample_models.runs import Run
from sample_models.training import FOLDER, inputs_and_labels, split

SETTINGS = {"optimizer": "Adam", "learning_rate": 2e-3, "batch": 32, "epochs": 15}


def network(keras: ModuleType) -> object:
    layers = keras.layers
    return keras.Sequential([
        keras.Input((8, 8, 1), name="pictures"),
        layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1"),
        layers.BatchNormalization(name="norm1"),
        layers.Activation("relu", name="activation1"),
        layers.MaxPooling2D(name="shrink1"),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2"),
        layers.Flatten(name="flatten"),
        layers.Dropout(0.3, name="dropout"),
        layers.Dense(10, activation="softmax", name="head"),
    ], name="digits_keras")


def _data(part: str) -> tuple[np.ndarray, np.ndarray]:
    """float32 (N, 8, 8, 1), 0 to 1, and int64 (N,)."""
    pictures, labels = inputs_and_labels(split("digits", part))
    return pictures.permute(0, 2, 3, 1).numpy().astype(np.float32) / 255, labels.numpy()


def make_digits_keras() -> float:
    """Trains, logs and saves it; its accuracy on the test split, 0 to 1."""
    import keras

    keras.utils.set_random_seed(0)
    (pictures, labels), test = _data("train"), _data("test")
    model = network(keras)
    model.compile(keras.optimizers.Adam(SETTINGS["learning_rate"]), metrics=["accuracy"],
                  loss="sparse_categorical_crossentropy")
    with Run("digits/keras-cnn") as run:
        def log(epoch: int, seen: dict[str, float]) -> None:
            run.scalars({"loss/train": seen["loss"], "accuracy/train": seen["accuracy"],
                         "loss/validation": seen["val_loss"],
                         "accuracy/validation": seen["val_accuracy"],
                         "learning_rate": SETTINGS["learning_rate"]}, epoch)
            run.histograms({f"weights/{weight.path}": keras.ops.convert_to_numpy(weight)
                            for weight in model.trainable_weights if len(weight.shape) > 1}, epoch)

        history = model.fit(
            pictures, labels, batch_size=SETTINGS["batch"], epochs=SETTINGS["epochs"], verbose=0,
            validation_data=test,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=log)]).history
        accuracy, loss = history["val_accuracy"][-1], history["val_loss"][-1]
        run.settings(SETTINGS, {"final/accuracy": accuracy, "final/loss": loss})
    bare = network(keras)  # never compiled, so that no optimizer is saved with it
    bare.set_weights(model.get_weights())
    for ending in ("keras", "h5"):
        bare.save(FOLDER / f"digits-keras.{ending}")
    return accuracy
