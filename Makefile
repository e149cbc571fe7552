# The few commands a newcomer needs. Everything else is cmake --preset ... (see CONTRIBUTING.md).
.PHONY: demo release package test fuzz kill-test format clean

demo: release
	@scripts/install_packages.sh run
	@scripts/demo/demo.sh build/release/celeriac

# build/release/celeriac and build/release/examples/conformance_worker
release:
	@scripts/install_packages.sh build
	@cmake --preset release -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
	@cmake --build --preset release

# Debian packages in build/packages
package:
	@scripts/install_packages.sh build
	@scripts/package.sh

test:
	@scripts/install_packages.sh build run test
	@scripts/test.sh

# 60 s of each fuzz target (SECONDS=n for longer)
fuzz:
	@scripts/install_packages.sh build test
	@scripts/fuzz.sh $${SECONDS_EACH:-60}

# The full kill test: minutes to an hour; `make test` runs a short form.
kill-test:
	@scripts/install_packages.sh build run test
	@cmake --preset release -B build/release-tests -DCELERIAC_TESTS=ON -DCMAKE_MESSAGE_LOG_LEVEL=NOTICE
	@cmake --build build/release-tests --target interop_worker
	@/usr/bin/python3 tests/interop/kill_test.py --worker build/release-tests/tests/interop/interop_worker --kills 1000 --tasks 20000

format:
	@git ls-files '*.hpp' '*.cpp' | xargs clang-format -i

clean:
	rm -rf build
