"""The layers of Keras that may be built from a file's config, and what of their config is used.

Everything else in a config (initializers, regularizers, constraints, names of Python objects) is
left where it is. https://keras.io/api/layers/
"""

_CONV = "filters kernel_size strides padding data_format dilation_rate groups activation use_bias"
_TRANSPOSED = ("filters kernel_size strides padding output_padding data_format dilation_rate "
               "activation use_bias")
_DEPTHWISE = ("kernel_size strides padding depth_multiplier data_format dilation_rate activation "
              "use_bias")
_POOL = "pool_size strides padding data_format"
_RECURRENT = ("units activation recurrent_activation use_bias return_sequences return_state "
              "go_backwards")

# The keys that say what a layer computes when it predicts.
LAYERS: dict[str, frozenset[str]] = {name: frozenset(keys.split()) for name, keys in {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv3D"), _CONV),
    **dict.fromkeys(("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"), _TRANSPOSED),
    **dict.fromkeys(("DepthwiseConv1D", "DepthwiseConv2D"), _DEPTHWISE),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), f"filters {_DEPTHWISE}"),
    "Dense": "units activation use_bias",
    "EinsumDense": "equation output_shape activation bias_axes",
    "Embedding": "input_dim output_dim",
    "BatchNormalization": "axis epsilon center scale",
    "LayerNormalization": "axis epsilon center scale rms_scaling",
    "RMSNormalization": "axis epsilon",
    "GroupNormalization": "groups axis epsilon center scale",
    "UnitNormalization": "axis",
    "Normalization": "axis mean variance invert",
    "Rescaling": "scale offset",
    "Resizing": "height width interpolation crop_to_aspect_ratio pad_to_aspect_ratio data_format",
    "CenterCrop": "height width data_format",
    "Activation": "activation",
    "ReLU": "max_value negative_slope threshold",
    "LeakyReLU": "negative_slope",
    "PReLU": "shared_axes",
    "ELU": "alpha",
    "Softmax": "axis",
    **{f"{kind}Pooling{n}D": _POOL for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": "data_format keepdims"
       for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Adaptive{kind}Pooling{n}D": "output_size data_format"
       for kind in ("Max", "Average") for n in (1, 2, 3)},
    "Reshape": "target_shape",
    "Flatten": "data_format",
    "Permute": "dims",
    "RepeatVector": "n",
    **dict.fromkeys(("Cropping2D", "Cropping3D"), "cropping data_format"),
    "Cropping1D": "cropping",
    **dict.fromkeys(("ZeroPadding2D", "ZeroPadding3D"), "padding data_format"),
    "ZeroPadding1D": "padding",
    "UpSampling1D": "size",
    "UpSampling2D": "size data_format interpolation",
    "UpSampling3D": "size data_format",
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), ""),
    "Concatenate": "axis",
    "Dot": "axes normalize",
    "MultiHeadAttention": "num_heads key_dim value_dim use_bias output_shape attention_axes",
    "GroupQueryAttention": "head_dim num_query_heads num_key_value_heads use_bias",
    **dict.fromkeys(("LSTM", "SimpleRNN"), _RECURRENT),
    "GRU": f"{_RECURRENT} reset_after",
    "Bidirectional": "layer backward_layer merge_mode",
    "TimeDistributed": "layer",
    "LayerScale": "init_values projection_dim",
    "CustomScaleLayer": "scale",
}.items()}

# Layers that Keras keeps with its own networks, and not among keras.layers.
OF_NETWORKS = {"LayerScale": "keras.src.applications.convnext",
               "CustomScaleLayer": "keras.src.applications.inception_resnet_v2"}

# What does nothing when a network predicts: built as Identity, so that no random number is drawn.
INERT = frozenset((
    "Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "RandomFlip",
    "RandomRotation", "RandomZoom", "RandomTranslation", "RandomContrast", "RandomBrightness",
    "RandomHue", "RandomSaturation", "RandomSharpness", "RandomGrayscale", "RandomShear",
    "RandomColorJitter", "RandomColorDegeneration", "RandomInvert", "RandomErasing",
    "RandomGaussianBlur", "RandomPosterization", "RandomHeight", "RandomWidth", "StochasticDepth",
    "RandomPerspective", "RandomElasticTransform", "MixUp", "CutMix", "RandAugment", "AugMix",
))
GRAPHS = frozenset(("Sequential", "Functional", "Model"))
INPUT = "InputLayer"

# Names in a config through which Python code or other files come in.
DOORS = frozenset(("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer",
                   "FlaxLayer", "TensorFlowOpLayer"))
FILES = ("vocabulary", "filepath", "idf_weights", "vocab_file", "asset_path")  # keys, where texts

ACTIVATIONS = frozenset((
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
    "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
    "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
    "threshold",
))

# Functions of keras.ops that a functional model may call between its layers.
OPERATIONS = frozenset((
    "absolute", "add", "average_pool", "cast", "clip", "concatenate", "divide", "elu", "exp",
    "expand_dims", "flip", "gelu", "get_item", "greater", "greater_equal", "hard_sigmoid",
    "hard_silu", "leaky_relu", "less", "less_equal", "log", "log_softmax", "matmul", "max",
    "max_pool", "maximum", "mean", "min", "minimum", "multiply", "negative", "normalize", "pad",
    "power", "relu", "relu6", "reshape", "rsqrt", "selu", "sigmoid", "silu", "softmax",
    "softplus", "split", "sqrt", "square", "squeeze", "stack", "subtract", "sum", "swapaxes",
    "tanh", "tile", "transpose", "true_divide", "variance", "where",
))
