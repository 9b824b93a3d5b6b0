"""Layers as Keras 1, Keras 2 and tf.keras wrote them, in the words of Keras 3.

Keras 1: https://github.com/keras-team/keras/blob/1.2.2/keras/legacy/interfaces.py and the aliases
that Keras 2 gave its old names.
"""

from typing import Any

CLASSES = {
    "Convolution1D": "Conv1D", "Convolution2D": "Conv2D", "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D", "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D", "Deconvolution2D": "Conv2DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose", "SyncBatchNormalization": "BatchNormalization",
    "BatchNormalizationV1": "BatchNormalization", "BatchNormalizationV2": "BatchNormalization",
}
KEYS = {
    "nb_filter": "filters", "bias": "use_bias", "border_mode": "padding", "subsample": "strides",
    "subsample_length": "strides", "filter_length": "kernel_size", "atrous_rate": "dilation_rate",
    "stride": "strides", "pool_length": "pool_size", "inner_activation": "recurrent_activation",
    "output_dim": "units", "interpolation_type": "interpolation",
}
MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum",
          "concat": "Concatenate"}
DATA_FORMATS = {"th": "channels_first", "tf": "channels_last"}

# tf.keras wrote a call of a TensorFlow function as a layer: function, then the same of keras.ops.
TF_FUNCTIONS = {
    "math.add": "add", "__operators__.add": "add", "math.subtract": "subtract",
    "math.multiply": "multiply", "math.truediv": "divide", "math.divide": "divide",
    "math.reduce_mean": "mean", "math.reduce_sum": "sum", "math.reduce_max": "max",
    "math.sigmoid": "sigmoid", "math.tanh": "tanh", "math.exp": "exp", "math.log": "log",
    "math.abs": "absolute", "math.square": "square", "math.sqrt": "sqrt", "math.rsqrt": "rsqrt",
    "math.pow": "power", "math.maximum": "maximum", "math.minimum": "minimum",
    "nn.relu": "relu", "nn.relu6": "relu6", "nn.softmax": "softmax", "nn.sigmoid": "sigmoid",
    "nn.silu": "silu", "nn.swish": "silu", "nn.gelu": "gelu", "nn.log_softmax": "log_softmax",
    "reshape": "reshape", "concat": "concatenate", "expand_dims": "expand_dims",
    "nn.bias_add": "add", "__operators__.getitem": "get_item",
    "compat.v1.transpose": "transpose", "transpose": "transpose", "cast": "cast",
}


def modern(kind: str, config: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class and its config in today's words; what is already modern stays as it is."""
    config = dict(config)
    if kind == "Merge":
        kind = MERGES.get(config.get("mode"), f"Merge of mode {config.get('mode')}")
        config["axis"] = config.pop("concat_axis", -1)
    if kind == "Embedding":
        return kind, config
    kind = CLASSES.get(kind, kind)
    for old, new in KEYS.items():
        if old in config and new not in config and old != kind:
            config[new] = config.pop(old)
    if "nb_row" in config:
        config["kernel_size"] = [config.pop("nb_row"), config.pop("nb_col", 1)]
    if "dim_ordering" in config:
        config["data_format"] = DATA_FORMATS.get(config.pop("dim_ordering"), "channels_last")
    if kind == "LeakyReLU" and "alpha" in config:
        config["negative_slope"] = config.pop("alpha")
    if kind == "BatchNormalization" and config.get("mode", 0) == 1:
        kind = "BatchNormalization of mode 1"
    if kind == "UpSampling1D" and "length" in config:
        config["size"] = config.pop("length")
    axis = config.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        config["axis"] = axis[0]
    return kind, config
