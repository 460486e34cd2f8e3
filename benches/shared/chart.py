"""The chart of shared.py: hit ratio, wipes and refused stores of each contender over the requests."""

import workload

WIDTH, LEFT, RIGHT, TOP = 760, 56, 12, 112
RATIO_HEIGHT, GAP, ROW, BAR = 220, 10, 36, 20
# Colors for a light page and for a dark one.
STYLE = """<style>
text { font: 11px sans-serif; fill: #222222 } .back { fill: #ffffff } .axis { stroke: #222222; opacity: 0.2 }
.a { stroke: #2a6f97; fill: #2a6f97 } .b { stroke: #c8553d; fill: #c8553d } .c { stroke: #5b8c3a; fill: #5b8c3a }
.d { stroke: #b8860b; fill: #b8860b }
polyline { fill: none !important; stroke-width: 1.8; stroke-linejoin: round } text { stroke: none !important }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e6e6 } .back { fill: #16191d } .axis { stroke: #e6e6e6 }
  .a { stroke: #6cb4dc; fill: #6cb4dc } .b { stroke: #ef8a72; fill: #ef8a72 } .c { stroke: #9ccc74; fill: #9ccc74 }
  .d { stroke: #e3b341; fill: #e3b341 }
}
</style>"""


def text(x, y, words, anchor="middle", style=""):
    return f'<text class="{style}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{words}</text>'


def line(x1, y1, x2, y2):
    return f'<line class="axis" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


class Columns:
    """Where each window is, from left to right."""

    def __init__(self, windows):
        self.windows = windows
        self.width = (WIDTH - LEFT - RIGHT) / windows

    def middle(self, window):
        return LEFT + (window + 0.5) * self.width


def ratios(all_answers, columns):
    floor = TOP + RATIO_HEIGHT
    out = [text(LEFT, TOP - 8, "hit ratio", "end")]
    for percent in range(0, 101, 20):
        y = floor - RATIO_HEIGHT * percent / 100
        out += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 6, y + 4, f"{percent}%", "end")]
    for answers in all_answers:
        points = " ".join(f"{columns.middle(i):.1f},{floor - RATIO_HEIGHT * window['hits'] / window['gets']:.1f}"
                          for i, window in enumerate(answers.windows))
        out.append(f'<polyline class="{answers.style}" points="{points}"/>')
    return out


def phases(columns, floor):
    out = []
    length = columns.windows / len(workload.PHASES)
    for i, (least, most) in enumerate(workload.PHASES):
        start = LEFT + i * length * columns.width
        out.append(text(start + length * columns.width / 2, TOP - 8, f"values of {least:,} to {most:,} bytes"))
        if i > 0:
            out.append(line(start, TOP - 18, start, floor))
    return out


TROUBLES = {"wipes": "emptied at once {} times", "refused": "{} stores refused"}


def troubles(all_answers, columns, top):
    """A row for each contender and each trouble that it had. A bar is as high as its window's number beside the row's
    highest."""
    out = []
    rows = [(answers, field) for answers in all_answers for field in TROUBLES if answers.sum(field)]
    for row, (answers, field) in enumerate(rows):
        floor, style = top + (row + 1) * ROW, answers.style
        words = f"{answers.name}: {TROUBLES[field].format(f'{answers.sum(field):,}')}"
        out += [line(LEFT, floor, WIDTH - RIGHT, floor), text(LEFT, floor - ROW + 12, words, "start", style)]
        most = max(window[field] for window in answers.windows)
        for i, window in enumerate(answers.windows):
            if window[field]:
                height = max(1, BAR * window[field] / most)
                out.append(f'<rect class="{style}" x="{columns.middle(i) - 1:.1f}" y="{floor - height:.1f}" width="2" '
                           f'height="{height:.1f}"/>')
    return out, top + len(rows) * ROW


def summary(answers):
    wipes, refused = answers.sum("wipes"), answers.sum("refused")
    return f"{answers.name}: {answers.hit_ratio():.1%} hits, emptied {wipes} times, {refused:,} stores refused"


def draw(all_answers, requests_a_window):
    columns = Columns(len(all_answers[0].windows))
    rows, floor = troubles(all_answers, columns, TOP + RATIO_HEIGHT + GAP)
    legend = [text(LEFT, 18 + 16 * i, summary(answers), "start", answers.style)
              for i, answers in enumerate(all_answers)]
    height = floor + 30
    words = f"requests from left to right: {columns.windows * requests_a_window:,}; a point is " \
            f"{requests_a_window:,} of them"
    return "\n".join([
        f'<svg width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" xmlns="http://www.w3.org/2000/svg">',
        STYLE, f'<rect class="back" width="{WIDTH}" height="{height}"/>', *legend, *phases(columns, floor),
        *ratios(all_answers, columns), *rows, text(WIDTH / 2, floor + 20, words), "</svg>", ""])
