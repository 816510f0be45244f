# whence: `make help` lists what there is.

SHELL := bash
CARGO ?= cargo
# Tests and checks share one profile, so that dependencies are built once.
TARGET := $(or $(CARGO_TARGET_DIR),target)
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# As cargo spells it in names of variables.
HOST = $(shell rustc -vV | sed -n 's/^host: //p' | tr a-z- A-Z_)

BUILD_PACKAGES := clang libelf-dev zlib1g-dev pkg-config gcc libc6-dev
TEST_PACKAGES := debootstrap strace gawk procps python3-venv chromium chromium-driver binutils golang-1.19-go systemtap-sdt-dev e2fsprogs qemu-system-x86 busybox-static cpio xz-utils gdb linux-perf
CHECK_PACKAGES := clang-format
BENCH_PACKAGES := linux-perf bpftrace strace chromium chromium-driver
PYTHON := $(TARGET)/venv/bin/python3
# Makes Debian packages.
CARGO_DEB := 3.8.0
# A recorder that is compared only when asked for, since it takes minutes to build.
TRACEXEC_VERSION := 1.0.0
export PATH := $(abspath $(TARGET))/tools/bin:$(PATH)

.PHONY: help demo pictures test check bench bless build-tools test-tools check-tools bench-tools soak fuzz pages deb deb-tools verifier

help: ## Lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: build-tools ## Builds, records this host for some seconds, prints the answers
	$(CARGO) build --release -p whence-recorder -p whence-analyzer
	$(SUDO) tests/demo/demo.sh $(TARGET)/release

pictures: build-tools bench-tools ## The pictures of README.md anew, from recordings of this host
	$(CARGO) build --release -p whence-recorder -p whence-analyzer
	$(SUDO) tests/demo/pictures.py $(TARGET)/release docs/images

test: export PYTHON := $(abspath $(PYTHON))
test: build-tools test-tools ## Installs what the tests need and runs all of them
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace
ifneq ($(SUDO),)
	@echo "the tests against the running kernel, skipped above, once more as root"
	CARGO_TARGET_$(HOST)_RUNNER="$(SUDO) env PYTHON=$$PYTHON" \
		$(CARGO) test --workspace --test live
endif
	@$(MAKE) --no-print-directory pages
	if command -v cargo-deb >/dev/null; then dist/deb.sh $(TARGET)/debug/whence-record $(TARGET)/debug/whence $(TARGET)/packages-test; fi
	$(SUDO) tests/packages/check.sh $(TARGET)/packages-test
	$(SUDO) tests/packages/unit.sh $(TARGET)/packages-test

check: build-tools check-tools ## Formatting, lints and docs
	$(CARGO) fmt --check
	clang-format --dry-run --Werror bpf/src/*.c bpf/src/*.h bpf/include/wire.h
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

bench: build-tools bench-tools test-tools ## What recording and asking cost, beside others (TRACEXEC=1: that too), into docs/benchmarks.md
	$(CARGO) build --profile dist -p whence-recorder
	$(CARGO) build --release -p whence-recorder -p whence-analyzer -p whence-tests --bins
	mkdir -p $(TARGET)/bench
	ln -sf ../dist/whence-record ../release/whence ../release/whence-generate $(TARGET)/bench/
	PYTHON=$(abspath $(PYTHON)) tests/bench/run.sh $(TARGET)/bench docs/benchmarks.md

soak: build-tools ## An hour of mixed load, and a thousand kills of the recorder at random moments
	$(CARGO) build --workspace --all-targets
	WHENCE_SOAK=$${WHENCE_SOAK:-3600} $(CARGO) test --workspace --test live -- after_a_long_time
	WHENCE_KILLS=$${WHENCE_KILLS:-1000} $(CARGO) test --workspace --test live -- a_recorder_killed_at_any_moment

verifier: build-tools test-tools ## What BPF programs cost the verifiers of three kernels, compared with what is kept (BLESS=1 keeps it)
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace --test live --test vm --test newer -- for_the_verifier

FUZZ_TARGETS := bundle manifest segment rows rules arguments symbols
FUZZ_SECONDS ?= 600
FUZZ_SEED ?= $(shell date +%s)

fuzz: build-tools ## Hostile input for every reader, FUZZ_SECONDS each; an input that fails is saved
	$(CARGO) build --workspace --all-targets
	for target in $(FUZZ_TARGETS); do \
		$(TARGET)/debug/whence-fuzz $$target --seconds $(FUZZ_SECONDS) --seed $(FUZZ_SEED) || exit; \
	done

pages: build-tools ## Man pages and completions of both programs, into dist/pages
	$(CARGO) build --workspace --all-targets
	$(TARGET)/debug/examples/analyzer_pages dist/pages
# Last: the analyzer has a page of that name too, for the command that leads to it.
	$(TARGET)/debug/examples/record_pages dist/pages

deb: build-tools deb-tools pages ## Debian packages of both programs, into target/packages
	$(CARGO) build --profile dist -p whence-recorder
	$(CARGO) build --release -p whence-recorder -p whence-analyzer
	dist/deb.sh $(TARGET)/dist/whence-record $(TARGET)/release/whence $(TARGET)/packages

bless: ## Writes what is made from definitions anew
	BLESS=1 $(CARGO) test --workspace --test tables_page --test queries_page

build-tools:
	@tests/install.sh $(BUILD_PACKAGES)

deb-tools:
	@command -v cargo-deb >/dev/null || \
		$(CARGO) install --quiet --locked --version $(CARGO_DEB) --root $(TARGET)/tools cargo-deb

# Without them, tests that need other engines are skipped and say so.
test-tools:
	@tests/install.sh $(TEST_PACKAGES)
	@[ -x $(PYTHON) ] || { mkdir -p $(TARGET) && python3 -m venv $(TARGET)/venv; }
	@$(PYTHON) -c 'import duckdb, pandas, pyarrow' 2>/dev/null || \
		$(PYTHON) -m pip install --quiet duckdb pandas pyarrow || \
		echo "duckdb, pandas and pyarrow cannot be had for python"
	@tests/readers/install.sh $(PYTHON)
	@$(MAKE) --no-print-directory deb-tools || echo "cargo-deb cannot be had"

check-tools:
	@tests/install.sh $(CHECK_PACKAGES)

bench-tools:
	@tests/install.sh $(BENCH_PACKAGES)
ifdef TRACEXEC
	@command -v tracexec >/dev/null || $(CARGO) install --quiet --locked --version $(TRACEXEC_VERSION) \
		--no-default-features --root $(TARGET)/tools tracexec
endif
