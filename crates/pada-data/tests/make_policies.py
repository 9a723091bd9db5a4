"""Writes the golden values of the operations of AutoAugment and RandAugment. Run it in the root of the repository:

    pip install pillow   (made with Pillow 13.0)
    python3 crates/pada-data/tests/make_policies.py

Each line of `data/policies.csv` has the name of an operation, its magnitude, and the bytes of the result in hexadecimal. The calls of
Pillow are those that torchvision 0.29 makes for images of Pillow: `_apply_op` in torchvision/transforms/autoaugment.py and the functions of
torchvision/transforms/_functional_pil.py.
"""

from PIL import Image, ImageEnhance, ImageOps

HEIGHT, WIDTH = 19, 29


def image():
    pixels = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            pixels += bytes([(7 * x + 3 * y + 20) % 200, (x * y + 40) % 181, (255 + 5 * x - 8 * y) % 256])
    return Image.frombytes("RGB", (WIDTH, HEIGHT), bytes(pixels))


def affine(matrix):
    return image().transform((WIDTH, HEIGHT), Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=0)


OPERATIONS = {
    "Identity": lambda m: image(),
    "ShearX": lambda m: affine([1, m, 0, 0, 1, 0]),
    "ShearY": lambda m: affine([1, 0, 0, m, 1, 0]),
    "TranslateX": lambda m: affine([1, 0, -int(m), 0, 1, 0]),
    "TranslateY": lambda m: affine([1, 0, 0, 0, 1, -int(m)]),
    "Rotate": lambda m: image().rotate(m, Image.Resampling.NEAREST, fillcolor=0),
    "Brightness": lambda m: ImageEnhance.Brightness(image()).enhance(1 + m),
    "Color": lambda m: ImageEnhance.Color(image()).enhance(1 + m),
    "Contrast": lambda m: ImageEnhance.Contrast(image()).enhance(1 + m),
    "Sharpness": lambda m: ImageEnhance.Sharpness(image()).enhance(1 + m),
    "Posterize": lambda m: ImageOps.posterize(image(), int(m)),
    "Solarize": lambda m: ImageOps.solarize(image(), m),
    "AutoContrast": lambda m: ImageOps.autocontrast(image()),
    "Equalize": lambda m: ImageOps.equalize(image()),
    "Invert": lambda m: ImageOps.invert(image()),
}

MAGNITUDES = {
    "ShearX": [0.1, -0.3],
    "ShearY": [0.2, -0.1],
    "TranslateX": [4.7, -9.0],
    "TranslateY": [4.4, -6.0],
    "Rotate": [10.0, -26.7, 30.0],
    "Brightness": [0.5, -0.3],
    "Color": [0.9, -0.4],
    "Contrast": [0.8, -0.6],
    "Sharpness": [0.9, -0.7],
    "Posterize": [7, 4],
    "Solarize": [170.0, 28.3],
}

with open("crates/pada-data/tests/data/policies.csv", "w", encoding="utf-8") as file:
    for name, operation in OPERATIONS.items():
        for magnitude in MAGNITUDES.get(name, [0.0]):
            file.write(f"{name},{magnitude},{operation(magnitude).tobytes().hex()}\n")
