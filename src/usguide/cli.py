"""The ``usguide`` command: human words to stderr, machine output to stdout, honest exit codes.

0 done, 2 wrong usage, 3 the input cannot be read or is not ultrasound, 4 analysed but nothing
could be measured or compared, or copied but not verified clean, 130 stopped by Ctrl-C. Everything
heavy is imported where it is needed, so that ``--help`` and a mistyped option answer at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from usguide import __version__
from usguide.batch.command import batch
from usguide.errors import ConfigError, UsguideError
from usguide.followup.command import compare
from usguide.output import terminal

EXIT_NOTHING_MEASURED = 4
EXIT_NOT_VERIFIED = 4
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

CLAIM = "research software, not a medical device"

# The mark keeps the lines of a paragraph as they are.
_EXAMPLES = """\
\b
Examples:
  usguide analyze heel.dcm
  usguide analyze screen.mp4 --task needle --spacing 0.0563 -o needle_report
  usguide analyze frames/ --fps 30 --json > result.json
  usguide info screen.mp4
  usguide compare january_usguide/ may_usguide/ -o change
  usguide deid clip.dcm -o shared.dcm
  usguide batch archive/ -o results
  usguide synth needling -o needling.dcm --seed 7 frames=60

\b
Exit codes:
  0 done, 2 wrong usage, 3 the input cannot be read or is not ultrasound,
  4 done, but nothing could be measured or compared, or a copy not be verified
"""

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=f"Measurements from recorded ultrasound clips ({CLAIM}).",
    epilog=_EXAMPLES,
)


def main() -> None:
    """Run the command and exit with its code."""
    # A killed run cleans up behind itself as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run the command with these arguments and return its exit code."""
    try:
        if "" in arguments:
            # An empty path is the folder one is in, which nobody means.
            raise ConfigError("an argument is empty; write what it stands for, or leave it out.")
        code = app(args=list(arguments) or ["--help"], prog_name="usguide", standalone_mode=False)
    except UsguideError as error:
        terminal.say(str(error))
        return error.exit_code
    except typer.TyperException as error:
        said = error.format_message().removesuffix(".")
        context = getattr(error, "ctx", None)
        command = "usguide" if context is None else context.command_path
        terminal.say(said if said.endswith("?") else f"{said}; see {command} --help.")
        return ConfigError.exit_code
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    if code == EXIT_INTERRUPTED:
        terminal.say("stopped before the end; no result was written.")
    return code if isinstance(code, int) else 0


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"usguide {__version__} ({CLAIM})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None:
    """Nothing but --version."""


@app.command(
    short_help="Measure one clip: a report, an overlay video, the numbers.",
    epilog="\b\nExamples:\n"
    "  usguide analyze heel.dcm\n"
    "  usguide analyze screen.mp4 --task needle --task fascia --spacing 0.0563\n"
    "  usguide analyze frames/ --fps 30 --no-overlay --json > result.json\n",
)
def analyze(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A DICOM file, a video, an image or a stack, or a folder of images or with DICOM.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Where to write [<name>_usguide]."),
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            help="auto, fascia, needle, contraction or muscle; may be repeated [auto].",
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(metavar="MM|X,Y", help="Millimetres per pixel, instead of the file's."),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            metavar="X,Y,W,H|N",
            help="The B-mode picture in px, instead of finding it; or which one of the DICOM file.",
        ),
    ] = None,
    fps: Annotated[
        str | None, typer.Option(metavar="N", help="Frames per second, instead of the file's.")
    ] = None,
    online: Annotated[
        bool,
        typer.Option(
            "--online",
            help="Follow the needle without looking at later frames: tips that only those tell, "
            "about a fifth, are not found, and fewer passes.",
        ),
    ] = False,
    hints: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json",
            help='Needle tips you know: [{"frame": 3, "tip_px": [x, y]}]; null if not visible.',
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE.toml", help="These options from a file; the line wins."),
    ] = None,
    overlay: Annotated[
        bool | None, typer.Option("--overlay/--no-overlay", help="Write overlay.mp4 [yes].")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print result.json to stdout too.")] = False,
) -> None:
    """Measure one clip and write result.json, frames.csv, overlay.mp4 and report.html."""
    given = {
        "output": output,
        "task": task or None,
        "spacing": spacing,
        "region": region,
        "fps": fps,
        "hints": hints,
        "online": online or None,
        "overlay": overlay,
    }
    from usguide.examination import examine
    from usguide.request import read_options, settle

    asked = settle(given, config)
    directory = Path(asked.get("output") or _results_of(path))
    options = read_options(asked)

    with terminal.watching() as watch:
        done = examine(
            path,
            options,
            directory,
            overlay=asked.get("overlay", True),
            spare="output" not in asked,
            progress=watch,
            loading=terminal.announcing_compilation,
        )
    terminal.summarize(done.analysis, done.report)
    if json:
        from usguide.output.result_json import result_document, to_json

        terminal.give(to_json(result_document(done.analysis)))
    if not done.analysis.measured:
        raise typer.Exit(EXIT_NOTHING_MEASURED)


@app.command(
    short_help="Say what a recording is, without measuring anything.",
    epilog="\b\nExamples:\n  usguide info screen.mp4\n  usguide info clip.dcm --region 2 --json\n",
)
def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The recording.")],
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,W,H|N", help="The B-mode picture, as for analyze.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it for machines.")] = False,
) -> None:
    """Say what a recording is: its picture, scale, timing and text, without measuring anything."""
    from usguide.request import read_options

    options = read_options({"region": region})
    with terminal.watching() as watch:
        with terminal.announcing_compilation():
            from usguide.ingest.opening import open_as_asked
            from usguide.ingest.screen_text import text_in_words
        clip = open_as_asked(path, options, watch)
        text, warn = text_in_words(clip, watch)
    if json:
        from usguide.output.result_json import header_document, to_json

        document = header_document(clip.header)
        document["warnings"] += [f"Text is burned in: {text}."] if warn else []
        terminal.give(to_json(document))
    else:
        terminal.describe(clip.header, text)


_SCENES = """\
\b
Scenes:
  heel                 plantar fascia and calcaneus: thick or thin, diseased, ruptured
  needling             the same with a needle in the image plane, in and out, and twitches
  needle_out_of_plane  the same with a needle across the plane: only a spot is seen
  phantom              a training phantom with a needle, linear or convex
  muscle               a contracting muscle: whole, or torn partly or completely
Any of them with screen=true: on a vendor-like screen with a ruler and text.

\b
Examples:
  usguide synth needling -o needling.dcm --seed 7 frames=60
  usguide synth muscle -o tear.mp4 --crf 28 tear=partial screen=true container_fps=60

Every parameter with its range is in docs/synthetic.md; what is not given is drawn by the seed.
"""


@app.command(short_help="Write a synthetic clip with its exact truth.", epilog=_SCENES)
def synth(
    scene: Annotated[str, typer.Argument(metavar="SCENE", help="One of those below.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Ends in .dcm, .mp4 or .npz.")
    ],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Fixed parameters.")
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Everything not fixed is drawn from it.")
    ] = 0,
    crf: Annotated[
        int | None,
        typer.Option(metavar="N", help="H.264 quality of an .mp4, 0 (lossless) to 51 [20]."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
) -> None:
    """Write a synthetic clip, and its exact truth beside it."""
    fixed = dict(_setting(word) for word in settings or ())
    if crf is not None and output.suffix.lower() != ".mp4":
        raise ConfigError(f"{output}: --crf is for video; end the name with .mp4.")
    with terminal.announcing_compilation():
        from usguide.synth import make_scene, write
    made = make_scene(scene, seed=seed, **fixed)
    quality = {} if crf is None else {"crf": crf}
    recording, truth = write(made, output, overwrite=overwrite, **quality)
    terminal.say(f"wrote {recording} and its truth, {truth}.")


@app.command(
    short_help="Copy a recording without identities.",
    epilog="\b\nExamples:\n"
    "  usguide deid clip.dcm -o shared.dcm\n"
    "  usguide deid screen.mp4 --region 210,43,727,581 -o shared.mp4\n"
    "  usguide deid study/ -o shared/ --json > audit.json\n",
)
def deid(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="A recording, or a folder with DICOM files."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", help="The copy; for a folder, a folder."),
    ],
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H|N", help="The B-mode picture, as for analyze."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the audit to stdout.")] = False,
) -> None:
    """Copy a recording without identifiers: header, container and pixels outside the picture."""
    from usguide.request import read_options

    box = read_options({"region": region}).region
    with terminal.watching() as watch:
        with terminal.announcing_compilation():
            from usguide.ingest.deidentify import deidentify
        done = deidentify(path, output, region=box, progress=watch)
    for sentence in done.sentences():
        terminal.say(sentence)
    if json:
        from json import dumps

        terminal.give(dumps(done.document(), indent=2) + "\n")
    if not done.clean:
        raise typer.Exit(EXIT_NOT_VERIFIED)


app.command(
    short_help="Analyse an archive into one table, resumable.",
    epilog="\b\nExamples:\n"
    "  usguide batch archive/ -o results\n"
    "  usguide batch visits.csv -o results --jobs 8 --time-limit 600\n"
    "  usguide batch archive/ -o results --scheduler tcp://head:8786\n",
)(batch)


app.command(
    short_help="Say what changed between two examinations.",
    epilog="\b\nExamples:\n"
    "  usguide compare january_usguide/ may_usguide/ -o change\n"
    "  usguide compare before.dcm after.dcm --json > change.json\n"
    "  usguide compare left_calf.mp4 right_calf.mp4 --sides other --spacing 0.0883\n",
)(compare)


def _results_of(path: Path) -> str:
    """Name the folder of a recording's results: a folder's name may have dots, a file's ends."""
    place = path.resolve()
    return f"{place.name if place.is_dir() else place.stem}_usguide"


def _setting(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not (key and equals and value):
        raise ConfigError(f"{word!r} is not a parameter; write it as key=value.")
    if key == "seed":
        raise ConfigError("the seed is an option: write --seed N.")
    return key, value
