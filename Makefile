# Everything that a checkout can do.  `make run` and `make test` set up what they need.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

# What only the tests need: machines to boot images in, a real terminal, what the kernel's Kconfig is built with, and
# what kernels are packed with.
TEST_PACKAGES := qemu-system-x86 qemu-utils seabios ovmf openssh-client openssh-server tmux gcc libc6-dev flex bison \
  cpio bzip2 xz-utils lzop lz4 zstd libcap2-bin dosfstools busybox-static pacman-package-manager makepkg gpg gpg-agent dnf zypper rpm \
  createrepo-c systemd kmod skopeo umoci

# What only `make truth` needs: it builds kernels, and userlands to start with them.
TRUTH_PACKAGES := linux-source-6.1 build-essential bc flex bison libelf-dev libssl-dev kmod cpio lz4 zstd xz-utils \
  busybox-static openssh-client btrfs-progs xfsprogs grub-common qemu-system-x86

.PHONY: run demo test lint format tools test-tools matrix truth truth-tools breaks bench picture clean

run: $(VENV)/run
	@$(BIN)/ami-wizard --practice

# The same build without questions.
demo: $(VENV)/run tools
	@$(BIN)/ami-wizard new --practice --defaults

# A file stays with one worker: what the long tests share is made once.  The longest come early in the alphabet.
test: $(VENV)/dev tools test-tools lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every layout booted, about an hour in all; goes on where it was stopped.  LAYOUT=NAME tries one again.
matrix: $(VENV)/dev tools test-tools
	nice $(BIN)/python -m tests.matrix $(LAYOUT)

# What happens without a kernel option: hours for all of them, goes on where it was stopped; minutes for OPTION=NAME.
truth: $(VENV)/dev tools truth-tools
	nice $(BIN)/python -m tests.truth $(OPTION)

# Images that are broken on purpose, started, and what the proof says of each: half an hour; minutes for NAME="no menu".
breaks: $(VENV)/dev tools test-tools
	$(BIN)/python -m tests.breaks $(if $(NAME),"$(NAME)")

# Hours with everything; PARTS="uploading --peer 'coldsnap=coldsnap upload {image}'" does a part, beside other tools.
bench: $(VENV)/dev tools
	$(BIN)/python -m tests.bench $(PARTS)

picture: $(VENV)/run
	$(BIN)/python -m screens.picture docs/wizard.svg

# Root installs what is missing; anyone else is told the one command.
tools: $(VENV)/run
	@if [ "$$(id -u)" != 0 ]; then $(BIN)/ami-wizard doctor > /dev/null; \
	elif ! $(BIN)/ami-wizard doctor > /dev/null 2>&1; then \
	  apt-get update -qq; $(BIN)/ami-wizard doctor --install --yes > /dev/null; fi

test-tools: PACKAGES := $(TEST_PACKAGES)
truth-tools: PACKAGES := $(TRUTH_PACKAGES)
test-tools truth-tools:
	@missing=$$(for name in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q '^install ok' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  install="apt-get install --no-install-recommends -y $$(echo $$missing)"; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update && DEBIAN_FRONTEND=noninteractive $$install; \
	  else echo "Missing: sudo $$install" >&2; exit 1; fi; fi

$(VENV)/run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ami-wizard needs Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: sudo apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up ($(VENV))…"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/dev: $(VENV)/run
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV)
