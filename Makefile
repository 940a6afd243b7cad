# Herald's everyday commands. `make` lists them. Everything that is compiled goes to CARGO_TARGET_DIR, or to target/.
#
# CC and CXX are left alone on purpose: a change of either makes cargo compile RocksDB again.

SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# A compiler cache where the distribution puts one in front of the compilers: `make deps` may be about to install it.
export PATH := /usr/lib/ccache:$(PATH)

# Evaluated when a recipe runs, since `make rocksdb` may have installed the library it finds.
WITH_ROCKSDB = env $$(scripts/rocksdb.sh env)

# Where `make install` puts things, below DESTDIR. GNU's spelling of these two is understood as well.
PREFIX ?= $(or $(prefix),/usr/local)
LIBDIR ?= $(or $(libdir),$(PREFIX)/lib)
# The rest follows from these two if it is not set: scripts/install.sh.
INSTALL_FOLDERS = DESTDIR PREFIX LIBDIR BINDIR INCLUDEDIR PKGCONFIGDIR CMAKEDIR DATADIR MANDIR ZSHDIR SYSCONFDIR UNITDIR SYSUSERSDIR
# Which build `make install` and `make deb` make: release or debug.
PROFILE ?= release

.PHONY: help deps rocksdb demo test lint bench fuzz loom shuttle tsan plugins install deb clean

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

install: deps ## build a release; install program, library, manual, service and built plugins below DESTDIR and PREFIX
	@scripts/rocksdb.sh build $(PROFILE)
	$(WITH_ROCKSDB) $(CARGO) build $(if $(filter release,$(PROFILE)),--release) -p herald -p herald-capi
	PROFILE="$(PROFILE)" $(foreach folder,$(INSTALL_FOLDERS),$(folder)="$($(folder))") scripts/install.sh

deb: plugins ## build a release and make Debian packages of it, in target/packages, debug symbols in target/packages/debug
	@scripts/rocksdb.sh build $(PROFILE)
	$(WITH_ROCKSDB) $(CARGO) build $(if $(filter release,$(PROFILE)),--release) -p herald -p herald-capi
	PROFILE="$(PROFILE)" scripts/deb.sh

clean: ## delete what was built, RocksDB too
	$(CARGO) clean
