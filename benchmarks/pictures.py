"""Draw the pictures of the documents from a real run: ``pictures.py`` (`make pictures`).

Trains on the shards of `make demo`, evaluates, generates, and looks at the report with a headless
Chromium: docs/report-light.png and -dark.png. What the training printed becomes docs/terminal.svg.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from dslm.commands.cli import Parser, script
from dslm.errors import Problem, SetupError
from dslm.files.whole import write_text

ROOT = Path(__file__).resolve().parent.parent
SHARDS, RUN = "runs/demo/shards", "runs/pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH = 1160
"""Of a picture of the report, in pixels."""
COLUMNS = 118
"""Letters on a line of the terminal; longer lines are wrapped."""
LETTER, LINE = 7.25, 17
"""Width of a letter and distance of two lines, in pixels at the size that is written in the SVG."""
FIRST, LAST = 3, 2
"""How many lines about steps are shown of the beginning and of the end."""


def main(argv: list[str]) -> None:
    """Train, evaluate, generate, and draw.

    Raises:
        SetupError: there is no demo, or no browser.
    """
    parser = Parser("pictures.py", "Draw the pictures of the documents from a real run.")
    parser.add_argument("--steps", type=int, default=400, help="of the run; default 400")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="folder; default docs")
    options = parser.parse_args(argv)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SetupError(Problem("chromium", None, "is not installed", "install it"))
    if not (ROOT / SHARDS / "train").is_dir():
        raise SetupError(Problem(SHARDS, None, "does not exist", "run make demo first"))
    shutil.rmtree(ROOT / RUN, ignore_errors=True)
    train = ["demo", "--deepspeed_config", "ds_configs/zero1_fp32.json", f"steps={options.steps}"]
    train += [f"data.train={SHARDS}/train", f"data.validation={SHARDS}/validation", f"run={RUN}"]
    # So many measurements and lines that the curves of a short run have a shape.
    every = max(1, options.steps // 10)
    train += ["log_interval=1", f"evaluation_interval={every}", f"checkpoint_interval={5 * every}"]
    printed = _call("pretrain", *train)
    _call("evaluate", RUN, "--data", f"{SHARDS}/test")
    write_text(options.output / "terminal.svg", terminal(_command("pretrain", train), printed))
    _photograph(browser, ROOT / RUN / "report.html", options.output)


def _command(name: str, words: Sequence[str]) -> str:
    return " ".join(["python", f"launch/{name}.py", *words])


def _call(name: str, *words: str) -> list[str]:
    """The lines that a command of ``launch`` prints, which are shown meanwhile as well."""
    command = [sys.executable, f"launch/{name}.py", *words]
    lines = []
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr)
            lines.append(line.rstrip())
    if process.returncode:
        raise SetupError(Problem(_command(name, words), None, "failed"))
    return lines


def terminal(command: str, printed: Sequence[str]) -> str:
    """A terminal as SVG: a command and what it printed, most lines about steps left out."""
    lines = list(_wrapped([f"$ {command}", *_shortened(printed)]))
    width, height = round((COLUMNS + 4) * LETTER), (len(lines) + 2) * LINE
    texts = "\n".join(_text(line, number) for number, line in enumerate(lines) if line)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" \
aria-label="What a run prints: a screen before it, its steps, and a screen after it">
<style>text{{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#ecedee;\
white-space:pre}}.p{{fill:#6fcf8e}}</style>
<rect width="{width}" height="{height}" rx="8" fill="#16181b"/>
{texts}
</svg>
"""


def _text(line: str, number: int) -> str:
    prompt = ' class="p"' if line.startswith("$") else ""
    x, y = 2 * LETTER, round((number + 1.8) * LINE)
    return f'<text x="{x}" y="{y}"{prompt}>{escape(line)}</text>'


def _shortened(printed: Sequence[str]) -> Iterator[str]:
    about = [number for number, line in enumerate(printed) if line.startswith("step ")]
    left_out = about[FIRST : max(FIRST, len(about) - LAST)]
    for number, line in enumerate(printed):
        if left_out and number == left_out[0]:
            yield "…"
        if number not in left_out:
            yield line


def _wrapped(lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        indent = " " * 9 if " " * 2 in line[:10] else "    "
        kept = {"break_long_words": False, "break_on_hyphens": False, "replace_whitespace": False}
        yield from textwrap.wrap(line, COLUMNS, subsequent_indent=indent, **kept) or [""]


def _photograph(browser: str, page: Path, folder: Path) -> None:
    """A page down to its first chart, in light and in dark."""
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=browser)
        for scheme in ("light", "dark"):
            view = started.new_page(color_scheme=scheme)
            view.set_viewport_size({"width": WIDTH, "height": WIDTH})
            view.goto(page.as_uri())
            # Where the checkout lies is of no interest to others.
            path = view.locator("header code")
            path.evaluate("(code, root) => { code.textContent = root }", RUN)
            place = view.locator("figure").first.bounding_box()
            assert place is not None
            height = round(place["y"] + place["height"])
            view.set_viewport_size({"width": WIDTH, "height": height})
            view.locator(".plot").first.hover()
            taken = Image.open(BytesIO(view.screenshot())).convert("RGB")
            file = folder / f"report-{scheme}.png"
            few = taken.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
            few.save(file, optimize=True)
        started.close()


if __name__ == "__main__":
    script(main)
