# SPDX-License-Identifier: Apache-2.0
#
# The front door. `make help` says what there is; meson.build is the build itself.
# Nothing is built as root unless you are root: only what needs root is started through sudo.

# Empty: this machine's own. arm64: another build beside it, made on amd64 (tools/cross). Not taken
# from the environment, where those who build kernels have one of their own.
ARCH =
PREFIX ?= /usr/local
ARGS ?=
FUZZ_SECONDS ?= 30

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)

ifeq ($(ARCH),)
sonde := build/sonde
else ifeq ($(ARCH),arm64)
sonde := build-arm64/sonde
strip := --strip-program=aarch64-linux-gnu-strip
else
$(error ARCH is arm64, or nothing for this machine: not '$(ARCH)')
endif

# These are for this machine's own build.
own := $(filter run check check-all check-kernels fuzz bench,$(MAKECMDGOALS))
ifneq ($(if $(ARCH),$(own)),)
$(error ARCH=$(ARCH) is built and installed here, and tested by check-arm64; 'make $(own)' has none)
endif

all: $(sonde)

# Always asked: meson and ninja know better than make what is out of date.
build/sonde: FORCE
	@tools/packages build
	@tools/configure build
	@ninja -C build sonde

build-arm64/sonde: FORCE
	@tools/packages build build-arm64
	@tools/configure build-arm64 --cross arm64
	@ninja -C build-arm64 sonde

run: build/sonde
	$(SUDO) build/sonde run $(ARGS)

check: build/sonde
	@tools/packages all
	@tests/run

check-all: build/sonde
	@tools/packages all
	@tests/run --all

check-kernels: build/sonde
	@tools/packages test
	@tests/run kernels

check-arm64: build-arm64/sonde
	@tools/packages test test-arm64
	@tests/run unit-arm64 kernels-arm64

fuzz:
	@tools/packages build test
	@FUZZ_CC=clang-19 tests/fuzz/run $(FUZZ_SECONDS)

bench: build/sonde
	@tools/packages test
	@bench/run $(ARGS)

format:
	@tools/packages test
	@tools/format

# Takes what is there, so that `sudo make install` builds nothing as root.
install:
	@test -x $(sonde) || { echo "There is no $(sonde) yet: run make first." >&2; exit 1; }
	install -D -m 755 -s $(strip) $(sonde) $(DESTDIR)$(PREFIX)/bin/sonde
	install -D -m 644 docs/sonde.8 $(DESTDIR)$(PREFIX)/share/man/man8/sonde.8

clean:
	rm -rf build build-arm64 build-asan build-fuzz

help:
	@echo 'make                build/sonde: one static file'
	@echo 'make ARCH=arm64     build-arm64/sonde: the same for arm64, made on amd64'
	@echo 'make run            builds and starts it; ARGS="--listen 127.0.0.1:9477" goes to sonde run'
	@echo 'make check          every test that a change must pass'
	@echo 'make check-all      those, older and newer distributions, and longer fuzzing'
	@echo 'make check-kernels  the tests in virtual machines alone'
	@echo 'make check-arm64    the unit tests of build-arm64 and its kernels, emulated'
	@echo 'make fuzz           the fuzzers alone; FUZZ_SECONDS=30'
	@echo 'make bench          what sonde costs, side by side with doing nothing; prints ratios'
	@echo 'make format         clang-format over the tree'
	@echo 'make install        PREFIX=/usr/local, DESTDIR='
	@echo 'make clean          removes what was built; what was unpacked stays in .deps'
	@echo
	@echo 'Packages that are missing are named, then added; SONDE_SKIP_PACKAGES=1 adds nothing.'

.PHONY: all run check check-all check-kernels check-arm64 fuzz bench format install clean help \
	FORCE
