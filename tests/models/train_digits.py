#!/usr/bin/env python3
"""Train the digit classifier of the test suite and write its test data.

Usage: train_digits.py [OUT_DIR]
needs: pip install onnx==1.23.2 numpy scikit-learn pillow onnxruntime

Enters: scikit-learn's digits data (1,797 gray 8x8 images, ink values 0..16),
shipped inside the scikit-learn package; nothing is downloaded.

Leaves, in OUT_DIR (default: the folder of this script):
  digits.onnx                the model: image [batch,1,8,8] -> probabilities [batch,10]
  digits_heldout_images.npy  uint8 [360,8,8], 0..255, white ink on black
  digits_heldout_labels.npy  int64 [360]
  digits_expected.npy        float32 [10,10], ONNX Runtime's output for the first
                             10 held-out images
  digit_0.png .. digit_9.png one held-out example of each digit, 32x32, 8-bit gray

The model's input is everywhere the 8-bit pixel divided by 255. Seeds are fixed and
BLAS is held to one thread, so the same packages on the same kind of CPU write the
same bytes.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

SPLIT_SEED = 20240
TRAIN_SEED = 7
TRAIN_COUNT = 1437
EXPECTED_COUNT = 10
PICTURE_SCALE = 4

CONV1_CHANNELS = 16
CONV2_CHANNELS = 32
HIDDEN = 32
EPOCHS = 60
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.2
SHIFT_PROBABILITY = 0.5


# Data


def load_split():
    """Return (train pixels, train labels, held-out pixels, held-out labels).

    Pixels are uint8 [n,8,8], labels int64 [n]; the split is a seeded permutation.
    """
    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)
    labels = digits.target.astype(np.int64)
    order = np.random.RandomState(SPLIT_SEED).permutation(len(labels))
    train, held_out = order[:TRAIN_COUNT], order[TRAIN_COUNT:]
    return pixels[train], labels[train], pixels[held_out], labels[held_out]


def to_input(pixels):
    """Turn uint8 pixels [n,8,8] into the model's input, float32 [n,1,8,8] in [0,1]."""
    return pixels[:, None].astype(np.float32) / np.float32(255)


def shift_randomly(images, random):
    """Return [n,1,8,8] images, some moved by up to one pixel; black moves in."""
    padded = pad_by_one(images)
    shifted = images.copy()
    for i in np.flatnonzero(random.random_sample(len(images)) < SHIFT_PROBABILITY):
        top, left = random.randint(0, 3, size=2)
        shifted[i] = padded[i, :, top : top + 8, left : left + 8]
    return shifted


# Layers: each forward returns (output, what its backward needs)


def pad_by_one(x):
    """Return [n,c,h,w] with a border of one zero pixel."""
    return np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))


def conv_forward(x, weight, bias):
    """3x3 convolution with padding 1: [n,c,h,w] -> [n,filters,h,w]."""
    n, c, h, w = x.shape
    windows = np.lib.stride_tricks.sliding_window_view(pad_by_one(x), (3, 3), axis=(2, 3))
    patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * 9)
    out = patches @ weight.reshape(len(weight), -1).T + bias
    return out.reshape(n, h, w, -1).transpose(0, 3, 1, 2), patches


def conv_backward(grad, patches, weight):
    """Return the gradients (input, weight, bias) of conv_forward."""
    n, filters, h, w = grad.shape
    channels = weight.shape[1]
    rows = grad.transpose(0, 2, 3, 1).reshape(-1, filters)
    weight_grad = (rows.T @ patches).reshape(weight.shape)
    patch_grad = (rows @ weight.reshape(filters, -1)).reshape(n, h, w, channels, 3, 3)
    padded = np.zeros((n, channels, h + 2, w + 2), np.float32)
    for dy in range(3):
        for dx in range(3):
            padded[:, :, dy : dy + h, dx : dx + w] += patch_grad[..., dy, dx].transpose(0, 3, 1, 2)
    return padded[:, :, 1:-1, 1:-1], weight_grad, rows.sum(axis=0)


def pool_forward(x):
    """2x2 max pooling with stride 2, and the mask of each window's maxima."""
    n, c, h, w = x.shape
    windows = x.reshape(n, c, h // 2, 2, w // 2, 2)
    out = windows.max(axis=(3, 5), keepdims=True)
    return out[:, :, :, 0, :, 0], windows == out


def pool_backward(grad, mask):
    """Spread each output's gradient evenly over the maxima of its window."""
    n, c, h, _, w, _ = mask.shape
    share = grad[:, :, :, None, :, None] / mask.sum(axis=(3, 5), keepdims=True, dtype=np.float32)
    return (mask * share).reshape(n, c, 2 * h, 2 * w)


def softmax(logits):
    """Softmax over the last axis."""
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exps / exps.sum(axis=1, keepdims=True)


# Training


def initial_parameters(random):
    """Return He-initialised weights and zero biases by name, all float32."""
    shapes = {
        "conv1": (CONV1_CHANNELS, 1, 3, 3),
        "conv2": (CONV2_CHANNELS, CONV1_CHANNELS, 3, 3),
        "fc1": (HIDDEN, CONV2_CHANNELS * 4 * 4),
        "fc2": (10, HIDDEN),
    }
    parameters = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[1:]))
        parameters[f"{name}.weight"] = (random.standard_normal(shape) * scale).astype(np.float32)
        parameters[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    return parameters


def gradients(p, images, labels):
    """Return the gradients, by parameter name, of the mean cross-entropy."""
    n = len(images)
    a1, patches1 = conv_forward(images, p["conv1.weight"], p["conv1.bias"])
    r1 = np.maximum(a1, 0)
    a2, patches2 = conv_forward(r1, p["conv2.weight"], p["conv2.bias"])
    r2 = np.maximum(a2, 0)
    pooled, mask = pool_forward(r2)
    flat = pooled.reshape(n, -1)
    a3 = flat @ p["fc1.weight"].T + p["fc1.bias"]
    r3 = np.maximum(a3, 0)
    logits = r3 @ p["fc2.weight"].T + p["fc2.bias"]

    g = {}
    d = softmax(logits)
    d[np.arange(n), labels] -= 1
    d /= n
    g["fc2.weight"], g["fc2.bias"] = d.T @ r3, d.sum(axis=0)
    d = (d @ p["fc2.weight"]) * (a3 > 0)
    g["fc1.weight"], g["fc1.bias"] = d.T @ flat, d.sum(axis=0)
    d = pool_backward((d @ p["fc1.weight"]).reshape(pooled.shape), mask) * (a2 > 0)
    d, g["conv2.weight"], g["conv2.bias"] = conv_backward(d, patches2, p["conv2.weight"])
    d = d * (a1 > 0)
    _, g["conv1.weight"], g["conv1.bias"] = conv_backward(d, patches1, p["conv1.weight"])
    return g


def adam_step(p, g, mean, square, step, rate):
    """Update the parameters in place: Adam with decoupled weight decay on weights."""
    for name in p:
        mean[name] = np.float32(0.9) * mean[name] + np.float32(0.1) * g[name]
        square[name] = np.float32(0.999) * square[name] + np.float32(0.001) * g[name] ** 2
        m = mean[name] / np.float32(1 - 0.9**step)
        s = square[name] / np.float32(1 - 0.999**step)
        update = m / (np.sqrt(s) + np.float32(1e-8))
        if name.endswith(".weight"):
            update = update + np.float32(WEIGHT_DECAY) * p[name]
        p[name] -= np.float32(rate) * update


def train(images, labels):
    """Return the trained parameters by name; the rate falls along a half cosine."""
    random = np.random.RandomState(TRAIN_SEED)
    p = initial_parameters(random)
    mean = {name: np.zeros_like(value) for name, value in p.items()}
    square = {name: np.zeros_like(value) for name, value in p.items()}
    batches = len(images) // BATCH
    for epoch in range(EPOCHS):
        order = random.permutation(len(images))
        for b in range(batches):
            step = epoch * batches + b + 1
            rate = LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / (EPOCHS * batches)))
            chosen = order[b * BATCH : (b + 1) * BATCH]
            g = gradients(p, shift_randomly(images[chosen], random), labels[chosen])
            adam_step(p, g, mean, square, step, rate)
    return p


# Model


def build_model(parameters):
    """Return the ONNX model holding the trained parameters."""
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}
    layers = [
        ("Conv", "conv1", conv),
        ("Relu", "relu1", {}),
        ("Conv", "conv2", conv),
        ("Relu", "relu2", {}),
        ("MaxPool", "pool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", "flatten", {"axis": 1}),
        ("Gemm", "fc1", {"transB": 1}),
        ("Relu", "relu3", {}),
        ("Gemm", "fc2", {"transB": 1}),
        ("Softmax", "softmax", {"axis": 1}),
    ]
    nodes, value = [], "image"
    for operator, name, attributes in layers:
        output = "probabilities" if name == "softmax" else f"{name}_out"
        inputs = [value, *(key for key in parameters if key.startswith(f"{name}."))]
        nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        value = output
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(value, name) for name, value in parameters.items()],
    )
    return helper.make_model(
        graph,
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 18)],
        producer_name="ashlar",
        doc_string="Convolutional classifier of handwritten digits for 8x8 gray images, "
        "white ink on black, values in [0,1]. Trained by train_digits.py on 1,437 of the "
        "1,797 images of scikit-learn's digits data (the test set of UCI's Optical "
        "Recognition of Handwritten Digits).",
    )


def runner(model):
    """Return a function from uint8 pixels [n,8,8] to ONNX Runtime's float32 [n,10]."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda pixels: session.run(None, {"image": to_input(pixels)})[0]


def add_metadata(model, correct, total):
    """Write description, labels and held-out accuracy into the model's metadata."""
    helper.set_model_props(
        model,
        {
            "description": "Handwritten digit classifier, 8x8 gray images",
            "labels": ",".join(str(digit) for digit in range(10)),
            "held_out_accuracy": f"{correct / total:.4f} ({correct} of {total})",
        },
    )


# Pictures


def bilinear_resize(pixels, size):
    """Resize a square image bilinearly: half-pixel centres, clamped, no antialias."""
    source = len(pixels)
    centre = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
    low = np.floor(centre).astype(int)
    high = np.minimum(low + 1, source - 1)
    part = centre - low
    rows = pixels[low] * (1 - part)[:, None] + pixels[high] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, high] * part


def write_pictures(out_dir, classify, pixels, labels):
    """Write the first correctly classified held-out image of each digit as a PNG.

    The picture repeats every pixel 4x4 times; resized back to 8x8 bilinearly it must
    give the image again, and so the same class.
    """
    right = classify(pixels).argmax(axis=1) == labels
    for digit in range(10):
        image = pixels[np.flatnonzero(right & (labels == digit))[0]]
        picture = image.repeat(PICTURE_SCALE, axis=0).repeat(PICTURE_SCALE, axis=1)
        back = np.rint(bilinear_resize(picture, 8)).astype(np.uint8)
        if classify(back[None]).argmax() != digit or not np.array_equal(back, image):
            raise SystemExit(f"the picture of {digit} does not survive a resize to 8x8")
        Image.fromarray(picture).save(out_dir / f"digit_{digit}.png")


def main():
    """Train, check, evaluate and write everything the module docstring names."""
    out_dir = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    out_dir.mkdir(parents=True, exist_ok=True)
    train_pixels, train_labels, pixels, labels = load_split()
    with threadpool_limits(limits=1):
        model = build_model(train(to_input(train_pixels), train_labels))

    classify = runner(model)
    probabilities = classify(pixels)
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    add_metadata(model, correct, len(labels))
    onnx.checker.check_model(model, full_check=True)

    (out_dir / "digits.onnx").write_bytes(model.SerializeToString(deterministic=True))
    np.save(out_dir / "digits_heldout_images.npy", pixels)
    np.save(out_dir / "digits_heldout_labels.npy", labels)
    np.save(out_dir / "digits_expected.npy", classify(pixels[:EXPECTED_COUNT]))
    write_pictures(out_dir, classify, pixels, labels)
    print(f"held-out accuracy: {correct} of {len(labels)} ({correct / len(labels):.2%})")


if __name__ == "__main__":
    main()
