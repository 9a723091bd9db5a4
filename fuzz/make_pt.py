"""Writes corpus/pt/: PyTorch files of two small tensors, as torch.save writes them, without torch.

    python3 make_pt.py

plain.pt    a state dict
wrapped.pt  the same under `state_dict`, each name behind `module.`
"""
import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus", "pt")
for module in ("torch", "torch._utils"):
    sys.modules[module] = types.ModuleType(module)


def _rebuild_tensor_v2(*args):
    """What the pickle names; nothing here calls it."""


class FloatStorage:
    """Likewise."""


_rebuild_tensor_v2.__module__, FloatStorage.__module__ = "torch._utils", "torch"
sys.modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
sys.modules["torch"].FloatStorage = FloatStorage


class Storage:
    def __init__(self, key, numbers):
        self.key, self.numbers = key, numbers


class Tensor:
    def __init__(self, key, shape):
        count, strides = 1, []
        for extent in reversed(shape):
            strides.insert(0, count)
            count *= extent
        self.shape, self.strides = tuple(shape), tuple(strides)
        self.storage = Storage(key, [float(i) for i in range(count)])

    def __reduce__(self):
        return _rebuild_tensor_v2, (self.storage, 0, self.shape, self.strides, False, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        if isinstance(value, Storage):
            return "storage", FloatStorage, value.key, "cpu", len(value.numbers)


def save(name, value, tensors):
    buffer = io.BytesIO()
    Pickler(buffer, protocol=2).dump(value)
    with zipfile.ZipFile(os.path.join(HERE, name), "w", zipfile.ZIP_STORED) as archive:
        entries = [("archive/data.pkl", buffer.getvalue()), ("archive/byteorder", b"little")]
        for tensor in tensors:
            numbers = tensor.storage.numbers
            entries.append((f"archive/data/{tensor.storage.key}", struct.pack(f"<{len(numbers)}f", *numbers)))
        for path, data in entries + [("archive/version", b"3\n")]:
            archive.writestr(zipfile.ZipInfo(path), data)


state = {"weight": Tensor("0", [2, 3]), "bias": Tensor("1", [2])}
save("plain.pt", state, state.values())
save("wrapped.pt", {"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, state.values())
