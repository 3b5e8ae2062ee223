"""Draw the pictures of `how_it_works.md`: ``python docs/pictures/draw.py``.

They are part of the page itself, not files that it loads, so that their text and lines have the
colours of the page, light or dark. Wider than 400 units they would be too small on a phone.
"""

from pathlib import Path

WIDTH = 400
STYLE = """
text { font: 13.5px sans-serif; fill: var(--pst-color-text-base, #222); }
.small { font-size: 12px; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.strong { font-weight: bold; }
.cell { stroke: var(--pst-color-text-base, #222); stroke-width: 0.6; fill: none; }
.one { fill: #4c9be8; fill-opacity: 0.55; }
.two { fill: #e69f00; fill-opacity: 0.6; }
.sum { fill: #2aa876; fill-opacity: 0.5; }
.zero { fill: var(--pst-color-text-muted, #777); fill-opacity: 0.18; }
.line { stroke: var(--pst-color-text-base, #222); stroke-width: 1.2; fill: none; }
.barrier { stroke: #d1495b; stroke-width: 3; stroke-dasharray: 8 4; }
"""


class Picture:
    """An SVG that grows by shapes."""

    def __init__(self, name, height, title):
        self.name, self.height = name, height
        self.shapes = [f"<title>{title}</title>"]

    def text(self, x, y, words, style=""):
        """Write words; `style` has classes of `STYLE`."""
        self.shapes.append(f'<text x="{x}" y="{y}" class="{style}">{words}</text>')

    def rect(self, x, y, width, height, style=""):
        """Draw a rectangle."""
        at = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        self.shapes.append(f'<rect {at} class="cell {style}"/>')

    def grid(self, x, y, columns, styles, width, height):
        """Draw a row of cells for each of the styles."""
        for r, style in enumerate(styles):
            for c in range(columns):
                self.rect(x + c * width, y + r * height, width, height, style)

    def line(self, x1, y1, x2, y2, style="line"):
        """Draw a line."""
        at = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
        self.shapes.append(f'<line {at} class="{style}"/>')

    def arrow(self, x1, y1, x2, y2):
        """Draw a horizontal or vertical line with a head at its end."""
        self.line(x1, y1, x2, y2)
        back = 5 if x2 + y2 < x1 + y1 else -5
        ends = [(back, -4), (back, 4)] if y1 == y2 else [(-4, back), (4, back)]
        (a, b), (c, d) = ends
        points = f"{x2 + a},{y2 + b} {x2},{y2} {x2 + c},{y2 + d}"
        self.shapes.append(f'<polyline points="{points}" class="line"/>')

    def save(self):
        """Write the file."""
        prefix = f"#{self.name} "
        rules = [rule for rule in STYLE.strip().splitlines()]
        style = "\n".join(prefix + rule for rule in rules)
        head = (
            f'<svg id="{self.name}" class="drawn" role="img" '
            f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}">'
        )
        text = "\n".join([head, f"<style>\n{style}\n</style>", *self.shapes, "</svg>"])
        Path(__file__).with_name(f"{self.name}.svg").write_text(text + "\n", encoding="utf-8")


def two_phases():
    """Draw which thread computes what in the two phases of a step."""
    p = Picture("two_phases", 452, "A step: rows, a barrier, weights, a barrier")
    halves = ["one"] * 4 + ["two"] * 4
    p.rect(10, 8, 12, 12, "one")
    p.text(28, 18, "thread 0")
    p.rect(100, 8, 12, 12, "two")
    p.text(118, 18, "thread 1")

    p.text(10, 50, "1. Rows", "strong")
    p.text(70, 50, "each thread takes some rows of the minibatch")
    p.text(70, 67, "through all layers and back, with the old weights")
    matrices = [(14, 6, "inputs"), (160, 5, "hidden"), (300, 3, "outputs")]
    for x, columns, name in matrices:
        p.text(x + columns * 8, 92, name, "small middle")
        p.grid(x, 98, columns, halves, 16, 11)
    for x, name in ((112, "W₁"), (242, "W₂")):
        p.arrow(x, 126, x + 44, 126)
        p.text(x + 22, 118, name, "middle")
    p.arrow(286, 164, 242, 164)
    p.text(264, 181, "W₂ᵀ δ", "small middle")
    p.text(354, 130, "loss", "small")
    p.text(354, 160, "p - y", "small")

    p.line(10, 208, 390, 208, "barrier")
    p.text(200, 226, "barrier: all activations and deltas are there", "small middle")

    p.text(10, 258, "2. Weights", "strong")
    p.text(88, 258, "each thread takes some weights of all")
    p.text(88, 275, "layers, and sums their gradients over all rows")
    for x, columns, styles, name in (
        (60, 5, ["one"] * 3 + ["two"] * 3, "W₁, an input per row"),
        (250, 3, ["one"] * 3 + ["two"] * 2, "W₂"),
    ):
        p.grid(x, 292, columns, styles, 18, 13)
        p.text(x + columns * 9, 386, name, "small middle")
    p.text(200, 410, "w -= rate × (sum over the rows of a × δ)", "middle")
    p.line(10, 426, 390, 426, "barrier")
    p.text(200, 444, "barrier: all weights are new, and the next step begins", "small middle")
    p.save()


def tile():
    """Draw the register tile of 4 rows by 4 vectors, and what one term adds to it."""
    p = Picture("tile", 318, "A tile of four rows and four vectors, and one term of its sums")
    x, y, width, height, lanes = 84, 104, 72, 34, 8
    p.text(x + 2 * width, 18, "a row of y: 4 vectors, loaded once", "middle")
    for v in range(4):
        for lane in range(lanes):
            p.rect(x + v * width + lane * 9 - v, 28, 9, 26, "two")
    p.arrow(x + 2 * width, 60, x + 2 * width, 96)
    p.text(12, 96, "a column of x:", "small")
    for r in range(4):
        p.rect(20, y + r * (height + 4), 26, height, "one")
        p.arrow(50, y + r * (height + 4) + height / 2, 78, y + r * (height + 4) + height / 2)
        for v in range(4):
            for lane in range(lanes):
                at = x + v * width + lane * 9 - v
                p.rect(at, y + r * (height + 4), 9, height, "sum")
    p.text(12, 270, "4 numbers", "small")
    p.text(x + 2 * width, 274, "the tile: 16 sums in 16 registers", "middle")
    p.text(200, 304, "tile[r, c] += x[r] × y[c]", "middle strong")
    p.save()


def parameters():
    """Draw the layout of the parameters of a layer."""
    p = Picture("parameters", 330, "The parameters of a layer in memory, row by row")
    x, y, width, height = 96, 52, 34, 24
    p.text(x + 2.5 * width, 18, "outputs j of the layer", "middle")
    p.text(x + 6.5 * width, 18, "padding", "middle")
    p.line(x + 2, 26, x + 5 * width - 2, 26)
    p.line(x + 5 * width + 2, 26, x + 8 * width - 2, 26)
    for j in range(5):
        p.text(x + (j + 0.5) * width, 44, j, "small middle")
    for k in range(4):
        p.text(x - 8, y + (k + 0.65) * height, f"input {k}", "small end")
        for j in range(8):
            p.rect(x + j * width, y + k * height, width, height, "one" if j < 5 else "zero")
            word = f"w{k}{j}" if j < 5 else "0"
            p.text(x + (j + 0.5) * width, y + (k + 0.65) * height, word, "small middle")
    p.text(x - 8, y + 4.65 * height, "padding", "small end")
    for j in range(8):
        p.rect(x + j * width, y + 4 * height, width, height, "zero")
        p.text(x + (j + 0.5) * width, y + 4.65 * height, "0", "small middle")
    p.text(x - 8, y + 5.65 * height, "biases", "small end")
    for j in range(8):
        p.rect(x + j * width, y + 5 * height, width, height, "two" if j < 5 else "zero")
        word = f"b{j}" if j < 5 else "0"
        p.text(x + (j + 0.5) * width, y + 5.65 * height, word, "small middle")
    p.text(x - 8, y + 6.65 * height, "next layer", "small end")
    for j in range(8):
        p.rect(x + j * width, y + 6 * height, width, height, "sum" if j < 3 else "zero")
    p.text(200, 246, "one array, from left to right and from top to bottom:", "middle")
    words = ["w00", "w01", "w02", "w03", "w04", "0", "0", "0", "w10", "w11", "..."]
    styles = ["one"] * 5 + ["zero"] * 3 + ["one"] * 3
    for i, (word, style) in enumerate(zip(words, styles, strict=True)):
        p.rect(13 + i * width, 258, width, height, style)
        p.text(13 + (i + 0.5) * width, 258 + 0.65 * height, word, "small middle")
    p.text(200, 306, "net.weights[0] is its transpose, without the padding:", "middle")
    p.text(200, 322, "weights[0][j, k] is wkj", "middle small")
    p.save()


if __name__ == "__main__":
    two_phases()
    tile()
    parameters()
