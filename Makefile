# The door to the project: each target installs what it lacks, builds what has changed, and does its job.
# `make help` lists them.

JOBS ?= $(shell nproc)
ARGS ?=
CTEST = ctest --output-on-failure --parallel 2 --no-tests=error

.PHONY: help build run demo test bench lint format asan tsan clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: build/release/build.ninja ## the release programs: build/release/larder and build/release/larder-replay
	@cmake --build build/release --target larder larder-replay -- -j $(JOBS)

run: build ## starts the gateway (ARGS="--config larder.yaml" for more)
	@build/release/larder serve $(ARGS)

demo: build ## the main job on a provider of its own: no key, no network, a few seconds
	@build/release/larder demo

test: build/release/build.ninja build/fuzz/build.ninja ## every test: fuzzers' short runs, units, whole program
	@scripts/install-packages test
	@JOBS=$(JOBS) scripts/run-tests

bench: build ## measures beside nginx and prints ratios; raw results in bench/results
	@scripts/install-packages bench
	@cmake --build build/release -- -j $(JOBS)
	@bench/run $(ARGS)

lint: build/release/build.ninja ## layers, sizes, format, clang-tidy on what changed (ALL=1: on everything)
	@scripts/install-packages lint
	@JOBS=$(JOBS) scripts/lint $(if $(ALL),--all)

format: ## clang-format over all C++ files
	@scripts/install-packages lint
	@git ls-files --cached --others --exclude-standard -- '*.hpp' '*.cpp' | xargs clang-format-19 -i

asan: build/asan/build.ninja ## the whole suite under AddressSanitizer and UndefinedBehaviorSanitizer
	@scripts/install-packages test sanitize
	@cmake --build build/asan -- -j $(JOBS)
	@ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1 \
	 UBSAN_OPTIONS=print_stacktrace=1 $(CTEST) --test-dir build/asan

tsan: build/tsan/build.ninja ## the whole suite under ThreadSanitizer
	@scripts/install-packages test sanitize
	@cmake --build build/tsan -- -j $(JOBS)
	@TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1 $(CTEST) --test-dir build/tsan

clean: ## removes everything that was built
	rm -rf build

build/%/build.ninja:
	@scripts/install-packages build test
	@cmake --preset $*
