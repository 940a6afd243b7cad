# Herald's everyday commands. `make` lists them. Everything that is compiled goes to CARGO_TARGET_DIR, or to target/.
#
# CC and CXX are left alone on purpose: a change of either makes cargo compile RocksDB again.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# A compiler cache where the distribution put one in front of the compilers.
ifneq ($(wildcard /usr/lib/ccache),)
export PATH := /usr/lib/ccache:$(PATH)
endif

# Evaluated when a recipe runs, since `make rocksdb` may have installed the library it finds.
WITH_ROCKSDB = env $$(scripts/rocksdb.sh env)

# Where `make install` puts things, below DESTDIR.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
# Which build `make install` makes and installs: release or debug.
PROFILE ?= release

.PHONY: help deps rocksdb demo test lint bench fuzz loom shuttle tsan plugins install clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## check the tools; on Debian and Ubuntu install what is missing
	@scripts/deps.sh

rocksdb: deps ## make RocksDB ready; minutes the first time, if it has to be compiled
	@scripts/rocksdb.sh build

demo: rocksdb ## build the program and show a call placed and checked
	$(WITH_ROCKSDB) $(CARGO) build -p herald
	$(TARGET)/debug/herald demo

test: rocksdb ## run every test there is
	@scripts/deps.sh test
	$(WITH_ROCKSDB) scripts/test.sh

lint: rocksdb ## check formatting and lints, warnings counted as errors
	$(WITH_ROCKSDB) scripts/lint.sh

bench: deps ## measure against yardsticks
	@scripts/rocksdb.sh build release
	$(WITH_ROCKSDB) bash benches/run.sh

fuzz: deps ## fuzz every parser, FUZZ_SECONDS each (60)
	bash tests/fuzz/run.sh $(or $(FUZZ_SECONDS),60)

loom: deps ## try all interleavings of the log's atomics
	bash engine/log/loom.sh

shuttle: deps ## play SCHEDULES (1000000) random schedules of the log
	bash engine/log/shuttle.sh $(or $(SCHEDULES),1000000)

tsan: deps ## run the log under ThreadSanitizer, TSAN_SECONDS long (600)
	bash tests/tsan.sh $(or $(TSAN_SECONDS),600)

plugins: deps ## build the plugins as shared objects, for `make install`
	$(CARGO) build $(if $(filter release,$(PROFILE)),--release) -p herald-loadable --examples

install: deps ## build a release and install program, library, headers and built plugins below DESTDIR and PREFIX
	@scripts/rocksdb.sh build $(PROFILE)
	$(WITH_ROCKSDB) $(CARGO) build $(if $(filter release,$(PROFILE)),--release) -p herald -p herald-capi
	PROFILE="$(PROFILE)" DESTDIR="$(DESTDIR)" PREFIX="$(PREFIX)" BINDIR="$(BINDIR)" LIBDIR="$(LIBDIR)" \
		INCLUDEDIR="$(INCLUDEDIR)" PKGCONFIGDIR="$(PKGCONFIGDIR)" scripts/install.sh

clean: ## delete what was built, RocksDB too
	$(CARGO) clean
