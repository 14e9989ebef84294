# One command per wish, the same for a person, a hook and CI. `make help` lists them.
#
# Needed beforehand: git, make, python3 (3.11 or newer). Everything else comes by itself, into
# .tools/ and .venv/. All paths here are relative, so the clone may lie under any name.
# Stamps come last: what a broken try leaves behind is not believed by the next one.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The machine's own Python where it is new enough, else what the shell finds. One that was compiled
# by hand, without optimisation, needs half as long again for everything.
ifndef PYTHON
PYTHON := $(shell for each in /usr/bin/python3 python3; do \
  "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
  done; echo "$$each")
endif
UV_PYTHON ?= $(PYTHON)
UV ?= .tools/uv
RUN := .venv/bin/python
SYNCED := .venv/.synced

# uv: the machine's own certificates (a firm's proxy may look into TLS), no interpreter from
# elsewhere, and the virtual environment of this folder, whatever the shell has active.
export PYTHON UV_PYTHON
export UV_SYSTEM_CERTS ?= 1
export UV_PYTHON_DOWNLOADS ?= never
export UV_PROJECT_ENVIRONMENT := .venv
export UV_NO_PROGRESS ?= 1
export UV_LINK_MODE ?= copy
# Compiled once, beside the tree: a process that compiles everything anew starts four times slower.
export PYTHONPYCACHEPREFIX ?= $(CURDIR)/build/pycache
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1 | \2/p' Makefile \
	| while IFS='|' read -r target what; do printf '%-16s%s\n' "$$target" "$$what"; done
	@echo "On a fresh machine: apt install git make python3"

.PHONY: setup
setup: $(SYNCED) ## get everything that is needed, into .tools/ and .venv/

.tools/uv: tools/bootstrap_uv.py
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "countermand: there is no $(PYTHON) here; install Python 3.11 or newer (apt install python3)" >&2; \
	  exit 1; }
	@"$(PYTHON)" tools/bootstrap_uv.py

# First from what was fetched before: quick, and a missing network is no reason to fail.
$(SYNCED): $(UV) uv.lock pyproject.toml tools/compile_programs.py
	@"$(UV)" sync --quiet --locked --offline 2>/dev/null || "$(UV)" sync --quiet --locked
	@$(RUN) tools/compile_programs.py
	@touch $@

.PHONY: demo
demo: $(SYNCED) ## tell the whole story on this machine (PACE=fast is quicker; SEED=n)
	@$(RUN) -m demo

.PHONY: demo-chaos
demo-chaos: $(SYNCED) ## the same story while its processes are killed at random moments (SEED=n)
	@$(RUN) -m demo --chaos --seed "$(or $(SEED),1)"

.PHONY: up
up: $(SYNCED) ## start Countermand on this machine (ARGS="--port 0 --data DIR")
	@.venv/bin/countermand up $(ARGS)

.PHONY: check
check: $(SYNCED) ## everything that can be said without running the program (STEP=name for one)
	@$(RUN) tools/run_checks.py $(STEP)

.PHONY: test
test: $(SYNCED) ## run the tests, all or one group (GROUP=unit; ARGS goes to pytest)
	@$(RUN) tools/run_tests.py $(if $(GROUP),--group "$(GROUP)") -- $(ARGS)

.PHONY: lab
lab: $(SYNCED) ## try what deploy/ ships under more real servers (QUICK=1: only their stories; needs root)
	@UV_PROJECT_ENVIRONMENT=build/lab-venv "$(UV)" sync --quiet --locked --only-group lab \
	  --no-install-project
	@$(RUN) tools/debian_packages.py lab
	@$(RUN) -m lab.dovecot24
	@$(RUN) tools/run_tests.py --group lab -- $(if $(QUICK),-k story) $(ARGS)

.PHONY: fuzz
fuzz: $(SYNCED) ## throw 5,000 damaged inputs at every reader of foreign bytes (ARGS goes to pytest)
	@HYPOTHESIS_PROFILE=night $(RUN) -m pytest -q -p no:django --timeout=7200 \
	  $(addprefix tests/property/test_,foreign_byte_laws.py foreign_file_laws.py \
	    door_key_laws.py gate_question_laws.py plain_login_laws.py plain_question_laws.py) $(ARGS)
	@HYPOTHESIS_PROFILE=night $(RUN) -m pytest -q --timeout=7200 tests/apps/scim/test_bad_bodies.py

.PHONY: model
model: $(SYNCED) ## look at every interleaving of the permit design (WITHOUT=fence|permit|barrier)
	@$(RUN) -m simulation.permit_model $(if $(WITHOUT),--without "$(WITHOUT)")

.PHONY: campaign
campaign: $(SYNCED) ## kill real processes, and judge by the mail server's record (KILLS=n SEED=n WORLDS=n POWER=n)
	@$(RUN) -m simulation.campaign --kills "$(or $(KILLS),1000)" --seed "$(or $(SEED),1)" \
	  --worlds "$(or $(WORLDS),2)" --power "$(or $(POWER),0)" \
	  $(if $(WITHOUT),--without "$(WITHOUT)")

.PHONY: bench-notices
bench-notices: $(SYNCED) ## send, stop and correct, beside smtp-source and others (QUICK=1; PRESSES=n)
	@QUICK="$(QUICK)" $(RUN) -m benchmarks.notices

.PHONY: bench-bulk
bench-bulk: $(SYNCED) ## read, load and plan for a million devices, beside peers (QUICK=1: smaller, under 50 s)
	@QUICK="$(QUICK)" $(RUN) -m benchmarks.bulk

.PHONY: bench-gate
bench-gate: $(SYNCED) ## the gate with a million devices beside nginx, OPA and a database (QUICK=1)
	@$(RUN) tools/debian_packages.py bench-gate || true
	@QUICK="$(QUICK)" $(RUN) -m benchmarks.gate

.PHONY: fix
fix: $(SYNCED) ## let the tools put right what they can, and write the generated pages again
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .
	@$(RUN) tools/write_reference.py
	@$(RUN) tools/messages.py extract
	@$(RUN) tools/messages.py compile

.PHONY: fresh
fresh: ## prove all of this in a bare Debian, as root and as a user (needs root; 6 minutes)
	@"$(PYTHON)" tools/fresh.py $(ARGS)
