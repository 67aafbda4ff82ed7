# Everything a fresh machine needs is Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test suite bench fuzz bench-archive lint clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

demo: $(STAMP)
	$(BIN)/usguide analyze sample_data/heel_needling.dcm -o demo/heel_needling
	$(BIN)/usguide analyze sample_data/muscle_tear_screen.mp4 -o demo/muscle_tear_screen
	@echo
	@echo "Reports: $(CURDIR)/demo/heel_needling/report.html"
	@echo "         $(CURDIR)/demo/muscle_tear_screen/report.html"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint suite

# Workers begin with half of the files each, so that a module's scenes are drawn once, and take
# from each other at the end. The kernels run twice: compiled, and as plain Python against their
# naive twins.
suite: $(STAMP)
	$(BIN)/pytest -n auto --dist worksteal --hypothesis-profile=ci
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest -m kernel --hypothesis-profile=ci

# SHARE=0.3 runs that part of the clips: minutes instead of half an hour.
SHARE ?= 1
bench: $(STAMP)
	$(BIN)/python -m benchmarks.accuracy --share $(SHARE)
	$(BIN)/python -m benchmarks.second_heels
	$(BIN)/python -m benchmarks.wave_heels
	$(BIN)/python -m benchmarks.second_needles
	$(BIN)/python -m benchmarks.second_muscles
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.ingest

fuzz: $(STAMP)
	$(BIN)/python -m benchmarks.fuzz

# Half an hour on two idle cores; CLIPS=../shared/clips adds real recordings.
CLIPS ?=
bench-archive: $(STAMP)
	$(BIN)/python -m benchmarks.archive make bench/archive
	$(BIN)/python -m benchmarks.archive same bench/archive $(if $(CLIPS),--and $(CLIPS))
	for part in speed memory growth kill; do $(BIN)/python -m benchmarks.archive $$part || exit 1; done

clean:
	rm -rf $(VENV) demo bench
