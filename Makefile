# The commands of larder: `make` alone lists the targets. All built files are in target/.
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
CFLAGS ?= -O2 -g
CXXFLAGS ?= -O2 -g

# Cargo.toml is the only place of the version.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)

LIB := target/lib/liblarder.a
HIREDIS := target/hiredis/libhiredis.a
# Left out: a server by epoll where the host is not Linux, and near_cache before `make near-cache`.
ELSEWHERE := $(if $(filter Linux,$(shell uname -s)),,c-examples/memcached_server.c) \
	$(if $(wildcard $(HIREDIS)),,c-examples/near_cache.c)
EXAMPLES := $(patsubst c-examples/%.c,target/examples/%,$(filter-out $(ELSEWHERE),$(wildcard c-examples/*.c))) \
	$(if $(shell command -v $(CXX)),$(patsubst c-examples/%.cpp,target/examples/%-cpp,$(wildcard c-examples/*.cpp)))

# The parts of `make test`, each a target below.
TEST_PARTS := test-format test-lint test-rust test-features test-doc test-loom test-crate test-tool test-c \
	test-firmware test-dist test-fuzz test-hosts test-sanitizers test-programs

.PHONY: help setup lib tool firmware size dist header abi examples demo test $(TEST_PARTS) test-planted \
	fuzz soak bench bench-calls bench-pool bench-paths bench-peers bench-hitratio bench-small bench-memory \
	soak-share bench-share bench-shared bench-memcached bench-near-cache near-cache install doc docs fmt check clean FORCE
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## List the targets
	@awk -F ': .*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the missing packages for building and testing (not the host's Rust)
	@sh tests/tools/setup.sh

lib: $(LIB) ## Build target/lib/liblarder.a and liblarder.so, for C

$(LIB): FORCE
	cargo rustc --release --lib --crate-type staticlib --features capi --target-dir target
	CC='$(CC)' sh tests/tools/onelib.sh target/release/liblarder.a target/lib $(VERSION)

tool: ## Build target/release/larder-tool: replays traces, draws hit ratios, shows a running program's cache
	cargo build --release --features tool --bin larder-tool

firmware: ## Build target/firmware/TARGET/liblarder.a for five cores; TARGETS='...' names others
	@sh tests/tools/setup.sh firmware
	sh tests/tools/firmware.sh

size: ## Print bytes of code, data and stack of each target and check their budgets; print what functions add
	@sh tests/tools/setup.sh firmware
	sh tests/tools/size.sh

dist: ## Write target/dist/larder-VERSION-TARGET.tar.gz for this host and five cores, usable without Rust
	sh tests/tools/dist.sh $(VERSION)

header: ## Generate include/larder.h from src/ffi
	LARDER_BLESS=1 cargo test --test header

abi: ## Generate tests/abi from include/larder.h: the ABI that compiled programs rely on
	sh tests/tools/abi.sh tests/abi

examples: $(EXAMPLES) ## Build the examples in C and C++ into target/examples
	$(if $(wildcard $(HIREDIS)),,@echo 'near_cache is NOT built: hiredis 1.x is not there; make near-cache fetches it')

target/examples/%: c-examples/%.c $(wildcard c-examples/*.h c-examples/memcached/*.h) include/larder.h $(LIB)
	@mkdir -p $(@D)
	$(CC) -std=c11 -Wall -Wextra -Wpedantic $(CFLAGS) -Iinclude $< -o $@ $(LIB) -lpthread -lm $(WITH)

target/examples/%-cpp: c-examples/%.cpp include/larder.hpp include/larder.h $(LIB)
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -Wall -Wextra -Wpedantic $(CXXFLAGS) -Iinclude $< -o $@ $(LIB) -lpthread -lm

# Evaluated when the recipe runs, since `make setup` may just have installed libzstd.
target/examples/replay: WITH = $(shell pkg-config --exists libzstd 2>/dev/null && \
	echo -DHAVE_ZSTD `pkg-config --cflags --libs libzstd`)

target/examples/near_cache: WITH = -isystem target/hiredis/include $(HIREDIS)

near-cache: lib ## Build the example near_cache; fetches the C sources of hiredis 1.x by pip
	@CC='$(CC)' sh tests/tools/hiredis.sh || { echo 'near_cache is NOT built: pip has no hiredis 1.x'; exit 1; }
	$(MAKE) --no-print-directory target/examples/near_cache

demo: ## Build the library, run the demo and draw a region; installs a C compiler where there is none
	@sh tests/tools/setup.sh build
	$(MAKE) --no-print-directory target/examples/demo target/examples/memory_map
	target/examples/demo
	@target/examples/memory_map --width 44 --svg target/region.svg | tail -n 1

test: ## Run every check and test; prints missing tools, and the counts at the end
	@MAKE='$(MAKE)' sh tests/tools/verdict.sh $(TEST_PARTS)

test-format: ## Is the Rust code formatted?
	cargo fmt --check

test-lint: ## Does clippy find nothing?
	cargo clippy --all-targets --features tool -- -D warnings

test-rust: ## Run the Rust tests alone
	cargo test --no-fail-fast

test-doc: lib target/examples/memory_map target/examples/replay ## Do the pages build and their programs run?
	@sh tests/tools/setup.sh host
	sh tests/docs/run.sh

test-features: ## Run the Rust tests without a lock or a C library, with one of the two, and the small build's
	cargo clippy --no-default-features --all-targets -- -D warnings
	cargo test --no-default-features
	cargo test --no-default-features --features hosted --test threads --test monitor --test reentry
	cargo test --features serde --test owned
	cargo test --no-default-features --features spin --test threads --test monitor --test reentry --test set_time
	cargo test --no-default-features --features spin,small,lru --test model --test items --test attach --test bounded \
		--test pins

test-c: lib examples ## Run the C part of the tests alone
	MAKE='$(MAKE)' sh tests/c/run.sh

test-crate: ## Use the packaged crate in a Rust project; try the oldest and newest versions of its dependencies
	sh tests/crate/run.sh

test-tool: lib target/examples/threads ## Run larder-tool over generated traces; open its report in a browser
	sh tests/tool/run.sh

test-firmware: ## Build for every core, link in all ways, check the size budgets, run images in QEMU
	@sh tests/tools/setup.sh firmware
	@mkdir -p target/firmware; sh tests/tools/firmware.sh || true; \
		sh tests/firmware/images.sh >target/firmware/images.log 2>&1 & images=$$!; \
		failed=0; sh tests/firmware/run.sh || failed=1; \
		wait $$images || failed=1; cat target/firmware/images.log; exit $$failed

test-dist: lib ## Use the tarballs, CMakeLists.txt and the frameworks' descriptions in other projects
	@sh tests/tools/setup.sh
	sh tests/dist/run.sh

test-hosts: ## Run tests of Rust and C on 32-bit machines of both byte orders (QEMU)
	@sh tests/tools/setup.sh hosts
	@failed=0; mkdir -p target/hosts; sh tests/hosts/run.sh powerpc freebsd >target/hosts/powerpc.log 2>&1 & other=$$!; \
		sh tests/hosts/run.sh armv7 macos || failed=1; wait $$other || failed=1; cat target/hosts/powerpc.log; exit $$failed

test-sanitizers: lib ## Run tests of Rust and C under AddressSanitizer, UndefinedBehaviorSanitizer, ThreadSanitizer
	sh tests/sanitizers/run.sh

test-programs: lib examples ## Test the memcached server and the near-cache with public servers and clients
	@sh tests/tools/setup.sh programs
	@failed=0; mkdir -p target; sh tests/near_cache/run.sh >target/near-cache.log 2>&1 & near=$$!; \
		sh tests/memcached/run.sh || failed=1; wait $$near || failed=1; cat target/near-cache.log; exit $$failed

test-loom: ## Try all interleavings of two threads over locks and callbacks
	sh tests/tools/testcrate.sh target/testcrate-loom loom
	cd target/testcrate-loom && RUSTFLAGS='--cfg loom' cargo test --lib --target-dir ../loom interleavings

test-planted: ## Do the tests find faults that are planted in the engine?
	sh tests/planted/run.sh

test-fuzz: ## Run each fuzz target for 15 seconds, if there is a nightly compiler
	sh tests/fuzz/run.sh 15

fuzz: ## Run each fuzz target for SECONDS (60)
	sh tests/fuzz/run.sh $(or $(SECONDS),60)

soak: ## Model, hostile regions and fuzz targets for about SECONDS each (600); then planted faults
	LARDER_MODEL_OPS=$$(( $(or $(SECONDS),600) / 30 + 1 )) cargo test --release --test model
	LARDER_HOSTILE_IMAGES=$$(( $(or $(SECONDS),600) * 8000 )) cargo test --release --test hostile
	sh tests/fuzz/run.sh $(or $(SECONDS),600)
	sh tests/planted/run.sh
	$(MAKE) --no-print-directory soak-share

soak-share: lib ## Kill processes that share a cache: 10,000 at random, and before every instruction of each call
	@mkdir -p target/c
	for program in share_kill share_steps; do $(CC) -std=c99 -O1 -g -Iinclude -Itests/c tests/c/$$program.c \
		-o target/c/$$program target/lib/liblarder.a -lpthread -lm || exit 1; done
	target/c/share_kill 10000
	target/c/share_steps $(or $(STRIDE),1)

bench: ## Run the benchmarks
	cargo bench
	$(MAKE) --no-print-directory bench-calls bench-paths

bench-calls: lib target/examples/threads ## Print instructions of single calls, and the gain by batches and threads
	CC='$(CC)' sh benches/calls/calls.sh

bench-pool: lib ## Print instructions of allocating from a pool, an arena and the C library's heap
	CC='$(CC)' sh benches/calls/pool.sh

bench-share: lib ## Print instructions of calls in a cache that processes share, and what a second process brings
	@mkdir -p target/calls
	$(CC) -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/calls/share.c -o target/calls/share target/lib/liblarder.a \
		-lpthread -lm
	target/calls/share

bench-paths: lib ## Print what each instruction of a call is for, and the lines of memory that a call fetches
	mkdir -p target/calls
	$(CC) -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/paths/paths.c -o target/calls/paths target/lib/liblarder.a \
		-lpthread -lm
	python3 benches/paths/paths.py target/calls/paths

bench-peers: ## Print bytes, hit ratio and speed beside other caches, and draw docs/benchmarks.svg
	cargo run --release --manifest-path benches/peers/Cargo.toml --target-dir target/peers -- --svg docs/benchmarks.svg \
		$(ARGS)

bench-near-cache: near-cache ## Print what a near-cache brings in front of Redis, and draw docs/near_cache.svg
	@sh tests/tools/setup.sh build host
	python3 -B benches/near_cache/near_cache.py --svg docs/near_cache.svg $(ARGS)

bench-hitratio: ## Print hit ratios of this and other policies; ARGS='--help' lists options
	cargo bench --bench hitratio -- $(ARGS)

bench-small: ## Print hit ratios of the small build beside the full engine's, in 16 and 64 KiB
	sh benches/hitratio/small.sh $(ARGS)

bench-memcached: lib target/examples/memcached_server ## Print figures beside memcached; draw docs/memcached.svg
	@sh tests/tools/setup.sh programs
	mkdir -p target/bench-memcached
	$(CC) -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/memcached/load.c -o target/bench-memcached/load $(LIB) \
		-lpthread -lm
	python3 benches/memcached/memcached.py --svg docs/memcached.svg $(ARGS)

bench-shared: lib ## Print figures beside APCu and nginx's shared dictionary in one memory; draw docs/sharing.svg
	@sh tests/tools/setup.sh shared
	@mkdir -p target/bench-shared
	$(CC) -std=c11 -O2 -g -Wall -Wextra -Iinclude benches/shared/larder.c -o target/bench-shared/larder $(LIB) \
		-lpthread -lm
	python3 -B benches/shared/shared.py --svg docs/sharing.svg $(ARGS)

bench-memory: ## Print the bytes that an item takes
	cargo bench --bench memory

doc: ## Make the references: target/doc (Rust), target/doxygen/c and target/doxygen/cpp; fails on any warning
	@sh tests/tools/setup.sh host
	RUSTDOCFLAGS=-Dwarnings cargo doc --no-deps
	sh tests/docs/doxygen.sh

docs: lib examples ## Draw docs/region.svg and write the outputs in README.md and docs/ anew
	sh tests/docs/picture.sh docs/region.svg
	python3 tests/docs/snippets.py --bless

install: lib ## Install libraries, headers, larder.pc and a CMake package under PREFIX (and DESTDIR)
	@CC='$(CC)' sh tests/tools/install.sh '$(PREFIX)' '$(DESTDIR)' $(VERSION)

fmt: ## Format the Rust code
	cargo fmt

check: fmt ## Before a commit: format, lint, and check shape, words, header and pages; about a minute
	cargo clippy --all-targets -- -D warnings
	cargo test --test structure --test tidy --test header --test abi
	$(MAKE) --no-print-directory test-doc

clean: ## Remove target/
	rm -rf target
