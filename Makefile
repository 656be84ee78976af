# make run, make test: all on a bare Debian 12 or Ubuntu with Python 3.10 to 3.14. `make help`.

TEXT ?=
ARGS ?=
PY = .venv/bin/python

# Nothing of a sourced ROS, of another Python or of an outer environment may leak into ours.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV LD_LIBRARY_PATH AMENT_PREFIX_PATH CMAKE_PREFIX_PATH \
	COLCON_PREFIX_PATH ROS_DISTRO ROS_VERSION RMW_IMPLEMENTATION _ROS_WHEELS_BOOTSTRAP_COMPLETE
# `value`: a sentence may hold a dollar sign.
NEXTSCALE_TEXT := $(value TEXT)
export NEXTSCALE_TEXT PYTHON ROS

.PHONY: help setup run test lint docs format lock clean

help:
	@echo 'make run               three sentences over ROS 2 to a mock robot that executes them as'
	@echo '                       one motion, a picture in out/; TEXT="..." sends that one instead'
	@echo '                       (ARGS="--robot g1 --seed 7" adds options, see nextscale-demo --help)'
	@echo 'make test              every test, running ROS graphs included, make lint and make docs'
	@echo '                       (ARGS="test/core -k gate" runs those tests only)'
	@echo 'make lint              ruff, mypy, import-linter, xmllint'
	@echo 'make docs              the documentation as a site in build/site, warnings are errors'
	@echo 'make format            ruff format'
	@echo 'make setup             only .venv with everything in it; PYTHON=... chooses the Python,'
	@echo '                       ROS=kilted the ROS wheels (else jazzy); see docs/platforms.md'
	@echo 'make lock              resolve requirements.lock and requirements-kilted.lock anew'
	@echo 'make clean             remove .venv and everything built'

setup:
	@tools/setup.sh

run: setup
	@$(PY) -m nextscale_ros.demo $(ARGS) -- $${NEXTSCALE_TEXT:+"$$NEXTSCALE_TEXT"}

# Most tests only compute, each in one thread: as many at a time as there are cores. Those of ROS graphs
# mostly wait for messages: three modules at a time, each on a ROS domain of its own. Those that fail run
# again with the machine to themselves, and the output says so: a busy machine delays messages.
test: setup
	@$(MAKE) --no-print-directory lint docs
ifeq ($(strip $(ARGS)),)
	@status=0; \
	OMP_NUM_THREADS=1 $(PY) -m pytest -n logical --maxprocesses 4 --dist loadfile \
		-m "not graph" || status=$$?; \
	$(PY) -m pytest -n 3 --dist loadfile -m graph test/ros || { \
		echo 'make test: graph tests that failed beside others, again and alone:'; \
		$(PY) -m pytest --last-failed --last-failed-no-failures none -m graph test/ros || status=$$?; }; \
	exit $$status
else
	$(PY) -m pytest $(ARGS)
endif

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	@PYTHONPATH=. .venv/bin/lint-imports
	@if command -v xmllint >/dev/null; then \
		xmllint --noout package.xml interfaces/*/package.xml config/sros2/*.xml; \
	else echo 'xmllint is not installed; the tests read the XML all the same'; fi

docs: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet

format: setup
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

lock:
	@tools/lock.sh

clean:
	rm -rf .venv build install log dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
