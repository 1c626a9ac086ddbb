# make demo: install, build, train, compare, generate.   make test: build and run every test.
.PHONY: deps build demo test fast browser bench asan tsan fuzz tidy format clean

deps:
	@bash scripts/deps.sh

build/build.ninja: CMakeLists.txt | deps
	@cmake -S . -B build -G Ninja > build.log.tmp || { cat build.log.tmp; rm -f build.log.tmp; exit 1; }
	@rm -f build.log.tmp

# The command alone; tests are built by `make test`.
build: deps build/build.ninja
	@ninja -C build crate

demo: build
	@bash scripts/demo.sh

test: deps build/build.ninja
	@ninja -C build
	@bash scripts/test.sh build

fast: deps build/build.ninja
	@ninja -C build
	@bash scripts/test.sh build -L fast

# The pages in a real browser; fetches chromium and what drives it. `make test` does the same where they are present.
browser: deps build/build.ninja
	@bash scripts/deps.sh chromium $$(command -v npm > /dev/null || echo nodejs npm)
	@[ -d build/web/node_modules/playwright-core ] || npm install --silent --no-save --no-audit --no-fund --prefix build/web playwright-core
	@ninja -C build test_web && build/bin/test_web

# Every line is a share of what the machine did at most in the same run; peers run where they are installed.
bench: build
	@bash scripts/deps.sh libbenchmark-dev
	@cmake -S . -B build -G Ninja > /dev/null && ninja -C build benchmarks
	@build/bin/crate bench
	@build/bin/crate bench --dtype bf16
	@for b in build/bin/*_bench; do $$b --benchmark_min_time=0.2; done
	@build/bin/ops_bench --dtype=bf16 --benchmark_min_time=0.2 --benchmark_filter='linear|ista|mlp|cross_entropy'
	@bash bench/codec.sh
	@bash bench/peers/run.sh

asan: deps
	@cmake -S . -B build-asan -G Ninja -DCRATE_SANITIZE=ON > /dev/null
	@ninja -C build-asan
	@bash scripts/test.sh build-asan

tsan: deps
	@bash scripts/deps.sh clang libomp-dev
	@cmake -S . -B build-tsan -G Ninja -DCRATE_TSAN=ON -DCMAKE_CXX_COMPILER=clang++ > /dev/null
	@ninja -C build-tsan test_base test_data test_image test_tensor test_ops
	@export TSAN_OPTIONS=ignore_noninstrumented_modules=1; for t in base data image tensor ops; do build-tsan/bin/test_$$t || exit 1; done

fuzz: deps
	@bash scripts/deps.sh clang libomp-dev
	@cmake -S . -B build-fuzz -G Ninja -DCRATE_FUZZ=ON -DCRATE_TESTS=OFF -DCMAKE_CXX_COMPILER=clang++ > /dev/null
	@ninja -C build-fuzz
	@ls build-fuzz/bin/fuzz_*

tidy: build/build.ninja
	@bash scripts/deps.sh clang-tidy
	@git ls-files 'src/*.cpp' 'testing/*.cpp' | xargs clang-tidy -p build --quiet

format:
	@bash scripts/deps.sh clang-format
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf build build-asan build-tsan build-fuzz
